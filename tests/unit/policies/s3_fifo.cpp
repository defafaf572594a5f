// SPDX-License-Identifier: BSL-1.0
#include <kcache/policies/s3_fifo.hpp>

#include "support/catch.hpp"

#include <kcache/testing/eviction_bench.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

using bench = kcache::testing::eviction_bench<kcache::s3_fifo>;

namespace {

/// Reads the keys from `first` to before `last`.
void read(bench& b, std::size_t first, std::size_t last) {
  for (std::size_t key = first; key != last; ++key) b.access(key);
}

/// All that is left, in order of eviction: what is in the small queue, then the main queue.
std::vector<std::size_t> victims(bench& b) {
  std::vector<std::size_t> all;
  while (b.size() != 0) all.push_back(b.evict());
  return all;
}

using keys = std::vector<std::size_t>;

/// Ten entries, of which 0 came back and is in the main queue; the small one holds 2 to 10.
void fill_with_one_in_main(bench& b) {
  read(b, 0, 11);  // evicts 0
  b.access(0);     // evicts 1
}

}  // namespace

TEST_CASE("s3_fifo evicts in order of insertion where nothing is read", "[s3_fifo]") {
  bench b{10, 10};
  read(b, 0, 10);
  CHECK(victims(b) == keys{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  CHECK(b.evict() == bench::none);
}

TEST_CASE("s3_fifo: what comes back soon is safe from newcomers", "[s3_fifo]") {
  bench b{10, 100};
  fill_with_one_in_main(b);
  read(b, 11, 100);
  CHECK(victims(b) == keys{91, 92, 93, 94, 95, 96, 97, 98, 99, 0});
}

TEST_CASE("s3_fifo: two reads move an entry to the main queue, where it starts anew", "[s3_fifo]") {
  bench b{10, 10};
  read(b, 0, 10);
  read(b, 0, 3);
  read(b, 1, 3);
  read(b, 1, 2);
  CHECK(victims(b) == keys{0, 3, 4, 5, 6, 7, 8, 9, 1, 2});
}

TEST_CASE("s3_fifo: each read is a turn of the main queue, three at most", "[s3_fifo]") {
  bench b{10, 10};
  read(b, 0, 10);
  for (int i = 0; i != 2; ++i) read(b, 0, 4);
  CHECK(b.evict() == 4);  // 0 to 3 are in the main queue now
  for (int i = 0; i != 9; ++i) b.access(0);
  for (int i = 0; i != 3; ++i) b.access(1);
  b.access(2);
  CHECK(victims(b) == keys{5, 6, 7, 8, 9, 3, 2, 0, 1});
}

TEST_CASE("s3_fifo: of two that were read, the one with fewer reads goes", "[s3_fifo]") {
  bench b{10, 10};
  read(b, 0, 3);
  for (int i = 0; i != 2; ++i) read(b, 0, 2);
  CHECK(b.evict() == 2);  // 0 and 1 are in the main queue now
  CHECK(b.soon() == 1);
  for (int i = 0; i != 3; ++i) b.access(0);
  for (int i = 0; i != 2; ++i) b.access(1);
  CHECK(victims(b) == keys{1, 0});
}

TEST_CASE("s3_fifo: the main queue gives way when it is over nine tenths", "[s3_fifo]") {
  bench b{20, 21};
  read(b, 0, 20);
  for (int i = 0; i != 2; ++i) read(b, 0, 19);
  CHECK(b.evict() == 19);  // 19 entries in the main queue, one more than its share
  b.access(20);
  CHECK(b.soon() == 1);
  CHECK(b.evict() == 0);
  CHECK(b.evict() == 20);
  CHECK(b.evict() == 1);
}

TEST_CASE("s3_fifo: where all go to the main queue, one of them goes", "[s3_fifo]") {
  bench b{4, 4};
  for (int i = 0; i != 3; ++i) read(b, 0, 4);
  CHECK(victims(b) == keys{0, 1, 2, 3});
}

TEST_CASE("s3_fifo remembers nine tenths of its capacity", "[s3_fifo]") {
  bench b{10, 20};
  read(b, 0, 20);  // 0 to 9 were evicted
  b.access(1);
  b.access(0);  // forgotten
  CHECK(victims(b) == keys{12, 13, 14, 15, 16, 17, 18, 19, 0, 1});
}

TEST_CASE("s3_fifo remembers an eviction once, and no erasure", "[s3_fifo]") {
  SECTION("taken out of the ghost") {
    bench b{10, 20};
    fill_with_one_in_main(b);
    b.erase(0);
    b.access(0);
    b.access(11);  // evicts 2
    CHECK(victims(b) == keys{3, 4, 5, 6, 7, 8, 9, 10, 0, 11});
  }
  SECTION("never in it") {
    bench b{10, 20};
    read(b, 0, 10);
    b.erase(0);
    b.access(0);
    b.access(10);  // evicts 1
    CHECK(victims(b) == keys{2, 3, 4, 5, 6, 7, 8, 9, 0, 10});
  }
  SECTION("evicted from the main queue") {
    bench b{10, 20};
    fill_with_one_in_main(b);
    victims(b);
    b.access(0);
    b.access(11);
    CHECK(victims(b) == keys{0, 11});
  }
}

TEST_CASE("s3_fifo: a new value is a read, and keeps its queue", "[s3_fifo]") {
  bench b{10, 20};
  fill_with_one_in_main(b);
  b.put(0, 1);
  for (int i = 0; i != 2; ++i) b.put(2, 1);
  b.put(3, 1);
  CHECK(victims(b) == keys{4, 5, 6, 7, 8, 9, 10, 3, 2, 0});
}

TEST_CASE("s3_fifo: a new entry inherits nothing from the one whose place it gets", "[s3_fifo]") {
  bench b{10, 20};
  fill_with_one_in_main(b);
  for (int i = 0; i != 3; ++i) b.access(0);
  b.erase(0);
  b.access(11);
  b.access(12);  // evicts 2
  CHECK(victims(b) == keys{3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
}

namespace {

/// Entries of weight 1, whose hash is their number.
struct bare_entries {
  std::vector<kcache::s3_fifo::hook>* hooks;
  [[nodiscard]] kcache::s3_fifo::hook& hook(kcache::slot s) const noexcept { return (*hooks)[s]; }
  [[nodiscard]] std::uint64_t hash(kcache::slot s) const noexcept { return s; }
  [[nodiscard]] std::uint64_t weight(kcache::slot) const noexcept { return 1; }
};

}  // namespace

TEST_CASE("s3_fifo: an entry may expire between a miss and its insert", "[s3_fifo]") {
  std::vector<kcache::s3_fifo::hook> hooks(8);
  kcache::s3_fifo::queue<bare_entries> q{bare_entries{&hooks}, 5};
  q.reserve(8);
  for (kcache::slot s = 0; s != 3; ++s) {
    q.missed(s);
    q.insert(s);
  }
  CHECK(q.evict() == 0);
  q.missed(0);
  q.insert(0);  // in the main queue
  q.missed(3);
  q.erase(0);
  q.insert(3);
  q.missed(4);
  q.insert(4);
  for (kcache::slot const next : {1U, 2U, 3U, 4U}) CHECK(q.evict() == next);
  CHECK(q.heap_bytes() > 0);
}

TEST_CASE("s3_fifo counts its shares in weight", "[s3_fifo]") {
  bench b{100, 10};
  b.put(0, 50);
  b.put(1, 40);
  b.put(2, 5);
  for (int i = 0; i != 2; ++i) read(b, 0, 2);
  CHECK(b.evict() == 2);  // 0 and 1 fill the main queue's share of 90
  b.put(3, 5);
  CHECK(b.evict() == 3);
  b.put(4, 1);
  b.put(1, 41);
  CHECK(b.evict() == 0);
  CHECK(b.evict() == 4);
  CHECK(b.evict() == 1);
}

TEST_CASE("s3_fifo remembers about as many keys as fit, whatever they weigh", "[s3_fifo]") {
  bench b{100, 100, 1};
  for (std::size_t key = 0; key != 50; ++key) b.put(key, 10);  // 40 to 49 are left, of 15 slots
  b.put(27, 10);                                               // the 13th last that went
  b.put(26, 10);
  CHECK(victims(b) == keys{42, 43, 44, 45, 46, 47, 48, 49, 26, 27});
}

TEST_CASE("s3_fifo: a smaller capacity remembers less", "[s3_fifo]") {
  bench b{20, 40};
  read(b, 0, 38);
  b.resize(10);
  CHECK(b.size() == 10);
  b.access(19);  // the last that it remembers
  b.access(18);
  CHECK(victims(b) == keys{30, 31, 32, 33, 34, 35, 36, 37, 18, 19});
  b.resize(20);
  read(b, 0, 38);
  b.access(0);
  CHECK(victims(b).back() == 0);
}

TEST_CASE("s3_fifo turns no longer than the counters last, however readers mark", "[s3_fifo]") {
  bench b{4, 4};
  for (int i = 0; i != 3; ++i) read(b, 0, 4);
  b.mark_meanwhile(10'000);
  CHECK(b.evict() == 0);
  CHECK(b.marks_left() > 9'000);
  CHECK_FALSE(b.broken());
}

TEST_CASE("s3_fifo foretells the victim after the next", "[s3_fifo]") {
  bench b{10, 11};
  CHECK(b.soon() == bench::none);
  fill_with_one_in_main(b);
  CHECK(b.soon() == 3);
  CHECK(b.evict() == 2);
}

TEST_CASE("s3_fifo keeps its links, its queue and its counter in 8 bytes", "[s3_fifo]") {
  STATIC_REQUIRE(sizeof(kcache::s3_fifo::hook) == 8);
  STATIC_REQUIRE(kcache::s3_fifo::max_slots == 0xffffff);
}
