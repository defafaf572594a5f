// SPDX-License-Identifier: BSL-1.0
#include <kcache/policies/expiry.hpp>

#include "support/catch.hpp"

#include <kcache/policies/random.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

using namespace std::chrono_literals;
using kcache::duration;
using kcache::expire_after_access;
using kcache::expire_after_write;
using kcache::expiry;
using kcache::jittered;
using kcache::never;
using kcache::time_point;
using kcache::ttl;
using kcache::write_time;

namespace {

struct archetype {
  time_point expires_at(std::string_view, int const&, write_time const& w) const { return w.now; }
};
struct yields_ttl {
  ttl expires_at(std::string_view, int const&, write_time const&) const { return {}; }
};
struct not_const {
  time_point expires_at(std::string_view, int const&, write_time const& w) { return w.now; }
};
struct without_key {
  time_point expires_at(int const&, write_time const& w) const { return w.now; }
};
/// What it says is wherever the test wants it.
struct at_instant {
  time_point instant;
  time_point expires_at(int, int, write_time const&) const noexcept { return instant; }
};
struct may_throw {
  time_point expires_at(int, int, write_time const& w) const { return w.now; }
};
/// Says with its dates what it was asked.
struct says_dates : expire_after_write {
  kcache::entry_dates dates(write_time const& w, time_point expires_at) const {
    return {w.now + w.load_time, expires_at};
  }
};
/// Entries are kept for a minute after they ceased to be fresh.
struct with_grace : says_dates {
  time_point fresh_until(time_point expires_at) const noexcept { return expires_at - 1min; }
};
struct dates_not_const : expire_after_write {
  kcache::entry_dates dates(write_time const&, time_point) { return {}; }
};
struct dates_of_time_points : expire_after_write {
  time_point dates(write_time const& w, time_point) const { return w.now; }
};
struct not_copyable : archetype {
  not_copyable() = default;
  not_copyable(not_copyable const&) = delete;
};

}  // namespace

TEST_CASE("expiry policies model their concept", "[expiry]") {
  STATIC_REQUIRE(expiry<expire_after_write, std::string, int>);
  STATIC_REQUIRE(expiry<expire_after_access<>, std::string, int>);
  STATIC_REQUIRE(expiry<jittered<>, std::string, int>);
  STATIC_REQUIRE(expiry<jittered<expire_after_access<>>, std::string, int>);
  STATIC_REQUIRE(expiry<expire_after_access<jittered<>>, std::string, int>);
  STATIC_REQUIRE(expiry<jittered<archetype>, std::string, int>);
  STATIC_REQUIRE(expiry<archetype, std::string, int>);
  STATIC_REQUIRE_FALSE(expiry<archetype, int, int>);
  STATIC_REQUIRE_FALSE(expiry<yields_ttl, std::string, int>);
  STATIC_REQUIRE_FALSE(expiry<not_const, std::string, int>);
  STATIC_REQUIRE_FALSE(expiry<without_key, std::string, int>);
  STATIC_REQUIRE_FALSE(expiry<not_copyable, std::string, int>);
}

TEST_CASE("after write: the requested ttl, or the default", "[expiry]") {
  time_point const now{100s};
  auto const at = [&](ttl requested, ttl fallback) {
    return expire_after_write{}.expires_at(1, 2, write_time{now, requested, fallback});
  };
  CHECK(at({}, 5s) == now + 5s);
  CHECK(at({}, ttl::never()) == never);
  CHECK(at(3s, 5s) == now + 3s);
  CHECK(at(3s, ttl::never()) == now + 3s);
  CHECK(at(ttl::never(), 5s) == never);
  CHECK(at(0s, 5s) == now);
}

TEST_CASE("after access: what its base says, and the idle time", "[expiry]") {
  time_point const now{100s};
  expire_after_access<> const e{10s};
  CHECK(e.idle() == 10s);
  CHECK(e.expires_at(1, 2, write_time{now, {}, 5s}) == now + 5s);
  CHECK(e.expires_at(1, 2, write_time{now, {}, ttl::never()}) == never);
  expire_after_access<at_instant> const based{10s, at_instant{time_point{7s}}};
  CHECK(based.expires_at(1, 2, write_time{now, {}, {}}) == time_point{7s});
  write_time const w{};
  expire_after_access<may_throw> const throws{10s};
  STATIC_REQUIRE(noexcept(e.expires_at(1, 2, w)));
  STATIC_REQUIRE_FALSE(noexcept(throws.expires_at(1, 2, w)));
  static_cast<void>(throws);
}

TEST_CASE("jitter: around what its base says, by up to the fraction, evenly", "[expiry]") {
  time_point const now{100s};
  kcache::seeded_random r{1};
  for (double const fraction : {0.1, 0.5, 1.0}) {
    jittered<> const e{fraction};
    duration least = duration::max();
    duration most{};
    double sum = 0;
    for (int n = 0; n != 10'000; ++n) {
      duration const d = e.expires_at(1, 2, write_time{now, 1000s, {}, r.next()}) - now;
      least = std::min(least, d);
      most = std::max(most, d);
      sum += static_cast<double>(d.count());
    }
    auto const bound = [&](double f) {
      return duration{static_cast<std::int64_t>(1e12 * (1 + f * fraction))};
    };
    CHECK(least >= bound(-1));
    CHECK(least <= bound(-0.99));
    CHECK(most <= bound(1));
    CHECK(most >= bound(0.99));
    CHECK(std::abs(sum / 1e16 - 1) < 0.03 * fraction);  // five deviations
  }
  // The ends of the draw.
  CHECK(jittered<>{0.5}.expires_at(1, 2, write_time{now, 100s, {}, 0}) == now + 50s);
  CHECK(jittered<>{0.5}.expires_at(1, 2, write_time{now, 100s, {}, UINT64_MAX}) <= now + 150s);
  CHECK(jittered<>{0.5}.expires_at(1, 2, write_time{now, 100s, {}, UINT64_MAX}) > now + 149s);
  // By default a tenth.
  CHECK(jittered<>{}.expires_at(1, 2, write_time{now, 100s, {}, 0}) == now + 90s);
}

TEST_CASE("jitter: the same draw, the same instant", "[expiry]") {
  time_point const now{100s};
  auto const at = [&](std::uint64_t draw) {
    return jittered<>{}.expires_at(1, 2, write_time{now, 100s, {}, draw});
  };
  CHECK(at(123456789) == at(123456789));
  CHECK(at(std::uint64_t{1} << 60U) != at(std::uint64_t{1} << 61U));
}

TEST_CASE("jitter leaves alone what never expires and what has expired", "[expiry]") {
  time_point const now{100s};
  for (std::uint64_t const draw : {std::uint64_t{0}, UINT64_MAX / 2, UINT64_MAX}) {
    auto const at = [&](ttl requested) {
      return jittered<>{1.0}.expires_at(1, 2, write_time{now, requested, {}, draw});
    };
    CHECK(at(ttl::never()) == never);
    CHECK(at(0s) == now);
    CHECK(at(-5s) == now);
    // It delays or hastens, but does not forbid; and nothing overflows.
    CHECK(at(1ns) > now);
    CHECK(at(1s) > now);
    CHECK(at(duration::max() - 100s) > now);
    CHECK(jittered<at_instant>{1.0, at_instant{time_point{7s}}}.expires_at(
              1, 2, write_time{now, {}, {}, draw}) == time_point{7s});
  }
  CHECK(jittered<>{1.0}.expires_at(1, 2, write_time{now, duration::max() - 200s, {},
                                                    UINT64_MAX}) == never);
}

TEST_CASE("a fraction outside of 0 to 1 is taken for the nearer of the two", "[expiry]") {
  time_point const now{100s};
  auto const at = [&](double fraction, std::uint64_t draw) {
    return jittered<>{fraction}.expires_at(1, 2, write_time{now, 100s, {}, draw});
  };
  for (std::uint64_t const draw : {std::uint64_t{0}, std::uint64_t{1} << 63U, UINT64_MAX}) {
    CHECK(at(0, draw) == now + 100s);
    CHECK(at(-1, draw) == now + 100s);
    CHECK(at(7, draw) == at(1, draw));
  }
}

TEST_CASE("jitter passes an idle time on, and has none of its own", "[expiry]") {
  auto const has_idle = [](auto const& e) { return requires { e.idle(); }; };
  CHECK_FALSE(has_idle(jittered<>{}));
  CHECK_FALSE(has_idle(expire_after_write{}));
  jittered<expire_after_access<>> const both{0.1, expire_after_access<>{10s}};
  CHECK(has_idle(both));
  CHECK(both.idle() == 10s);
  expire_after_access<jittered<>> const inner{10s, jittered<>{0.5}};
  CHECK(inner.idle() == 10s);
  time_point const now{100s};
  CHECK(inner.expires_at(1, 2, write_time{now, 100s, {}, 0}) == now + 50s);
}

TEST_CASE("dated policies model their concept, with what wraps them", "[expiry]") {
  using kcache::dated_expiry;
  STATIC_REQUIRE(dated_expiry<says_dates>);
  STATIC_REQUIRE(dated_expiry<expire_after_access<says_dates>>);
  STATIC_REQUIRE(dated_expiry<jittered<expire_after_access<says_dates>>>);
  STATIC_REQUIRE_FALSE(dated_expiry<expire_after_write>);
  STATIC_REQUIRE_FALSE(dated_expiry<expire_after_access<>>);
  STATIC_REQUIRE_FALSE(dated_expiry<jittered<>>);
  STATIC_REQUIRE_FALSE(dated_expiry<dates_not_const>);
  STATIC_REQUIRE_FALSE(dated_expiry<dates_of_time_points>);

  write_time const w{.now = time_point{100s},
                     .requested = {},
                     .default_ttl = ttl::never(),
                     .load_time = 2s};
  kcache::entry_dates const asked{time_point{102s}, time_point{7s}};
  CHECK((says_dates{}.dates(w, time_point{7s}) == asked));
  CHECK((expire_after_access<says_dates>{1s}.dates(w, time_point{7s}) == asked));
  CHECK((jittered<says_dates>{}.dates(w, time_point{7s}) == asked));
  CHECK((kcache::entry_dates{}.refresh_at == never));
  jittered<expire_after_access<with_grace>> const e{0.1, expire_after_access<with_grace>{1s}};
  CHECK(e.fresh_until(time_point{90s}) == time_point{30s});
  CHECK(write_time{}.load_time == 0s);
}
