// SPDX-License-Identifier: BSL-1.0
// Clearing: at once for who looks, and bit by bit for what it takes.
#include <kcache/cache.hpp>

#include "support/catch.hpp"
#include "support/storage_kinds.hpp"
#include "support/threads.hpp"

#include <kcache/policies/clock_hand.hpp>
#include <kcache/policies/fifo.hpp>
#include <kcache/policies/s3_fifo.hpp>
#include <kcache/policies/sieve.hpp>
#include <kcache/policies/w_tinylfu.hpp>
#include <kcache/testing/manual_clock.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using kcache::cache;
using kcache::removal_cause;
using kcache::testing::manual_clock;

namespace {

/// Knows its number, and how much of its kind is alive.
class counted {
 public:
  static inline std::atomic<int> living{0};
  explicit counted(int number) noexcept : number_{number} { living += number_; }
  counted(counted&& other) noexcept : number_{std::exchange(other.number_, 0)} {}
  counted& operator=(counted&&) = delete;
  ~counted() { living -= number_; }
  [[nodiscard]] int number() const noexcept { return number_; }

 private:
  int number_;
};
struct by_number {
  std::uint64_t operator()(int, counted const& c) const noexcept {
    return static_cast<std::uint64_t>(c.number());
  }
};

using removal = std::tuple<int, int, removal_cause>;
struct told : kcache::with_clock<manual_clock> {
  using removal_listener = std::function<void(int const&, int const&, removal_cause)>;
};
struct told_idle : told {
  using expiry = kcache::expire_after_access<>;
};
template <class Eviction>
struct weighed : kcache::default_policies {
  using eviction = Eviction;
  using weigher = by_number;
  using removal_listener = std::function<void(int, counted const&, removal_cause)>;
};

auto into(std::vector<removal>& list) {
  return [&list](int k, int v, removal_cause c) { list.emplace_back(k, v, c); };
}
std::size_t count(std::vector<removal> const& list, removal_cause cause) {
  return static_cast<std::size_t>(std::count_if(
      list.begin(), list.end(), [&](removal const& r) { return std::get<2>(r) == cause; }));
}

/// A user's policy that cannot be cleared at once: first in, first out.
struct without_clear {
  using hook = kcache::detail::slot_links;
  template <class Entries>
  class queue {
   public:
    queue(Entries const& entries, std::uint64_t capacity) noexcept : base_{entries, capacity} {}
    void insert(kcache::slot s) noexcept { base_.insert(s); }
    void erase(kcache::slot s) noexcept { base_.erase(s); }
    [[nodiscard]] kcache::slot evict() noexcept { return base_.evict(); }

   private:
    kcache::fifo::queue<Entries> base_;
  };
};

}  // namespace

TEMPLATE_LIST_TEST_CASE("of every kind of entry: what was cleared is gone at once",
                        "[cache_clear]", test::storage_kinds) {
  using kind = TestType;
  typename kind::cache c{{.capacity = 2000, .shards = 1}};
  for (int n = 0; n != 500; ++n) kind::put(c, n, n);
  auto const kept = c.get(kind::key(7));
  for (int round = 0; round != 3; ++round) {
    c.clear();
    CHECK(c.size() == 0);
    CHECK(c.weight() == 0);
    bool found = false;
    for (int n = 0; n != 500; ++n) {
      auto const key = kind::key(n);
      found = found || c.contains(key) || c.get(key) || c.visit(key, [](auto const&) {}) ||
              c.erase(key);
    }
    CHECK_FALSE(found);
    // The old and the new do not meet.
    for (int n = 0; n != 100; ++n) kind::put(c, n, n + 1);
    bool all = true;
    for (int n = 0; n != 100; ++n) {
      auto const h = c.get(kind::key(n));
      all = all && h && kind::is(*h, n + 1);
    }
    CHECK(all);
    CHECK(c.size() == 100);
  }
  CHECK(kind::is(*kept, 7));
  c.clear();
  c.remove_expired();
  CHECK(c.stats().erased == 500 + 3 * 100);
  CHECK(c.stats().entries == 0);
}

TEST_CASE("a clear tells, destroys and counts nothing, however much is there", "[cache_clear]") {
  constexpr int entries = 100'000;
  counted::living = 0;
  std::size_t removals = 0;
  {
    cache<int, counted, weighed<kcache::lru>> c{
        {.capacity = entries, .shards = 4, .max_entry_weight = 10,
         .on_removal = [&](int, counted const&, removal_cause) { ++removals; }}};
    for (int k = 0; k != entries; ++k) c.put(k, counted{1});
    removals = 0;
    auto const before = c.stats();
    int const living = counted::living;
    c.clear();
    CHECK(removals == 0);
    CHECK(counted::living == living);
    CHECK(c.stats().erased == before.erased);
    CHECK(c.size() == 0);
    CHECK(c.weight() == 0);
    // Two for each put.
    c.put(1, counted{1});
    CHECK(removals == 2);
    CHECK(c.stats().erased == before.erased + 2);
    CHECK(c.size() == 1);
    c.put(1, counted{1});
    CHECK(removals == 2 + 2 + 1);  // the value that was replaced, too
    CHECK(counted::living == living - 4 + 1);
    CHECK(c.remove_expired() == 0);
    CHECK(counted::living == 1);
    CHECK(c.stats().erased == before.erased + before.entries);
  }
  CHECK(counted::living == 0);
}

TEST_CASE("what was cleared is told of once each, with its value, in the order of the clears",
          "[cache_clear]") {
  manual_clock t;
  std::vector<removal> removed;
  cache<int, int, told> c{
      {.capacity = 1000, .shards = 1, .clock = t, .on_removal = into(removed)}};
  std::set<removal> expected;
  for (int round = 0; round != 4; ++round) {
    for (int k = 0; k != 100; ++k) {
      c.put(k, 100 * round + k);
      expected.emplace(k, 100 * round + k, removal_cause::erased);
    }
    c.clear();
  }
  CHECK(removed.size() == 3 * 100);  // 300 puts had something to take out, and took all in time
  for (int k = 0; k != 60; ++k) c.put(1000 + k, 0);
  CHECK(removed.size() == expected.size());
  CHECK(std::set<removal>(removed.begin(), removed.end()) == expected);
  std::map<int, int> last;
  bool ordered = true;
  for (auto const& [key, value, cause] : removed) {
    ordered = ordered && last[key] <= value;
    last[key] = value;
  }
  CHECK(ordered);
  CHECK(c.size() == 60);
}

TEST_CASE("several clears without a put between them", "[cache_clear]") {
  manual_clock t;
  std::vector<removal> removed;
  {
    cache<int, int, told> c{
        {.capacity = 1000, .shards = 1, .clock = t, .on_removal = into(removed)}};
    for (int k = 0; k != 100; ++k) c.put(k, 1);
    c.clear();
    c.clear();
    for (int k = 0; k != 20; ++k) c.put(k, 2);
    c.clear();
    for (int k = 0; k != 17; ++k) c.put(k, 3);
    c.clear();
    c.clear();
    CHECK(removed.size() == 2 * (20 + 17));
    c.put(1, 4);
    CHECK(*c.get(1) == 4);
    CHECK(c.size() == 1);
  }
  // The destructor told of the rest, and of nothing that was live.
  CHECK(removed.size() == 100 + 20 + 17);
  CHECK(count(removed, removal_cause::erased) == removed.size());
}

TEST_CASE("a listener that the destructor tells may call the cache", "[cache_clear]") {
  using policies = told;
  manual_clock t;
  std::size_t removals = 0;
  cache<int, int, policies>* self = nullptr;
  {
    cache<int, int, policies> c{{.capacity = 100, .clock = t,
                                 .on_removal = [&](int k, int, removal_cause) {
                                   ++removals;
                                   static_cast<void>(self->get(k));
                                   self->put(1000 + k, k);
                                 }}};
    self = &c;
    for (int k = 0; k != 50; ++k) c.put(k, k);
    c.clear();
    CHECK(removals == 0);
  }
  CHECK(removals == 50);
}

TEST_CASE("what had expired when it was cleared is told so; what would have later is not",
          "[cache_clear]") {
  manual_clock t;
  std::vector<removal> removed;
  SECTION("by its time to live") {
    cache<int, int, told> c{
        {.capacity = 1000, .shards = 1, .clock = t, .on_removal = into(removed)}};
    for (int k = 0; k != 20; ++k) c.put(k, k, 5s);
    for (int k = 20; k != 50; ++k) c.put(k, k, 10s);
    t.advance(5s);
    c.clear();
    t.advance(10s);
    CHECK(c.remove_expired() == 0);
    CHECK(count(removed, removal_cause::expired) == 20);
    CHECK(count(removed, removal_cause::erased) == 30);
    // Bounds of expiry do not outlive the entries; new ones hold.
    c.put(1, 1, 1s);
    t.advance(1s);
    CHECK(c.remove_expired() == 1);
  }
  SECTION("after its last read") {
    cache<int, int, told_idle> c{{.capacity = 1000,
                                  .shards = 1,
                                  .clock = t,
                                  .expiry = kcache::expire_after_access<>{10s},
                                  .on_removal = into(removed)}};
    for (int k = 0; k != 40; ++k) c.put(k, k);
    t.advance(6s);
    for (int k = 0; k != 10; ++k) CHECK(c.get(k));
    t.advance(6s);
    c.clear();
    c.put(1, 1);
    t.advance(9s);
    CHECK(c.get(1));
    t.advance(9s);
    CHECK(c.get(1));
    c.remove_expired();
    CHECK(count(removed, removal_cause::expired) == 30);
    CHECK(count(removed, removal_cause::erased) == 10);
  }
}

TEMPLATE_TEST_CASE("what was cleared goes before what lives, and both keep the bound",
                   "[cache_clear]", kcache::lru, kcache::fifo, kcache::clock_hand, kcache::sieve,
                   kcache::s3_fifo, kcache::w_tinylfu, without_clear) {
  constexpr int capacity = 1000;
  counted::living = 0;
  std::map<removal_cause, int> causes;
  cache<int, counted, weighed<TestType>> c{
      {.capacity = capacity, .shards = 1,
       .on_removal = [&](int, counted const&, removal_cause cause) { ++causes[cause]; }}};
  int key = 0;
  auto const fill = [&](int weight) {
    for (int sum = 0; sum + weight <= capacity; sum += weight) {
      c.put(key++, counted{weight});
      if (counted::living > capacity) FAIL(counted::living);
    }
  };
  // Light ones after heavy ones, heavy ones after light ones, and again where they were.
  for (int const weight : {3, 10, 1, 7, 7, 40}) {
    fill(weight);
    CHECK(causes[removal_cause::size] == 0);
    CHECK(c.weight() == static_cast<std::uint64_t>(capacity - capacity % weight));
    // A new value that is heavier takes its room from what was cleared.
    c.clear();
    CHECK(c.weight() == 0);
    c.put(0, counted{1});
    c.put(0, counted{500});
    CHECK(counted::living <= capacity);
    CHECK(causes[removal_cause::size] == 0);
    CHECK(c.size() == 1);
    c.clear();
  }
  // Now it evicts again.
  fill(1);
  fill(1);
  CHECK(causes[removal_cause::size] > 0);
  CHECK(c.weight() == capacity);
}

TEMPLATE_TEST_CASE("after a clear victims are those of a new cache", "[cache_clear]", kcache::lru,
                   kcache::fifo, kcache::clock_hand, kcache::sieve, without_clear) {
  using policies = kcache::with_eviction<TestType>;
  cache<int, std::string, policies> fresh{{.capacity = 100}};
  cache<int, std::string, policies> cleared{{.capacity = 100}};
  for (int k = 0; k != 150; ++k) cleared.put(k, "old");
  for (int k = 60; k != 90; ++k) static_cast<void>(cleared.get(k));
  cleared.clear();
  for (auto* c : {&fresh, &cleared}) {
    for (int k = 0; k != 100; ++k) c->put(k, "new");
    for (int k = 0; k < 100; k += 3) static_cast<void>(c->get(k));
    for (int k = 100; k != 150; ++k) c->put(k, "new");
  }
  for (int k = 0; k != 150; ++k) {
    if (fresh.contains(k) != cleared.contains(k)) FAIL(k);
  }
}

TEST_CASE("a capacity may shrink while something waits to be taken out", "[cache_clear]") {
  manual_clock t;
  std::vector<removal> removed;
  cache<int, int, told> c{
      {.capacity = 1000, .shards = 1, .clock = t, .on_removal = into(removed)}};
  for (int k = 0; k != 1000; ++k) c.put(k, k);
  c.clear();
  for (int k = 0; k != 50; ++k) c.put(k, k);
  CHECK(removed.size() == 100);
  c.set_capacity(60);
  CHECK(c.size() == 50);
  CHECK(removed.size() == 1000 - 10);
  c.set_capacity(40);
  CHECK(c.size() == 40);
  CHECK(count(removed, removal_cause::erased) == 1000);
  CHECK(count(removed, removal_cause::size) == 10);
  c.clear();
  c.set_capacity(2000);
  for (int k = 0; k != 1500; ++k) c.put(k, k);
  CHECK(c.size() == 1500);
  CHECK(count(removed, removal_cause::erased) == 1040);
}

TEMPLATE_LIST_TEST_CASE("what was cleared counts in memory_usage until it is taken out",
                        "[cache_clear]", test::storage_kinds) {
  using kind = TestType;
  typename kind::cache c{{.capacity = 5000, .shards = 1}};
  auto const empty = c.memory_usage();
  for (int n = 0; n != 1000; ++n) kind::put(c, n, n);
  auto const full = c.memory_usage();
  c.clear();
  CHECK(c.memory_usage() >= full);
  for (int n = 0; n != 100; ++n) kind::put(c, n, n);
  CHECK(c.memory_usage() < full + full / 4 + 8192);
  c.clear();
  c.remove_expired();
  c.remove_expired();
  // Some cells wait for more to come; queues keep what they reserved, and bounds too.
  CHECK(c.memory_usage() < empty + 70'000 + full / 8);
  CHECK(c.memory_usage() < full);
}

TEMPLATE_TEST_CASE("no call that begins after a clear sees what was there before it",
                   "[cache_clear][concurrent]",
                   (test::storage_kind<std::uint64_t, std::uint64_t>),
                   (test::storage_kind<std::string, std::uint64_t>),
                   (test::storage_kind<int, std::vector<int>>),
                   (test::storage_kind<int, std::uint64_t, kcache::with_eviction<kcache::sieve>>),
                   (test::storage_kind<std::u16string, std::uint64_t>)) {
  using kind = TestType;
  constexpr int keys = 60;
  typename kind::cache c{{.capacity = 80, .shards = 1}};
  std::atomic<int> floor{0};
  std::atomic<int> wrong{0};
  std::atomic<int> seen{0};
  std::atomic<bool> ends{false};
  test::in_parallel(4, [&](std::size_t me) {
    if (me == 0) {
      // Until the others have seen something, on a busy machine too.
      for (int n = 1; n < 300 || (seen < 100 && n < 100'000); ++n) {
        for (int k = 0; k != keys; ++k) kind::put(c, k, n);
        c.clear();
        floor = n + 1;
      }
      ends = true;
      return;
    }
    std::size_t k = me;
    while (!ends) {
      int const least = floor;
      int const key = static_cast<int>(k++ % keys);
      if (me == 3 && k % 4 == 0) {
        // Another writer: of numbers that are always right.
        kind::put(c, 200 + key, 1);
        continue;
      }
      if (auto const h = c.get(kind::key(key))) {
        ++seen;
        bool known = false;
        for (int n = least; n != floor + 2 && !known; ++n) known = kind::is(*h, n);
        if (!known) ++wrong;
      }
    }
  });
  CHECK(wrong == 0);
  CHECK(seen > 0);
  c.remove_expired();
  auto const s = c.stats();
  CHECK(s.entries == c.size());
  CHECK(s.erased > 0);
}
