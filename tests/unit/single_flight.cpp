// SPDX-License-Identifier: BSL-1.0
#include <kcache/single_flight.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"

#include <kcache/policies/hash.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <string>

using namespace std::chrono_literals;
using kcache::errc;
using kcache::time_point;

namespace {

using answer = kcache::result<int>;
using table = kcache::single_flight<std::string, answer, kcache::keyed_hash>;

/// Remembers what it was told, and how often.
struct waiter final : table::waiter {
  using table::waiter::waiter;
  ~waiter() override = default;
  void complete(answer const& a) noexcept override {
    ++told;
    value = a ? *a : -static_cast<int>(a.error().code());
    if (then) then();
  }
  std::atomic<int> told{0};
  int value = 0;
  std::function<void()> then;
};

kcache::result<table::joined> join(table& t, std::string const& key, waiter& w) {
  return t.join(key, t.hash_of(key), w);
}
bool leave(table& t, std::string const& key, waiter& w) { return t.leave(t.hash_of(key), w); }

}  // namespace

TEST_CASE("the first to join leads, the others follow, and all get one answer") {
  table t;
  waiter a, b, c, other;
  auto const lead = join(t, "k", a);
  REQUIRE(lead);
  CHECK(lead->leader);
  CHECK(lead->flight->key() == "k");
  for (waiter* w : {&b, &c}) {
    auto const follow = join(t, "k", *w);
    REQUIRE(follow);
    CHECK_FALSE(follow->leader);
    CHECK(follow->flight == lead->flight);
  }
  auto const elsewhere = join(t, "another", other);
  CHECK(elsewhere->leader);
  CHECK(t.size() == 2);

  t.finish(lead->flight, 42);
  for (waiter const* w : {&a, &b, &c}) {
    CHECK(w->told == 1);
    CHECK(w->value == 42);
  }
  CHECK(other.told == 0);
  CHECK(t.size() == 1);
  CHECK_FALSE(leave(t, "k", a));

  waiter late;
  CHECK(join(t, "k", late)->leader);
  t.finish(elsewhere->flight, 1);
  t.close(errc::cancelled);
  CHECK(late.value == -static_cast<int>(errc::cancelled));
}

TEST_CASE("an answer may be an error, and is told to everybody") {
  table t;
  waiter a, b;
  auto const f = join(t, "k", a)->flight;
  (void)join(t, "k", b);
  t.finish(f, errc::loader_failed);
  CHECK(a.value == -static_cast<int>(errc::loader_failed));
  CHECK(b.value == a.value);
}

TEST_CASE("whoever leaves is not told, be it the leader, and the flight goes on") {
  table t;
  waiter a, b, c;
  auto const f = join(t, "k", a)->flight;
  (void)join(t, "k", b);
  (void)join(t, "k", c);
  kcache::load_context const context{f};
  CHECK(leave(t, "k", b));  // from the middle of the list
  CHECK(leave(t, "k", a));
  CHECK_FALSE(leave(t, "k", a));
  CHECK_FALSE(context.cancelled());

  SECTION("the last to leave abandons it, it stays joinable, and a newcomer revives it") {
    CHECK(leave(t, "k", c));
    CHECK(context.cancelled());
    CHECK(t.size() == 1);
    waiter d;
    auto const again = join(t, "k", d);
    CHECK_FALSE(again->leader);
    CHECK_FALSE(context.cancelled());
    t.finish(f, 7);
    CHECK(d.value == 7);
    CHECK(c.told == 0);
  }
  SECTION("those who stay get the answer") {
    t.finish(f, 7);
    CHECK(c.value == 7);
  }
  CHECK(a.told == 0);
  CHECK(b.told == 0);
}

TEST_CASE("a detached flight answers those it has, and takes nobody on") {
  table t;
  waiter a, b;
  auto const old = join(t, "k", a)->flight;
  bool const all = GENERATE(false, true);
  if (all) t.detach_all();
  else t.detach("k");
  CHECK(t.size() == 0);
  auto const fresh = join(t, "k", b);
  REQUIRE(fresh->leader);

  SECTION("the old one may end first") {
    t.finish(old, 1);
    CHECK(t.size() == 1);
    t.finish(fresh->flight, 2);
  }
  SECTION("or last") {
    t.finish(fresh->flight, 2);
    t.finish(old, 1);
  }
  SECTION("and its waiters may leave") {
    waiter c;
    CHECK_FALSE(join(t, "k", c)->leader);
    CHECK(leave(t, "k", c));
    t.finish(fresh->flight, 2);
    t.finish(old, 1);
  }
  CHECK(a.value == 1);
  CHECK(b.value == 2);
  CHECK(t.size() == 0);
}

TEST_CASE("detaching a key that nobody loads does nothing") {
  table t;
  t.detach("k");
  t.detach_all();
  CHECK(t.size() == 0);
}

TEST_CASE("closing answers all, detached flights too, and refuses joins") {
  table t;
  waiter a, b, c, late;
  auto const detached = join(t, "k", a)->flight;
  t.detach("k");
  auto const f = join(t, "k", b)->flight;
  (void)join(t, "l", c);
  b.then = [&] { CHECK(join(t, "k", late).error() == errc::cancelled); };
  t.close(errc::cancelled);
  for (waiter const* w : {&a, &b, &c}) {
    CHECK(w->told == 1);
    CHECK(w->value == -static_cast<int>(errc::cancelled));
  }
  CHECK(kcache::load_context{f}.cancelled());
  CHECK(t.size() == 0);
  t.finish(f, 1);  // the work ends later, and has nobody to tell
  t.finish(detached, 1);
  CHECK(a.told == 1);
  CHECK(b.told == 1);
  CHECK(late.told == 0);
  t.close(errc::cancelled);
}

TEST_CASE("there may be no more waiters than the limit") {
  table t{{}, 2};
  waiter a, b, c;
  auto const f = join(t, "k", a)->flight;
  (void)join(t, "k", b);
  CHECK(join(t, "k", c).error() == errc::overloaded);
  CHECK(leave(t, "k", a));
  CHECK(join(t, "k", c));
  t.finish(f, 1);
  CHECK(c.told == 1);
}

TEST_CASE("whoever opens a flight is let in, though the limit be nobody") {
  table t{{}, 0};
  waiter a, b;
  auto const r = join(t, "k", a);
  REQUIRE(r);
  CHECK(join(t, "k", b).error() == errc::overloaded);
  t.finish(r->flight, 1);
  CHECK(a.told == 1);
  CHECK(t.size() == 0);
}

TEST_CASE("a waiter may join again, and may destroy itself, when it is told") {
  table t;
  waiter again;
  auto mortal = std::make_unique<waiter>();
  auto const f = join(t, "k", again)->flight;
  (void)join(t, "k", *mortal);
  mortal->then = [&] { mortal.reset(); };
  bool led = false;
  again.then = [&] {
    if (again.told == 1) led = join(t, "k", again)->leader;
  };
  t.finish(f, 1);
  CHECK_FALSE(mortal);
  CHECK(led);
  CHECK(t.size() == 1);
  t.close(2);
  CHECK(again.told == 2);
}

TEST_CASE("loads that would wait for each other are refused") {
  table t;
  waiter root_a, root_b, root_c;
  auto const a = join(t, "a", root_a)->flight;
  auto const b = join(t, "b", root_b)->flight;
  auto const c = join(t, "c", root_c)->flight;
  {
    waiter own{a.get()};
    CHECK(join(t, "a", own).error() == errc::recursive_load);
  }
  waiter a_for_b{a.get()}, b_for_c{b.get()}, c_for_a{c.get()};
  REQUIRE(join(t, "b", a_for_b));
  REQUIRE(join(t, "c", b_for_c));
  CHECK(join(t, "a", c_for_a).error() == errc::recursive_load);

  SECTION("a wait that is over counts no more") {
    CHECK(leave(t, "b", a_for_b));
    CHECK(join(t, "a", c_for_a));
    t.finish(a, 1);
    CHECK(c_for_a.told == 1);
    t.finish(c, 3);
    t.finish(b, 2);
  }
  SECTION("an answered wait too") {
    t.finish(b, 2);
    CHECK(a_for_b.told == 1);
    CHECK(join(t, "a", c_for_a));
    t.finish(a, 1);
    t.finish(c, 3);
  }
  SECTION("a new flight of the key is another node of the graph") {
    t.detach("a");
    waiter fresh{c.get()};
    REQUIRE(join(t, "a", fresh)->leader);
    t.close(errc::cancelled);
  }
  t.close(errc::cancelled);
  CHECK(t.size() == 0);
}

TEST_CASE("the latest deadline is that of those who wait now") {
  table t;
  waiter a{nullptr, time_point{1s}}, b{nullptr, time_point{3s}}, c{nullptr, time_point{2s}};
  auto const f = join(t, "k", a)->flight;
  CHECK(t.latest_deadline(*f) == time_point{1s});
  (void)join(t, "k", b);
  (void)join(t, "k", c);
  CHECK(t.latest_deadline(*f) == time_point{3s});
  CHECK(leave(t, "k", b));
  CHECK(t.latest_deadline(*f) == time_point{2s});
  waiter patient;
  (void)join(t, "k", patient);
  CHECK(t.latest_deadline(*f) == kcache::never);
  t.finish(f, 1);
  CHECK(t.latest_deadline(*f) == time_point::min());
}

TEST_CASE("a join that finds no memory changes nothing") {
  table t;
  std::string const key = "a key that is too long to be kept in place";
  waiter root;
  auto const parent = join(t, "parent", root)->flight;
  std::uint64_t const hash = t.hash_of(key);
  bool failed = true;
  for (std::size_t n = 1; failed; ++n) {
    REQUIRE(n < 100);
    waiter w{parent.get()};
    try {
      test::failing_allocation const nth{n};
      auto const f = t.join(key, hash, w)->flight;
      failed = false;
      t.finish(f, 1);
      CHECK(w.told == 1);
    } catch (std::bad_alloc const&) {
      CHECK(w.told == 0);
      CHECK(t.size() == 1);
      CHECK_FALSE(t.leave(hash, w));
    }
  }
  t.finish(parent, 0);
  CHECK(t.size() == 0);
}
