// SPDX-License-Identifier: BSL-1.0
#include <kcache/policies/fifo.hpp>

#include "support/catch.hpp"

#include <kcache/testing/eviction_bench.hpp>

using bench = kcache::testing::eviction_bench<kcache::fifo>;

TEST_CASE("fifo evicts in order of insertion, whatever is read", "[fifo]") {
  for (std::size_t hit = 0; hit != 4; ++hit) {
    bench b{4, 4};
    for (std::size_t key = 0; key != 4; ++key) b.access(key);
    CHECK(b.access(hit));
    for (std::size_t key = 0; key != 4; ++key) CHECK(b.evict() == key);
  }
}

TEST_CASE("fifo: one that left and came back is the youngest", "[fifo]") {
  bench b{3, 3};
  for (std::size_t key = 0; key != 3; ++key) b.access(key);
  b.erase(0);
  b.access(0);
  CHECK(b.evict() == 1);
  CHECK(b.evict() == 2);
  CHECK(b.evict() == 0);
}

TEST_CASE("fifo: a new value makes a new entry", "[fifo]") {
  bench b{3, 3};
  for (std::size_t key = 0; key != 3; ++key) b.access(key);
  b.put(0, 1);
  CHECK(b.evict() == 1);
  CHECK(b.evict() == 2);
  CHECK(b.evict() == 0);
}

TEST_CASE("fifo foretells the victim after the next", "[fifo]") {
  bench b{4, 4};
  CHECK(b.soon() == bench::none);
  for (std::size_t key = 0; key != 4; ++key) b.access(key);
  for (std::size_t next = 0; next != 3; ++next) {
    CHECK(b.soon() == next + 1);
    CHECK(b.evict() == next);
  }
  CHECK(b.soon() == bench::none);
}
