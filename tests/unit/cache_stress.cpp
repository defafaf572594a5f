// SPDX-License-Identifier: BSL-1.0
// Every operation under every policy and every kind of storage, two threads at once. Each value
// that is read is one that was written for its key, whole, and on time.
#include <kcache/cache.hpp>

#include "support/catch.hpp"
#include "support/effort.hpp"
#include "support/numbered.hpp"
#include "support/threads.hpp"

#include <kcache/policies/clock_hand.hpp>
#include <kcache/policies/fifo.hpp>
#include <kcache/policies/lru.hpp>
#include <kcache/policies/random.hpp>
#include <kcache/policies/s3_fifo.hpp>
#include <kcache/policies/sieve.hpp>
#include <kcache/policies/w_tinylfu.hpp>
#include <kcache/testing/manual_clock.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using kcache::seeded_random;
using kcache::testing::manual_clock;
using test::four_words;
using test::key_of;
using test::listed_key;
using test::read_of;
using test::value_of;
using test::written;

namespace {

constexpr std::uint64_t keys = 300;
constexpr std::uint64_t capacity = 200;
constexpr std::uint64_t max_weight = 8;

/// What the threads put and found.
struct findings {
  std::atomic<std::uint64_t> wrong{0};
  std::atomic<std::uint64_t> untimely{0};
  std::atomic<std::uint64_t> over_capacity{0};
  std::atomic<std::uint64_t> hits{0};
  std::atomic<std::uint64_t> counted_reads{0};
  std::atomic<std::uint64_t> stored{0};
  std::atomic<std::uint64_t> refused{0};
  std::atomic<std::uint64_t> told{0};
  /// By key: the number of the last value that someone began to put.
  std::array<std::atomic<std::uint64_t>, keys> begun{};
};

/// The lowest bits of a value's number say how long it lives: not at all, up to 30 ns, for ever.
constexpr std::uint64_t lives = 32;
constexpr std::uint64_t for_ever = lives - 1;
kcache::ttl ttl_of(std::uint64_t number) {
  std::uint64_t const life = number % lives;
  return life == for_ever ? kcache::ttl::never() : kcache::ttl{1ns * life};
}
/// One in some dozens is too heavy.
std::uint64_t weight_of(std::uint64_t number) {
  std::uint64_t const n = number / lives;
  return n % 41 == 0 ? max_weight + 1 : n % max_weight + 1;
}

// The kinds of storage, each with what else a cache may have.

template <class Key, class Value, class Policies>
struct kind {
  using key = Key;
  using value = Value;
  using policies = Policies;
  using cache = kcache::cache<Key, Value, Policies>;
  static constexpr bool weighed =
      !std::is_same_v<typename Policies::weigher, kcache::unit_weigher>;
  static constexpr bool told =
      !std::is_same_v<typename Policies::removal_listener, kcache::no_removal_listener>;
};

struct timed : kcache::with_clock<manual_clock> {};

template <class Eviction>
struct plain : timed {
  using eviction = Eviction;
};
template <class Eviction>
struct idle : plain<Eviction> {
  struct expiry : kcache::expire_after_access<> {
    expiry() : expire_after_access{40ns} {}
  };
};
struct by_number {
  template <class Key, class Value>
  std::uint64_t operator()(Key const&, Value const& v) const {
    return weight_of(read_of(v)->number);
  }
};
struct telling {
  findings* to = nullptr;
  template <class Key, class Value>
  void operator()(Key const& k, Value const& v, kcache::removal_cause) const {
    auto const w = read_of(v);
    if (!w || !(key_of<Key>(w->key) == k)) ++to->wrong;
    ++to->told;
  }
  template <class Value>
  void operator()(std::string_view k, Value const& v, kcache::removal_cause) const {
    auto const w = read_of(v);
    if (!w || key_of<std::string>(w->key) != k) ++to->wrong;
    ++to->told;
  }
};
template <class Eviction>
struct told : plain<Eviction> {
  using weigher = by_number;
  using removal_listener = telling;
};
template <class Eviction>
struct listed : plain<Eviction> {
  using hash = test::listed_key_hash;
  using weigher = by_number;
};

template <class Kind>
class stress {
 public:
  using cache = typename Kind::cache;
  using key = typename Kind::key;
  using value = typename Kind::value;
  using handle = kcache::handle<value>;

  stress(std::uint64_t steps, std::size_t shards, std::uint64_t seed)
      : steps_{steps}, seed_{seed}, cache_{options(shards)} {
    for (std::uint64_t k = 0; k != keys; ++k) keys_.push_back(key_of<key>(k));
  }

  void go() {
    test::in_parallel(2, [&](std::size_t me) {
      seeded_random r{2 * seed_ + me};
      std::array<std::pair<std::uint64_t, handle>, 16> kept;
      for (std::uint64_t n = 0; n != steps_; ++n) step(me, r, kept[n % kept.size()]);
    });
    check();
  }

 private:
  typename cache::options_type options(std::size_t shards) {
    typename cache::options_type o;
    o.capacity = capacity;
    o.shards = shards;
    o.clock = time_;
    if constexpr (Kind::weighed) o.max_entry_weight = max_weight;
    if constexpr (Kind::told) o.on_removal = telling{&found_};
    return o;
  }

  /// True if it is what somebody put under `k`.
  bool right(std::uint64_t k, std::optional<written> const& w) {
    ++found_.hits;
    bool const is = w && w->key == k && w->number / lives <= found_.begun[k];
    if (!is) ++found_.wrong;
    return is;
  }
  /// `h` came of a read of `k` that began at `before`.
  void check(std::uint64_t k, handle const& h, kcache::time_point before) {
    if (!h) return;
    auto const w = read_of(*h);
    if (!right(k, w)) return;
    kcache::time_point const end = h.expires_at();
    bool const on_time = end > before && end <= ttl_of(w->number).expires_at(time_.now()) &&
                         (end == kcache::never) == (w->number % lives == for_ever);
    if (!on_time) ++found_.untimely;
  }

  void put(std::uint64_t k, seeded_random& r) {
    // A third lives for ever.
    std::uint64_t const life = r.next() % 3 == 0 ? for_ever : r.next() % for_ever;
    std::uint64_t const number = ++found_.begun[k] * lives + life;
    bool const heavy = Kind::weighed && weight_of(number) > max_weight;
    bool allowed = true;
    auto v = value_of<value>({k, number});
    kcache::put_result<value> result;
    if (r.next() % 8 == 0) {
      allowed = r.next() % 2 == 0;
      result = cache_.put_if(keys_[k], std::move(v), [&] { return allowed; }, ttl_of(number));
    } else {
      result = cache_.put(keys_[k], std::move(v), ttl_of(number));
    }
    if (result.stored) ++found_.stored;
    if (allowed && heavy && life != 0) ++found_.refused;
    if (result.stored != (allowed && !heavy && life != 0)) ++found_.wrong;
    auto const w = read_of(*result.entry);
    if (!w || w->key != k || w->number != number) ++found_.wrong;
  }

  void step(std::size_t me, seeded_random& r, std::pair<std::uint64_t, handle>& kept) {
    // Some keys more often than others.
    std::uint64_t const k = std::min(r.next() % keys, r.next() % keys);
    kcache::time_point const before = time_.now();
    auto const keep = [&](handle h) {
      // What was kept is as it was, whatever became of its entry.
      if (kept.second) {
        auto const w = read_of(*kept.second);
        if (!w || w->key != kept.first) ++found_.wrong;
      }
      check(k, h, before);
      kept = {k, std::move(h)};
    };
    switch (r.next() % 32) {
      case 0: case 1: case 2: case 3: case 4: case 5: case 6: case 7: put(k, r); break;
      case 8: cache_.erase(keys_[k]); break;
      case 9: case 10: keep(cache_.peek(keys_[k])); break;
      case 11: static_cast<void>(cache_.contains(keys_[k])); break;
      case 12: case 13: case 14: {
        ++found_.counted_reads;
        cache_.visit(keys_[k], [&](auto const& v) { right(k, read_of(v)); });
        break;
      }
      case 15: {
        ++found_.counted_reads;
        if (auto const v = cache_.get_copy(keys_[k])) right(k, read_of(*v));
        break;
      }
      case 16: {
        std::array<std::uint64_t, 20> many;
        std::vector<key> wanted;
        for (auto& m : many) wanted.push_back(keys_[m = r.next() % keys]);
        auto const all = cache_.get_many(wanted);
        found_.counted_reads += many.size();
        for (std::size_t i = 0; i != many.size(); ++i) check(many[i], all[i], before);
        break;
      }
      case 17: case 18:
        if (me == 1) time_.advance(1ns);
        break;
      case 19: rarely(me, r); break;
      default:
        ++found_.counted_reads;
        keep(cache_.get(keys_[k]));
        break;
    }
  }
  void rarely(std::size_t me, seeded_random& r) {
    switch (std::uint64_t const what = r.next() % 64; what) {
      case 0: cache_.clear(); break;
      case 1: case 2: case 3: cache_.remove_expired(); break;
      case 4: case 5: case 6: case 7:
        // One thread changes the capacity, so that the other can tell when it did not.
        if (me == 0) {
          ++changes_;
          cache_.set_capacity(capacity - r.next() % 150);
          ++changes_;
        }
        break;
      case 8: case 9: {
        auto const s = cache_.stats();
        if (s.entries > capacity || s.weight > capacity || s.bytes < 100) ++found_.over_capacity;
        break;
      }
      case 10: case 11:
        if (cache_.memory_usage() < 100) ++found_.wrong;
        break;
      default: {
        std::uint64_t const change = changes_;
        std::uint64_t const now = what % 2 == 0 ? cache_.weight() : cache_.size();
        std::uint64_t const most = cache_.capacity();
        bool const same = change % 2 == 0 && change == changes_;
        if (now > (same ? most : capacity)) ++found_.over_capacity;
        break;
      }
    }
  }

  /// When the threads have ended.
  void check() {
    CHECK(found_.wrong == 0);
    CHECK(found_.untimely == 0);
    CHECK(found_.over_capacity == 0);
    CHECK(found_.hits > steps_ / 20);
    cache_.remove_expired();  // what was cleared, too: then it is told of and counted
    auto const s = cache_.stats();
    CHECK(s.hits + s.misses == found_.counted_reads);
    CHECK(s.refused == found_.refused);
    std::uint64_t const removed = s.expired + s.evicted + s.replaced + s.erased;
    CHECK(found_.stored == s.entries + removed);
    CHECK(s.expired > 0);
    CHECK(s.evicted > 0);
    if (Kind::told) CHECK(found_.told == removed);
    // What is left is found, and nothing else.
    CHECK(s.entries == cache_.size());
    std::uint64_t left = 0;
    for (std::uint64_t k = 0; k != keys; ++k) {
      auto const h = cache_.peek(keys_[k]);
      check(k, h, time_.now());
      left += h ? 1U : 0U;
    }
    CHECK(left == cache_.size());
    cache_.clear();
    CHECK(cache_.size() == 0);
    CHECK(cache_.weight() == 0);
    for (auto const& k : keys_) {
      if (cache_.contains(k)) ++found_.wrong;
    }
    CHECK(found_.wrong == 0);
  }

  std::uint64_t steps_;
  std::uint64_t seed_;
  findings found_;
  manual_clock time_;
  std::atomic<std::uint64_t> changes_{0};
  std::vector<key> keys_;
  cache cache_;
};

template <class Kind>
void run() {
  std::uint64_t const steps = test::effort(5'000, 1'050'000);
  stress<Kind>{steps, 1, 1}.go();
  stress<Kind>{steps, 4, test::effort(2, 2'000)}.go();
}

}  // namespace

TEMPLATE_TEST_CASE("threads do everything at once", "[cache_stress][concurrent]", kcache::lru,
                   kcache::fifo, kcache::clock_hand, kcache::sieve, kcache::s3_fifo,
                   kcache::w_tinylfu) {
  SECTION("pairs") { run<kind<std::uint64_t, std::uint64_t, plain<TestType>>>(); }
  SECTION("strings") { run<kind<std::string, std::string, idle<TestType>>>(); }
  SECTION("objects under strings, weighed and told of") {
    run<kind<std::string, std::shared_ptr<four_words const>, told<TestType>>>();
  }
  SECTION("keys that the cache locks for") {
    run<kind<listed_key, std::shared_ptr<four_words const>, listed<TestType>>>();
  }
}
