// SPDX-License-Identifier: BSL-1.0
// Whichever allocation fails, a group loses no caller, keeps no key locked, and serves the next
// get.
#include <kcache/group.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/fake_origin.hpp"
#include "support/frugal_executor.hpp"

#include <kcache/testing/manual_clock.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <new>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <utility>

using namespace std::chrono_literals;
using kcache::errc;
using kcache::load_here;
using kcache::loaded;
using kcache::result;

namespace {

struct policies : kcache::default_policies {
  using clock = kcache::testing::manual_clock;
  using executor = test::frugal_executor;
};
using strings = kcache::group<std::string, std::string, policies>;

std::string const tail = " and so long that it is not kept in place";
std::string const expected = "v" + tail;

/// An answer of one load as that of another; a handler must not throw.
result<std::string> again(strings::answer a) noexcept {
  if (!a) return std::move(a).error();
  try {
    return std::string{**a};
  } catch (std::bad_alloc const&) {
    return errc::overloaded;
  }
}

/// A group whose loader, of either form, knows keys by their first word.
struct world {
  explicit world(bool blocking)
      : g{{.name = "scores", .capacity = 100, .executor = work},
          blocking ? kcache::loader<std::string, std::string>{
                         [this](std::string const& key) { return load(key); }}
                   : kcache::loader<std::string, std::string>{
                         [this](std::string const& key, kcache::load_context context,
                                kcache::load_completion<std::string> done) {
                           start(key, context, std::move(done));
                         }}} {}

  result<std::string> load(std::string const& key) {
    if (key.starts_with("nested")) return again(g.get("inner" + tail));
    if (key.starts_with("broken")) return kcache::error{errc::loader_failed, "broken" + tail};
    if (key.starts_with("throws")) throw std::runtime_error{"boo" + tail};
    return expected;
  }
  void start(std::string const& key, kcache::load_context const& context,
             kcache::load_completion<std::string> done) {
    if (!key.starts_with("nested")) return done(load(key));
    g.async_get("inner" + tail, context, kcache::never,
                [d = std::move(done)](strings::answer a) mutable { d(again(std::move(a))); });
  }

  test::frugal_executor work;
  std::shared_ptr<test::fake_origin> origin = std::make_shared<test::fake_origin>();
  strings g;
};

/// Counts; allocates nothing.
struct counter {
  int answers = 0;
  bool wrong = false;
  void hear(strings::answer const& a) {
    ++answers;
    if (a && **a != expected) wrong = true;
  }
};

/// Runs `scenario(world, counter)` with the n-th allocation failing, for n = 1, 2, … until none
/// does. The same get must then work. Returns how many failed.
template <class Scenario>
std::size_t sweep(std::string const& key, bool answers_with_value, Scenario scenario) {
  bool const blocking = GENERATE(true, false);
  for (std::size_t n = 1;; ++n) {
    world w{blocking};
    counter c;
    REQUIRE(w.g.core()->attach(w.origin));
    w.origin->at_once = [] { return loaded<std::string>{"v" + tail, {}}; };
    bool thrown = false;
    bool happened = false;
    {
      test::failing_allocation const nth{n};
      try {
        scenario(w, c);
        w.work.run_until(w.work.now() + 2s);
      } catch (std::bad_alloc const&) {
        thrown = true;
      }
      happened = nth.happened();
    }
    w.work.run_until(w.work.now() + 2s);
    CAPTURE(n, key, blocking);
    REQUIRE(c.answers == (thrown ? 0 : 1));
    REQUIRE_FALSE(c.wrong);
    REQUIRE(w.g.flights() == 0);
    REQUIRE(w.work.pending() == 0);
    // Nothing is stuck: once there is memory again, the same get works.
    w.origin->at_once = [] { return loaded<std::string>{"v" + tail, {}}; };
    auto const again = w.g.get(key);
    REQUIRE(again.has_value() == answers_with_value);
    if (again) REQUIRE(**again == expected);
    if (!happened) return n - 1;
  }
}

}  // namespace

TEST_CASE("blocking gets survive every failing allocation") {
  std::string const kind =
      GENERATE(as<std::string>{}, "plain", "nested", "broken", "throws", "remote");
  std::string const key = kind + tail;
  bool const value = kind != "broken" && kind != "throws";
  auto const failures = sweep(key, value, [&](world& w, counter& c) { c.hear(w.g.get(key)); });
  CHECK(failures > 2);
}

TEST_CASE("asynchronous gets survive every failing allocation") {
  std::string const kind =
      GENERATE(as<std::string>{}, "plain", "nested", "broken", "throws", "remote");
  std::string const key = kind + tail;
  bool const value = kind != "broken" && kind != "throws";
  auto const failures = sweep(key, value, [&](world& w, counter& c) {
    w.g.async_get(key, [&c](strings::answer const& a) { c.hear(a); });
  });
  CHECK(failures > 3);
}

TEST_CASE("gets with a stop token survive every failing allocation") {
  std::string const kind =
      GENERATE(as<std::string>{}, "plain", "nested", "broken", "throws", "remote");
  std::string const key = kind + tail;
  bool const value = kind != "broken" && kind != "throws";
  bool const waits = GENERATE(true, false), stops = GENERATE(true, false);
  auto const failures = sweep(key, value, [&](world& w, counter& c) {
    std::stop_source stop;
    if (stops) w.work.post([stop]() mutable { stop.request_stop(); });
    if (waits) c.hear(w.g.get(key, stop.get_token()));
    else
      w.g.async_get(key, stop.get_token(), w.work.now() + 1s,
                    [&c](strings::answer const& a) { c.hear(a); });
    w.work.run_until(w.work.now());
  });
  CHECK(failures > 3);
}

TEST_CASE("refreshes survive every failing allocation") {
  // Nobody waits for them: the reader has its value, and one that failed is made again.
  std::string const key = "plain" + tail;
  std::size_t n = 1;
  for (bool happened = true; happened; ++n) {
    REQUIRE(n < 100);
    CAPTURE(n);
    kcache::testing::manual_clock clock;
    test::frugal_executor const work;
    int loads = 0;
    strings g{{.name = "scores",
               .capacity = 100,
               .ttl = 10s,
               .jitter = 0,
               .stale_while_revalidate = 10s,
               .clock = clock,
               .executor = work},
              [&](std::string const&) { return ++loads, expected; }};
    REQUIRE(g.get(key));
    clock.advance(12s);
    counter c;
    {
      test::failing_allocation const nth{n};
      try {
        c.hear(g.get(key));
        work.run_until(work.now());
      } catch (std::bad_alloc const&) {
      }
      happened = nth.happened();
    }
    REQUIRE(c.answers == 1);  // it never takes an allocation that a reader would miss
    REQUIRE_FALSE(c.wrong);
    REQUIRE(g.flights() == 0);
    clock.advance(2s);
    REQUIRE(g.get(key));
    work.run_until(work.now());
    REQUIRE(loads >= 2);
    REQUIRE_FALSE(g.get(key)->is_stale());
    REQUIRE(work.pending() == 0);
  }
  CHECK(n > 4);
}

TEST_CASE("changes survive every failing allocation") {
  // What could not be done throws, and what was there before is not served as if it were new.
  std::string const key = "plain" + tail;
  int const how = GENERATE(0, 1, 2, 3);
  std::size_t n = 1;
  for (bool happened = true; happened; ++n) {
    REQUIRE(n < 100);
    CAPTURE(n, how);
    world w{true};
    REQUIRE(w.g.get(key));
    bool thrown = false;
    std::string const put = "put" + tail;
    {
      test::failing_allocation const nth{n};
      try {
        if (how == 0) static_cast<void>(w.g.put(key, put));
        if (how == 1) static_cast<void>(w.g.put_if_absent(key, put));
        if (how == 2) static_cast<void>(w.g.invalidate(key));
        if (how == 3) w.g.clear();
      } catch (std::bad_alloc const&) {
        thrown = true;
      }
      happened = nth.happened();
    }
    auto const after = w.g.peek(key);
    if (!thrown && how == 0) REQUIRE((after && *after == put));
    if (!thrown && how == 1) REQUIRE((after && *after == expected));
    if (!thrown && how >= 2) REQUIRE_FALSE(after);
    REQUIRE(w.g.get(key));
    REQUIRE(w.g.flights() == 0);
    REQUIRE(w.work.pending() == 0);
  }
}

TEST_CASE("loading in place of an owner survives every failing allocation") {
  std::string const key = "remote" + tail;
  auto const failures = sweep(key, true, [&](world& w, counter& c) {
    w.origin->at_once = [] { return load_here{}; };
    w.g.async_get(key, [&c](strings::answer const& a) { c.hear(a); });
  });
  CHECK(failures > 5);
}

TEST_CASE("serving a peer survives every failing allocation") {
  std::string const key = "plain" + tail;
  auto const kind = GENERATE(kcache::detail::load_kind::own, kcache::detail::load_kind::foreign);
  auto const failures = sweep(key, true, [&](world& w, counter& c) {
    w.g.core()->serve(key, kind, w.work.now() + 1s, [&c](strings::answer const& a) { c.hear(a); });
  });
  CHECK(failures > 3);
}

TEST_CASE("a load that finds no room to be stored in place of an owner gives its place back") {
  // Each failure must leave the count of such loads as it was, or the limit is used up.
  std::string const key = "remote" + tail;
  world w{true};
  REQUIRE(w.g.core()->attach(w.origin));
  w.origin->at_once = [] { return load_here{}; };
  for (std::size_t n = 1; n <= 200; ++n) {
    w.g.clear();
    counter c;
    try {
      test::failing_allocation const nth{n % 25 + 1};
      w.g.async_get(key, [&c](strings::answer const& a) { c.hear(a); });
      w.work.run_until(w.work.now() + 2s);
    } catch (std::bad_alloc const&) {
    }
    w.work.run_until(w.work.now() + 2s);
  }
  w.g.clear();
  CHECK(**w.g.get(key) == expected);
}
