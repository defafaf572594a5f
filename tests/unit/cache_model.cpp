// SPDX-License-Identifier: BSL-1.0
// Random operations on a cache beside a plain model of what it promises.
#include <kcache/cache.hpp>

#include "support/catch.hpp"

#include <kcache/policies/fifo.hpp>
#include <kcache/policies/random.hpp>
#include <kcache/testing/manual_clock.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using kcache::removal_cause;
using kcache::seeded_random;
using kcache::time_point;
using kcache::ttl;
using kcache::testing::manual_clock;

namespace {

struct value {
  int number;
  std::uint64_t weight;
};
struct by_weight {
  std::uint64_t operator()(std::string_view, value const& v) const { return v.weight; }
};
template <class Eviction>
struct tested : kcache::with_clock<manual_clock> {
  using random = seeded_random;
  using weigher = by_weight;
  using eviction = Eviction;
  using removal_listener =
      std::function<void(std::string_view, value const&, removal_cause)>;
};

/// A list in order of eviction, and a sum. Slow, and easy to believe.
class model {
 public:
  model(std::uint64_t capacity, bool reads_count) : capacity_{capacity}, reads_{reads_count} {}

  std::optional<int> get(std::string const& key, time_point now) {
    auto const e = live(key, now);
    if (e == entries_.end()) return std::nullopt;
    int const n = e->v.number;
    if (reads_) entries_.splice(entries_.begin(), entries_, e);
    return n;
  }
  std::optional<int> peek(std::string const& key, time_point now) {
    auto const e = live(key, now);
    return e == entries_.end() ? std::nullopt : std::optional{e->v.number};
  }
  bool put(std::string const& key, value v, time_point expires, time_point now) {
    std::erase_if(entries_, [&](entry const& e) { return e.key == key || e.expires <= now; });
    if (expires <= now || v.weight > capacity_) return false;
    while (weight(now) + v.weight > capacity_) {
      evicted.push_back(entries_.back().key);
      entries_.pop_back();
    }
    entries_.push_front({key, v, expires});
    return true;
  }
  bool erase(std::string const& key, time_point now) {
    bool const there = live(key, now) != entries_.end();
    std::erase_if(entries_, [&](entry const& e) { return e.key == key; });
    return there;
  }
  void clear() { entries_.clear(); }
  /// Of the live entries.
  std::uint64_t weight(time_point now) const {
    std::uint64_t sum = 0;
    for (entry const& e : entries_) sum += e.expires > now ? e.v.weight : 0;
    return sum;
  }

  std::vector<std::string> evicted;

 private:
  struct entry {
    std::string key;
    value v;
    time_point expires;
  };
  std::list<entry>::iterator live(std::string const& key, time_point now) {
    return std::find_if(entries_.begin(), entries_.end(),
                        [&](entry const& e) { return e.key == key && e.expires > now; });
  }

  std::uint64_t capacity_;
  bool reads_;
  std::list<entry> entries_;
};

/// One random run; the name of the first difference, or nothing.
template <class Eviction>
std::string run(std::uint64_t seed, bool reads_count) {
  seeded_random r{seed};
  auto const below = [&](std::uint64_t n) { return r.next() % n; };
  std::uint64_t const capacity = 1 + below(60);
  std::uint64_t const heaviest = 1 + below(12);
  std::uint64_t const keys = 1 + below(80);

  manual_clock t;
  std::vector<std::string> evicted;
  std::map<removal_cause, std::uint64_t> causes;
  std::string wrong_removal;
  using cache = kcache::cache<std::string, value, tested<Eviction>>;
  cache c{{.capacity = capacity,
           .ttl = 50ns,
           .clock = t,
           .random = seeded_random{seed},
           .on_removal = [&](std::string_view key, value const&, removal_cause cause) {
             ++causes[cause];
             if (cause == removal_cause::size) evicted.emplace_back(key);
           }}};
  model m{capacity, reads_count};
  std::uint64_t stored = 0;
  std::uint64_t hits = 0;
  std::uint64_t gets = 0;

  for (int step = 0; step != 1000; ++step) {
    std::string const key = "key " + std::to_string(below(keys));
    auto const now = t.now();
    auto const compare = [&](kcache::handle<value> const& h, std::optional<int> expected) {
      return static_cast<bool>(h) == expected.has_value() && (!h || h->number == *expected);
    };
    switch (below(12)) {
      case 0: case 1: case 2: case 3: {
        value const v{step, below(heaviest + 1)};
        value const counted{step, std::max<std::uint64_t>(v.weight, 1)};
        auto const lifetime = std::vector<ttl>{
            ttl{}, ttl{}, ttl::never(), ttl{1ns * below(100)}, ttl{0s}}[below(5)];
        bool const guard = below(8) != 0;
        auto const put = c.put_if(key, v, [&] { return guard; }, lifetime);
        bool const expected =
            guard && m.put(key, counted, lifetime.value_or(50ns).expires_at(now), now);
        if (put.stored != expected) return "stored";
        if (put.entry->number != step) return "the entry of a put";
        if (expected) ++stored;
        break;
      }
      case 4: case 5: case 6: {
        auto const h = c.get(key);
        ++gets;
        if (h) ++hits;
        if (!compare(h, m.get(key, now))) return "get";
        break;
      }
      case 7:
        if (!compare(c.peek(key), m.peek(key, now))) return "peek";
        break;
      case 8:
        if (c.contains(key) != m.peek(key, now).has_value()) return "contains";
        break;
      case 9:
        if (c.erase(key) != m.erase(key, now)) return "erase";
        break;
      case 10:
        t.advance(1ns * below(20));
        break;
      default:
        if (below(40) == 0) {
          c.clear();
          m.clear();
        } else if (below(4) == 0) {
          c.remove_expired();
          if (c.weight() != m.weight(now)) return "the weight of what is left";
        }
    }
    if (c.weight() > capacity) return "over the capacity";
    if (c.weight() < m.weight(t.now())) return "a live entry was lost";
    if (evicted != m.evicted) return "victims";
  }
  c.remove_expired();  // what was cleared is told of now
  std::uint64_t removed = 0;
  for (auto const& [cause, count] : causes) removed += count;
  if (stored != removed + c.size()) return "an entry left unseen";
  auto const s = c.stats();
  if (s.hits != hits || s.misses != gets - hits) return "hits and misses";
  if (s.expired != causes[removal_cause::expired] || s.evicted != causes[removal_cause::size] ||
      s.replaced != causes[removal_cause::replaced] || s.erased != causes[removal_cause::erased]) {
    return "removals by cause";
  }
  return {};
}

}  // namespace

TEST_CASE("random operations agree with the model: lru", "[cache_model]") {
  for (std::uint64_t seed = 0; seed != 300; ++seed) {
    INFO("seed " << seed);
    REQUIRE(run<kcache::lru>(seed, true).empty());
  }
}

TEST_CASE("random operations agree with the model: fifo", "[cache_model]") {
  for (std::uint64_t seed = 0; seed != 300; ++seed) {
    INFO("seed " << seed);
    REQUIRE(run<kcache::fifo>(seed, false).empty());
  }
}

TEST_CASE("a sharded cache keeps its bounds and serves only what was put", "[cache_model]") {
  struct policies : kcache::with_clock<manual_clock> {
    using random = seeded_random;
    struct weigher {
      std::uint64_t operator()(int, std::uint64_t v) const { return v % 8; }
    };
  };
  for (std::uint64_t seed = 0; seed != 20; ++seed) {
    seeded_random r{seed};
    std::uint64_t const capacity = 128 + r.next() % 200;
    manual_clock t;
    kcache::cache<int, std::uint64_t, policies> c{{.capacity = capacity,
                                                   .shards = 16,
                                                   .max_entry_weight = 7,
                                                   .clock = t,
                                                   .random = seeded_random{seed}}};
    std::map<int, std::uint64_t> last;
    std::uint64_t most = 0;
    for (int step = 0; step != 5000; ++step) {
      int const key = static_cast<int>(r.next() % 400);
      if (r.next() % 2 == 0) {
        std::uint64_t const v = r.next();
        c.put(key, v, 1ns * (r.next() % 1000));
        last[key] = v;
      } else if (auto const h = c.get(key)) {
        if (*h != last.at(key)) FAIL("a value that was not the last one put, seed " << seed);
      }
      if (r.next() % 8 == 0) t.advance(1ns);
      most = std::max(most, c.weight());
      if (c.weight() > capacity) FAIL("over the capacity, seed " << seed);
    }
    CHECK(most > capacity / 2);
  }
}
