// SPDX-License-Identifier: BSL-1.0
// When entries expire, and what becomes of them: under virtual time.
#include <kcache/cache.hpp>

#include "support/catch.hpp"
#include "support/storage_kinds.hpp"

#include <kcache/policies/clock_hand.hpp>
#include <kcache/policies/fifo.hpp>
#include <kcache/policies/random.hpp>
#include <kcache/policies/s3_fifo.hpp>
#include <kcache/policies/sieve.hpp>
#include <kcache/policies/w_tinylfu.hpp>
#include <kcache/testing/manual_clock.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using kcache::cache;
using kcache::expire_after_access;
using kcache::expire_after_write;
using kcache::jittered;
using kcache::never;
using kcache::removal_cause;
using kcache::seeded_random;
using kcache::time_point;
using kcache::ttl;
using kcache::testing::manual_clock;

namespace {

using timed = kcache::with_clock<manual_clock>;
using listener = std::function<void(int const&, int const&, removal_cause)>;
using removal = std::tuple<int, removal_cause>;

template <class Base = expire_after_write>
using idle = kcache::with_expiry<expire_after_access<Base>, timed>;

struct told : timed {
  using removal_listener = listener;
};
struct told_idle : told {
  using expiry = expire_after_access<>;
};

struct by_value {
  std::uint64_t operator()(int, int v) const { return static_cast<std::uint64_t>(v); }
};
template <class Eviction>
struct mixed : told {
  using random = seeded_random;
  using eviction = Eviction;
  using weigher = by_value;
};

listener into(std::vector<removal>& list) {
  return [&list](int k, int, removal_cause c) { list.emplace_back(k, c); };
}

}  // namespace

TEMPLATE_TEST_CASE("of every kind of entry: an entry lives until its instant", "[cache_expiry]",
                   (test::storage_kind<int, int, timed>),
                   (test::storage_kind<std::string, std::string, timed>),
                   (test::storage_kind<int, std::vector<int>, timed>),
                   (test::storage_kind<std::u16string, std::string, timed>)) {
  using kind = TestType;
  manual_clock t;
  typename kind::cache c{{.capacity = 100, .ttl = 10s, .clock = t}};
  auto const key = [](int n) { return kind::key(n); };
  kind::put(c, 1, 1);
  kind::put(c, 2, 2, 5s);
  kind::put(c, 3, 3, ttl::never());
  auto const reads = [&](int n) {
    bool const found = c.contains(key(n));
    bool const same = static_cast<bool>(c.peek(key(n))) == found &&
                      c.visit(key(n), [](auto const&) {}) == found &&
                      static_cast<bool>(c.get(key(n))) == found;
    CHECK(same);
    return found;
  };
  t.advance(5s - 1ns);
  CHECK(reads(2));
  t.advance(1ns);
  CHECK_FALSE(reads(2));
  CHECK(c.size() == 2);  // a get took it out
  CHECK(c.get(key(1)).expires_at() == time_point{1s} + 10s);
  kind::put(c, 1, 4);  // starts anew
  t.advance(9s);
  CHECK(reads(1));
  t.advance(1s);
  CHECK_FALSE(reads(1));
  t.advance(100'000h);
  CHECK(reads(3));
}

TEMPLATE_TEST_CASE("after access: reads and writes extend, looks do not", "[cache_expiry]",
                   (test::storage_kind<int, int, idle<>>),
                   (test::storage_kind<std::string, std::string, idle<>>),
                   (test::storage_kind<int, std::vector<int>, idle<>>),
                   (test::storage_kind<std::u16string, std::string, idle<>>)) {
  using kind = TestType;
  manual_clock t;
  typename kind::cache c{{.capacity = 100, .clock = t, .expiry = expire_after_access<>{10s}}};
  auto const live = [&](int n) { return c.contains(kind::key(n)); };
  for (int n = 0; n != 6; ++n) kind::put(c, n, n);
  for (int round = 0; round != 5; ++round) {
    t.advance(6s);
    CHECK(c.get(kind::key(0)));
    CHECK(c.visit(kind::key(1), [](auto const&) {}));
    kind::put(c, 2, round);
    CHECK(c.get_many(std::vector<typename kind::key_type>{kind::key(3)})[0]);
    CHECK(c.get_copy(kind::key(4)));
    // Leaves no trace: 6 s after the write it is seen, 12 s after it is not.
    CHECK(static_cast<bool>(c.peek(kind::key(5))) == (round == 0));
    CHECK(live(5) == (round == 0));
  }
  for (int n = 0; n != 5; ++n) CHECK(live(n));
  t.advance(10s - 1ns);
  for (int n = 0; n != 5; ++n) CHECK(live(n));
  t.advance(1ns);
  for (int n = 0; n != 5; ++n) CHECK_FALSE(live(n));
  for (int n = 0; n != 6; ++n) CHECK_FALSE(c.get(kind::key(n)));
  CHECK(c.stats().expired == 6);
  CHECK(c.size() == 0);
}

TEST_CASE("after access: a time to live ends it, however often it is read", "[cache_expiry]") {
  manual_clock t;
  cache<int, int, idle<>> c{
      {.capacity = 8, .ttl = 20s, .clock = t, .expiry = expire_after_access<>{10s}}};
  auto const put = c.put(1, 1);
  CHECK(put.entry.expires_at() == t.now() + 20s);
  c.put(2, 2, ttl::never());
  c.put(3, 3, 5s);
  for (int s = 0; s != 19; ++s) {
    t.advance(1s);
    CHECK(c.get(1));
    CHECK(c.get(2));
    CHECK(static_cast<bool>(c.get(3)) == (s < 4));
  }
  t.advance(1s);
  CHECK_FALSE(c.get(1));
  CHECK(c.get(2));
  for (int s = 0; s != 100; ++s) {
    t.advance(9s);
    CHECK(c.get(2));
  }
  t.advance(10s);
  CHECK_FALSE(c.get(2));
}

TEST_CASE("after access: what is read all the time is not looked for in vain for ever",
          "[cache_expiry]") {
  // The deadlines of a thousand entries move on with every read; the rest expires all the same.
  manual_clock t;
  std::vector<removal> removed;
  cache<int, int, told_idle> c{{.capacity = 10'000,
                                .shards = 1,
                                .clock = t,
                                .expiry = expire_after_access<>{10s},
                                .on_removal = into(removed)}};
  for (int k = 0; k != 2000; ++k) c.put(k, k);
  for (int s = 0; s != 50; ++s) {
    t.advance(1s);
    for (int k = 0; k != 1000; ++k) static_cast<void>(c.get(k));
  }
  CHECK(c.remove_expired() == 1000);
  CHECK(c.size() == 1000);
  CHECK(removed.size() == 1000);
  for (auto const& [key, cause] : removed) {
    if (key < 1000 || cause != removal_cause::expired) FAIL(key);
  }
}

TEST_CASE("an idle time must be positive", "[cache_expiry]") {
  for (auto const none : {0s, -1s}) {
    using idle_cache = cache<int, int, idle<>>;
    CHECK_THROWS_AS((idle_cache{{.capacity = 8, .expiry = expire_after_access<>{none}}}),
                    kcache::failure);
  }
}

TEST_CASE("jitter spreads the expiry of one instant, in its bounds, reproducibly",
          "[cache_expiry]") {
  struct policies : timed {
    using random = seeded_random;
    using expiry = jittered<>;
  };
  auto const instants = [](std::uint64_t seed, int first) {
    manual_clock t;
    cache<int, int, policies> c{{.capacity = 1000,
                                 .ttl = 100s,
                                 .clock = t,
                                 .random = seeded_random{seed},
                                 .expiry = jittered<>{0.2}}};
    std::vector<kcache::duration> lengths;
    for (int k = 0; k != 1000; ++k) {
      lengths.push_back(c.put(first + k, k).entry.expires_at() - t.now());
    }
    CHECK(c.put(1, 1, ttl::never()).entry.expires_at() == never);
    CHECK_FALSE(c.put(2, 1, 0s).stored);
    return lengths;
  };
  auto const one = instants(1, 0);
  CHECK(one == instants(1, 0));
  CHECK(one != instants(2, 0));
  CHECK(one != instants(1, 5000));
  auto sorted = one;
  std::sort(sorted.begin(), sorted.end());
  CHECK(sorted.front() >= 80s);
  CHECK(sorted.back() <= 120s);
  CHECK(std::set<kcache::duration>(one.begin(), one.end()).size() > 990);
  // Uniform: a tenth in each tenth; 100 +- 6 deviations of 9.5.
  for (int tenth = 0; tenth != 10; ++tenth) {
    auto const in = std::count_if(one.begin(), one.end(), [&](kcache::duration d) {
      return d >= 80s + tenth * 4s && d < 84s + tenth * 4s;
    });
    CHECK(in > 43);
    CHECK(in < 157);
  }
}

TEST_CASE("jitter differs from write to write of one key", "[cache_expiry]") {
  struct policies : timed {
    using random = seeded_random;
    using expiry = jittered<>;
  };
  manual_clock t;
  cache<int, int, policies> c{{.capacity = 8, .ttl = 100s, .clock = t}};
  std::set<kcache::duration> lengths;
  for (int n = 0; n != 100; ++n) {
    lengths.insert(c.put(1, 1).entry.expires_at() - t.now());
    t.advance(1ns);
  }
  CHECK(lengths.size() > 95);
}

TEST_CASE("jitter goes around expiry after access", "[cache_expiry]") {
  using both = jittered<expire_after_access<>>;
  manual_clock t;
  cache<int, int, kcache::with_expiry<both, timed>> c{
      {.capacity = 8, .ttl = 100s, .clock = t, .expiry = both{0.5, expire_after_access<>{10s}}}};
  auto const expires = c.put(1, 1).entry.expires_at();
  CHECK(expires >= t.now() + 50s);
  CHECK(expires <= t.now() + 150s);
  c.put(2, 2);
  // The idle time is not jittered.
  while (t.now() < expires - 9s) {
    t.advance(9s);
    CHECK(static_cast<bool>(c.get(1)) == (t.now() < expires));
  }
  CHECK_FALSE(c.get(2));
  t.advance_to(expires);
  CHECK_FALSE(c.get(1));
}

TEMPLATE_TEST_CASE("no live entry is evicted while its shard holds an expired one",
                   "[cache_expiry]", kcache::lru, kcache::fifo, kcache::clock_hand, kcache::sieve,
                   kcache::s3_fifo, kcache::w_tinylfu) {
  for (std::uint64_t seed = 0; seed != 10; ++seed) {
    INFO("seed " << seed);
    seeded_random r{seed};
    auto const below = [&](std::uint64_t n) { return r.next() % n; };
    manual_clock t;
    // What is in the shard, and when it expires.
    std::map<int, time_point> held;
    int wrong = 0;
    int evicted = 0;
    cache<int, int, mixed<TestType>> c{
        {.capacity = 200, .shards = 1, .clock = t, .random = seeded_random{seed},
         .on_removal = [&](int key, int, removal_cause cause) {
           auto const at = held.find(key);
           if (at == held.end()) return;  // the old value of the key that is being put
           bool const expired = at->second <= t.now();
           wrong += expired == (cause == removal_cause::expired) ? 0 : 1;
           held.erase(at);
           if (cause != removal_cause::size) return;
           ++evicted;
           for (auto const& [k, expires] : held) wrong += expires <= t.now() ? 1 : 0;
         }}};
    for (int step = 0; step != 4000; ++step) {
      int const key = static_cast<int>(below(300));
      switch (below(8)) {
        case 0:
          t.advance(1ns * below(6));
          break;
        case 1: case 2:
          static_cast<void>(c.get(key));
          break;
        case 3:
          if (below(8) == 0) c.erase(key);
          break;
        default: {
          auto const lifetime = below(3) == 0 ? ttl::never() : ttl{1ns * (1 + below(200))};
          // The listener is told after the call: what was there before stays in the model till
          // then, except for the key's own entry.
          auto const old = held.extract(key);
          bool const old_expired = old && old.mapped() <= t.now();
          auto const before = c.stats();
          c.put(key, 1 + static_cast<int>(below(step % 7 == 0 ? 60 : 4)), lifetime);
          auto const after = c.stats();
          if (old && !old_expired) wrong += after.replaced == before.replaced + 1 ? 0 : 1;
          held[key] = lifetime.expires_at(t.now());
        }
      }
      if (c.size() != held.size()) FAIL("step " << step << ": " << c.size());
    }
    CHECK(wrong == 0);
    CHECK(evicted > 100);
  }
}

TEST_CASE("puts reclaim what has expired, a bounded number each", "[cache_expiry]") {
  manual_clock t;
  std::vector<removal> removed;
  cache<int, int, told> c{
      {.capacity = 10'000, .ttl = 10s, .shards = 1, .clock = t, .on_removal = into(removed)}};
  for (int k = 0; k != 1600; ++k) c.put(k, k);
  CHECK(removed.empty());
  t.advance(10s);
  CHECK(c.size() == 1600);
  for (int n = 0; n != 100; ++n) {
    auto const before = removed.size();
    c.put(10'000 + n, 0);
    CHECK(removed.size() - before == 16);  // neighbours, all at once
  }
  CHECK(c.size() == 100);
  c.put(20'000, 0);
  CHECK(removed.size() == 1600);
  std::set<int> keys;
  for (auto const& [key, cause] : removed) {
    CHECK(cause == removal_cause::expired);
    keys.insert(key);
  }
  CHECK(keys.size() == 1600);
  CHECK(c.stats().expired == 1600);
}

TEST_CASE("what is expired is told as expired, whoever removes it", "[cache_expiry]") {
  manual_clock t;
  std::vector<removal> removed;
  cache<int, int, told> c{{.capacity = 2, .clock = t, .on_removal = into(removed)}};
  auto const told_of = [&](auto const& call) {
    c.put(1, 10, 1s);
    c.put(2, 20);
    removed.clear();
    t.advance(1s);
    call();
    return std::exchange(removed, {});
  };
  using list = std::vector<removal>;
  list const one{{1, removal_cause::expired}};
  CHECK(told_of([&] { CHECK_FALSE(c.get(1)); }) == one);
  CHECK(told_of([&] { CHECK_FALSE(c.visit(1, [](int) {})); }) == one);
  CHECK(told_of([&] { CHECK_FALSE(c.erase(1)); }) == one);
  CHECK(told_of([&] { c.put(1, 11); }) == one);
  CHECK(told_of([&] { c.put(1, 11, 0s); }) == one);
  CHECK(told_of([&] { c.put(3, 30); }) == one);
  c.erase(3);
  CHECK(told_of([&] { c.put(2, 21); }) ==
        list{{1, removal_cause::expired}, {2, removal_cause::replaced}});
  CHECK(told_of([&] { CHECK(c.remove_expired() == 1); }) == one);
  CHECK(told_of([&] { c.set_capacity(1); }) == one);
  c.set_capacity(2);
  CHECK(told_of([&] { CHECK_FALSE(c.put_if(1, 11, [] { return false; }).stored); }).empty());
  CHECK(told_of([&] { CHECK_FALSE(c.peek(1)); }).empty());
  auto all = told_of([&] { c.clear(); });
  std::sort(all.begin(), all.end());
  CHECK(all == list{{1, removal_cause::expired}, {2, removal_cause::erased}});
  // The live one goes by size once nothing has expired.
  c.put(1, 1);
  c.put(2, 2);
  c.put(3, 3);
  CHECK(removed == list{{1, removal_cause::size}});
}

TEST_CASE("remove_expired takes all of them, from every shard, and no other", "[cache_expiry]") {
  manual_clock t;
  cache<int, std::string, timed> c{{.capacity = 100'000, .clock = t}};
  REQUIRE(c.shard_count() == 64);
  for (int k = 0; k != 20'000; ++k) {
    c.put(k, "text", k % 4 == 0 ? ttl{2s} : k % 4 == 1 ? ttl::never() : ttl{1s});
  }
  CHECK(c.remove_expired() == 0);
  t.advance(1s - 1ns);
  CHECK(c.remove_expired() == 0);
  t.advance(1ns);
  CHECK(c.remove_expired() == 10'000);
  CHECK(c.size() == 10'000);
  CHECK(c.remove_expired() == 0);
  t.advance(1s);
  CHECK(c.remove_expired() == 5000);
  for (int k = 1; k < 20'000; k += 4) {
    if (!c.contains(k)) FAIL(k);
  }
}

TEST_CASE("a time beyond the end of time is never", "[cache_expiry]") {
  manual_clock t;
  cache<int, int, timed> c{{.capacity = 8, .clock = t}};
  CHECK(c.put(1, 1, kcache::duration::max()).entry.expires_at() == never);
  CHECK(c.put(1, 1, 1'000'000h * 1000).entry.expires_at() == never);
  t.advance(kcache::duration{1'000'000h});
  CHECK(c.get(1));
}
