// SPDX-License-Identifier: BSL-1.0
#include <kcache/testing/manual_clock.hpp>

#include "support/catch.hpp"

#include <chrono>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using kcache::testing::manual_clock;

static_assert(kcache::clock<manual_clock>);

TEST_CASE("time passes when told", "[manual_clock]") {
  manual_clock t;
  auto const start = t.now();
  CHECK(start > kcache::time_point{});
  CHECK(t.now() == start);
  t.advance(5s);
  CHECK(t.now() == start + 5s);
  t.advance_to(start + 7s);
  CHECK(t.now() == start + 7s);
}

TEST_CASE("manual time never goes back", "[manual_clock]") {
  manual_clock t;
  t.advance(5s);
  auto const now = t.now();
  t.advance(-1s);
  t.advance(0s);
  t.advance_to(now - 1s);
  CHECK(t.now() == now);
}

TEST_CASE("copies share one time, separate clocks do not", "[manual_clock]") {
  manual_clock t;
  manual_clock const copy = t;
  manual_clock const other;
  auto const start = other.now();
  t.advance(1s);
  CHECK(copy.now() == t.now());
  CHECK(other.now() == start);
}

TEST_CASE("threads may advance one clock", "[manual_clock][concurrent]") {
  manual_clock t;
  auto const start = t.now();
  std::vector<std::thread> threads;
  for (int i = 0; i != 4; ++i) {
    threads.emplace_back([t]() mutable {
      for (int n = 0; n != 1000; ++n) {
        auto const before = t.now();
        t.advance(1ns);
        if (t.now() <= before) std::terminate();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(t.now() == start + 4000ns);
}
