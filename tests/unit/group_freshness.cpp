// SPDX-License-Identifier: BSL-1.0
// How fresh a group's answers are: refreshed ahead, served stale, spread by jitter.
#include <kcache/group.hpp>

#include "support/catch.hpp"
#include "support/fake_origin.hpp"
#include "support/scripted_world.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using kcache::errc;
using kcache::never;
using kcache::ttl;
using test::listener;
using test::manual_strings;
using test::told;

namespace {

using test::words;

/// The key `k` has the value `v1`; what is loaded lives for 10 s.
struct world : test::scripted_world {
  world() { load.answers("k", "v1"); }

  auto options() {
    auto o = exact(10s);
    o.capacity = 10'000;
    return o;
  }
};

std::string stale_or_not(test::answer const& a) {
  return told(a) + (a && a->is_stale() ? ", stale" : "");
}

/// The answer by each of the ways in turn.
std::string ask(world& w, manual_strings& g, int way, std::string const& key = "k") {
  std::string heard;
  auto const hear = [&](test::answer const& a) { heard += stale_or_not(a); };
  switch (way) {
    case 0:
      hear(g.get(key));
      break;
    case 1:
      g.async_get(key, hear);
      break;
    case 2:
      hear(g.get_many(words{key}).front());
      break;
    case 3:
      g.async_get_many(words{key}, [&](auto const& all) { hear(all.front()); });
      break;
    case 4:
      hear(g.get(key, std::stop_token{}));
      break;
    default:
      g.async_get(key, std::stop_token{}, g.now() + 1s, hear);
  }
  if (heard.empty()) w.work.run_ready();
  if (heard.empty()) w.work.run_for(1s);
  return heard;
}
constexpr int ways = 6;

}  // namespace

TEST_CASE("an answer tells its age") {
  world w;
  manual_strings g{w.options(), w.load};
  auto const first = g.get("k");
  REQUIRE(first);
  CHECK(first->age() == 0s);
  w.clock.advance(3s);
  CHECK(first->age() == 0s);  // of the instant of the answer
  CHECK(g.get("k")->age() == 3s);
  CHECK(g.peek("k").age() == 3s);
  CHECK(g.get_many(words{"k"}).front()->age() == 3s);
  kcache::duration heard{};
  g.async_get("k", [&](test::answer const& a) { heard = a->age(); });
  CHECK(heard == 3s);
  CHECK_FALSE(g.get("k")->is_stale());
  CHECK(g.put("k", "put"));
  CHECK(g.get("k")->age() == 0s);
}

TEST_CASE("what is read before it expires is loaded anew behind its reader") {
  world w;
  w.load.takes(100ms);
  manual_strings g{w.options(), w.load};
  CHECK(told(g.get("k")) == "value v1");
  auto const loaded_at = g.now();
  auto const refresh_in = g.explain("k").refresh_in;
  REQUIRE(refresh_in);
  CHECK(*refresh_in >= 5s);  // never before half its life
  CHECK(*refresh_in < 10s);
  w.load.answers("k", "v2");

  w.clock.advance(*refresh_in - 1ns);
  CHECK(told(g.get("k")) == "value v1");
  w.work.run_ready();
  CHECK(w.load.calls() == 1);
  w.clock.advance(1ns);
  CHECK(g.peek("k"));  // leaves no trace
  CHECK(w.work.pending() == 0);
  CHECK(ask(w, g, GENERATE(range(0, ways))) == "value v1");
  CHECK(g.now() == loaded_at + *refresh_in);  // nobody waited
  w.work.run_ready();
  CHECK(w.load.calls() == 2);
  for (int i = 0; i != 5; ++i) CHECK(told(g.get("k")) == "value v1");  // while it is loaded
  CHECK(w.load.running() == 1);
  w.work.run_for(100ms);
  auto const renewed = g.get("k");
  CHECK(told(renewed) == "value v2");
  CHECK(renewed->age() == 0s);
  CHECK(renewed->expires_at() == g.now() + 10s);
  CHECK(w.load.calls() == 2);
  CHECK(g.stats().refreshes == 1);
  CHECK(g.stats().loads == 2);
  CHECK(g.stats().cache.misses == 1);
  CHECK(g.flights() == 0);
  CHECK(w.work.pending() == 0);
}

TEST_CASE("what took no time to load, was put, or must not, is not loaded ahead") {
  world w;
  auto o = w.options();
  std::string const key = GENERATE("at once", "put", "off");
  if (key == "off") {
    o.refresh_ahead = 0;
    w.load.takes(100ms);
  }
  w.load.answers(key, "v");
  manual_strings g{o, w.load};
  if (key == "put") CHECK(g.put(key, "v"));
  else CHECK(g.get(key));
  CHECK_FALSE(g.explain(key).refresh_in);
  auto const calls = w.load.calls();
  w.clock.advance(10s - 1ns);
  CHECK(g.get(key));
  w.work.run_ready();
  CHECK(w.load.calls() == calls);
  CHECK(g.stats().refreshes == 0);
}

namespace {

/// `k` was loaded in 100 ms, and should be refreshed from now on.
struct refreshable : world {
  explicit refreshable(kcache::group_options<test::manual_policies> o) {
    load.takes(100ms);
    o.clock = clock;
    o.executor = work;
    g.emplace(o, load);
    CHECK(told(g->get("k")) == "value v1");
    expires = clock.now() + 10s;
    clock.advance(g->explain("k").refresh_in.value());
  }
  refreshable() : refreshable{world{}.options()} {}

  std::optional<manual_strings> g;
  kcache::time_point expires;
};

}  // namespace

TEST_CASE("who must wait, since the value has expired, joins the refresh") {
  refreshable r;
  r.load.blocks("k").answers("k", "v2");
  CHECK(r.g->get("k"));
  r.work.run_ready();
  r.clock.advance_to(r.expires);
  CHECK_FALSE(r.g->contains("k"));
  listener l;
  r.g->async_get("k", never, l.handler());
  r.work.run_ready();
  CHECK(r.load.calls() == 2);
  CHECK(l.heard.empty());
  r.load.release("k");
  CHECK(l.only() == "value v2");
  CHECK(r.load.calls() == 2);
}

TEST_CASE("a refresh goes on though nobody waits, or those who did have left") {
  refreshable r;
  r.load.blocks("k").answers("k", "v2").gives_up_when_cancelled();
  CHECK(r.g->get("k"));
  r.work.run_ready();
  bool const joined = GENERATE(false, true);
  if (joined) {
    r.clock.advance_to(r.expires);
    CHECK(r.g->get("k", 10ms).error() == errc::deadline);
  }
  r.load.release("k");
  CHECK(r.load.cancelled() == 0);
  CHECK(told(r.g->get("k")) == "value v2");
  CHECK(r.load.calls() == 2);
}

TEST_CASE("a refresh that fails leaves the value, and the source in peace for a while") {
  refreshable r;
  auto const first = r.g->now();
  r.load.fails("k", "no connection").takes(0s);
  auto const read = [&] {
    CHECK(told(r.g->get("k")) == "value v1");
    r.work.run_ready();
  };
  auto const left = r.expires - first;
  read();
  CHECK(r.load.calls() == 2);
  read();
  CHECK(r.load.calls() == 2);
  if (left > 1s) {
    r.clock.advance_to(first + 1s - 1ns);
    read();
    CHECK(r.load.calls() == 2);
    r.clock.advance(1ns);  // retry_after
    read();
    CHECK(r.load.calls() == 3);
  }
  auto const calls = r.load.calls();
  CHECK(r.g->stats().load_failures == calls - 1);
  r.clock.advance_to(r.expires);
  CHECK(told(r.g->get("k")) == "loader_failed: no connection");  // who waits asks all the same
  CHECK(r.load.calls() == calls + 1);
}

TEST_CASE("a refresh that is dropped or throws is one that failed") {
  refreshable r;
  bool const throws = GENERATE(true, false);
  if (throws) r.load.throws("k", "boo");
  else r.load.drops("k");
  CHECK(told(r.g->get("k")) == "value v1");
  r.work.run_for(100ms);
  CHECK(r.load.calls() == 2);
  CHECK(r.g->flights() == 0);
  r.load.answers("k", "v2");
  r.clock.advance(1s);
  CHECK(r.g->get("k"));
  r.work.run_for(100ms);
  CHECK(told(r.g->get("k")) == "value v2");
}

TEST_CASE("a refresh that finds no such key any more drops the value") {
  refreshable r;
  r.load.not_found("k").takes(0s);
  CHECK(told(r.g->get("k")) == "value v1");
  r.work.run_ready();
  CHECK(told(r.g->get("k")) == "not_found");
  CHECK(r.load.calls() == 2);
  CHECK(r.g->size() == 0);
  CHECK(r.g->explain("k").absent);
}

TEST_CASE("a change wins over a refresh that began before it") {
  refreshable r;
  r.load.blocks("k");
  bool const fails = GENERATE(false, true);
  if (fails) r.load.not_found("k");
  else r.load.answers("k", "old");
  CHECK(r.g->get("k"));
  r.work.run_ready();
  int const how = GENERATE(0, 1, 2);
  if (how == 0) CHECK(r.g->invalidate("k"));
  if (how == 1) r.g->clear();
  if (how == 2) CHECK(r.g->put("k", "put"));
  r.load.answers("k", "new");
  r.load.release("k");
  CHECK_FALSE(r.g->explain("k").absent);
  CHECK(told(r.g->get("k")) == (how == 2 ? "value put" : "value new"));
}

TEST_CASE("a refresh for which there is no place waits for one, or is put off") {
  auto o = world{}.options();
  o.retry_after = 50ms;
  o.max_loads = 1;
  o.max_queued_loads = GENERATE(0U, 1U);
  refreshable r{o};
  r.load.blocks("busy");
  listener l;
  r.g->async_get("busy", never, l.handler());
  r.work.run_ready();
  r.load.answers("k", "v2");
  CHECK(told(r.g->get("k")) == "value v1");
  r.clock.advance(50ms - 1ns);
  CHECK(told(r.g->get("k")) == "value v1");
  CHECK(r.g->stats().shed == (o.max_queued_loads == 0 ? 1U : 0U));  // not at every read
  CHECK(r.load.calls("k") == 1);
  r.load.release("busy");
  r.work.run_for(100ms);
  CHECK(told(r.g->get("k")) == (o.max_queued_loads == 0 ? "value v1" : "value v2"));
  r.work.run_for(100ms);
  CHECK(told(r.g->get("k")) == "value v2");
  CHECK(r.load.calls("k") == 2);
}

TEST_CASE("a put while a refresh is in the queue spares the load") {
  auto o = world{}.options();
  o.max_loads = 1;
  refreshable r{o};
  r.load.blocks("busy");
  listener l;
  r.g->async_get("busy", never, l.handler());
  CHECK(r.g->get("k"));
  CHECK(r.g->explain("k").queued);
  CHECK(r.g->put("k", "put"));
  r.load.release("busy");
  r.work.run_for(1s);
  CHECK(r.load.calls("k") == 1);
  CHECK(told(r.g->get("k")) == "value put");
  CHECK(r.g->flights() == 0);
}

TEST_CASE("a group may go while it refreshes") {
  refreshable r;
  r.load.blocks("k");
  CHECK(r.g->get("k"));
  bool const begun = GENERATE(false, true);
  if (begun) r.work.run_ready();
  r.g.reset();
  r.load.release_all();
  r.work.run_ready();
  CHECK(r.work.pending() == 0);
}

TEST_CASE("a value is not served after it expired, unless an option says so") {
  world w;
  manual_strings g{w.options(), w.load};
  CHECK(g.get("k"));
  w.load.answers("k", "v2");
  w.clock.advance(10s);
  CHECK_FALSE(g.peek("k"));
  CHECK(ask(w, g, GENERATE(range(0, ways))) == "value v2");
  CHECK(g.stats().stale == 0);
}

TEST_CASE("stale while it is loaded anew: at once, for so long, with one load behind") {
  world w;
  auto o = w.options();
  o.stale_while_revalidate = 5s;
  manual_strings g{o, w.load};
  CHECK(g.get("k"));
  w.load.answers("k", "v2").takes(100ms);
  auto const expired = g.now() + 10s;
  SECTION("from the instant it expires") {
    w.clock.advance_to(expired - 1ns);
    CHECK(ask(w, g, 0) == "value v1");
    CHECK(w.work.pending() == 0);
    w.clock.advance(1ns);
  }
  SECTION("to the end of the grace") { w.clock.advance_to(expired + 5s - 1ns); }
  auto const asked = g.now();
  CHECK(g.peek("k").is_stale());
  CHECK(g.contains("k"));
  CHECK(g.stats().stale == 0);  // a peek counts nothing
  for (int way = 0; way != ways; ++way) CHECK(ask(w, g, way) == "value v1, stale");
  CHECK(g.get("k")->age() == asked - (expired - 10s));
  CHECK(g.now() == asked);
  CHECK(g.stats().stale == ways + 1);
  w.work.run_for(100ms);
  CHECK(w.load.calls() == 2);
  CHECK(ask(w, g, 0) == "value v2");
  CHECK(g.get("k")->age() == 0s);
  CHECK(w.load.calls() == 2);
}

TEST_CASE("after the grace a reader waits") {
  world w;
  auto o = w.options();
  o.stale_while_revalidate = 5s;
  manual_strings g{o, w.load};
  CHECK(g.get("k"));
  w.load.answers("k", "v2").takes(100ms);
  w.clock.advance(15s);
  auto const asked = g.now();
  CHECK_FALSE(g.contains("k"));
  CHECK(ask(w, g, 0) == "value v2");
  CHECK(g.now() == asked + 100ms);
  CHECK(w.load.calls() == 2);
}

TEST_CASE("a stale value whose loads fail is served to the end of its grace, loads are spaced") {
  world w;
  auto o = w.options();
  o.stale_while_revalidate = 5s;
  o.retry_after = 2s;
  manual_strings g{o, w.load};
  CHECK(g.get("k"));
  w.load.fails("k", "down");
  w.clock.advance(10s);
  std::vector<kcache::duration> asked_after;
  auto const start = g.now();
  for (int i = 0; i != 50; ++i) {
    auto const calls = w.load.calls();
    CHECK(ask(w, g, 0) == "value v1, stale");
    w.work.run_ready();
    if (w.load.calls() != calls) asked_after.push_back(g.now() - start);
    w.clock.advance(100ms);
  }
  CHECK(asked_after == std::vector<kcache::duration>{0s, 2s, 4s});
  CHECK(ask(w, g, 0) == "loader_failed: down");
}

TEST_CASE("a stale value that turns out to be gone goes") {
  world w;
  auto o = w.options();
  o.stale_while_revalidate = 5s;
  o.stale_if_error = 5s;
  manual_strings g{o, w.load};
  CHECK(g.get("k"));
  w.load.not_found("k");
  w.clock.advance(11s);
  CHECK(ask(w, g, 0) == "value v1, stale");
  w.work.run_ready();
  CHECK(ask(w, g, 0) == "not_found");
  CHECK(w.load.calls() == 2);
}

TEST_CASE("what is invalidated is not served stale") {
  world w;
  auto o = w.options();
  o.stale_while_revalidate = o.stale_if_error = 1min;
  manual_strings g{o, w.load};
  CHECK(g.get("k"));
  w.load.fails("k", "down");
  w.clock.advance(11s);
  CHECK(ask(w, g, 0) == "value v1, stale");
  bool const all = GENERATE(true, false);
  if (all) g.clear();
  else CHECK(g.invalidate("k"));
  for (int way = 0; way != ways; ++way) CHECK(ask(w, g, way) == "loader_failed: down");
}

TEST_CASE("stale in place of an error: whoever asks, and however, while the source is down") {
  world w;
  auto o = w.options();
  o.stale_if_error = 1min;
  manual_strings g{o, w.load};
  int const way = GENERATE(range(0, ways));
  CHECK(g.get("k"));
  w.clock.advance(12s);
  w.load.fails("k", "down");
  CHECK_FALSE(g.contains("k"));
  CHECK(ask(w, g, way) == "value v1, stale");
  CHECK(g.get("k")->age() == 12s);
  CHECK(w.load.calls() == 2);
  SECTION("to the end of the grace") {
    w.clock.advance(58s - 1ns);
    CHECK(ask(w, g, way) == "value v1, stale");
    w.clock.advance(1ns);
    CHECK(ask(w, g, way) == "loader_failed: down");
  }
  SECTION("and until it is up again") {
    w.load.answers("k", "v2");
    CHECK(ask(w, g, way) == "value v1, stale");  // it is not asked again so soon
    w.clock.advance(1s);
    CHECK(ask(w, g, way) == "value v2");
    CHECK(w.load.calls() == 3);
  }
  SECTION("but not for a key that is gone") {
    w.load.not_found("k");
    w.clock.advance(1s);
    CHECK(ask(w, g, way) == "not_found");
    CHECK(ask(w, g, way) == "not_found");
    CHECK(w.load.calls() == 3);
  }
}

TEST_CASE("while the source is down it is asked for a key once in a while only") {
  world w;
  auto o = w.options();
  o.stale_if_error = 1min;
  o.retry_after = 3s;
  manual_strings g{o, w.load};
  CHECK(g.get("k"));
  w.clock.advance(10s);
  w.load.fails("k", "down");
  for (int i = 0; i != 90; ++i) {
    CHECK(ask(w, g, 0) == "value v1, stale");
    w.clock.advance(100ms);
  }
  CHECK(w.load.calls() == 1 + 3);
  CHECK(g.stats().load_failures == 3);
  CHECK(g.stats().stale == 90);
}

TEST_CASE("a source that hangs costs a reader its deadline, and yields what is there") {
  world w;
  auto o = w.options();
  o.stale_if_error = 1min;
  manual_strings g{o, w.load};
  int const way = GENERATE(range(0, ways));
  CHECK(g.get("k"));
  w.clock.advance(10s);
  w.load.blocks("k");
  auto const asked = g.now();
  CHECK(ask(w, g, way) == "value v1, stale");
  CHECK(g.now() == asked + 1s);
  w.load.answers("other", "v").blocks("other");
  CHECK(ask(w, g, way, "other") == "deadline");  // it was never there
  w.load.release_all();
  CHECK(g.flights() == 0);
}

TEST_CASE("stale in place of a refusal") {
  world w;
  auto o = w.options();
  o.stale_if_error = 1min;
  int const way = GENERATE(range(0, ways));
  bool const queue = GENERATE(true, false);
  if (queue) {
    o.max_loads = 1;
    o.max_queued_loads = 0;
  } else {
    o.max_waiters = 1;
  }
  manual_strings g{o, w.load};
  CHECK(g.get("k"));
  w.clock.advance(10s);
  w.load.blocks_all();
  listener l;
  g.async_get(queue ? "busy" : "k", never, l.handler());
  w.work.run_ready();
  auto const asked = g.now();
  CHECK(ask(w, g, way) == "value v1, stale");
  CHECK(g.now() == asked);
  w.load.release_all();
}

TEST_CASE("stale in place of a failure that is remembered") {
  world w;
  auto o = w.options();
  o.stale_if_error = 1min;
  o.error_ttl = 2s;
  manual_strings g{o, w.load};
  int const way = GENERATE(range(0, ways));
  CHECK(g.get("k"));
  w.clock.advance(10s);
  w.load.fails("k", "down").fails("other", "down");
  for (int i = 0; i != 3; ++i) {
    CHECK(ask(w, g, way) == "value v1, stale");
    CHECK(ask(w, g, way, "other") == "loader_failed: down");
  }
  CHECK(w.load.calls("k") == 2);
  CHECK(w.load.calls("other") == 1);
}

TEST_CASE("a peer is served stale, too, while the source is down") {
  world w;
  auto o = w.options();
  o.stale_if_error = 1min;
  manual_strings g{o, w.load};
  CHECK(g.get("k"));
  w.clock.advance(12s);
  w.load.fails("k", "down");
  auto const kind = GENERATE(kcache::detail::load_kind::own, kcache::detail::load_kind::foreign);
  for (int i = 0; i != 2; ++i) {
    std::string heard;
    g.core()->serve("k", kind, g.now() + 1s, [&](test::answer a) { heard = stale_or_not(a); });
    w.work.run_ready();
    CHECK(heard == "value v1, stale");
  }
}

TEST_CASE("a peer is told how long a value is fresh, not how long it is kept") {
  world w;
  auto o = w.options();
  o.stale_while_revalidate = 1min;
  manual_strings g{o, w.load};
  auto const kind = GENERATE(kcache::detail::load_kind::own, kcache::detail::load_kind::foreign);
  std::optional<test::answer> heard;
  g.core()->serve("k", kind, g.now() + 1s, [&](test::answer a) { heard = std::move(a); });
  w.work.run_ready();
  REQUIRE(heard);
  CHECK(told(*heard) == "value v1");
  CHECK(g.core()->fresh_until(**heard) == g.now() + 10s);
}

TEST_CASE("a grace of any length changes neither ages nor refreshes") {
  world w;
  auto o = w.options();
  o.ttl = 10ms;
  o.refresh_ahead = GENERATE(0.0, 1.0);
  o.stale_if_error = std::chrono::hours{24 * GENERATE(1, 30, 365, 3'650, 36'500)};
  w.load.takes(1ms);
  manual_strings g{o, w.load};
  CHECK(told(g.get("k")) == "value v1");
  auto const loaded = g.now();
  CHECK(g.get("k")->age() == 0ms);
  CHECK(g.explain("k").refresh_in.has_value() == (o.refresh_ahead != 0));
  w.clock.advance(5ms - 1ns);  // a refresh never comes in the first half
  for (int i = 0; i != 10; ++i) CHECK(g.get("k")->age() == 5ms - 1ns);
  CHECK(w.load.calls() == 1);
  w.clock.advance_to(loaded + 10ms - 1ns);
  CHECK_FALSE(g.get("k")->is_stale());
  w.work.run_for(1ms);
  CHECK(g.stats().refreshes == (o.refresh_ahead == 0 ? 0U : 1U));
  w.clock.advance(1s);
  auto const calls = w.load.calls();
  CHECK(told(g.get("k")) == "value v1");
  CHECK(w.load.calls() == calls + 1);
  CHECK(g.get("k")->age() <= 1ms);
}

TEST_CASE("a copy made in place of its owner is not served stale while nobody renews it") {
  world w;
  auto o = w.options();
  o.stale_while_revalidate = o.stale_if_error = 1min;
  w.load.answers("remote", "here");
  manual_strings g{o, w.load};
  auto const origin = std::make_shared<test::fake_origin>();
  REQUIRE(g.core()->attach(origin));
  origin->at_once = [] { return kcache::load_here{}; };
  CHECK(ask(w, g, 0, "remote") == "value here");
  int const way = GENERATE(range(0, ways));
  w.clock.advance(1s);  // fallback_ttl
  SECTION("its owner is asked") {
    origin->at_once = [] { return kcache::loaded<std::string>{"there", 10s}; };
    CHECK(ask(w, g, way, "remote") == "value there");
  }
  SECTION("it is served if neither has an answer") {
    w.load.fails("remote", "down");
    CHECK(ask(w, g, way, "remote") == "value here, stale");
    CHECK(w.load.calls() == 2);
  }
}

TEST_CASE("what is no failure is not answered by what is stale") {
  world w;
  auto o = w.options();
  o.stale_if_error = 1min;
  manual_strings* self = nullptr;
  test::answer inner{errc::cancelled};
  manual_strings g{o, [&](std::string const& key, kcache::load_context const& context,
                          kcache::load_completion<std::string> done) {
                     if (w.load.calls() != 0) inner = self->get(key);
                     w.load(key, context, std::move(done));
                   }};
  self = &g;
  CHECK(g.get("k"));
  w.clock.advance(10s);
  {
    kcache::no_blocking_scope const here;
    CHECK(g.get("k").error() == errc::would_block);
  }
  std::stop_source stop;
  stop.request_stop();
  CHECK(g.get("k", stop.get_token()).error() == errc::cancelled);
  w.load.answers("k", "v2");
  CHECK(told(g.get("k")) == "value v2");
  CHECK(inner.error() == errc::recursive_load);
}

TEST_CASE("each grace has its own bound") {
  world w;
  auto o = w.options();
  bool const longer = GENERATE(true, false);  // that of errors
  o.stale_while_revalidate = longer ? 2s : 20s;
  o.stale_if_error = longer ? 20s : 2s;
  manual_strings g{o, w.load};
  CHECK(g.get("k"));
  auto const expired = g.now() + 10s;
  w.load.fails("k", "down");
  w.clock.advance_to(expired + 2s - 1ns);
  CHECK(ask(w, g, 0) == "value v1, stale");
  w.work.run_ready();
  w.clock.advance_to(expired + 5s);
  CHECK(ask(w, g, 0) == "value v1, stale");
  CHECK(g.contains("k") == !longer);
  w.work.run_ready();
  w.clock.advance_to(expired + 20s);
  CHECK(ask(w, g, 0) == "loader_failed: down");
}

TEST_CASE("a value without end is never stale") {
  world w;
  auto o = w.options();
  o.ttl = ttl::never();
  o.stale_if_error = o.stale_while_revalidate = 1s;
  w.load.takes(100ms);
  manual_strings g{o, w.load};
  CHECK(g.get("k"));
  w.clock.advance(24h * 365);
  CHECK(ask(w, g, 0) == "value v1");
  CHECK(w.load.calls() == 1);
}

TEST_CASE("a source that comes back after an outage is not asked by everybody") {
  world w;
  auto o = w.options();
  o.stale_while_revalidate = 1min;
  manual_strings g{o, w.load};
  CHECK(g.get("k"));
  w.clock.advance(11s);
  w.load.answers("k", "v2").takes(50ms);
  std::size_t stale = 0;
  for (int i = 0; i != 60; ++i)
    g.async_get("k", [&](test::answer const& a) { stale += a && a->is_stale(); });
  CHECK(stale == 60);
  w.work.run_for(1s);
  CHECK(w.load.calls() == 2);
  CHECK(ask(w, g, 0) == "value v2");
}

TEST_CASE("times to live are spread by a tenth, unless told otherwise") {
  world w;
  auto o = w.options();
  double const part = GENERATE(-1.0, 0.0, 0.5);
  o.jitter = part < 0 ? kcache::group_options<test::manual_policies>{}.jitter : part;
  double const spread = part < 0 ? 0.1 : part;
  w.load.answers_with([](std::string const& key) { return key; });
  manual_strings g{o, w.load};
  std::vector<double> lives;
  for (int i = 0; i != 2'000; ++i) {
    auto const key = std::to_string(i);
    if (i % 2 == 0) CHECK(g.get(key));
    else CHECK(g.put(key, "v"));
    lives.push_back(std::chrono::duration<double>(g.explain(key).lives.value()).count());
  }
  auto const [least, most] = std::minmax_element(lives.begin(), lives.end());
  double sum = 0;
  for (double l : lives) sum += l;
  double const slack = 1e-6;
  CHECK(*least >= 10 * (1 - spread) - slack);
  CHECK(*most <= 10 * (1 + spread) + slack);
  CHECK(*least <= 10 * (1 - 0.95 * spread) + slack);
  CHECK(*most >= 10 * (1 + 0.95 * spread) - slack);
  CHECK(std::abs(sum / 2'000 - 10) <= 0.05 * 10 * spread + slack);
}
