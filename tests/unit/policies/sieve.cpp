// SPDX-License-Identifier: BSL-1.0
#include <kcache/policies/sieve.hpp>

#include "support/catch.hpp"

#include <kcache/testing/eviction_bench.hpp>

#include <cstddef>
#include <vector>

using bench = kcache::testing::eviction_bench<kcache::sieve>;

namespace {

void fill(bench& b, std::size_t keys) {
  for (std::size_t key = 0; key != keys; ++key) b.access(key);
}

/// Who goes for `key`, of a queue that is full.
std::size_t gives_way(bench& b, std::size_t key) {
  std::size_t const victim = b.evict();
  b.access(key);
  return victim;
}

/// All that is left, in order of eviction.
std::vector<std::size_t> victims(bench& b) {
  std::vector<std::size_t> all;
  while (b.size() != 0) all.push_back(b.evict());
  return all;
}

using keys = std::vector<std::size_t>;

}  // namespace

TEST_CASE("sieve evicts in order of insertion where nothing is read", "[sieve]") {
  bench b{4, 4};
  fill(b, 4);
  CHECK(victims(b) == keys{0, 1, 2, 3});
  CHECK(b.evict() == bench::none);
}

TEST_CASE("sieve: the hand stays where it evicted, survivors keep their place", "[sieve]") {
  bench b{4, 12};
  fill(b, 4);
  b.access(0);
  b.access(2);
  // The line before and after, newest first; * was read, ^ is at the hand.
  CHECK(gives_way(b, 4) == 1);  // 3 2* 1 0*^   4 3 2*^ 0
  CHECK(gives_way(b, 5) == 3);  // 4 3 2*^ 0    5 4^ 2 0
  CHECK(gives_way(b, 6) == 4);  // 5 4^ 2 0     6 5^ 2 0
  CHECK(gives_way(b, 7) == 5);  // 6 5^ 2 0     7 6^ 2 0
  b.access(6);
  // 7 was the newest when it went: the hand begins anew, although 8 is newer.
  CHECK(gives_way(b, 8) == 7);  // 7 6*^ 2 0    8 6 2 0^
  b.access(2);
  CHECK(gives_way(b, 9) == 0);   // 8 6 2* 0^   9 8 6 2*^
  CHECK(gives_way(b, 10) == 6);  // 9 8 6 2*^   10 9 8^ 2
  CHECK(victims(b) == keys{8, 9, 10, 2});
}

TEST_CASE("sieve: where all were read, the hand makes one turn", "[sieve]") {
  bench b{4, 5};
  fill(b, 4);
  fill(b, 4);
  CHECK(gives_way(b, 4) == 0);
  CHECK(victims(b) == keys{1, 2, 3, 4});
}

TEST_CASE("sieve: the hand's own entry may be erased", "[sieve]") {
  for (std::size_t erased = 0; erased != 3; ++erased) {
    bench b{4, 5};
    fill(b, 4);
    b.access(0);
    CHECK(b.evict() == 1);  // 3 2^ 0
    b.erase(erased == 0 ? 0 : erased + 1);
    if (erased == 0) CHECK(victims(b) == keys{2, 3});
    if (erased == 1) CHECK(victims(b) == keys{3, 0});
    if (erased == 2) CHECK(victims(b) == keys{2, 0});
  }
}

TEST_CASE("sieve: erasing the newest under the hand sends it to the oldest", "[sieve]") {
  bench b{3, 4};
  fill(b, 3);
  b.access(0);
  CHECK(b.evict() == 1);  // 2^ 0
  b.erase(2);
  b.access(3);
  CHECK(victims(b) == keys{0, 3});
}

TEST_CASE("sieve: a new entry was not read yet, whatever was in its place", "[sieve]") {
  bench b{3, 4};
  fill(b, 3);
  b.access(1);
  b.erase(1);
  b.access(3);  // where 1 was
  b.access(1);  // evicts 0
  CHECK(victims(b) == keys{2, 3, 1});
}

TEST_CASE("sieve: a new value counts as a read", "[sieve]") {
  bench b{3, 3};
  fill(b, 3);
  b.put(0, 1);
  CHECK(victims(b) == keys{1, 2, 0});
}

TEST_CASE("sieve turns no longer than a turn, however readers mark", "[sieve]") {
  bench b{4, 4};
  fill(b, 4);
  fill(b, 4);
  b.mark_meanwhile(1000);
  CHECK(b.evict() == 0);
  CHECK(b.marks_left() > 900);
  CHECK_FALSE(b.broken());
}

TEST_CASE("sieve keeps its links and its bit in 8 bytes", "[sieve]") {
  STATIC_REQUIRE(sizeof(kcache::sieve::hook) == 8);
  STATIC_REQUIRE(kcache::sieve::max_slots == 0xffffff);
}

TEST_CASE("sieve foretells the victim after the next", "[sieve]") {
  bench b{4, 4};
  CHECK(b.soon() == bench::none);
  for (std::size_t key = 0; key != 4; ++key) b.access(key);
  for (std::size_t next = 0; next != 3; ++next) {
    CHECK(b.soon() == next + 1);
    CHECK(b.evict() == next);
  }
  CHECK(b.soon() == bench::none);
}
