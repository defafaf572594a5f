// SPDX-License-Identifier: BSL-1.0
#include <kcache/time.hpp>

#include "support/catch.hpp"

#include <chrono>
#include <cstdint>

using namespace std::chrono_literals;
using kcache::after;
using kcache::duration;
using kcache::never;
using kcache::time_point;
using kcache::ttl;

namespace {

constexpr time_point at(duration d) { return time_point{d}; }

}  // namespace

static_assert(time_point{} < never);
static_assert(sizeof(ttl) <= 16);

TEST_CASE("after adds, and stops at never", "[time]") {
  CHECK(after(at(1s), 2s) == at(3s));
  CHECK(after(at(1s), 0s) == at(1s));
  CHECK(after(at(1s), -5s) == at(1s));
  CHECK(after(at(1s), duration::min()) == at(1s));
  CHECK(after(at(1s), duration::max()) == never);
  CHECK(after(never, 1ns) == never);
  CHECK(after(at(duration::max() - 1ns), 1ns) == never);
  CHECK(after(at(-1s), duration::max()) == at(duration::max() - 1s));
}

TEST_CASE("a ttl is the default, never, or a duration", "[time]") {
  CHECK(ttl{}.is_default());
  CHECK(ttl{} == ttl::use_default());
  CHECK_FALSE(ttl{}.is_never());
  CHECK(ttl::never().is_never());
  CHECK_FALSE(ttl::never().is_default());
  CHECK_FALSE(ttl::never() == ttl{});

  ttl const five = 5s;
  CHECK_FALSE(five.is_default());
  CHECK_FALSE(five.is_never());
  CHECK(five.length() == 5s);
  CHECK(five == ttl{5000ms});
}

TEST_CASE("a ttl yields the instant of expiry", "[time]") {
  CHECK(ttl{5s}.expires_at(at(1s)) == at(6s));
  CHECK(ttl::never().expires_at(at(1s)) == never);
  CHECK(ttl{}.expires_at(at(1s)) == never);
  CHECK(ttl{0s}.expires_at(at(1s)) == at(1s));
  CHECK(ttl{-3s}.expires_at(at(1s)) == at(1s));
  CHECK(ttl{duration::max()}.expires_at(at(1s)) == never);
}

TEST_CASE("durations beyond 292 years are saturated, not wrapped", "[time]") {
  CHECK(ttl{std::chrono::hours{24 * 365 * 1000}}.length() == duration::max());
  CHECK(ttl{std::chrono::hours{-24 * 365 * 1000}}.length() == duration::min());
  CHECK(ttl{std::chrono::duration<double>{1e300}}.length() == duration::max());
  CHECK(ttl{std::chrono::duration<double>{-1e300}}.length() == duration::min());
  CHECK(ttl{std::chrono::duration<double>{1.5}}.length() == 1500ms);
  CHECK(ttl{std::chrono::duration<std::int8_t>{3}}.length() == 3s);
}

TEST_CASE("value_or replaces the default only", "[time]") {
  CHECK(ttl{}.value_or(5s) == ttl{5s});
  CHECK(ttl{3s}.value_or(5s) == ttl{3s});
  CHECK(ttl::never().value_or(5s).is_never());
}

TEST_CASE("the shorter of two", "[time]") {
  CHECK(ttl::shorter(3s, 5s) == ttl{3s});
  CHECK(ttl::shorter(5s, 3s) == ttl{3s});
  CHECK(ttl::shorter(ttl::never(), 3s) == ttl{3s});
  CHECK(ttl::shorter(3s, ttl::never()) == ttl{3s});
  CHECK(ttl::shorter(ttl{}, 3s) == ttl{3s});
  CHECK(ttl::shorter(3s, ttl{}) == ttl{3s});
  CHECK(ttl::shorter(ttl::never(), ttl::never()).is_never());
}
