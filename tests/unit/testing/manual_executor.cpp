// SPDX-License-Identifier: BSL-1.0
#include <kcache/testing/manual_executor.hpp>

#include "support/catch.hpp"

#include <kcache/detail/wait_graph.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using kcache::never;
using kcache::one_shot_event;
using kcache::time_point;
using kcache::timer_id;
using kcache::testing::manual_clock;
using kcache::testing::manual_executor;

namespace {

/// The order in which ten tasks run, posted in the order of their digits.
std::string order_of(std::uint64_t seed) {
  manual_executor const e{manual_clock{}, seed};
  std::string order;
  for (char c = '0'; c <= '9'; ++c) e.post([&order, c] { order += c; });
  e.run_ready();
  return order;
}

}  // namespace

TEST_CASE("without a seed tasks run first in, first out, and only when told to") {
  manual_executor const e;
  std::string order;
  e.post([&] { order += 'a'; });
  e.post([&] {
    order += 'b';
    e.post([&] { order += 'd'; });
    CHECK(order == "ab");  // never inside post
  });
  e.post([&] { order += 'c'; });
  CHECK(order.empty());
  CHECK(e.run_one());
  CHECK(order == "a");
  CHECK(e.pending() == 2);
  CHECK(e.run_ready() == 3);
  CHECK(order == "abcd");
  CHECK_FALSE(e.run_one());
  CHECK(e.pending() == 0);
}

TEST_CASE("one seed is one order, and another seed another") {
  CHECK(order_of(0) == "0123456789");
  std::set<std::string> orders;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    orders.insert(order_of(seed));
    CHECK(order_of(seed) == order_of(seed));
    CHECK(order_of(seed).size() == 10);
  }
  CHECK(orders.size() == 20);
}

TEST_CASE("timers run at their instants, in order, while time passes") {
  manual_clock const clock;
  manual_executor const e{clock};
  time_point const start = e.now();
  std::vector<std::pair<char, kcache::duration>> ran;
  auto const note = [&](char c) {
    return [&ran, &e, start, c] { ran.emplace_back(c, e.now() - start); };
  };
  e.schedule_at(start + 3s, note('c'));
  e.schedule_at(start + 1s, note('a'));
  e.schedule_at(start + 1s, note('b'));
  e.schedule_at(start + 9s, note('z'));
  e.schedule_at(time_point::min(), note('0'));
  e.schedule_at(start + 2s, [&] { e.schedule_at(e.now() + 500ms, note('n')); });
  CHECK(e.run_for(5s) == 6);
  CHECK(ran == std::vector<std::pair<char, kcache::duration>>{
                   {'0', 0s}, {'a', 1s}, {'b', 1s}, {'n', 2500ms}, {'c', 3s}});
  CHECK(e.now() == start + 5s);
  CHECK(clock.now() == e.now());
  CHECK(e.pending() == 1);
  CHECK(e.run_until(start + 1s) == 0);  // that has passed
  CHECK(e.now() == start + 5s);
}

TEST_CASE("a manual executor does not run a cancelled timer, and lets go of what it holds") {
  manual_executor const e;
  auto const held = std::make_shared<int>(1);
  bool ran = false;
  timer_id const id = e.schedule_at(e.now() + 1s, [held, &ran] { ran = true; });
  CHECK(id != 0);
  CHECK(e.cancel(id));
  CHECK(held.use_count() == 1);
  CHECK_FALSE(e.cancel(id));
  CHECK_FALSE(e.cancel(0));
  timer_id const due = e.schedule_at(e.now(), [] {});
  e.run_ready();
  CHECK_FALSE(e.cancel(due));
  e.run_for(2s);
  CHECK_FALSE(ran);
}

TEST_CASE("a wait runs what is ready, and moves on to what is due") {
  manual_executor const e;
  time_point const start = e.now();
  one_shot_event set;
  SECTION("until the event") {
    e.schedule_at(start + 1h, [&] { e.post([&] { set.set(); }); });
    e.schedule_at(start + 2h, [] { FAIL("too late to be run"); });
    CHECK(e.wait_until(set, never));
    CHECK(e.now() == start + 1h);
    CHECK(e.pending() == 1);
  }
  SECTION("until the deadline, exactly") {
    bool ran = false;
    e.schedule_at(start + 1s, [&] { ran = true; });
    e.schedule_at(start + 3s, [&] { set.set(); });
    CHECK_FALSE(e.wait_until(set, start + 2s));
    CHECK(ran);
    CHECK(e.now() == start + 2s);
    CHECK(e.wait_until(set, start + 3s));
  }
  SECTION("for no time") {
    CHECK_FALSE(e.wait_until(set, start));
    CHECK_FALSE(e.wait_until(set, time_point::min()));
    CHECK(e.now() == start);
  }
  SECTION("not for ever, where nothing can set it") { CHECK_FALSE(e.wait_until(set, never)); }
  SECTION("not at all, if it is set") {
    set.set();
    e.post([] { FAIL("nobody asked for this"); });
    CHECK(e.wait_until(set, never));
    CHECK(e.pending() == 1);
  }
}

TEST_CASE("waits nest: a task that waits lets others run") {
  manual_executor const e;
  constexpr std::size_t depth = 30;
  std::vector<one_shot_event> ended(depth + 1);
  kcache::unique_function<void(std::size_t)> nest = [&](std::size_t level) {
    if (level != depth) {
      e.post([&, level] { nest(level + 1); });
      CHECK(e.wait_until(ended[level + 1], never));
    }
    ended[level].set();
  };
  e.post([&] { nest(0); });
  CHECK(e.wait_until(ended[0], never));
}

TEST_CASE("a task that runs while a load waits is no part of that load") {
  struct node : kcache::detail::load_node {
  } load;
  manual_executor const e;
  kcache::detail::load_node* seen = &load;
  e.post([&] { seen = kcache::detail::current_load; });
  one_shot_event set;
  kcache::detail::load_scope const inside{&load};
  CHECK_FALSE(e.wait_until(set, e.now()));
  CHECK(seen == nullptr);
  CHECK(kcache::detail::current_load == &load);
}

TEST_CASE("when the first object goes, so does what has not run, and what comes later") {
  auto const held = std::make_shared<int>(1);
  std::optional<manual_executor> copy;
  {
    manual_executor const e;
    copy.emplace(e);
    e.post([held, own = e] {});
    e.schedule_at(never, [held, own = e] {});
    // A task that posts another when it is destroyed.
    struct poster {
      manual_executor to;
      std::shared_ptr<int> what;
      poster(manual_executor t, std::shared_ptr<int> w) : to{std::move(t)}, what{std::move(w)} {}
      poster(poster&&) = default;
      ~poster() {
        if (what) to.post([w = what] {});
      }
    };
    e.post([p = poster{e, held}] {});
    CHECK(held.use_count() == 4);
  }
  CHECK(held.use_count() == 1);
  copy->post([held] {});
  CHECK(copy->schedule_at(never, [held] {}) == 0);
  CHECK(held.use_count() == 1);
  CHECK(copy->pending() == 0);
}

TEST_CASE("the first object may be moved and assigned") {
  auto const held = std::make_shared<int>(1);
  {
    manual_executor first;
    manual_executor const copy{first};
    manual_executor moved{std::move(first)};
    moved.post([held] {});
    {
      manual_executor const another{copy};
    }
    CHECK(moved.pending() == 1);
    moved = manual_executor{};
    CHECK(held.use_count() == 1);
    CHECK(moved.pending() == 0);
  }
}
