// SPDX-License-Identifier: BSL-1.0
// Dated entries: what is kept of a write, and that it is yielded with that write's value alone.
#include <kcache/cache.hpp>

#include "support/catch.hpp"
#include "support/storage_kinds.hpp"
#include "support/threads.hpp"

#include <kcache/testing/manual_clock.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

using namespace std::chrono_literals;
using kcache::cache;
using kcache::duration;
using kcache::entry_dates;
using kcache::never;
using kcache::time_point;
using kcache::ttl;
using kcache::write_time;
using kcache::testing::manual_clock;

namespace {

/// To be renewed after half of its life, less the time that its load took.
struct half_way : kcache::expire_after_write {
  entry_dates dates(write_time const& w, time_point expires_at) const {
    if (expires_at == never) return {w.now, never};
    return {w.now, w.now + (expires_at - w.now) / 2 - w.load_time};
  }
};
/// Kept for years beyond the end of freshness, when it is to be renewed.
struct years_of_grace {
  static constexpr duration grace = std::chrono::hours{24 * 3'650};
  template <class Key, class Value>
  time_point expires_at(Key const&, Value const&, write_time const& w) const {
    auto const t = w.requested.value_or(w.default_ttl).expires_at(w.now);
    return t == never ? t : t + grace;
  }
  entry_dates dates(write_time const& w, time_point expires_at) const {
    return {w.now, fresh_until(expires_at)};
  }
  time_point fresh_until(time_point expires_at) const noexcept {
    return expires_at == never ? never : expires_at - grace;
  }
};
/// Counts how often it is read.
struct watched_clock {
  manual_clock base;
  std::size_t* reads;
  time_point now() const noexcept {
    ++*reads;
    return base.now();
  }
};

using timed = kcache::with_clock<manual_clock>;
using dated = kcache::with_expiry<half_way, timed>;
using dated_points = kcache::with_hash<test::by_number, dated>;
using dated_idle = kcache::with_expiry<kcache::expire_after_access<half_way>, timed>;
using graceful = kcache::with_expiry<years_of_grace, timed>;
using watched = kcache::with_expiry<half_way, kcache::with_clock<watched_clock>>;

template <class Cache>
concept has_dates = requires(Cache& c, Cache const& k, typename Cache::key_view key) {
  c.get_dated(key);
  k.peek_dated(key);
};

template <class Key, class Value, class Policies>
inline constexpr std::size_t slot_bytes =
    sizeof(kcache::detail::slot_for<Key, Value, Policies>);

/// Every write's dates follow from a number in its value, and are near enough to the end to be
/// exact.
struct by_number {
  template <class Key, class Value>
  time_point expires_at(Key const&, Value const&, write_time const& w) const {
    return w.now + 1h;
  }
  entry_dates dates(write_time const& w, time_point expires_at) const {
    return {expires_at - 2 * w.load_time, expires_at - w.load_time};
  }
};
template <class Policies = kcache::default_policies>
using numbered = kcache::with_expiry<by_number, Policies>;

}  // namespace

TEST_CASE("dates are there where the expiry policy has them, and cost nothing elsewhere",
          "[cache_dates]") {
  STATIC_REQUIRE(has_dates<cache<int, int, dated>>);
  STATIC_REQUIRE(has_dates<cache<std::string, std::string, dated_idle>>);
  STATIC_REQUIRE_FALSE(has_dates<cache<int, int>>);
  STATIC_REQUIRE_FALSE(has_dates<cache<std::string, std::string, timed>>);
  // A pair: two words and the expiry. A cell: one word; it has its dates itself.
  STATIC_REQUIRE(slot_bytes<std::uint64_t, std::uint64_t, timed> == 24);
  STATIC_REQUIRE(slot_bytes<std::string, std::string, timed> == 8);
  STATIC_REQUIRE(slot_bytes<std::uint64_t, std::uint64_t, dated> == 24 + 8);
  STATIC_REQUIRE(slot_bytes<std::string, std::string, dated> == 8);
  using plain_shard = kcache::detail::shard<int, int, timed>;
  STATIC_REQUIRE(sizeof(plain_shard::pair_found<false>) == 24);
  STATIC_REQUIRE(sizeof(plain_shard::facts_type) == 24);
}

TEMPLATE_TEST_CASE("of every kind of entry: dates are kept, yielded and replaced with the value",
                   "[cache_dates]", (test::storage_kind<int, int, dated>),
                   (test::storage_kind<test::point, int, dated_points>),
                   (test::storage_kind<std::string, std::string, dated>),
                   (test::storage_kind<std::string, int, dated>),
                   (test::storage_kind<int, std::vector<int>, dated>),
                   (test::storage_kind<std::u16string, std::string, dated>)) {
  using kind = TestType;
  manual_clock t;
  typename kind::cache c{{.capacity = 1000, .ttl = 10s, .shards = 1, .clock = t}};
  time_point const start = t.now();
  CHECK_FALSE(c.get_dated(kind::key(1)).entry);
  CHECK_FALSE(c.peek_dated(kind::key(1)).entry);
  kind::put(c, 1, 1);
  kind::put(c, 2, 2, ttl::never());
  t.advance(1s);
  kind::put(c, 3, 3, 4s);
  c.put_if(kind::key(4), kind::value(4), [] { return true; }, 4s, 1s);
  t.advance(1s);
  auto const check = [&](int key, int value, entry_dates dates) {
    for (auto const& seen : {c.get_dated(kind::key(key)), c.peek_dated(kind::key(key))}) {
      REQUIRE(seen.entry);
      CHECK(kind::is(*seen.entry, value));
      CHECK((seen.dates == dates));
      CHECK(seen.now == t.now());
    }
  };
  check(1, 1, {start, start + 5s});
  check(2, 2, {start, never});
  check(3, 3, {start + 1s, start + 3s});
  check(4, 4, {start + 1s, start + 2s});
  kind::put(c, 1, 7);
  check(1, 7, {start + 2s, start + 7s});
  // Tables that are outgrown hand them on.
  for (int n = 5; n != 900; ++n) kind::put(c, n, n);
  check(1, 7, {start + 2s, start + 7s});
  check(2, 2, {start, never});
  check(899, 899, {start + 2s, start + 7s});
  // A slot that is used again has its new entry's.
  c.erase(kind::key(1));
  CHECK_FALSE(c.get_dated(kind::key(1)).entry);
  t.advance(1s);
  kind::put(c, 1000, 1, ttl::never());
  check(1000, 1, {start + 3s, never});
  auto const before = c.stats();
  static_cast<void>(c.peek_dated(kind::key(2)));
  CHECK(c.stats() == before);
  static_cast<void>(c.get_dated(kind::key(2)));
  static_cast<void>(c.get_dated(kind::key(1)));
  CHECK(c.stats().hits == before.hits + 1);
  CHECK(c.stats().misses == before.misses + 1);
  t.advance(10s);
  CHECK_FALSE(c.peek_dated(kind::key(899)).entry);
  CHECK_FALSE(c.get_dated(kind::key(899)).entry);
  check(2, 2, {start, never});
}

TEMPLATE_TEST_CASE("a dated look reads the clock once", "[cache_dates]",
                   (test::storage_kind<int, int, watched>),
                   (test::storage_kind<std::string, std::string, watched>),
                   (test::storage_kind<std::u16string, std::string, watched>)) {
  using kind = TestType;
  manual_clock t;
  std::size_t reads = 0;
  typename kind::cache c{{.capacity = 100, .clock = watched_clock{t, &reads}}};
  kind::put(c, 1, 1);
  kind::put(c, 2, 2, 10s);
  static_cast<void>(c.get(kind::key(1)));  // the thread has its reader now
  t.advance(1s);
  for (int const k : {1, 2}) {
    reads = 0;
    CHECK(c.get_dated(kind::key(k)).now == t.now());
    CHECK(reads == 1);
    CHECK(c.peek_dated(kind::key(k)).now == t.now());
    CHECK(reads == 2);
  }
}

TEMPLATE_TEST_CASE("dates are kept from the end of freshness, however long an entry is kept",
                   "[cache_dates]", (test::storage_kind<int, int, graceful>),
                   (test::storage_kind<std::string, std::string, graceful>)) {
  using kind = TestType;
  manual_clock t;
  t.advance(1ns);
  typename kind::cache c{{.capacity = 100, .ttl = 10s, .clock = t}};
  time_point const start = t.now();
  kind::put(c, 1, 1);
  kind::put(c, 2, 2, ttl::never());
  for (int i = 0; i != 2; ++i) {
    CHECK((c.get_dated(kind::key(1)).dates == entry_dates{start, start + 10s}));
    CHECK((c.get_dated(kind::key(2)).dates == entry_dates{start, never}));
    t.advance(1h);
  }
}

TEMPLATE_TEST_CASE("dates and idle deadlines get along", "[cache_dates]",
                   (test::storage_kind<int, int, dated_idle>),
                   (test::storage_kind<std::string, std::string, dated_idle>)) {
  using kind = TestType;
  manual_clock t;
  typename kind::cache c{{.capacity = 100,
                          .ttl = 100s,
                          .clock = t,
                          .expiry = kcache::expire_after_access<half_way>{10s}}};
  time_point const start = t.now();
  kind::put(c, 1, 1);
  for (int n = 0; n != 10; ++n) {
    t.advance(9s);
    auto const seen = c.get_dated(kind::key(1));
    REQUIRE(seen.entry);
    CHECK((seen.dates == entry_dates{start, start + 50s}));
    CHECK(seen.now == t.now());
  }
  t.advance(10s);
  CHECK_FALSE(c.get_dated(kind::key(1)).entry);
}

TEST_CASE("an expiry policy may refuse to date an entry by throwing: nothing happens",
          "[cache_dates]") {
  struct refuses : half_way {
    entry_dates dates(write_time const& w, time_point expires_at) const {
      if (w.load_time < duration::zero()) throw std::runtime_error{"no"};
      return half_way::dates(w, expires_at);
    }
  };
  cache<int, std::string, kcache::with_expiry<refuses>> c{{.capacity = 8}};
  c.put(1, "one");
  CHECK_THROWS_AS(c.put_if(1, "two", [] { return true; }, {}, -1ns), std::runtime_error);
  CHECK(*c.get(1) == "one");
}

TEMPLATE_TEST_CASE("dates belong to the value that is seen, whoever writes meanwhile",
                   "[cache_dates][concurrent]",
                   (test::storage_kind<std::uint64_t, std::uint64_t, numbered<>>),
                   (test::storage_kind<std::string, std::uint64_t, numbered<>>),
                   (test::storage_kind<std::u16string, std::uint64_t, numbered<>>)) {
  using kind = TestType;
  typename kind::cache c{{.capacity = 64, .shards = 1}};
  auto const put = [&](int key, std::uint64_t n) {
    c.put_if(kind::key(key), std::uint64_t{n}, [] { return true; }, {},
             duration{static_cast<std::int64_t>(n)});
  };
  std::atomic<bool> ends{false};
  std::atomic<std::uint64_t> wrong{0};
  std::atomic<std::uint64_t> seen{0};
  for (int k = 0; k != 3; ++k) put(k, 1);
  test::in_parallel(3, [&](std::size_t me) {
    if (me == 0) {
      // Until the others have seen something, on a busy machine too.
      for (std::uint64_t n = 2; n < 20'000 || (seen < 100 && n < 20'000'000); ++n) {
        put(static_cast<int>(n % 3), n);
        if (n % 16 == 0) c.erase(kind::key(static_cast<int>(n % 3)));
        // Others come and go in the slots between.
        if (n % 8 == 0) put(static_cast<int>(3 + n % 100), n);
      }
      ends = true;
      return;
    }
    while (!ends) {
      for (int k = 0; k != 3; ++k) {
        auto const found = me == 1 ? c.get_dated(kind::key(k)) : c.peek_dated(kind::key(k));
        if (!found.entry) continue;
        ++seen;
        duration const n{static_cast<std::int64_t>(*found.entry)};
        if (found.dates.written_at != found.entry.expires_at() - 2 * n) ++wrong;
        if (found.dates.refresh_at != found.entry.expires_at() - n) ++wrong;
      }
    }
  });
  CHECK(wrong == 0);
  CHECK(seen > 0);
}
