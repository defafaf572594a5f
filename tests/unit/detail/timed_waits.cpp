// SPDX-License-Identifier: BSL-1.0
#include <kcache/detail/timed_waits.hpp>

#include "support/catch.hpp"

#include <kcache/policies/random.hpp>

#include <chrono>
#include <cstdint>
#include <deque>
#include <iterator>
#include <map>
#include <new>
#include <vector>

using namespace std::chrono_literals;
using kcache::never;
using kcache::time_point;
using kcache::timer_id;

namespace {

struct item {
  std::uint32_t heap_place = kcache::detail::deadline_heap<item>::outside;
  [[nodiscard]] bool waits() const {
    return heap_place != kcache::detail::deadline_heap<item>::outside;
  }
};

/// What is armed, by its id; `fails`: nothing can be.
struct world {
  kcache::detail::timed_waits<item> waits;
  std::map<timer_id, time_point> armed;
  timer_id last = 0;
  bool fails = false;

  auto arm() {
    return [this](time_point at) {
      if (fails) throw std::bad_alloc{};
      armed[++last] = at;
      return last;
    };
  }
  auto disarm() {
    return [this](timer_id id) { CHECK(armed.erase(id) == 1); };
  }
  void add(item& i, kcache::duration at) { waits.add(i, time_point{at}, arm(), disarm()); }
  void remove(item& i) { waits.remove(i, disarm()); }
  /// A timer has rung; those whose time had come, in order.
  std::vector<item*> expire(kcache::duration now) {
    std::vector<item*> due;
    for (auto at = armed.begin(); at != armed.end();)
      at = at->second <= time_point{now} ? armed.erase(at) : std::next(at);
    waits.expire(
        time_point{now},
        [&](item& i) {
          due.push_back(&i);
          remove(i);
        },
        arm(), disarm());
    return due;
  }
  /// When the only timer rings; `never`: there is none.
  [[nodiscard]] time_point rings() const {
    CHECK(armed.size() <= 1);
    return armed.empty() ? never : armed.begin()->second;
  }
};

}  // namespace

TEST_CASE("one timer is armed, for the first") {
  world w;
  item a, b, c;
  w.add(a, 5s);
  CHECK(w.rings() == time_point{5s});
  w.add(b, 7s);  // later: the timer is good
  CHECK(w.last == 1);
  w.add(c, 2s);  // earlier: another in its place
  CHECK(w.rings() == time_point{2s});
  CHECK(w.expire(2s) == std::vector{&c});
  CHECK(w.rings() == time_point{5s});
  CHECK(w.expire(9s) == std::vector{&a, &b});
  CHECK(w.rings() == never);
  CHECK_FALSE(a.waits());
}

TEST_CASE("who leaves first leaves his timer, and the last takes it along") {
  world w;
  item a, b;
  w.add(a, 1s);
  w.add(b, 3s);
  w.remove(a);
  CHECK(w.rings() == time_point{1s});
  CHECK(w.expire(1s).empty());  // nobody's time has come; the next timer is armed
  CHECK(w.rings() == time_point{3s});
  w.remove(b);
  CHECK(w.rings() == never);
  w.remove(b);  // does not wait: nothing happens
  w.add(a, 4s);
  CHECK(w.rings() == time_point{4s});
}

TEST_CASE("a timer that was too late to be disarmed does nothing") {
  world w;
  item a, b;
  w.add(a, 2s);
  w.add(b, 1s);
  w.remove(b);
  w.remove(a);
  w.add(a, 5s);
  auto const timers = w.last;
  CHECK(w.expire(1s).empty());
  CHECK(w.rings() == time_point{5s});
  CHECK(w.last == timers);
}

TEST_CASE("who cannot have a timer does not wait") {
  world w;
  item a, b;
  w.fails = true;
  CHECK_THROWS_AS(w.add(a, 2s), std::bad_alloc);
  CHECK_FALSE(a.waits());
  w.fails = false;
  w.add(a, 2s);
  w.fails = true;
  CHECK_THROWS_AS(w.add(b, 1s), std::bad_alloc);
  CHECK_FALSE(b.waits());
  CHECK(w.rings() == time_point{2s});
  w.add(b, 3s);  // needs none
  CHECK(b.waits());
}

TEST_CASE("if the next timer cannot be armed nobody is left waiting for it") {
  world w;
  std::deque<item> items(4);
  for (auto& i : items) w.add(i, std::chrono::seconds{&i - &items.front() + 1});
  w.fails = true;
  CHECK(w.expire(1s).size() == 4);
  for (auto const& i : items) CHECK_FALSE(i.waits());
  CHECK(w.rings() == never);
}

TEST_CASE("everybody is told in time, whoever leaves") {
  kcache::seeded_random random{1};
  for (int run = 0; run != 50; ++run) {
    world w;
    std::deque<item> items(40);
    std::map<item*, kcache::duration> waiting;
    kcache::duration now{};
    for (int step = 0; step != 400; ++step) {
      item& i = items[random.next() % items.size()];
      if (waiting.erase(&i) == 1) {
        w.remove(i);
      } else {
        waiting[&i] = now + std::chrono::milliseconds{1 + random.next() % 100};
        w.add(i, waiting[&i]);
      }
      if (random.next() % 4 != 0) continue;
      now += std::chrono::milliseconds{random.next() % 30};
      if (w.rings() <= time_point{now})
        for (auto* const due : w.expire(now)) {
          REQUIRE(waiting.at(due) <= now);
          waiting.erase(due);
        }
      for (auto const& [who, until] : waiting) REQUIRE(until > now);
      REQUIRE((w.rings() == never) == waiting.empty());
    }
  }
}
