// SPDX-License-Identifier: BSL-1.0
#include <kcache/policies/clock.hpp>

#include "support/catch.hpp"

#include <chrono>
#include <cstdint>

using namespace std::chrono_literals;
using kcache::boot_clock;
using kcache::coarse_clock;
using kcache::steady_clock;
using kcache::time_point;

namespace {

struct archetype {
  time_point now() const noexcept { return {}; }
};
struct may_throw {
  time_point now() const { return {}; }
};
struct not_const {
  time_point now() noexcept { return {}; }
};
struct of_std {
  std::chrono::steady_clock::time_point now() const noexcept { return {}; }
};
struct not_copyable : archetype {
  not_copyable() = default;
  not_copyable(not_copyable const&) = delete;
};

}  // namespace

TEST_CASE("clocks model their concept", "[clock]") {
  STATIC_REQUIRE(kcache::clock<steady_clock>);
  STATIC_REQUIRE(kcache::clock<coarse_clock>);
  STATIC_REQUIRE(kcache::clock<boot_clock>);
  STATIC_REQUIRE(kcache::clock<archetype>);
  STATIC_REQUIRE_FALSE(kcache::clock<std::chrono::steady_clock>);
  STATIC_REQUIRE_FALSE(kcache::clock<may_throw>);
  STATIC_REQUIRE_FALSE(kcache::clock<not_const>);
  STATIC_REQUIRE_FALSE(kcache::clock<of_std>);
  STATIC_REQUIRE_FALSE(kcache::clock<not_copyable>);
}

TEMPLATE_TEST_CASE("time does not go back", "[clock]", steady_clock, coarse_clock, boot_clock) {
  TestType const c;
  auto last = c.now();
  CHECK(last > time_point{});
  for (int i = 0; i != 10'000; ++i) {
    auto const now = c.now();
    if (now < last) FAIL("it went back");
    last = now;
  }
}

TEST_CASE("coarse and steady share a timeline, which coarse never overtakes", "[clock]") {
  for (int i = 0; i != 1000; ++i) {
    auto const before = coarse_clock{}.now();
    auto const now = steady_clock{}.now();
    if (before > now) FAIL("coarse is ahead of steady");
    auto const coarse = coarse_clock{}.now();
    // A tick behind at most; a second bears any machine.
    if (coarse + 1s < now) FAIL("coarse is far behind steady");
  }
  auto const same = std::chrono::steady_clock::now().time_since_epoch();
  CHECK(steady_clock{}.now().time_since_epoch() >= same);
}
