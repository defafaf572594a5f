// SPDX-License-Identifier: BSL-1.0
// The bounds: divided exactly, never exceeded, changed at run time.
#include <kcache/cache.hpp>

#include "support/catch.hpp"

#include <kcache/policies/clock_hand.hpp>
#include <kcache/policies/fifo.hpp>
#include <kcache/policies/random.hpp>
#include <kcache/policies/s3_fifo.hpp>
#include <kcache/policies/sieve.hpp>
#include <kcache/policies/w_tinylfu.hpp>
#include <kcache/testing/manual_clock.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using kcache::cache;
using kcache::errc;
using kcache::failure;
using kcache::removal_cause;
using kcache::seeded_random;
using kcache::testing::manual_clock;

namespace {

using listener = std::function<void(int const&, int const&, removal_cause)>;

struct by_value {
  std::uint64_t operator()(int, int v) const { return static_cast<std::uint64_t>(v); }
};
template <class Eviction = kcache::lru>
struct weighed : kcache::with_clock<manual_clock> {
  using random = seeded_random;
  using weigher = by_value;
  using eviction = Eviction;
  using removal_listener = listener;
};
using weighed_cache = cache<int, int, weighed<>>;

/// errc::invalid_options, in words; else empty.
template <class Cache>
std::string refusal(Cache& c, std::uint64_t capacity) {
  try {
    c.set_capacity(capacity);
    return {};
  } catch (failure const& f) {
    CHECK(f.code() == errc::invalid_options);
    return f.what();
  }
}

}  // namespace

TEST_CASE("a capacity grows", "[cache_capacity]") {
  cache<int, int> c{{.capacity = 4}};
  for (int k = 0; k != 10; ++k) c.put(k, k);
  CHECK(c.size() == 4);
  c.set_capacity(1000);
  CHECK(c.capacity() == 1000);
  CHECK(c.size() == 4);
  for (int k = 0; k != 2000; ++k) c.put(k, k);
  CHECK(c.size() == 1000);
  for (int k = 1000; k != 2000; ++k) CHECK(c.contains(k));
}

TEST_CASE("a capacity shrinks in the order of eviction, before it returns", "[cache_capacity]") {
  std::vector<int> evicted;
  cache<int, int, kcache::with_removal_listener<listener>> c{
      {.capacity = 10, .on_removal = [&](int k, int, removal_cause cause) {
         CHECK(cause == removal_cause::size);
         evicted.push_back(k);
       }}};
  for (int k = 0; k != 10; ++k) c.put(k, k);
  static_cast<void>(c.get(0));
  static_cast<void>(c.get(3));
  c.set_capacity(3);
  CHECK(c.capacity() == 3);
  CHECK(c.size() == 3);
  CHECK(evicted == std::vector<int>{1, 2, 4, 5, 6, 7, 8});
  c.put(10, 10);
  CHECK(evicted.back() == 9);
  c.set_capacity(1);
  CHECK(c.size() == 1);
  CHECK(c.contains(10));
  // Its slots are used again.
  c.set_capacity(10);
  for (int k = 0; k != 30; ++k) c.put(k, k);
  CHECK(c.size() == 10);
}

TEST_CASE("shrinking takes the expired ones first", "[cache_capacity]") {
  manual_clock t;
  std::map<removal_cause, int> causes;
  weighed_cache c{{.capacity = 100, .clock = t, .on_removal = [&](int, int, removal_cause cause) {
                     ++causes[cause];
                   }}};
  c.put(0, 10);  // the first that LRU would evict
  for (int k = 1; k != 10; ++k) c.put(k, 10, k < 6 ? kcache::ttl{1s} : kcache::ttl{});
  t.advance(1s);
  c.set_capacity(50);
  CHECK(c.weight() == 50);
  CHECK(c.contains(0));
  CHECK(causes[removal_cause::expired] == 5);
  CHECK(causes[removal_cause::size] == 0);
  c.set_capacity(15);
  CHECK(c.weight() == 10);
  CHECK(causes[removal_cause::size] == 4);
}

TEST_CASE("shares sum to the new capacity exactly", "[cache_capacity]") {
  cache<int, int> c{{.capacity = 16, .shards = 16}};
  for (std::uint64_t const capacity : {17U, 100U, 31U, 16U, 1000U, 47U}) {
    c.set_capacity(capacity);
    CHECK(c.size() <= capacity);
    for (int k = 0; k != 20'000; ++k) c.put(k, k);
    // Every shard has reached its share.
    CHECK(c.size() == capacity);
    CHECK(c.weight() == capacity);
    CHECK(c.capacity() == capacity);
  }
  CHECK(c.shard_count() == 16);
}

TEST_CASE("a capacity that cannot be changes nothing", "[cache_capacity]") {
  cache<int, int> c{{.capacity = 64, .shards = 8}};
  for (int k = 0; k != 1000; ++k) c.put(k, k);
  auto const before = c.stats();
  CHECK(refusal(c, 0).find("capacity must be at least 1") != std::string::npos);
  CHECK(refusal(c, 7).find("more shards than capacity") != std::string::npos);
  CHECK(c.stats() == before);
  CHECK(c.capacity() == 64);
  CHECK(refusal(c, 8).empty());
  CHECK(c.size() == 8);

  cache<int, int, weighed<>> w{{.capacity = 100, .shards = 4, .max_entry_weight = 10}};
  for (int k = 0; k != 100; ++k) w.put(k, 5);
  auto const full = w.weight();
  CHECK(refusal(w, 9).find("max_entry_weight is more") != std::string::npos);
  CHECK(refusal(w, 39).find("max_entry_weight") != std::string::npos);
  CHECK(w.weight() == full);
  CHECK(w.capacity() == 100);
  CHECK(refusal(w, 40).empty());
  CHECK(w.weight() <= 40);
  CHECK(w.put(1, 10).stored);
}

TEST_CASE("the heaviest entry follows the capacity, or is as said", "[cache_capacity]") {
  weighed_cache c{{.capacity = 100}};
  CHECK(c.put(1, 100).stored);
  c.set_capacity(50);
  CHECK(c.size() == 0);
  CHECK_FALSE(c.put(1, 51).stored);
  CHECK(c.put(1, 50).stored);
  c.set_capacity(200);
  CHECK(c.put(1, 200).stored);

  weighed_cache limited{{.capacity = 100, .max_entry_weight = 10}};
  limited.set_capacity(1000);
  CHECK_FALSE(limited.put(1, 11).stored);
  CHECK(limited.put(1, 10).stored);
}

TEST_CASE("a listener may change the capacity that is being changed", "[cache_capacity]") {
  // Told of outside all locks, the capacity's too.
  std::unique_ptr<weighed_cache> c;
  int calls = 0;
  c = std::make_unique<weighed_cache>(kcache::cache_options<weighed<>>{
      .capacity = 100, .on_removal = [&](int, int, removal_cause) {
        ++calls;
        CHECK(c->weight() <= c->capacity());
        if (calls == 1) c->set_capacity(80);
        CHECK(c->weight() <= c->capacity());
      }});
  for (int k = 0; k != 10; ++k) c->put(k, 10);
  c->set_capacity(50);
  CHECK(calls == 5);
  CHECK(c->capacity() == 80);
  CHECK(c->weight() == 50);
}

TEST_CASE("no call ever sees more than the capacity", "[cache_capacity]") {
  // From the listener and from a destructor, while puts, replacements and changes go on.
  std::unique_ptr<weighed_cache> c;
  int wrong = 0;
  int calls = 0;
  c = std::make_unique<weighed_cache>(kcache::cache_options<weighed<>>{
      .capacity = 64, .shards = 4, .max_entry_weight = 8,
      .on_removal = [&](int, int, removal_cause) {
        ++calls;
        wrong += c->weight() <= c->capacity() ? 0 : 1;
      }});
  seeded_random r{1};
  for (int step = 0; step != 5000; ++step) {
    int const key = static_cast<int>(r.next() % 40);
    int const weight = 1 + static_cast<int>(r.next() % 9);  // now and then too heavy
    CHECK(c->put(key, weight).stored == (weight <= 8));
    if (step % 100 == 0) c->set_capacity(32 + r.next() % 64);
    wrong += c->weight() <= c->capacity() ? 0 : 1;
    wrong += c->size() <= c->weight() ? 0 : 1;
  }
  CHECK(wrong == 0);
  CHECK(calls > 1000);
}

TEST_CASE("what is over its shard's share is refused, told of, and evicts nothing",
          "[cache_capacity]") {
  std::vector<std::pair<int, removal_cause>> removed;
  weighed_cache c{{.capacity = 43, .shards = 4, .on_removal = [&](int k, int, removal_cause cause) {
                     removed.emplace_back(k, cause);
                   }}};
  // Shares of 11, 11, 11 and 10.
  for (int k = 0; k != 200; ++k) c.put(k, 1);
  CHECK(c.weight() == 43);
  removed.clear();
  auto const before = c.stats();
  for (int k = 1000; k != 1100; ++k) {
    auto const put = c.put(k, 12);
    CHECK_FALSE(put.stored);
    CHECK(*put.entry == 12);
  }
  CHECK(removed.empty());
  auto const after = c.stats();
  CHECK(after.refused - before.refused == 100);
  CHECK(after.entries == before.entries);
  CHECK(after.evicted == before.evicted);
  // The old value of the key goes, and nothing else.
  int resident = 0;
  while (!c.contains(resident)) ++resident;
  CHECK_FALSE(c.put(resident, 12).stored);
  CHECK_FALSE(c.contains(resident));
  CHECK(removed == std::vector<std::pair<int, removal_cause>>{{resident, removal_cause::replaced}});
  CHECK(c.weight() == 42);
  // What weighs a whole share goes in, alone in its shard; in the smallest it does not.
  int stored = 0;
  for (int k = 2000; k != 2100; ++k) {
    stored += c.put(k, 11).stored ? 1 : 0;
    CHECK(c.weight() <= 43);
  }
  CHECK(stored > 50);
  CHECK(stored < 100);
}

TEMPLATE_TEST_CASE("lighter and heavier values replace under every policy", "[cache_capacity]",
                   kcache::lru, kcache::fifo, kcache::clock_hand, kcache::sieve, kcache::s3_fifo,
                   kcache::w_tinylfu) {
  for (std::uint64_t seed = 0; seed != 20; ++seed) {
    INFO("seed " << seed);
    seeded_random r{seed};
    auto const below = [&](std::uint64_t n) { return r.next() % n; };
    manual_clock t;
    std::uint64_t removed = 0;
    std::uint64_t gone = 0;
    cache<int, int, weighed<TestType>> c{
        {.capacity = 100, .clock = t, .random = seeded_random{seed},
         .on_removal = [&](int, int v, removal_cause) {
           ++removed;
           gone += static_cast<std::uint64_t>(v);
         }}};
    std::map<int, int> last;
    std::uint64_t stored = 0;
    std::uint64_t came = 0;
    int wrong = 0;
    for (int step = 0; step != 2000; ++step) {
      int const key = static_cast<int>(below(30));
      int const weight = 1 + static_cast<int>(below(step % 50 == 0 ? 110 : 20));
      switch (below(8)) {
        case 0:
          c.erase(key);
          last.erase(key);
          break;
        case 1:
          t.advance(1ns * below(4));
          break;
        case 2:
          if (below(10) == 0) c.set_capacity(1 + below(150));
          break;
        case 3: case 4:
          if (auto const h = c.get(key)) wrong += last.at(key) == *h ? 0 : 1;
          break;
        default: {
          bool const fits = static_cast<std::uint64_t>(weight) <= c.capacity();
          bool const put =
              c.put(key, weight, below(3) == 0 ? kcache::ttl{1ns * (1 + below(20))} : kcache::ttl{})
                  .stored;
          wrong += put == fits ? 0 : 1;
          // What was put is there at once, under every policy.
          auto const h = c.peek(key);
          wrong += put == static_cast<bool>(h) && (!put || *h == weight) ? 0 : 1;
          if (put) {
            last[key] = weight;
            ++stored;
            came += static_cast<std::uint64_t>(weight);
          }
        }
      }
      // The sum of what came less what went is what is there.
      wrong += c.size() == stored - removed && c.weight() == came - gone ? 0 : 1;
      wrong += c.weight() <= c.capacity() ? 0 : 1;
    }
    REQUIRE(wrong == 0);
    c.clear();
    CHECK(c.weight() == 0);
    CHECK(c.size() == 0);
  }
}

TEMPLATE_TEST_CASE("a capacity of one, and back, under every policy", "[cache_capacity]",
                   kcache::lru, kcache::fifo, kcache::clock_hand, kcache::sieve, kcache::s3_fifo,
                   kcache::w_tinylfu) {
  cache<int, std::string, kcache::with_eviction<TestType>> c{{.capacity = 100}};
  for (std::uint64_t const capacity : {1U, 500U, 3U, 1U, 2000U, 10U}) {
    c.set_capacity(capacity);
    CHECK(c.size() <= capacity);
    for (int k = 0; k != 3000; ++k) {
      c.put(k, std::to_string(k));
      static_cast<void>(c.get(k / 2));
      if (c.size() > capacity) FAIL("over the capacity");
    }
    CHECK(c.size() == capacity);
  }
}

namespace {

/// First in, first out, and what it was told of its size.
struct sized_fifo {
  using hook = kcache::detail::slot_links;
  static inline std::vector<std::pair<char, std::uint64_t>> told;
  static inline bool fails = false;

  template <class Entries>
  class queue {
   public:
    queue(Entries const& entries, std::uint64_t capacity) noexcept : base_{entries, capacity} {}
    void insert(kcache::slot s) noexcept { base_.insert(s); }
    void erase(kcache::slot s) noexcept { base_.erase(s); }
    [[nodiscard]] kcache::slot evict() noexcept { return base_.evict(); }
    void reserve(std::size_t slots) {
      if (fails) throw std::bad_alloc{};
      told.emplace_back('n', slots);
    }
    void resize(std::uint64_t capacity) noexcept { told.emplace_back('c', capacity); }

   private:
    kcache::fifo::queue<Entries> base_;
  };
};

}  // namespace

TEST_CASE("a larger capacity has the queue reserve anew, never less than before",
          "[cache_capacity]") {
  using told = std::vector<std::pair<char, std::uint64_t>>;
  sized_fifo::told.clear();
  cache<int, int, kcache::with_eviction<sized_fifo>> c{{.capacity = 100}};
  for (int k = 0; k != 100; ++k) c.put(k, k);
  CHECK(sized_fifo::told == told{{'n', 8}, {'n', 16}, {'n', 32}, {'n', 64}, {'n', 100}});
  sized_fifo::told.clear();
  c.set_capacity(50);
  CHECK(sized_fifo::told == told{{'c', 50}});
  c.set_capacity(200);
  CHECK(sized_fifo::told == told{{'c', 50}, {'c', 200}, {'n', 100}});
  // A smaller table after a clear is no reason to be told of less.
  c.clear();
  sized_fifo::told.clear();
  for (int k = 0; k != 150; ++k) c.put(k, k);
  CHECK(sized_fifo::told == told{{'n', 100}, {'n', 100}, {'n', 100}, {'n', 128}, {'n', 200}});
  // There is no memory for it: it is asked again when there are more slots.
  sized_fifo::fails = true;
  c.set_capacity(1000);
  sized_fifo::fails = false;
  CHECK(c.capacity() == 1000);
  for (int k = 0; k != 500; ++k) c.put(k, k);
  CHECK(c.size() == 500);
}

TEMPLATE_TEST_CASE("what a policy remembers grows with the capacity", "[cache_capacity]",
                   kcache::s3_fifo, kcache::w_tinylfu) {
  using policies = kcache::with_eviction<TestType>;
  cache<int, int, policies> grown{{.capacity = 100, .shards = 1}};
  cache<int, int, policies> made{{.capacity = 1600, .shards = 1}};
  for (int k = 0; k != 300; ++k) grown.put(k, k);
  grown.set_capacity(1600);
  for (auto* c : {&grown, &made}) {
    for (int k = 0; k != 5000; ++k) c->put(k, k);
    c->put(1, 1);
  }
  auto const a = static_cast<double>(grown.memory_usage());
  auto const b = static_cast<double>(made.memory_usage());
  CHECK(a > 0.9 * b);
  CHECK(a < 1.1 * b);
}
