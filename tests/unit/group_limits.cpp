// SPDX-License-Identifier: BSL-1.0
// The source is protected: so many loads at once, so many in the queue, so many callers for a key.
#include <kcache/group.hpp>

#include "support/catch.hpp"
#include "support/fake_origin.hpp"
#include "support/scripted_world.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using kcache::errc;
using kcache::load_here;
using kcache::loaded;
using kcache::never;
using kcache::result;
using kcache::ttl;
using kcache::testing::manual_clock;
using kcache::testing::manual_executor;
using test::listener;
using test::manual_strings;
using test::scripted;
using test::told;

namespace {

using test::words;

struct world : test::scripted_world {
  world() {
    load.answers_with([](std::string const& key) { return "v:" + key; });
  }
  auto options(unsigned loads, std::size_t queue = 10'000) {
    auto o = exact();
    o.max_loads = loads;
    o.max_queued_loads = queue;
    o.deadline = 1h;
    return o;
  }
  /// The keys that were loaded, in the order in which their loads began.
  words begun() {
    words all;
    for (auto const& call : load.history()) all.push_back(call.key);
    return all;
  }
};

/// A loader of many keys, of `v:KEY`, that notes its calls; single keys are loaded by the script.
struct batching {
  words* calls;
  scripted load;
  words load_many(std::span<std::string const> keys) const {
    std::string all;
    words values;
    for (auto const& k : keys) {
      all += all.empty() ? k : ' ' + k;
      values.push_back("v:" + k);
    }
    calls->push_back(all);
    return values;
  }
  void operator()(std::string const& key, kcache::load_context c,
                  kcache::load_completion<std::string> done) const {
    load(key, std::move(c), std::move(done));
  }
};

}  // namespace

TEST_CASE("no more loads run at once than the limit, the others follow in their order") {
  world w;
  w.load.takes(100ms);
  manual_strings g{w.options(2), w.load};
  listener l;
  auto const start = g.now();
  for (auto const* k : {"e", "d", "c", "b", "a"}) g.async_get(k, l.handler());
  w.work.run_ready();
  CHECK(w.load.running() == 2);
  CHECK(g.explain("c").load_queue == 3);
  w.work.run_until(start + 300ms);
  CHECK(l.heard == words{"value v:e", "value v:d", "value v:c", "value v:b", "value v:a"});
  CHECK(w.begun() == words{"e", "d", "c", "b", "a"});
  CHECK(w.load.most_running() == 2);
  CHECK(g.flights() == 0);
  CHECK(w.work.pending() == 0);
}

TEST_CASE("beyond the queue a caller is told so at once") {
  world w;
  w.load.blocks_all();
  manual_strings g{w.options(1, 2), w.load};
  listener l;
  for (auto const* k : {"a", "b", "c"}) g.async_get(k, l.handler());
  w.work.run_ready();
  auto const start = g.now();
  listener refused;
  g.async_get("d", refused.handler());
  CHECK(refused.only() == "overloaded");
  CHECK(g.get("e").error() == errc::overloaded);
  auto const many = g.get_many(words{"f", "g"});
  CHECK(told(many[0]) == "overloaded");
  CHECK(told(many[1]) == "overloaded");
  CHECK(g.now() == start);
  CHECK(g.stats().shed == 4);
  CHECK(g.stats().load_failures == 0);
  CHECK(g.flights() == 3);
  g.async_get("c", refused.handler());  // joins one that is in the queue
  CHECK(refused.heard.size() == 1);
  w.load.release_all();
  w.work.run_ready();
  CHECK(l.heard == words{"value v:a", "value v:b", "value v:c"});
  CHECK(refused.heard.back() == "value v:c");
  CHECK(told(g.get("d")) == "value v:d");
  CHECK(w.load.calls() == 4);
}

TEST_CASE("a load that another waits for does not wait for a place") {
  world w;
  manual_strings* self = nullptr;
  int nested = 0;
  bool const queue = GENERATE(true, false);
  manual_strings g{w.options(1, queue ? 10 : 0),
                   [&](std::string const& key) -> result<std::string> {
                     if (key.size() == 5) return key;
                     ++nested;
                     auto const inner = self->get(key + "+");
                     if (!inner) return inner.error();
                     return "(" + std::string{**inner} + ")";
                   }};
  self = &g;
  CHECK(told(g.get("k")) == "value ((((k++++))))");
  CHECK(nested == 4);
  CHECK(g.flights() == 0);
  CHECK(told(g.get("other")) == "value other");
}

TEST_CASE("an asynchronous load that another waits for does not either") {
  world w;
  manual_strings* self = nullptr;
  manual_strings g{w.options(1, 0), [&](std::string const& key, kcache::load_context const& context,
                                        kcache::load_completion<std::string> done) {
                     if (key == "inner") return done(result<std::string>{"v"});
                     self->async_get("inner", context, never,
                                     [d = std::move(done)](test::answer a) mutable {
                                       d(result<std::string>{"with " + std::string{**a}});
                                     });
                   }};
  self = &g;
  CHECK(told(g.get("outer")) == "value with v");
}

TEST_CASE("a load in the queue that another comes to wait for begins at once") {
  world w;
  manual_strings* self = nullptr;
  w.load.blocks("inner").blocks("busy");
  bool const blocking = GENERATE(true, false);
  auto async = [&](std::string const& key, kcache::load_context const& context,
                   kcache::load_completion<std::string> done) {
    if (key != "outer") return w.load(key, context, std::move(done));
    self->async_get("inner", context, never, [d = std::move(done)](test::answer a) mutable {
      d(result<std::string>{"with " + std::string{**a}});
    });
  };
  auto const wait = [&](std::string const&) { return "with " + std::string{**self->get("inner")}; };
  // In the blocking form the outer load is another group's: waits go across groups.
  manual_strings g{w.options(1), async};
  manual_strings h{w.options(1), wait};
  self = &g;
  listener busy, inner, outer, last;
  g.async_get("busy", busy.handler());
  w.work.run_ready();
  g.async_get("inner", inner.handler());
  g.async_get("last", last.handler());
  w.work.run_ready();
  CHECK(w.begun() == words{"busy"});
  CHECK(g.explain("inner").queued);
  if (blocking) {
    w.work.post([&] { w.load.release("inner"); });
    h.async_get("any", outer.handler());
    w.work.run_ready();
    CHECK(outer.only() == "value with v:inner");
  } else {
    // The only place is given to it while the queue is as it was.
    w.load.release("busy");
    CHECK(busy.only() == "value v:busy");
    w.work.run_ready();
    CHECK(w.begun() == words{"busy", "inner"});
    g.async_get("outer", outer.handler());
    w.work.run_ready();
    CHECK(outer.heard.empty());
    w.load.release("inner");
    w.work.run_ready();
    CHECK(outer.only() == "value with v:inner");
  }
  CHECK(inner.only() == "value v:inner");
  if (blocking) {
    CHECK(last.heard.empty());  // it was not let in by the other's leaving
    CHECK(w.begun() == words{"busy", "inner"});
    w.load.release("busy");
    w.work.run_ready();
  }
  CHECK(last.only() == "value v:last");
  CHECK(w.load.calls("inner") == 1);
  CHECK(g.flights() == 0);
  CHECK(g.explain("x").load_queue == 0);
}

TEST_CASE("after loads have passed the queue the limit holds as before") {
  world w;
  manual_strings* self = nullptr;
  manual_strings g{w.options(2), [&](std::string const& key, kcache::load_context const& context,
                                     kcache::load_completion<std::string> done) {
                     if (key.size() == 1) return w.load(key, context, std::move(done));
                     self->async_get(key.substr(1), context, never,
                                     [d = std::move(done)](test::answer const&) mutable {
                                       d(result<std::string>{"v"});
                                     });
                   }};
  self = &g;
  listener l;
  for (auto const* k : {"a", "b", "1a", "2b", "3c", "4d"}) g.async_get(k, l.handler());
  w.load.takes(10ms);
  w.work.run_for(1s);
  CHECK(l.heard.size() == 6);
  for (int i = 0; i != 10; ++i)
    g.async_get(std::string(1, static_cast<char>('m' + i)), l.handler());
  std::size_t most = 0;
  for (int i = 0; i != 200; ++i) {
    w.work.run_for(1ms);
    if (w.load.running() > most) most = w.load.running();
  }
  CHECK(most == 2);
  CHECK(l.heard.size() == 16);
  CHECK(g.flights() == 0);
}

TEST_CASE("a load that everybody left while it was in the queue is not begun") {
  world w;
  w.load.blocks("busy");
  manual_strings g{w.options(1), w.load};
  listener busy, left, stays;
  g.async_get("busy", never, busy.handler());
  g.async_get("left", g.now() + 10ms, left.handler());
  w.work.run_for(20ms);
  CHECK(left.only() == "deadline");
  CHECK(g.flights() == 2);
  SECTION("and leaves nothing behind") {
    g.async_get("stays", stays.handler());
    w.load.release("busy");
    w.work.run_ready();
    CHECK(w.begun() == words{"busy", "stays"});
    CHECK(stays.only() == "value v:stays");
  }
  SECTION("but for who joins it meanwhile") {
    g.async_get("left", stays.handler());
    CHECK(g.flights() == 2);
    w.load.release("busy");
    w.work.run_ready();
    CHECK(w.begun() == words{"busy", "left"});
    CHECK(stays.only() == "value v:left");
  }
  CHECK(g.flights() == 0);
  CHECK(g.explain("left").load_queue == 0);
  CHECK(w.work.pending() == 0);
}

TEST_CASE("a load that everybody left before it was begun is not begun either") {
  world w;
  manual_strings g{w.options(1), w.load};
  listener l;
  g.async_get("a", kcache::time_point::min(), l.handler());
  // Its deadline comes before the task: both are ready.
  w.work.run_ready();
  CHECK(l.only().size() != 0);
  CHECK(g.flights() == 0);
  CHECK(told(g.get("b")) == "value v:b");  // the place came back
}

TEST_CASE("a put while a load is in the queue spares the load") {
  world w;
  w.load.blocks("busy");
  manual_strings g{w.options(1), w.load};
  listener busy, l;
  g.async_get("busy", busy.handler());
  g.async_get("k", l.handler());
  w.work.run_ready();
  CHECK(g.put("k", "put"));
  w.load.release("busy");
  w.work.run_ready();
  CHECK(l.only() == "value put");
  CHECK(w.load.calls("k") == 0);
  CHECK(g.flights() == 0);
}

TEST_CASE("however a load ends its place comes back") {
  world w;
  w.load.throws("throws", "boo").drops("drops").not_found("none").fails("fails", "no");
  w.load.fails("cancelled", errc::cancelled);
  manual_strings g{w.options(1, 0), w.load};
  for (int i = 0; i != 3; ++i) {
    g.clear();
    for (auto const* k : {"throws", "drops", "none", "fails", "cancelled"}) {
      auto const r = g.get(k);
      REQUIRE_FALSE(r);
      CHECK(r.error() != errc::overloaded);
    }
    CHECK(told(g.get("value")) == "value v:value");
    listener l;
    g.async_get("detached", l.handler());
    CHECK(g.invalidate("detached"));
    w.work.run_ready();
    CHECK(l.only() == "value v:detached");
  }
  CHECK(g.flights() == 0);
  CHECK(w.load.running() == 0);
}

TEST_CASE("ten thousand loader throws leave nothing behind") {
  world w;
  manual_strings g{w.options(1, 100),
                   [](std::string const&) -> std::string { throw std::runtime_error{"boo"}; }};
  listener l;
  for (int i = 0; i != 10'000; ++i) {
    g.async_get(std::to_string(i), l.handler());
    if (i % 100 == 99) w.work.run_ready();
  }
  CHECK(l.heard == words(10'000, "loader_failed: boo"));
  CHECK(g.flights() == 0);
  CHECK(g.size() == 0);
  CHECK(g.explain("1").load_queue == 0);
  CHECK(w.work.pending() == 0);
  CHECK(g.stats().load_failures == 10'000);
  CHECK(g.stats().shed == 0);
}

TEST_CASE("ten hung keys do not slow others, and who waits for them leaves in time") {
  world w;
  for (int i = 0; i != 10; ++i) w.load.blocks("hung" + std::to_string(i));
  w.load.takes(1ms);
  manual_strings g{w.options(64), w.load};
  listener hung, others;
  std::vector<kcache::duration> late;
  auto const start = g.now();
  for (int i = 0; i != 10; ++i) {
    auto const deadline = start + (i + 1) * 7ms;
    g.async_get("hung" + std::to_string(i), deadline,
                [&, deadline](test::answer const&) { late.push_back(g.now() - deadline); });
  }
  for (int i = 0; i != 100; ++i) {
    auto const asked = g.now();
    CHECK(g.get("k" + std::to_string(i)));
    CHECK(g.now() - asked == 1ms);
  }
  CHECK(late == std::vector<kcache::duration>(10, 0ms));
  w.load.release_all();
  CHECK(g.flights() == 0);
}

TEST_CASE("a load_many takes one place") {
  world w;
  words calls;
  manual_strings g{w.options(1, 1), batching{&calls, w.load}};
  words heard;
  auto const many = [&](std::vector<test::answer> const& all) {
    for (auto const& a : all) heard.push_back(told(a));
  };
  g.async_get_many(words{"a", "b", "c"}, many);
  g.async_get_many(words{"d", "e"}, many);  // in the queue
  CHECK(g.explain("d").queued);
  CHECK(g.explain("d").load_queue == 1);
  CHECK(heard.empty());
  listener l;
  g.async_get("f", l.handler());
  CHECK(l.only() == "overloaded");
  words partly;
  g.async_get_many(words{"g", "h", "a"}, [&](std::vector<test::answer> const& all) {
    for (auto const& a : all) partly.push_back(told(a));
  });
  CHECK(g.stats().shed == 3);
  w.work.run_ready();
  CHECK(partly == words{"overloaded", "overloaded", "value v:a"});
  CHECK(calls == words{"a b c", "d e"});
  CHECK(heard == words{"value v:a", "value v:b", "value v:c", "value v:d", "value v:e"});
  CHECK(g.flights() == 0);
  CHECK(told(g.get("g")) == "value v:g");
}

TEST_CASE("of many keys in the queue only those are loaded that are still wanted") {
  world w;
  words calls;
  w.load.blocks("busy");
  manual_strings g{w.options(1), batching{&calls, w.load}};
  words heard;
  listener busy, joined;
  g.async_get("busy", busy.handler());
  g.async_get_many(words{"a", "b", "c", "d"}, g.now() + 10ms,
                   [&](std::vector<test::answer> const& all) {
                     for (auto const& a : all) heard.push_back(told(a));
                   });
  SECTION("those that nobody waits for any more are not") {
    g.async_get("c", joined.handler());
    CHECK(g.put("d", "put"));
    w.work.run_for(10ms);
    CHECK(heard == words(4, "deadline"));
    w.load.release("busy");
    w.work.run_ready();
    CHECK(calls == words{"c"});
    CHECK(joined.only() == "value v:c");
  }
  SECTION("nothing at all, perhaps, and the next has the place") {
    w.work.run_for(10ms);
    g.async_get("next", joined.handler());
    w.load.release("busy");
    w.work.run_ready();
    CHECK(calls.empty());
    CHECK(joined.only() == "value v:next");
  }
  CHECK(g.flights() == 0);
  CHECK(g.explain("a").load_queue == 0);
}

TEST_CASE("one of many keys in the queue that a load comes to wait for goes alone, at once") {
  world w;
  words calls;
  w.load.blocks("busy");
  manual_strings g{w.options(1), batching{&calls, w.load}};
  manual_strings* inner = &g;
  manual_strings h{w.options(1),
                   [&](std::string const&) { return "with " + std::string{**inner->get("b")}; }};
  words heard;
  listener busy, outer;
  g.async_get("busy", busy.handler());
  w.work.run_ready();
  g.async_get_many(words{"a", "b", "c"}, [&](std::vector<test::answer> const& all) {
    for (auto const& a : all) heard.push_back(told(a));
  });
  w.work.run_ready();
  CHECK(calls.empty());
  h.async_get("any", outer.handler());
  w.work.run_ready();
  CHECK(outer.only() == "value with v:b");
  CHECK(w.begun() == words{"busy", "b"});
  CHECK(heard.empty());
  w.load.release("busy");
  w.work.run_ready();
  CHECK(calls == words{"a c"});
  CHECK(heard == words{"value v:a", "value v:b", "value v:c"});
  CHECK(g.flights() == 0);
}

TEST_CASE("loads in place of an owner do not wait for a place, they have a bound of their own") {
  world w;
  w.load.blocks_all();
  auto o = w.options(1, 0);
  o.max_fallback_loads = 2;
  manual_strings g{o, w.load};
  auto const origin = std::make_shared<test::fake_origin>();
  origin->at_once = [] { return load_here{}; };
  REQUIRE(g.core()->attach(origin));
  listener l;
  for (auto const* k : {"own", "r1", "r2", "r3"}) g.async_get(k, l.handler());
  w.work.run_ready();
  CHECK(w.begun() == words{"own", "r1", "r2"});
  CHECK(l.heard == words{"overloaded"});
  w.load.release_all();
  w.work.run_ready();
  CHECK(l.heard == words{"overloaded", "value v:own", "value v:r1", "value v:r2"});
  CHECK(told(g.get("r3")) == "value v:r3");
  CHECK(told(g.get("r4")) == "value v:r4");
  CHECK(g.flights() == 0);
}

TEST_CASE("who leaves makes room for another to wait") {
  world w;
  w.load.blocks("k");
  auto o = w.options(1);
  o.max_waiters = 1;
  manual_strings g{o, w.load};
  listener first, second, third;
  g.async_get("k", g.now() + 10ms, first.handler());
  g.async_get("k", second.handler());
  CHECK(second.heard.size() == 1);
  CHECK(second.heard.front().starts_with("overloaded"));
  w.work.run_for(10ms);
  CHECK(first.only() == "deadline");
  g.async_get("k", third.handler());
  CHECK(g.get("k").error() == errc::overloaded);
  w.load.release("k");
  CHECK(third.only() == "value v:k");
}

TEST_CASE("a group that goes answers those in the queue, and loads nothing for them") {
  world w;
  w.load.blocks_all();
  std::optional<manual_strings> g{std::in_place, w.options(1), w.load};
  listener l;
  for (auto const* k : {"a", "b", "c"}) g->async_get(k, l.handler());
  w.work.run_ready();
  g.reset();
  CHECK(l.heard == words(3, "cancelled"));
  w.load.release_all();
  w.work.run_ready();
  CHECK(w.begun() == words{"a"});
  CHECK(l.heard.size() == 3);
}

namespace {

/// Throws, or drops what it is given, while the test says so.
struct moody_executor : manual_executor {
  enum mood : std::uint8_t { works, throws_before, throws_with_it, drops };
  std::shared_ptr<mood> is = std::make_shared<mood>(works);

  using manual_executor::manual_executor;
  template <class Task>
  void post(Task&& t) const {
    if (*is == throws_before) throw std::bad_alloc{};
    kcache::task taken{std::forward<Task>(t)};
    if (*is == throws_with_it) throw std::bad_alloc{};
    if (*is == works) manual_executor::post(std::move(taken));
  }
};
struct moody_policies : test::manual_policies {
  using executor = moody_executor;
};

}  // namespace

TEST_CASE("a load that the executor has no room for is told apart from one that it drops") {
  manual_clock clock;
  moody_executor const work{clock};
  int loads = 0;
  kcache::group<std::string, std::string, moody_policies> g{
      {.name = "limits",
       .capacity = 10,
       .error_ttl = 1s,
       .max_loads = 1,
       .clock = clock,
       .executor = work},
      [&](std::string const& key) {
        ++loads;
        return key;
      }};
  listener l;
  auto const ask = [&] {
    g.async_get("k", never, l.handler());
    g.async_get_many(words{"a", "b"}, [&](auto const& all) { l.heard.push_back(told(all[1])); });
  };
  for (auto const mood : {moody_executor::throws_before, moody_executor::throws_with_it}) {
    *work.is = mood;
    ask();
    CHECK(std::exchange(l.heard, {}) == words(2, "overloaded"));
  }
  CHECK(g.stats().shed == 6);
  CHECK(g.stats().load_failures == 0);  // nor is it remembered as one
  *work.is = moody_executor::drops;
  ask();
  CHECK(std::exchange(l.heard, {}) == words(2, "cancelled"));
  CHECK(g.flights() == 0);
  CHECK(loads == 0);
  *work.is = moody_executor::works;
  ask();
  work.run_ready();
  CHECK(l.heard == words{"value k", "value b"});
}

TEST_CASE("an executor that goes takes a long queue with it") {
  // It drops what is posted to it: each load that is begun ends there, and the next is begun.
  listener l;
  constexpr std::size_t callers = 100'000;
  std::optional<manual_executor> work{std::in_place};
  bool const batches = GENERATE(true, false);
  words calls;
  scripted const load{*work};
  manual_strings g{
      {.name = "limits",
       .capacity = 10,
       .max_loads = 1,
       .max_queued_loads = callers,
       .executor = *work},
      batches ? kcache::loader<std::string, std::string>{batching{&calls, load}}
              : kcache::loader<std::string, std::string>{[](std::string const& k) { return k; }}};
  std::size_t cancelled = 0;
  for (std::size_t i = 0; i != callers; ++i) {
    if (batches)
      g.async_get_many(words{std::to_string(i)}, [&](std::vector<test::answer> const& all) {
        cancelled += all.front().error() == errc::cancelled;
      });
    else
      g.async_get(std::to_string(i), never,
                  [&](test::answer const& a) { cancelled += a.error() == errc::cancelled; });
  }
  work.reset();
  CHECK(cancelled == callers);
  CHECK(calls.empty());
  CHECK(g.flights() == 0);
}

TEST_CASE("loads that everybody has left make way in a full queue") {
  world w;
  w.load.blocks("a");
  manual_strings g{w.options(1, 2), w.load};
  listener first, left, later;
  g.async_get("a", first.handler());
  w.work.run_ready();
  for (auto const* k : {"b", "c"}) g.async_get(k, g.now() + 10ms, left.handler());
  w.work.run_for(10ms);
  CHECK(left.heard == words{"deadline", "deadline"});
  CHECK(g.flights() == 3);
  for (auto const* k : {"d", "e"}) g.async_get(k, later.handler());
  CHECK(later.heard.empty());
  CHECK(g.flights() == 3);
  listener refused;
  g.async_get("f", refused.handler());  // for those there is somebody
  CHECK(refused.only() == "overloaded");
  CHECK(w.load.release("a") == 1);
  w.work.run_ready();
  CHECK(later.heard == words{"value v:d", "value v:e"});
  CHECK(w.begun() == words{"a", "d", "e"});
  CHECK(g.flights() == 0);
}

TEST_CASE("a load's place is free before its callers are told") {
  world w;
  test::open_loads source;
  manual_strings g{w.options(1), source.loader()};
  std::string nested;
  g.async_get("a", [&](test::answer const&) {
    g.async_get("b", [&](test::answer const& b) { nested = told(b); });
    w.work.run_ready();
    // It has begun, though we are not done.
    CHECK(source.open.count("b") == 1);
    if (source.open.count("b") == 1) source.end("b", std::string{"b"});
  });
  w.work.run_ready();
  source.end("a", std::string{"a"});
  w.work.run_ready();
  CHECK(nested == "value b");
}
