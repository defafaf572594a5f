// SPDX-License-Identifier: BSL-1.0
#include <kcache/policies/clock_hand.hpp>

#include "support/catch.hpp"

#include <kcache/testing/eviction_bench.hpp>

#include <cstddef>
#include <vector>

using bench = kcache::testing::eviction_bench<kcache::clock_hand>;

namespace {

void fill(bench& b, std::size_t keys) {
  for (std::size_t key = 0; key != keys; ++key) b.access(key);
}

/// All that is left, in order of eviction.
std::vector<std::size_t> victims(bench& b) {
  std::vector<std::size_t> all;
  while (b.size() != 0) all.push_back(b.evict());
  return all;
}

using keys = std::vector<std::size_t>;

}  // namespace

TEST_CASE("clock_hand evicts in order of insertion where nothing is read", "[clock_hand]") {
  bench b{4, 4};
  fill(b, 4);
  CHECK(victims(b) == keys{0, 1, 2, 3});
  CHECK(b.evict() == bench::none);
}

TEST_CASE("clock_hand: a read is one more turn, several are no more", "[clock_hand]") {
  for (int reads = 1; reads != 4; ++reads) {
    bench b{4, 5};
    fill(b, 4);
    for (int i = 0; i != reads; ++i) CHECK(b.access(0));
    CHECK(b.access(2));
    CHECK(b.evict() == 1);  // 0 went to the end of the line: 2 3 0
    b.access(4);
    CHECK(b.evict() == 3);  // and so did 2: 0 4 2
    CHECK(victims(b) == keys{0, 4, 2});
  }
}

TEST_CASE("clock_hand: where all were read, the oldest goes, and all have had their turn",
          "[clock_hand]") {
  bench b{4, 4};
  fill(b, 4);
  for (std::size_t key = 4; key-- != 0;) CHECK(b.access(key));
  CHECK(b.evict() == 0);
  CHECK(victims(b) == keys{1, 2, 3});
}

TEST_CASE("clock_hand: a new entry was not read yet, whatever was in its place", "[clock_hand]") {
  bench b{3, 4};
  fill(b, 3);
  b.access(1);
  b.erase(1);
  b.access(3);  // where 1 was
  b.access(1);  // evicts 0
  CHECK(victims(b) == keys{2, 3, 1});
}

TEST_CASE("clock_hand: a new value counts as a read", "[clock_hand]") {
  bench b{3, 3};
  fill(b, 3);
  b.put(0, 1);
  CHECK(victims(b) == keys{1, 2, 0});
}

TEST_CASE("clock_hand turns no longer than a turn, however readers mark", "[clock_hand]") {
  bench b{4, 4};
  fill(b, 4);
  fill(b, 4);
  b.mark_meanwhile(1000);
  CHECK(b.evict() == 0);
  CHECK(b.marks_left() > 900);
  CHECK_FALSE(b.broken());
}

TEST_CASE("clock_hand keeps its links and its bit in 8 bytes", "[clock_hand]") {
  STATIC_REQUIRE(sizeof(kcache::clock_hand::hook) == 8);
  STATIC_REQUIRE(kcache::clock_hand::max_slots == 0xffffff);
}

TEST_CASE("clock_hand foretells the victim after the next", "[clock_hand]") {
  bench b{4, 4};
  CHECK(b.soon() == bench::none);
  for (std::size_t key = 0; key != 4; ++key) b.access(key);
  for (std::size_t next = 0; next != 3; ++next) {
    CHECK(b.soon() == next + 1);
    CHECK(b.evict() == next);
  }
  CHECK(b.soon() == bench::none);
}
