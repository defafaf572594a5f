// SPDX-License-Identifier: BSL-1.0
#include <kcache/detail/frequency_sketch.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"

#include <kcache/policies/random.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>
#include <vector>

using kcache::detail::frequency_sketch;

namespace {

std::uint64_t hash(std::uint64_t key) { return kcache::seeded_random{key}.next(); }

frequency_sketch ageless(std::size_t entries) {
  frequency_sketch s;
  s.reserve(entries);
  s.age_after(std::numeric_limits<std::uint64_t>::max());
  return s;
}

void add(frequency_sketch& s, std::uint64_t key, int times) {
  for (int i = 0; i != times; ++i) s.add(hash(key));
}

}  // namespace

TEST_CASE("frequency_sketch counts to 15 and stays there", "[frequency_sketch]") {
  auto s = ageless(100);
  CHECK(s.estimate(hash(1)) == 0);
  for (unsigned times = 1; times != 40; ++times) {
    s.add(hash(1));
    CHECK(s.estimate(hash(1)) == std::min(times, 15U));
  }
  CHECK(s.estimate(hash(2)) == 0);
}

TEST_CASE("frequency_sketch halves, rounding down", "[frequency_sketch]") {
  auto s = ageless(100);
  add(s, 1, 15);
  add(s, 2, 6);
  add(s, 3, 1);
  s.age();
  CHECK(s.estimate(hash(1)) == 7);
  CHECK(s.estimate(hash(2)) == 3);
  CHECK(s.estimate(hash(3)) == 0);
  s.age();
  CHECK(s.estimate(hash(1)) == 3);
  CHECK(s.estimate(hash(2)) == 1);
}

TEST_CASE("frequency_sketch ages after so many additions", "[frequency_sketch]") {
  auto s = ageless(100);
  s.age_after(10);
  add(s, 1, 9);
  CHECK(s.estimate(hash(1)) == 9);
  add(s, 1, 1);
  CHECK(s.estimate(hash(1)) == 5);
  // The five that are left count as additions.
  add(s, 2, 4);
  CHECK(s.estimate(hash(1)) == 5);
  add(s, 2, 1);
  CHECK(s.estimate(hash(1)) == 2);
  CHECK(s.estimate(hash(2)) == 2);
}

TEST_CASE("frequency_sketch: what was rounded away is not half an addition", "[frequency_sketch]") {
  auto s = ageless(100);
  s.age_after(4);
  for (std::uint64_t key = 1; key != 5; ++key) add(s, key, 1);
  CHECK(s.estimate(hash(1)) == 0);
  add(s, 5, 3);
  CHECK(s.estimate(hash(5)) == 3);
  add(s, 5, 1);
  CHECK(s.estimate(hash(5)) == 2);
}

TEST_CASE("frequency_sketch: what it cannot count does not age it", "[frequency_sketch]") {
  auto s = ageless(100);
  s.age_after(20);
  add(s, 1, 1000);
  CHECK(s.estimate(hash(1)) == 15);
  add(s, 2, 5);
  CHECK(s.estimate(hash(1)) == 7);
}

TEST_CASE("frequency_sketch never says less than was counted", "[frequency_sketch]") {
  auto s = ageless(64);
  std::vector<unsigned> counts(512);  // eight times what it is made for
  kcache::seeded_random random{7};
  for (int i = 0; i != 3000; ++i) {
    auto const key = std::min(random.next() % counts.size(), random.next() % counts.size());
    ++counts[static_cast<std::size_t>(key)];
    s.add(hash(key));
  }
  for (std::size_t key = 0; key != counts.size(); ++key) {
    CHECK(s.estimate(hash(key)) >= std::min(counts[key], frequency_sketch::most));
  }
}

TEST_CASE("frequency_sketch is seldom wrong about as many keys as it is made for",
          "[frequency_sketch]") {
  struct view {
    char const* what;
    std::uint64_t keep, set;
  };
  // In a shard some bits of the hash are the same for all keys.
  auto const seen = GENERATE(view{"all bits", ~std::uint64_t{0}, 0},
                             view{"high bits fixed", ~std::uint64_t{0} >> 12U, 0xabcU << 20U},
                             view{"low bits fixed", ~std::uint64_t{0} << 12U, 0xabcU});
  CAPTURE(seen.what);
  auto s = ageless(1024);
  for (std::uint64_t key = 0; key != 1024; ++key) s.add((hash(key) & seen.keep) | seen.set);
  int exact = 0;
  int strangers = 0;
  for (std::uint64_t key = 0; key != 1024; ++key) {
    exact += s.estimate((hash(key) & seen.keep) | seen.set) == 1;
    strangers += s.estimate((hash(key + 5000) & seen.keep) | seen.set) != 0;
  }
  CHECK(exact >= 1010);
  CHECK(strangers <= 20);
}

TEST_CASE("frequency_sketch keeps its counts when it grows", "[frequency_sketch]") {
  auto s = ageless(16);
  for (std::uint64_t key = 0; key != 16; ++key) add(s, key, static_cast<int>(key));
  std::vector<unsigned> before;
  for (std::uint64_t key = 0; key != 16; ++key) before.push_back(s.estimate(hash(key)));
  for (std::size_t const entries : {17U, 100U, 5000U}) {
    s.reserve(entries);
    for (std::size_t key = 0; key != 16; ++key) CHECK(s.estimate(hash(key)) == before[key]);
  }
  s.reserve(1);
  CHECK(s.estimate(hash(15)) == before[15]);
  add(s, 3, 2);
  CHECK(s.estimate(hash(3)) == before[3] + 2);
}

TEST_CASE("frequency_sketch takes 8 to 16 bytes for each entry", "[frequency_sketch]") {
  frequency_sketch s;
  CHECK(s.heap_bytes() == 64);
  s.reserve(1024);
  CHECK(s.heap_bytes() == 8 * 1024);
  s.reserve(1025);
  CHECK(s.heap_bytes() == 16 * 1024);
}

TEST_CASE("frequency_sketch has not changed when it cannot grow", "[frequency_sketch]") {
  auto s = ageless(8);
  add(s, 1, 5);
  {
    test::failing_allocation const fails{1};
    CHECK_THROWS_AS(s.reserve(100), std::bad_alloc);
  }
  CHECK(s.heap_bytes() == 64);
  CHECK(s.estimate(hash(1)) == 5);
}
