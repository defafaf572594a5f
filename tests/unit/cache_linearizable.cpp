// SPDX-License-Identifier: BSL-1.0
// Calls for one key take place one after the other, however many threads make them: what is read is
// a value that was the key's at some moment of the call.
#include <kcache/cache.hpp>

#include "support/catch.hpp"
#include "support/effort.hpp"
#include "support/numbered.hpp"
#include "support/threads.hpp"

#include <kcache/policies/clock_hand.hpp>
#include <kcache/policies/random.hpp>
#include <kcache/testing/manual_clock.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using kcache::seeded_random;
using test::four_words;
using test::key_of;
using test::listed_key;
using test::read_of;
using test::twin_key;
using test::value_of;
using test::written;

namespace {

template <class Key, class Value, class Eviction>
struct kind {
  struct policies : kcache::with_eviction<Eviction> {
    using hash = std::conditional_t<
        std::is_same_v<Key, listed_key>, test::listed_key_hash,
        std::conditional_t<std::is_same_v<Key, twin_key>, test::twin_key_hash, kcache::keyed_hash>>;
  };
  using key = Key;
  using value = Value;
  using cache = kcache::cache<Key, Value, policies>;
};
using shared = std::shared_ptr<four_words const>;

/// What is known of one key. One thread writes it, so that writes are numbered in their order.
class history {
 public:
  struct state {
    std::uint64_t number;
    bool there;
  };
  // The writer's.
  [[nodiscard]] std::uint64_t begin() { return ++started_; }
  void end(std::uint64_t number, bool there) { finished_ = number * 2 + (there ? 1 : 0); }

  /// The last write that has returned.
  [[nodiscard]] state finished() const {
    std::uint64_t const f = finished_;
    return {f / 2, f % 2 != 0};
  }
  [[nodiscard]] std::uint64_t started() const { return started_; }

 private:
  std::atomic<std::uint64_t> started_{0};
  std::atomic<std::uint64_t> finished_{0};
};

/// Threads that put, erase and read random keys of one cache, and what they found wrong.
template <class Kind>
class run {
 public:
  using cache = typename Kind::cache;
  using key = typename Kind::key;
  using value = typename Kind::value;

  struct setting {
    std::uint64_t capacity;
    std::uint64_t keys;
    std::size_t threads;
    std::uint64_t steps;
    bool resized;
    std::uint64_t seed;
  };
  explicit run(setting const& s) : s_{s}, histories_(s.keys), cache_{{.capacity = s.capacity}} {
    for (std::uint64_t k = 0; k != s.keys; ++k) keys_.push_back(key_of<key>(k));
  }

  void go() {
    test::in_parallel(s_.threads, [&](std::size_t me) {
      seeded_random r{s_.seed * 100 + me};
      for (std::uint64_t n = 0; n != s_.steps; ++n) step(me, r);
    });
  }

  [[nodiscard]] bool never_evicts() const { return s_.capacity >= s_.keys && !s_.resized; }
  std::atomic<std::uint64_t> torn{0};
  std::atomic<std::uint64_t> of_another_key{0};
  std::atomic<std::uint64_t> too_old{0};
  std::atomic<std::uint64_t> too_new{0};
  std::atomic<std::uint64_t> missed{0};
  std::atomic<std::uint64_t> appeared{0};
  std::atomic<std::uint64_t> hits{0};
  std::atomic<std::uint64_t> reads{0};

 private:
  /// A read of `k` that is under way.
  struct reading {
    std::uint64_t k;
    history::state before;
  };
  reading begin(std::uint64_t k) const { return {k, histories_[k].finished()}; }
  void end(reading const& r, bool hit, std::optional<written> const& w) {
    std::uint64_t const started = histories_[r.k].started();
    bool const undisturbed = started == r.before.number;
    ++reads;
    if (!hit) {
      if (undisturbed && r.before.there && never_evicts()) ++missed;
      return;
    }
    ++hits;
    if (!w) {
      ++torn;
    } else if (w->key != r.k) {
      ++of_another_key;
    } else {
      if (w->number < r.before.number) ++too_old;
      if (w->number > started) ++too_new;
      if (undisturbed && !r.before.there) ++appeared;
    }
  }
  void end(reading const& r, kcache::handle<value> const& h) {
    end(r, static_cast<bool>(h), h ? read_of(*h) : std::nullopt);
  }

  void step(std::size_t me, seeded_random& r) {
    std::uint64_t k = r.next() % s_.keys;
    // One key is hot.
    if (r.next() % 4 == 0) k = 0;
    std::uint64_t const what = r.next() % 64;
    if (what < 20) {
      // A key of one's own.
      k = k - k % s_.threads + me;
      if (k >= s_.keys) return;
      history& h = histories_[k];
      std::uint64_t const number = h.begin();
      if (what < 14) {
        auto const put = cache_.put(keys_[k], value_of<value>({k, number}));
        if (!put.stored) ++missed;
        h.end(number, true);
      } else if (what < 17) {
        bool const stores = r.next() % 2 == 0;
        bool const there = h.finished().there;
        auto const put =
            cache_.put_if(keys_[k], value_of<value>({k, number}), [=] { return stores; });
        if (put.stored != stores) ++missed;
        // What the guard forbade changed nothing, so there was no such write.
        if (stores) h.end(number, true);
        else unwritten(h, number, there);
      } else {
        bool const there = h.finished().there;
        bool const erased = cache_.erase(keys_[k]);
        if (erased && !there) ++appeared;
        if (!erased && there && never_evicts()) ++missed;
        h.end(number, false);
      }
      // One reads one's own writes.
      auto const now = begin(k);
      end(now, cache_.peek(keys_[k]));
      return;
    }
    if (what == 20) {
      if (s_.resized && r.next() % 16 == 0) cache_.set_capacity(1 + r.next() % (2 * s_.capacity));
      return;
    }
    if (what == 21) {
      std::vector<reading> all;
      std::vector<key> many;
      for (int i = 0; i != 20; ++i) {
        all.push_back(begin(r.next() % s_.keys));
        many.push_back(keys_[all.back().k]);
      }
      auto const seen = cache_.get_many(many);
      for (std::size_t i = 0; i != all.size(); ++i) end(all[i], seen[i]);
      return;
    }
    auto const now = begin(k);
    if (what < 30) {
      std::optional<written> w;
      bool const hit = cache_.visit(keys_[k], [&](auto const& v) { w = read_of(v); });
      end(now, hit, w);
    } else if (what < 38) {
      end(now, cache_.peek(keys_[k]));
    } else if (what < 42) {
      auto const copy = cache_.get_copy(keys_[k]);
      end(now, copy.has_value(), copy ? read_of(*copy) : std::nullopt);
    } else {
      end(now, cache_.get(keys_[k]));
    }
  }
  /// The number is used up: the entry that is there, if one is, is older than it.
  void unwritten(history& h, std::uint64_t number, bool there) {
    if (!there) return h.end(number, false);
    // Put it again, under the number: the next reader counts on it.
    auto const k = static_cast<std::uint64_t>(&h - histories_.data());
    if (!cache_.put(keys_[k], value_of<value>({k, number})).stored) ++missed;
    h.end(number, true);
  }

  setting s_;
  std::vector<history> histories_;
  std::vector<key> keys_;
  cache cache_;
};

}  // namespace

TEMPLATE_TEST_CASE("what is read was the key's value during the call",
                   "[cache_linearizable][concurrent]",
                   (kind<std::uint64_t, std::uint64_t, kcache::lru>),
                   (kind<std::uint32_t, four_words, kcache::lru>),
                   (kind<twin_key, four_words, kcache::clock_hand>),
                   (kind<std::string, std::string, kcache::lru>),
                   (kind<std::string, std::string, kcache::clock_hand>),
                   (kind<std::uint64_t, std::string, kcache::lru>),
                   (kind<std::string, shared, kcache::lru>),
                   (kind<std::string, std::uint64_t, kcache::clock_hand>),
                   (kind<listed_key, std::string, kcache::lru>)) {
  using setting = typename run<TestType>::setting;
  std::uint64_t const rounds = test::effort(10, 100);
  for (std::uint64_t round = 0; round != rounds; ++round) {
    for (setting s : {setting{.capacity = 3, .keys = 12, .threads = 3, .steps = 1'500,
                              .resized = false, .seed = 1},
                      setting{.capacity = 40, .keys = 64, .threads = 3, .steps = 1'500,
                              .resized = true, .seed = 2},
                      setting{.capacity = 600, .keys = 500, .threads = 3, .steps = 1'500,
                              .resized = false, .seed = 3},
                      // More threads than rings.
                      setting{.capacity = 10, .keys = 20, .threads = 6, .steps = 400,
                              .resized = false, .seed = 4}}) {
      s.seed += 10 * round + test::effort(0, 1'000'000);
      run<TestType> all{s};
      all.go();
      CAPTURE(s.capacity, s.keys, s.threads, s.seed, round);
      REQUIRE(all.torn == 0);
      REQUIRE(all.of_another_key == 0);
      REQUIRE(all.too_old == 0);
      REQUIRE(all.too_new == 0);
      REQUIRE(all.missed == 0);
      REQUIRE(all.appeared == 0);
      REQUIRE(all.hits > all.reads / 20);
    }
  }
}

namespace {

/// Calls something in the midst of a read: the clock is asked when the entry has been found.
class interrupting_clock {
 public:
  [[nodiscard]] kcache::time_point now() const noexcept {
    if (interrupt) std::exchange(interrupt, nullptr)();
    return time_.now();
  }
  void advance(kcache::duration d) noexcept { time_.advance(d); }
  static inline thread_local std::function<void()> interrupt;

 private:
  kcache::testing::manual_clock time_;
};

struct idle_policies : kcache::with_clock<interrupting_clock> {
  using expiry = kcache::expire_after_access<>;
};

template <class Key, class Value>
void check_reused_slot() {
  interrupting_clock t;
  kcache::cache<Key, Value, idle_policies> c{
      {.capacity = 1, .clock = t, .expiry = kcache::expire_after_access<>{10ns}}};
  for (bool const same_key : {false, true}) {
    for (bool const leaves_trace : {false, true}) {
      CAPTURE(same_key, leaves_trace);
      c.put(key_of<Key>(1), value_of<Value>({1, 1}));
      t.advance(10ns);
      // It has expired. Another takes its slot while it is read.
      interrupting_clock::interrupt = [&] {
        std::thread{[&] { c.put(key_of<Key>(same_key ? 1 : 2), value_of<Value>({2, 2})); }}.join();
      };
      auto const h = leaves_trace ? c.get(key_of<Key>(1)) : c.peek(key_of<Key>(1));
      interrupting_clock::interrupt = nullptr;
      // At best the value that came meanwhile.
      if (h) {
        CHECK(same_key);
        CHECK(read_of(*h)->number == 2);
      }
      c.erase(key_of<Key>(1));
    }
  }
}

template <class Key, class Value>
void check_moved_deadline() {
  interrupting_clock t;
  kcache::cache<Key, Value, idle_policies> c{
      {.capacity = 1000, .clock = t, .expiry = kcache::expire_after_access<>{10ns}}};
  c.put(key_of<Key>(1), value_of<Value>({1, 1}));
  // The table grows while the entry is looked at, and a read moves its deadline in the new table.
  interrupting_clock::interrupt = [&] {
    std::thread{[&] {
      for (std::uint64_t k = 2; k != 500; ++k) c.put(key_of<Key>(k), value_of<Value>({k, 1}));
      t.advance(5ns);
      CHECK(c.get(key_of<Key>(1)));
      t.advance(6ns);
    }}.join();
  };
  auto const h = c.peek(key_of<Key>(1));
  interrupting_clock::interrupt = nullptr;
  CHECK(h);
}

}  // namespace

TEST_CASE("an entry that was live all the time is found in an outgrown table, too",
          "[cache_linearizable][concurrent]") {
  check_moved_deadline<std::uint64_t, std::uint64_t>();
  check_moved_deadline<std::string, std::string>();
  check_moved_deadline<std::uint64_t, std::string>();
  check_moved_deadline<std::string, shared>();
}

TEST_CASE("an idle entry is not served on the time of what took its slot",
          "[cache_linearizable][concurrent]") {
  check_reused_slot<std::uint64_t, std::uint64_t>();
  check_reused_slot<std::string, std::string>();
  check_reused_slot<std::uint64_t, std::string>();
  check_reused_slot<std::string, shared>();
}
