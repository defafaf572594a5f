// SPDX-License-Identifier: BSL-1.0
// Waiters with deadlines, flights that nobody waits for, and what loads are told of it.
#include <kcache/single_flight.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"

#include <kcache/policies/random.hpp>
#include <kcache/testing/manual_executor.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using kcache::errc;
using kcache::never;
using kcache::time_point;
using kcache::testing::manual_executor;

namespace {

/// The timers of a table, in virtual time.
struct timer_wheel {
  manual_executor work;
  std::function<void(std::size_t)> expire;
  int armed = 0;
  bool fails = false;
  bool disarms = true;  ///< false: it is always too late for that
};
struct timers {
  timer_wheel* wheel;
  [[nodiscard]] kcache::timer_id arm(std::size_t stripe, time_point at) const {
    if (wheel->fails) throw std::bad_alloc{};
    ++wheel->armed;
    return wheel->work.schedule_at(at, [w = wheel, stripe] { w->expire(stripe); });
  }
  void disarm(kcache::timer_id id) const noexcept {
    if (wheel->disarms) wheel->work.cancel(id);
  }
};

/// The first letter is the stripe.
struct by_letter {
  std::uint64_t operator()(std::string const& key) const {
    return (static_cast<std::uint64_t>(key[0] - 'a') << 60U) | std::hash<std::string>{}(key) >> 4U;
  }
};

using answer = kcache::result<int>;
using table = kcache::single_flight<std::string, answer, by_letter, timers>;

struct waiter final : table::waiter {
  explicit waiter(time_point deadline, bool timed = true,
                  kcache::detail::load_node* parent = nullptr)
      : table::waiter{parent, deadline, timed} {}
  ~waiter() override = default;
  void complete(answer const& a) noexcept override {
    ++told;
    value = a ? *a : -static_cast<int>(a.error().code());
    if (then) then();
  }
  int told = 0;
  int value = 0;
  std::function<void()> then;
};
constexpr int too_late = -static_cast<int>(errc::deadline);

struct world {
  timer_wheel wheel;
  table t{{}, 100, timers{&wheel}};

  world() {
    wheel.expire = [this](std::size_t stripe) { t.expire(stripe, now()); };
  }
  [[nodiscard]] time_point now() const { return wheel.work.now(); }
  [[nodiscard]] std::size_t pending() const { return wheel.work.pending(); }
  kcache::result<table::joined> join(std::string const& key, waiter& w) {
    return t.join(key, t.hash_of(key), w);
  }
  bool leave(std::string const& key, waiter& w) { return t.leave(t.hash_of(key), w); }
  table::flight_ptr open(std::string const& key) { return t.open(key, t.hash_of(key)); }
};

}  // namespace

TEST_CASE_METHOD(world, "each is told at its own deadline, whoever leads") {
  std::vector<std::unique_ptr<waiter>> all;
  table::flight_ptr f;
  auto const start = now();
  for (int ms : {50, 20, 90, 20, 70, 10, 100}) {
    all.push_back(std::make_unique<waiter>(start + std::chrono::milliseconds{ms}));
    all.back()->value = ms;
    f = join("a", *all.back())->flight;
  }
  for (int ms = 1; ms != 100; ++ms) {
    wheel.work.run_until(start + std::chrono::milliseconds{ms});
    for (auto const& w : all) {
      bool const due = w->told == 1 || w->value <= ms;
      CHECK(w->told == (due ? 1 : 0));
      if (due) CHECK(w->value == too_late);
    }
  }
  t.finish(f, 7);
  CHECK(all.back()->value == 7);
  CHECK(all.back()->told == 1);
  CHECK(pending() == 0);
  CHECK(t.size() == 0);
}

TEST_CASE_METHOD(world, "one timer for each stripe, for the earliest") {
  waiter late{now() + 9s}, later{now() + 10s}, early{now() + 1s}, other{now() + 5s};
  auto const f = join("a1", late)->flight;
  CHECK(pending() == 1);
  CHECK(join("a2", later));
  CHECK(pending() == 1);
  CHECK(wheel.armed == 1);
  CHECK(join("a3", early));  // armed anew
  CHECK(pending() == 1);
  CHECK(wheel.armed == 2);
  CHECK(join("b", other));
  CHECK(pending() == 2);
  wheel.work.run_for(1s);
  CHECK(early.value == too_late);
  CHECK(wheel.armed == 4);  // for `late`
  CHECK(pending() == 2);
  t.finish(f, 1);
  wheel.work.run_for(8s);  // nobody is due then, `later` is a second after
  CHECK(other.value == too_late);
  CHECK(later.told == 0);
  CHECK(pending() == 1);
  wheel.work.run_for(1s);
  CHECK(later.value == too_late);
  CHECK(pending() == 0);
  t.close(errc::cancelled);
}

TEST_CASE_METHOD(world, "the timer goes with the last who waits for it") {
  waiter a{now() + 1s}, b{now() + 2s};
  auto const f = join("a", a)->flight;
  CHECK(join("a", b));
  SECTION("who leaves first") {
    CHECK(leave("a", a));
    CHECK(pending() == 1);
    wheel.work.run_for(1s);
    CHECK(b.told == 0);
    wheel.work.run_for(1s);
    CHECK(b.value == too_late);
    t.finish(f, 1);
  }
  SECTION("who leaves last") {
    CHECK(leave("a", b));
    CHECK(leave("a", a));
    CHECK(pending() == 0);
    t.finish(f, 1);
  }
  SECTION("the answer") {
    t.finish(f, 1);
    CHECK(pending() == 0);
    CHECK(a.value == 1);
  }
  SECTION("the end of all") {
    t.close(errc::cancelled);
    CHECK(pending() == 0);
    CHECK(b.value == -static_cast<int>(errc::cancelled));
  }
  SECTION("and comes again with the next") {
    t.finish(f, 1);
    waiter c{now() + 3s};
    CHECK(join("a", c)->leader);
    CHECK(pending() == 1);
    wheel.work.run_for(3s);
    CHECK(c.value == too_late);
    t.close(errc::cancelled);
  }
  CHECK(pending() == 0);
  CHECK(t.size() == 0);
}

TEST_CASE_METHOD(world, "who watches the time itself, or has no end, needs no timer") {
  waiter blocked{now() + 1s, false}, endless{never}, timed{now() + 2s};
  auto const f = join("a", blocked)->flight;
  CHECK(join("a", endless));
  CHECK(pending() == 0);
  CHECK(join("a", timed));
  wheel.work.run_for(1h);
  CHECK(blocked.told == 0);
  CHECK(endless.told == 0);
  CHECK(timed.value == too_late);
  t.finish(f, 3);
  CHECK(blocked.value == 3);
  CHECK(endless.value == 3);
}

TEST_CASE_METHOD(world, "a deadline that has passed is told, but not inside the join") {
  waiter w{time_point::min()};
  auto const f = join("a", w)->flight;
  CHECK(w.told == 0);
  wheel.work.run_ready();
  CHECK(w.value == too_late);
  t.finish(f, 1);
}

TEST_CASE_METHOD(world, "a join for which no timer can be had changes nothing") {
  wheel.fails = true;
  waiter w{now() + 1s};
  SECTION("the first") {
    CHECK_THROWS_AS(join("a", w), std::bad_alloc);
    CHECK(t.size() == 0);
  }
  SECTION("one that is earlier than the others, whose timer stays") {
    wheel.fails = false;
    waiter other{now() + 2s};
    auto const f = join("a", other)->flight;
    wheel.fails = true;
    CHECK_THROWS_AS(join("a", w), std::bad_alloc);
    waiter later{now() + 3s};
    CHECK(join("a", later));  // needs none
    wheel.fails = false;
    wheel.work.run_for(2s);
    CHECK(other.value == too_late);
    CHECK(later.told == 0);
    wheel.work.run_for(1s);
    CHECK(later.value == too_late);
    t.finish(f, 1);
  }
  CHECK_FALSE(leave("a", w));
  CHECK(w.told == 0);
  wheel.work.run_for(5s);
  CHECK(w.told == 0);
  CHECK(pending() == 0);
}

TEST_CASE_METHOD(world,
                 "where no timer can be had for those who still wait they are told at once") {
  // Else they might wait for ever.
  waiter a{now() + 1s}, b{now() + 2s}, c{now() + 3s}, endless{never};
  auto const f = join("a", a)->flight;
  for (waiter* w : {&b, &c, &endless}) CHECK(join("a", *w));
  wheel.fails = true;
  wheel.work.run_for(1s);
  for (waiter const* w : {&a, &b, &c}) CHECK(w->value == too_late);
  CHECK(endless.told == 0);
  wheel.fails = false;
  waiter d{now() + 1s};
  CHECK(join("a", d));
  wheel.work.run_for(1s);
  CHECK(d.value == too_late);
  t.finish(f, 1);
  CHECK(endless.value == 1);
}

TEST_CASE_METHOD(world, "a refused join leaves no timer") {
  waiter root{never}, other{never};
  auto const f = join("a", root)->flight;
  waiter own{now() + 1s, true, f.get()};
  CHECK(join("a", own).error() == errc::recursive_load);
  CHECK(pending() == 0);
  table small{{}, 1, timers{&wheel}};
  CHECK(small.join("a", 0, other));
  waiter one_more{now() + 1s};
  CHECK(small.join("a", 0, one_more).error() == errc::overloaded);
  small.close(errc::cancelled);
  waiter late{now() + 1s};
  CHECK(small.join("a", 0, late).error() == errc::cancelled);
  CHECK(pending() == 0);
  CHECK(own.told + one_more.told + late.told == 0);
  t.finish(f, 1);
}

TEST_CASE_METHOD(world, "timers that come for nothing do nothing") {
  t.expire(0, now());
  waiter a{now() + 1s}, b{now() + 2s};
  auto const f = join("a", a)->flight;
  t.expire(0, now());
  t.expire(1, now() + 1h);
  CHECK(a.told == 0);
  CHECK(pending() == 1);
  wheel.disarms = false;
  CHECK(join("a", b));
  CHECK(leave("a", a));
  CHECK(leave("a", b));
  CHECK(pending() == 1);  // that could not be disarmed
  waiter c{now() + 3s};
  CHECK(join("a", c));
  wheel.work.run_for(2s);
  CHECK(c.told == 0);
  wheel.work.run_for(1s);
  CHECK(c.value == too_late);
  t.finish(f, 1);
  wheel.work.run_for(1h);
  CHECK(pending() == 0);
}

TEST_CASE_METHOD(world, "a timer that was replaced too late does the work of the new one") {
  wheel.disarms = false;
  waiter a{now() + 2s}, b{now() + 1s}, c{now() + 3s};
  auto const f = join("a", a)->flight;
  CHECK(join("a", b));
  CHECK(join("a", c));
  CHECK(pending() == 2);
  auto clock = wheel.work.clock();
  clock.advance(2s);  // both are due at one instant
  wheel.work.run_ready();
  CHECK(a.value == too_late);
  CHECK(b.value == too_late);
  CHECK(a.told + b.told == 2);
  CHECK(c.told == 0);
  wheel.work.run_for(1s);
  CHECK(c.value == too_late);
  t.finish(f, 1);
}

TEST_CASE_METHOD(world, "of leaving, ending and expiring the first counts") {
  waiter w{now() + 1s};
  auto const f = join("a", w)->flight;
  auto clock = wheel.work.clock();
  clock.advance(1s);  // due, but the timer has not run
  SECTION("ending") {
    t.finish(f, 5);
    wheel.work.run_ready();
    CHECK_FALSE(leave("a", w));
    CHECK(w.value == 5);
    CHECK(w.told == 1);
  }
  SECTION("leaving") {
    CHECK(leave("a", w));
    t.expire(0, now());
    t.finish(f, 5);
    CHECK(w.told == 0);
  }
  SECTION("expiring") {
    t.expire(0, now());
    CHECK_FALSE(leave("a", w));
    t.finish(f, 5);
    CHECK(w.value == too_late);
    CHECK(w.told == 1);
  }
  SECTION("expiring, after it was detached") {
    t.detach("a");
    t.expire(0, now());
    CHECK(w.value == too_late);
    t.finish(f, 5);
    CHECK(w.told == 1);
  }
  wheel.work.run_for(1s);
  CHECK(pending() == 0);
}

TEST_CASE_METHOD(world, "who is told of its deadline may join again, leave, or go") {
  waiter again{now() + 1s}, second{now() + 1s};
  auto mortal = std::make_unique<waiter>(now() + 1s);
  auto const f = join("a", again)->flight;
  CHECK(join("a", second));
  CHECK(join("a", *mortal));
  mortal->then = [&] { mortal.reset(); };
  std::optional<bool> leader, left;
  waiter fresh{now() + 2s};
  again.then = [&] {
    leader = join("a", fresh)->leader;
    left = leave("a", second);
  };
  wheel.work.run_for(1s);
  CHECK_FALSE(mortal);
  CHECK(leader == false);
  CHECK(left == false);
  CHECK(second.told == 1);
  CHECK_FALSE(kcache::load_context{f}.cancelled());
  t.finish(f, 1);
  CHECK(fresh.value == 1);
  CHECK(pending() == 0);
}

TEST_CASE_METHOD(world, "a timed join that finds no memory changes nothing") {
  std::string const key = "a key that is too long to be kept in place";
  waiter root{never};
  auto const parent = join("parent", root)->flight;
  std::uint64_t const hash = t.hash_of(key);
  bool failed = true;
  std::size_t n = 1;
  for (; failed; ++n) {
    REQUIRE(n < 100);
    waiter w{now() + 1s, true, parent.get()};
    bool thrown = false;
    {
      test::failing_allocation const nth{n};
      try {
        static_cast<void>(t.join(key, hash, w));
      } catch (std::bad_alloc const&) {
        thrown = true;
      }
      failed = nth.happened();
    }
    if (thrown) {
      CHECK_FALSE(t.leave(hash, w));
      CHECK(t.size() == 1);
      CHECK(pending() == 0);
    } else {
      wheel.work.run_for(1s);
      CHECK(w.told == 1);
      t.finish(t.look(key)->first, 1);
    }
  }
  CHECK(n > 4);
  t.finish(parent, 0);
  CHECK(pending() == 0);
}

TEST_CASE_METHOD(world, "expiring without memory answers all the same") {
  for (std::size_t n = 1; n != 10; ++n) {
    waiter a{now() + 1s}, b{now() + 1s}, c{now() + 2s};
    auto const f = join("a1", a)->flight, g = join("a2", b)->flight, h = join("a3", c)->flight;
    auto clock = wheel.work.clock();
    clock.advance(1s);
    {
      test::failing_allocation const nth{n};
      t.expire(0, now());
    }
    CHECK(a.value == too_late);
    CHECK(b.value == too_late);
    wheel.work.run_for(1s);
    CHECK(c.value == too_late);
    CHECK(a.told + b.told + c.told == 3);
    for (auto const& one : {f, g, h}) {
      CHECK(kcache::load_context{one}.cancelled());
      t.finish(one, 1);
    }
    CHECK(pending() == 0);
  }
}

TEST_CASE_METHOD(world, "flights without memory for more buckets are found all the same") {
  constexpr std::size_t flights = 40;
  std::vector<std::string> keys;
  for (std::size_t i = 0; i != flights; ++i) keys.push_back("a" + std::to_string(i));
  for (std::size_t n = 1; n != 3 * flights; ++n) {
    table one{{}, 100, timers{&wheel}};
    std::vector<table::flight_ptr> open;
    open.reserve(flights);
    {
      test::failing_allocation const nth{n};
      for (auto const& k : keys) {
        try {
          if (auto f = one.open(k, one.hash_of(k))) open.push_back(std::move(f));
        } catch (std::bad_alloc const&) {
        }
      }
    }
    CHECK(open.size() >= flights - 1);
    CHECK(one.size() == open.size());
    for (auto const& f : open) CHECK(one.look(f->key())->first == f);
    for (auto const& f : open) one.finish(f, 1);
    CHECK(one.size() == 0);
  }
}

TEST_CASE_METHOD(world, "a flight that was opened for nobody is joined, and never abandoned") {
  auto const f = open("a");
  REQUIRE(f);
  CHECK(f->key() == "a");
  CHECK_FALSE(open("a"));  // there is one
  CHECK(t.size() == 1);
  kcache::load_context const context{f};
  auto const token = context.stop_token();
  waiter w{now() + 1s}, stays{never};
  auto const joined = join("a", w);
  CHECK_FALSE(joined->leader);
  CHECK(joined->flight == f);
  bool const expires = GENERATE(true, false);
  if (expires) wheel.work.run_for(1s);
  else CHECK(leave("a", w));
  CHECK_FALSE(context.cancelled());
  CHECK_FALSE(token.stop_requested());
  CHECK(join("a", stays));
  t.finish(f, 4);
  CHECK(stays.value == 4);
  CHECK(open("a"));
  t.detach("a");
  CHECK(open("a"));
  t.detach_all();
  auto const last = open("a");
  CHECK(last);
  t.close(errc::cancelled);
  CHECK(kcache::load_context{last}.cancelled());
  CHECK_FALSE(open("a"));
  CHECK(t.size() == 0);
}

TEST_CASE_METHOD(world, "a load is asked to stop when the last who waits for it leaves") {
  waiter a{never}, b{now() + 1s};
  auto const f = join("a", a)->flight;
  CHECK(join("a", b));
  kcache::load_context const context{f};
  auto const token = context.stop_token();
  int asked = 0;
  std::stop_callback const callback{token, [&] {
                                      ++asked;
                                      // Under no lock: it may come back.
                                      CHECK(t.look("a")->second == 0);
                                      CHECK(context.stop_token().stop_requested());
                                    }};
  CHECK(leave("a", a));
  CHECK_FALSE(token.stop_requested());
  bool const expires = GENERATE(true, false);
  if (expires) wheel.work.run_for(1s);
  else CHECK(leave("a", b));
  CHECK(token.stop_requested());
  CHECK(asked == 1);
  CHECK(context.cancelled());
  t.finish(f, 1);
}

TEST_CASE_METHOD(world, "it is not if somebody has joined it again meanwhile") {
  waiter a{never}, b{never};
  auto const f = join("a", a)->flight;
  CHECK(leave("a", a));  // nobody listens: nobody is told
  CHECK(f->abandoned);
  CHECK(join("a", b));
  CHECK_FALSE(f->abandoned);
  CHECK(f->revived);
  auto const token = f->stop_token();
  f->request_stop();  // as of who left, late
  CHECK_FALSE(token.stop_requested());
  CHECK_FALSE(f->begin_anew());
  CHECK(leave("a", b));
  auto const second = f->stop_token();
  CHECK(second.stop_requested());
  CHECK(f->begin_anew());
  CHECK_FALSE(f->begin_anew());
  t.finish(f, 1);
}

TEST_CASE_METHOD(world, "a flight that nobody waits for can be ended, if that is still so") {
  waiter a{never}, b{never};
  auto const f = join("a", a)->flight;
  CHECK_FALSE(t.finish_if_alone(f));
  CHECK(leave("a", a));
  CHECK(join("a", b));
  CHECK_FALSE(t.finish_if_alone(f));
  CHECK(t.size() == 1);
  CHECK(leave("a", b));
  CHECK(t.finish_if_alone(f));
  CHECK(t.size() == 0);
  CHECK(join("a", a)->leader);
  t.finish(f, 1);  // nothing
  CHECK(a.told == 0);
  t.close(1);
  CHECK(a.told == 1);
}

TEST_CASE_METHOD(world, "a look sees the flight that could be joined, and who waits") {
  CHECK_FALSE(t.look("a"));
  waiter a{never}, b{never}, c{never};
  auto const f = join("a", a)->flight;
  CHECK(join("a", b));
  REQUIRE(t.look("a"));
  CHECK(t.look("a")->first == f);
  CHECK(t.look("a")->second == 2);
  CHECK_FALSE(t.look("b"));
  bool const all = GENERATE(true, false);
  if (all) t.detach_all();
  else t.detach("a");
  CHECK_FALSE(t.look("a"));
  CHECK(t.size() == 0);
  auto const g = join("a", c)->flight;
  CHECK(g != f);
  CHECK(t.look("a")->first == g);
  CHECK(t.size() == 1);
  t.finish(f, 1);
  t.finish(g, 2);
  CHECK_FALSE(t.look("a"));
  CHECK(c.value == 2);
}

TEST_CASE("deadlines, leaves and answers in any order: each is told once, and in time") {
  for (std::uint64_t seed = 1; seed != 300; ++seed) {
    CAPTURE(seed);
    world w;
    w.wheel.disarms = seed % 3 != 0;
    kcache::seeded_random random{seed};
    struct caller {
      std::string key;
      std::unique_ptr<waiter> waits;
      time_point deadline;
      bool left = false;
    };
    std::vector<caller> callers;
    std::vector<table::flight_ptr> flights;
    auto const pick = [&](std::size_t n) { return random.next() % n; };
    for (int step = 0; step != 150; ++step) {
      switch (pick(6)) {
        case 0:
        case 1: {
          auto const deadline =
              pick(4) == 0 ? never : w.now() + std::chrono::milliseconds{pick(40)};
          std::string const key{static_cast<char>('a' + pick(2)), static_cast<char>('0' + pick(3))};
          callers.push_back({key, std::make_unique<waiter>(deadline), deadline});
          auto const joined = w.join(key, *callers.back().waits);
          REQUIRE(joined);
          if (joined->leader) flights.push_back(joined->flight);
          break;
        }
        case 2:
          if (!callers.empty()) {
            auto& c = callers[pick(callers.size())];
            bool const waited = c.waits->told == 0 && !c.left;
            bool const left = w.leave(c.key, *c.waits);
            REQUIRE(left == waited);
            c.left = c.left || left;
          }
          break;
        case 3:
          if (!flights.empty()) {
            auto const at = flights.begin() + static_cast<std::ptrdiff_t>(pick(flights.size()));
            auto const f = std::move(*at);
            flights.erase(at);
            w.t.finish(f, 1);
          }
          break;
        case 4:
          if (pick(8) == 0) w.t.detach_all();
          else w.t.detach(std::string{"a0"});
          break;
        default:
          w.wheel.work.run_for(std::chrono::milliseconds{pick(10)});
      }
      for (auto const& c : callers) {
        REQUIRE(c.waits->told <= (c.left ? 0 : 1));
        if (c.waits->value == too_late) REQUIRE(c.deadline <= w.now());
      }
    }
    w.wheel.work.run_for(1s);
    for (auto const& c : callers)
      if (!c.left && c.deadline != never) REQUIRE(c.waits->told == 1);
    for (auto const& f : flights) w.t.finish(f, 1);
    for (auto const& c : callers) REQUIRE(c.waits->told == (c.left ? 0 : 1));
    REQUIRE(w.t.size() == 0);
    REQUIRE(w.pending() == 0);
  }
}
