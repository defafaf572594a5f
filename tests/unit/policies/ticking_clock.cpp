// SPDX-License-Identifier: BSL-1.0
#include <kcache/policies/ticking_clock.hpp>

#include "support/catch.hpp"

#include <kcache/cache.hpp>

#include <optional>

using kcache::steady_clock;
using kcache::ticking_clock;

static_assert(kcache::clock<ticking_clock>);

TEST_CASE("a ticking clock never overtakes the steady clock, and goes on", "[ticking_clock]") {
  ticking_clock const c;
  auto const first = c.now();
  CHECK(first <= steady_clock{}.now());
  // No deadline but the test's own: a clock that stands still hangs here.
  while (c.now() == first) {
  }
  auto const later = c.now();
  CHECK(later > first);
  CHECK(later <= steady_clock{}.now());
}

TEST_CASE("copies tell the same time, the last of them ends the thread", "[ticking_clock]") {
  std::optional<ticking_clock> a{std::in_place};
  ticking_clock const b = *a;
  a.reset();
  auto const first = b.now();
  while (b.now() == first) {
  }
  SUCCEED();
}

TEST_CASE("a clock that comes after the last one ticks again", "[ticking_clock]") {
  for (int n = 0; n != 3; ++n) {
    ticking_clock const c;
    auto const first = c.now();
    CHECK(first <= steady_clock{}.now());
    while (c.now() == first) {
    }
  }
}

TEST_CASE("a cache with a ticking clock", "[ticking_clock]") {
  using namespace std::chrono_literals;
  kcache::cache<int, int, kcache::with_clock<ticking_clock>> c{{.capacity = 8, .ttl = 1h}};
  c.put(1, 10);
  c.put(2, 20, 1ns);
  CHECK(c.contains(1));
  while (c.contains(2)) {
  }
  CHECK_FALSE(c.get(2));
}
