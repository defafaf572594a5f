// SPDX-License-Identifier: BSL-1.0
#include <kcache/cluster/peer_health.hpp>

#include "support/catch.hpp"

#include <kcache/policies/random.hpp>

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>

using namespace std::chrono_literals;
using kcache::duration;
using kcache::health_action;
using kcache::never;
using kcache::peer_health;
using kcache::time_point;

namespace {

constexpr peer_health::limits limits{50ms, 250ms, 250ms, 2s};

constexpr time_point at(duration d) { return time_point{1000s} + d; }

bool idle(health_action const& a) { return !a.fail_calls && !a.probe && a.wake == never; }
bool only_wakes(health_action const& a, time_point t) {
  return !a.fail_calls && !a.probe && a.wake == t;
}

/// A peer whose probe number 1 was sent at 50 ms, for a call sent at 0.
peer_health suspected() {
  peer_health h{limits};
  (void)h.on_call(at(0ms));
  (void)h.on_wake(at(50ms), at(0ms));
  return h;
}
/// The same, not answered: lost at 300 ms, to be probed again at 550 ms.
peer_health lost() {
  peer_health h = suspected();
  (void)h.on_wake(at(300ms), at(0ms));
  return h;
}

}  // namespace

TEST_CASE("a fresh peer may be called, and wants no timer") {
  peer_health const h{limits};
  CHECK(h.usable());
  CHECK_FALSE(h.probing());
}

TEST_CASE("calls share one timer") {
  peer_health h{limits};
  CHECK(only_wakes(h.on_call(at(0ms)), at(50ms)));
  CHECK(idle(h.on_call(at(1ms))));

  SECTION("that ends when nothing is pending") {
    CHECK(idle(h.on_answer(at(2ms))));
    CHECK(idle(h.on_wake(at(50ms), std::nullopt)));
    CHECK(only_wakes(h.on_call(at(60ms)), at(110ms)));
  }
  SECTION("that goes on to the oldest of those that are left") {
    CHECK(only_wakes(h.on_wake(at(50ms), at(20ms)), at(70ms)));
    CHECK(h.on_wake(at(70ms), at(20ms)).probe == 1u);
  }
  SECTION("that may come early, or twice") {
    CHECK(idle(h.on_wake(at(49ms), at(0ms))));
    CHECK(h.on_wake(at(50ms), at(0ms)).probe == 1u);
    CHECK(idle(h.on_wake(at(50ms), at(0ms))));
  }
}

TEST_CASE("a call that takes long raises the question, nothing more") {
  peer_health h{limits};
  (void)h.on_call(at(0ms));
  auto const a = h.on_wake(at(50ms), at(0ms));
  CHECK(a.probe == 1u);
  CHECK(a.wake == at(300ms));
  CHECK_FALSE(a.fail_calls);
  CHECK(h.usable());
  CHECK(h.probing());
}

TEST_CASE("an answered probe keeps a slow call, and the next probe waits") {
  peer_health h = suspected();
  CHECK(idle(h.on_probe(at(51ms), 1, true, at(0ms))));  // the timer at 300 ms stands
  CHECK(h.usable());
  CHECK_FALSE(h.probing());
  auto const a = h.on_wake(at(300ms), at(0ms));
  CHECK(a.probe == 2u);
  CHECK(a.wake == at(550ms));
}

TEST_CASE("a probe that nobody answers in time loses the peer once") {
  peer_health h = suspected();
  CHECK(idle(h.on_wake(at(299ms), at(0ms))));
  auto const a = h.on_wake(at(300ms), at(0ms));
  CHECK(a.fail_calls);
  CHECK_FALSE(a.probe);
  CHECK(a.wake == at(550ms));
  CHECK_FALSE(h.usable());
  CHECK(idle(h.on_probe(at(301ms), 1, false, std::nullopt)));  // the same probe, told twice
}

TEST_CASE("a probe refused loses the peer at once") {
  peer_health h = suspected();
  auto const a = h.on_probe(at(51ms), 1, false, at(0ms));
  CHECK(a.fail_calls);
  CHECK(a.wake == at(301ms));
  CHECK_FALSE(h.usable());
}

TEST_CASE("a lost peer is probed again, ever more seldom, up to the limit") {
  peer_health h = lost();
  time_point now = at(550ms);
  std::uint64_t number = 2;
  for (duration const wait : {500ms, 1000ms, 2000ms, 2000ms}) {
    auto const again = h.on_wake(now, std::nullopt);
    REQUIRE(again.probe == number);
    CHECK(again.wake == now + 250ms);
    CHECK_FALSE(h.usable());  // not while it is probed either
    auto const silent = h.on_wake(now + 250ms, std::nullopt);
    CHECK_FALSE(silent.fail_calls);
    REQUIRE(silent.wake == now + 250ms + wait);
    now = silent.wake;
    ++number;
  }
  SECTION("an answer makes it usable, and the next loss starts from the shortest wait") {
    (void)h.on_wake(now, std::nullopt);
    CHECK(idle(h.on_probe(now + 1ms, number, true, std::nullopt)));
    CHECK(h.usable());
    auto const failed = h.on_failure(now + 1s);
    REQUIRE(failed.probe == number + 1);
    CHECK(h.on_probe(now + 1s, number + 1, false, std::nullopt).wake == now + 1250ms);
  }
}

TEST_CASE("a failed call is followed by a probe at once") {
  peer_health h{limits};
  (void)h.on_call(at(0ms));
  auto const a = h.on_failure(at(1ms));
  CHECK(a.probe == 1u);
  CHECK(a.wake == at(251ms));
  CHECK(h.usable());
  SECTION("by one only") { CHECK(idle(h.on_failure(at(2ms)))); }
  SECTION("by none when the peer is lost") {
    (void)h.on_probe(at(2ms), 1, false, std::nullopt);
    CHECK(idle(h.on_failure(at(3ms))));
  }
}

TEST_CASE("any answer is a sign of life") {
  SECTION("that outweighs a probe lost on the way") {
    peer_health h = suspected();
    (void)h.on_answer(at(100ms));
    auto const a = h.on_wake(at(300ms), std::nullopt);
    CHECK(idle(a));
    CHECK(h.usable());
    CHECK_FALSE(h.probing());
  }
  SECTION("that outweighs it, and keeps an eye on the calls pending") {
    peer_health h = suspected();
    (void)h.on_answer(at(100ms));
    CHECK(only_wakes(h.on_wake(at(300ms), at(0ms)), at(550ms)));
  }
  SECTION("not one from before the probe") {
    peer_health h{limits};
    (void)h.on_call(at(0ms));
    (void)h.on_answer(at(10ms));
    (void)h.on_wake(at(50ms), at(0ms));
    CHECK(h.on_wake(at(300ms), at(0ms)).fail_calls);
  }
  SECTION("that brings a lost peer back") {
    peer_health h = lost();
    (void)h.on_answer(at(310ms));
    CHECK(h.usable());
    CHECK(idle(h.on_wake(at(550ms), std::nullopt)));  // the timer that would have probed
  }
  SECTION("and so is a probe answered late") {
    peer_health h = lost();
    (void)h.on_probe(at(400ms), 1, true, std::nullopt);
    CHECK(h.usable());
  }
  SECTION("a probe that failed late says nothing") {
    peer_health h = lost();
    auto const again = h.on_wake(at(550ms), std::nullopt);
    REQUIRE(again.probe == 2u);
    CHECK(idle(h.on_probe(at(560ms), 1, false, std::nullopt)));
    CHECK(h.probing());
  }
}

TEST_CASE("whatever happens in whatever order, a peer in doubt has a timer and a way back") {
  // The driver does what peer_link does: one timer, one list of calls, probes answered or not.
  for (std::uint64_t seed = 1; seed <= 2'000; ++seed) {
    kcache::seeded_random random{seed};
    auto const draw = [&](std::uint64_t n) { return random.next() % n; };
    peer_health h{limits};
    time_point now = at(0ms);
    std::optional<time_point> timer;
    std::deque<time_point> calls;
    std::deque<std::uint64_t> probes;
    auto const oldest = [&] { return calls.empty() ? std::nullopt : std::optional{calls.front()}; };
    bool usable = true;
    bool ok = true;
    auto const perform = [&](health_action const& a) {
      if (a.wake != never) timer = a.wake;
      if (a.probe) {
        ok = ok && h.probing() && (probes.empty() || *a.probe > probes.back());
        probes.push_back(*a.probe);
      }
      if (a.fail_calls) {
        ok = ok && usable && !h.usable();
        calls.clear();
      }
      usable = h.usable();
      ok = ok && (a.wake == never || a.wake >= now);
      if (h.probing() || !h.usable() || !calls.empty()) ok = ok && timer.has_value();
    };
    for (int step = 0; step != 200 && ok; ++step) {
      switch (draw(6)) {
        case 0:
          if (!h.usable()) break;
          calls.push_back(now);
          perform(h.on_call(now));
          break;
        case 1:
          if (calls.empty()) break;
          calls.erase(calls.begin() + static_cast<std::ptrdiff_t>(draw(calls.size())));
          perform(h.on_answer(now));
          break;
        case 2:
          if (calls.empty()) break;
          calls.pop_back();
          perform(h.on_failure(now));
          break;
        case 3: {
          if (probes.empty()) break;
          auto const i = static_cast<std::ptrdiff_t>(draw(probes.size()));
          std::uint64_t const number = probes[static_cast<std::size_t>(i)];
          probes.erase(probes.begin() + i);
          bool const before = h.probing();
          perform(h.on_probe(now, number, draw(2) == 0, oldest()));
          ok = ok && (before || !h.probing());
          break;
        }
        default: {
          time_point const then = now + std::chrono::milliseconds{draw(120)};
          while (timer && *timer <= then) {
            now = *timer;
            timer.reset();
            perform(h.on_wake(now, oldest()));
          }
          now = then;
        }
      }
    }
    CAPTURE(seed);
    REQUIRE(ok);
    // A way back: with every probe answered from now on, the peer is usable within the longest
    // wait.
    for (int i = 0; i != 4 && timer; ++i) {
      now = *timer;
      timer.reset();
      perform(h.on_wake(now, oldest()));
      if (!probes.empty()) perform(h.on_probe(now, probes.back(), true, oldest()));
    }
    REQUIRE(h.usable());
    REQUIRE(ok);
  }
}
