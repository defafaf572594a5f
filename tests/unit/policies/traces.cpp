// SPDX-License-Identifier: BSL-1.0
// The policies on recorded requests: their hits are those of libCacheSim, to the last unit.
#include "support/traces.hpp"

#include "support/catch.hpp"

#include <kcache/policies/clock_hand.hpp>
#include <kcache/policies/fifo.hpp>
#include <kcache/policies/lru.hpp>
#include <kcache/policies/s3_fifo.hpp>
#include <kcache/policies/sieve.hpp>
#include <kcache/testing/eviction_bench.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

namespace {

template <kcache::eviction E>
std::uint64_t hits(test::trace const& requests, std::uint64_t capacity) {
  kcache::testing::eviction_bench<E> bench{capacity, requests.unique};
  std::uint64_t count = 0;
  for (auto const key : requests.numbers) count += bench.access(key) ? 1U : 0U;
  CHECK_FALSE(bench.broken());
  CHECK(bench.size() <= capacity);
  return count;
}

template <kcache::eviction E>
void check_hits(std::string const& policy) {
  if (!test::traces_at_hand()) return;
  auto const figures = test::reference_figures(policy);
  std::size_t compared = 0;
  std::map<std::string, test::trace> one;
  for (auto const& f : figures) {
    if (one.count(f.trace) == 0) {
      one.clear();
      one[f.trace] = test::read_trace(f.trace);
    }
    CAPTURE(f.trace, f.capacity, policy);
    REQUIRE(one[f.trace].keys.size() == f.requests);
    CHECK(hits<E>(one[f.trace], f.capacity) == f.hits);
    ++compared;
  }
  CHECK(compared == test::figures_of_a_policy);
}

}  // namespace

TEST_CASE("fifo hits what it should on the traces", "[traces]") {
  check_hits<kcache::fifo>("fifo");
}
TEST_CASE("lru hits what it should on the traces", "[traces]") { check_hits<kcache::lru>("lru"); }
TEST_CASE("clock_hand hits what it should on the traces", "[traces]") {
  check_hits<kcache::clock_hand>("clock");
}
TEST_CASE("sieve hits what it should on the traces", "[traces]") {
  check_hits<kcache::sieve>("sieve");
}
TEST_CASE("s3_fifo hits what it should on the traces", "[traces]") {
  check_hits<kcache::s3_fifo>("s3fifo");
}
