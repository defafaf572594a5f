// SPDX-License-Identifier: BSL-1.0
// What a group answers when there is no value, what is put into it, and what it knows of a key.
#include <kcache/group.hpp>

#include "support/catch.hpp"
#include "support/fake_origin.hpp"
#include "support/scripted_world.hpp"

#include <kcache/policies/key_counting_stats.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <stop_token>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using kcache::errc;
using kcache::loaded;
using kcache::never;
using kcache::result;
using kcache::ttl;
using kcache::testing::manual_executor;
using test::listener;
using test::manual_strings;
using test::told;

namespace {

using test::words;
using options_type = kcache::group_options<test::manual_policies>;

struct world : test::scripted_world {
  options_type options() { return exact(); }
};

/// The words of the refusal; empty if there is none.
template <class Change>
std::string refusal(Change change) {
  world w;
  auto o = w.options();
  change(o);
  try {
    manual_strings const g{o, w.load};
  } catch (kcache::failure const& e) {
    CHECK(e.kind() == errc::invalid_options);
    return e.what();
  }
  return {};
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace

TEST_CASE("that there is no such key is remembered for a second") {
  world w;
  manual_strings g{w.options(), w.load};
  CHECK(told(g.get("none")) == "not_found");
  w.clock.advance(1s - 1ns);
  CHECK(told(g.get("none")) == "not_found");
  listener l;
  g.async_get("none", l.handler());
  CHECK(l.only() == "not_found");  // at once
  CHECK(told(g.get_many(words{"none"}).front()) == "not_found");
  {
    kcache::no_blocking_scope const here;
    CHECK(told(g.get("none")) == "not_found");
  }
  CHECK(w.load.calls() == 1);
  CHECK(g.stats().not_found == 1);
  CHECK(g.stats().absent == 4);
  CHECK_FALSE(g.contains("none"));
  CHECK(g.size() == 0);
  w.clock.advance(1ns);
  CHECK(told(g.get("none")) == "not_found");
  CHECK(w.load.calls() == 2);
}

TEST_CASE("or for as long as the option says") {
  world w;
  auto o = w.options();
  struct row {
    kcache::duration lives;
    std::size_t loads;  // of two gets, half a second apart
  };
  for (auto const& r : {row{0s, 2}, row{100ms, 2}, row{500ms + 1ns, 1}, row{5s, 1}}) {
    o.negative_ttl = r.lives;
    manual_strings g{o, w.load};
    auto const before = w.load.calls();
    CHECK(told(g.get("none")) == "not_found");
    w.clock.advance(500ms);
    CHECK(told(g.get("none")) == "not_found");
    CHECK(w.load.calls() - before == r.loads);
  }
}

TEST_CASE("only so many absent keys are remembered") {
  world w;
  auto o = w.options();
  o.max_negative = 10;
  manual_strings g{o, w.load};
  for (int i = 0; i != 1'000; ++i) CHECK_FALSE(g.get(std::to_string(i)));
  std::size_t remembered = 0;
  for (int i = 0; i != 1'000; ++i) remembered += g.explain(std::to_string(i)).absent;
  CHECK(remembered > 0);
  CHECK(remembered <= 10);
  CHECK(w.load.calls() == 1'000);
}

TEST_CASE("what changes a key forgets that it was absent") {
  world w;
  manual_strings g{w.options(), w.load};
  CHECK_FALSE(g.get("k"));
  w.load.answers("k", "new");
  CHECK(told(g.get("k")) == "not_found");
  SECTION("invalidate") {
    CHECK(g.invalidate("k"));
    CHECK(told(g.get("k")) == "value new");
  }
  SECTION("clear") {
    g.clear();
    CHECK(told(g.get("k")) == "value new");
  }
  SECTION("put") {
    CHECK(g.put("k", "put")->stored);
    CHECK(told(g.get("k")) == "value put");
    CHECK(w.load.calls() == 1);
    w.load.not_found("k");
  }
  SECTION("put_if_absent") {
    CHECK(g.put_if_absent("k", "put")->stored);
    CHECK(told(g.get("k")) == "value put");
  }
  SECTION("another key's invalidation does not") {
    CHECK(g.invalidate("other"));
    CHECK(told(g.get("k")) == "not_found");
  }
}

TEST_CASE("a load that found nothing, and began before a change, is not remembered") {
  world w;
  manual_strings g{w.options(), w.load};
  w.load.blocks("k");
  listener l;
  g.async_get("k", never, l.handler());
  w.work.run_ready();
  int const how = GENERATE(0, 1, 2);
  if (how == 0) CHECK(g.invalidate("k"));
  if (how == 1) g.clear();
  if (how == 2) CHECK(g.put("k", "put"));
  w.load.release("k");
  CHECK(l.only() == "not_found");
  CHECK_FALSE(g.explain("k").absent);
  w.load.answers("k", "new");
  CHECK(told(g.get("k")) == (how == 2 ? "value put" : "value new"));
}

TEST_CASE("failures are remembered if the option says so, with their words") {
  world w;
  auto o = w.options();
  bool const set = GENERATE(true, false);
  if (set) o.error_ttl = 2s;
  manual_strings g{o, w.load};
  w.load.fails("k", "no connection, and words that are not kept in place");
  for (int i = 0; i != 3; ++i)
    CHECK(told(g.get("k")) == "loader_failed: no connection, and words that are not kept in place");
  CHECK(w.load.calls() == (set ? 1U : 3U));
  CHECK(g.stats().load_failures == (set ? 1U : 3U));
  CHECK(g.stats().absent == (set ? 2U : 0U));
  w.clock.advance(2s);
  w.load.answers("k", "v");
  CHECK(told(g.get("k")) == "value v");
}

TEST_CASE("what is no failure of the source is not remembered as one") {
  world w;
  auto o = w.options();
  o.error_ttl = 5s;
  o.max_loads = 1;
  o.max_queued_loads = 0;
  manual_strings g{o, w.load};
  w.load.fails("k", errc::cancelled);
  CHECK(told(g.get("k")) == "cancelled");
  w.load.blocks("busy");
  listener l;
  g.async_get("busy", g.now() + 1ms, l.handler());
  w.work.run_for(1ms);
  CHECK(l.only() == "deadline");  // the caller's, not the load's
  CHECK(told(g.get("other")) == "overloaded");
  for (auto const* k : {"k", "busy", "other"}) CHECK_FALSE(g.explain(k).absent);
}

TEST_CASE("to remember absence for long two options must be raised") {
  auto const most = "max_negative_ttl";
  CHECK(contains(refusal([](auto& o) { o.negative_ttl = 5s + 1ns; }), most));
  CHECK(contains(refusal([](auto& o) { o.error_ttl = 6s; }), most));
  CHECK(refusal([](auto& o) { o.negative_ttl = o.error_ttl = 5s; }).empty());
  CHECK(refusal([](auto& o) { o.negative_ttl = o.error_ttl = o.max_negative_ttl = 1h; }).empty());
  CHECK(contains(refusal([](auto& o) { o.max_negative_ttl = 0s; }), most));
}

TEST_CASE("options that cannot be are refused by their names") {
  CHECK(contains(refusal([](auto& o) { o.jitter = -0.1; }), "jitter"));
  CHECK(contains(refusal([](auto& o) { o.jitter = 1.1; }), "jitter"));
  CHECK(contains(refusal([](auto& o) { o.jitter = std::numeric_limits<double>::quiet_NaN(); }),
                 "jitter"));
  CHECK(contains(refusal([](auto& o) { o.refresh_ahead = -1; }), "refresh_ahead"));
  CHECK(
      contains(refusal([](auto& o) { o.stale_while_revalidate = -1s; }), "stale_while_revalidate"));
  CHECK(contains(refusal([](auto& o) { o.stale_if_error = -1s; }), "stale_if_error"));
  CHECK(contains(refusal([](auto& o) { o.retry_after = -1s; }), "retry_after"));
  CHECK(contains(refusal([](auto& o) { o.negative_ttl = -1s; }), "negative_ttl"));
  CHECK(contains(refusal([](auto& o) { o.error_ttl = -1s; }), "error_ttl"));
  CHECK(contains(refusal([](auto& o) { o.max_negative = 0; }), "max_negative"));
  CHECK(contains(refusal([](auto& o) { o.max_loads = 0; }), "max_loads"));
  CHECK(contains(refusal([](auto& o) { o.max_batch = 0; }), "max_batch"));
  CHECK(refusal([](auto& o) { o.max_queued_loads = 0; }).empty());
}

TEST_CASE("every answer without a value says why") {
  world w;
  auto o = w.options();
  o.max_loads = 1;
  o.max_queued_loads = 0;
  manual_strings* self = nullptr;
  manual_strings g{o, [&](std::string const& key, kcache::load_context const& context,
                          kcache::load_completion<std::string> done) {
                     if (key != "self") return w.load(key, context, std::move(done));
                     self->async_get("self", context, never,
                                     [d = std::move(done)](test::answer a) mutable {
                                       d(result<std::string>{std::move(a).error()});
                                     });
                   }};
  self = &g;
  w.load.fails("broken", "no such table").throws("throws", "boo").blocks("hung");
  CHECK(g.get("none").error() == errc::not_found);
  CHECK(told(g.get("broken")) == "loader_failed: no such table");
  CHECK(g.get("throws").error() == errc::loader_failed);
  CHECK(g.get("self").error() == errc::recursive_load);
  CHECK(g.get("hung", 10ms).error() == errc::deadline);
  CHECK(g.get("shed").error() == errc::overloaded);
  std::stop_source stop;
  stop.request_stop();
  CHECK(g.get("k", stop.get_token()).error() == errc::cancelled);
  kcache::no_blocking_scope const here;
  CHECK(g.get("k").error() == errc::would_block);
}

TEST_CASE("what is put is served as if it had been loaded") {
  world w;
  auto o = w.options();
  o.ttl = 10s;
  manual_strings g{o, w.load};
  auto const put = g.put("k", "v");
  REQUIRE(put);
  CHECK(put->stored);
  CHECK(*put->entry == "v");
  w.clock.advance(3s);
  auto const r = g.get("k");
  CHECK(told(r) == "value v");
  CHECK(r->age() == 3s);
  CHECK_FALSE(r->is_stale());
  CHECK(r->expires_at() == w.clock.now() + 7s);
  CHECK(g.put("k", "w")->stored);
  CHECK(told(g.get("k")) == "value w");
  CHECK(g.get("k")->age() == 0s);
  CHECK(g.put("brief", "v", 1s));
  w.clock.advance(1s);
  CHECK(told(g.get("brief")) == "not_found");
  CHECK(w.load.calls() == 1);
  std::string const key = "moved";
  CHECK(g.put(std::string_view{key}, std::string{"v"}, ttl::never()));
  w.clock.advance(24h);
  CHECK(g.contains("moved"));
}

TEST_CASE("put_if_absent leaves alone what is there, be it stale") {
  world w;
  auto o = w.options();
  o.ttl = 1s;
  bool const grace = GENERATE(true, false);
  if (grace) o.stale_while_revalidate = 10s;
  manual_strings g{o, w.load};
  CHECK(g.put_if_absent("k", "first")->stored);
  auto const second = g.put_if_absent("k", "second");
  CHECK_FALSE(second->stored);
  CHECK(*second->entry == "first");
  w.clock.advance(1s);
  CHECK(g.put_if_absent("k", "third")->stored != grace);
  w.clock.advance(10s);
  CHECK(g.put_if_absent("k", "fourth")->stored);
  CHECK(told(g.get("k")) == "value fourth");
}

TEST_CASE("a load that began before a put neither stores nor answers who comes after") {
  world w;
  auto o = w.options();
  o.ttl = 10s;
  manual_strings g{o, w.load};
  w.load.answers("k", "old").blocks("k");
  listener before, after;
  g.async_get("k", never, before.handler());
  w.work.run_ready();
  bool const only_if_absent = GENERATE(true, false);
  auto const lives = ttl{GENERATE(kcache::duration{5s}, kcache::duration{1ms})};
  CHECK((only_if_absent ? g.put_if_absent("k", "put", lives) : g.put("k", "put", lives))->stored);
  bool const expires = lives == ttl{1ms};
  if (expires) {
    w.clock.advance(1ms);
    w.load.answers("k", "new");
    g.async_get("k", never, after.handler());  // a load of its own, not that one
    w.work.run_ready();
    CHECK(w.load.running("k") == 2);
  }
  w.load.release("k");
  CHECK(before.only() == "value old");
  CHECK(told(g.get("k")) == (expires ? "value new" : "value put"));
  if (expires) CHECK(after.only() == "value new");
  CHECK(g.flights() == 0);
}

TEST_CASE("a value too heavy to be put takes the place of none, and the key has none") {
  struct policies : test::manual_policies {
    struct weigher {
      std::uint64_t operator()(std::string_view, std::string_view v) const { return v.size(); }
    };
  };
  manual_executor const work;
  int loads = 0;
  kcache::group<std::string, std::string, policies> g{
      {.name = "heavy", .capacity = 100, .max_entry_weight = 10, .executor = work},
      [&](std::string const&) { return ++loads, "v"; }};
  CHECK(g.put("k", "light")->stored);
  auto const put = g.put("k", "heavier than ten");
  REQUIRE(put);
  CHECK_FALSE(put->stored);
  CHECK(*put->entry == "heavier than ten");
  CHECK_FALSE(g.contains("k"));
  CHECK(told(g.get("k")) == "value v");
  CHECK(loads == 1);
}

TEST_CASE("in a cluster changes of one node only are refused") {
  world w;
  manual_strings g{w.options(), w.load};
  CHECK(g.put("k", "before"));
  REQUIRE(g.core()->attach(std::make_shared<test::fake_origin>()));
  CHECK(g.put("k", "v").error() == errc::unsupported);
  CHECK(g.put_if_absent("other", "v").error() == errc::unsupported);
  CHECK(g.invalidate("k").error() == errc::unsupported);
  CHECK(contains(g.put("k", "v").error().message(), "put"));
  CHECK(told(g.get("k")) == "value before");
  CHECK_FALSE(g.contains("other"));
  g.clear();  // this node's
  CHECK_FALSE(g.contains("k"));
}

TEST_CASE("a key explained: what is cached") {
  world w;
  auto o = w.options();
  o.ttl = 10s;
  o.stale_if_error = 1min;
  manual_strings g{o, w.load};
  w.load.answers("k", "v").takes("k", 1s);
  CHECK(g.explain("k").text() == "not cached");
  CHECK(g.get("k", never));
  w.clock.advance(1500ms);
  CHECK(g.explain("k").text() == "cached, 1.500 s old, 8.500 s to live");
  auto const e = g.explain("k");
  REQUIRE(e.refresh_in);  // the load took its time
  CHECK(*e.refresh_in >= 3500ms);
  CHECK(*e.refresh_in <= 8500ms);
  w.clock.advance(10s);
  CHECK(g.explain("k").text() == "cached, 11.500 s old, stale for 1.500 s");
  CHECK_FALSE(g.contains("k"));  // only for when the source is down
  CHECK(g.put("ever", "v", ttl::never()));
  CHECK(g.explain("ever").text() == "cached, 0.000 s old, lives until it is evicted");
  CHECK_FALSE(g.explain("ever").refresh_in);
  auto const before = g.stats();
  for (auto const* k : {"k", "ever", "none"}) CHECK_FALSE(g.explain(k).text().empty());
  CHECK(g.stats().cache == before.cache);
  CHECK(g.stats().absent == before.absent);
}

TEST_CASE("a key explained: what is remembered in place of a value") {
  world w;
  auto o = w.options();
  o.error_ttl = 1s;
  manual_strings g{o, w.load};
  w.load.fails("broken", "no such table");
  CHECK_FALSE(g.get("none"));
  CHECK_FALSE(g.get("broken"));
  CHECK(g.explain("none").text() == "not cached, known absent (not_found)");
  CHECK(g.explain("broken").text() == "not cached, known absent (no such table)");
  w.clock.advance(1s);
  CHECK(g.explain("none").text() == "not cached");
}

TEST_CASE("a key explained: who loads it, and who waits") {
  world w;
  auto o = w.options();
  o.max_loads = 1;
  manual_strings g{o, w.load};
  auto const origin = std::make_shared<test::fake_origin>();
  REQUIRE(g.core()->attach(origin));
  w.load.blocks_all();
  listener l;
  for (int i = 0; i != 3; ++i) g.async_get("a", never, l.handler());
  g.async_get("b", never, l.handler());
  g.async_get("c", g.now() + 1ms, l.handler());
  g.async_get("remote", never, l.handler());
  w.work.run_for(1ms);
  CHECK(g.explain("a").text() == "not cached, being loaded, 3 wait for it");
  CHECK(g.explain("b").text() == "not cached, its load waits with 2 in the queue, 1 wait for it");
  CHECK(g.explain("c").text() == "not cached, its load waits with 2 in the queue");
  CHECK(g.explain("remote").text() == "not cached, its owner is being asked, 1 wait for it");
  CHECK(g.explain("b").loading);
  CHECK(g.explain("d").text() == "not cached");
  g.clear();
  CHECK(g.explain("a").text() == "not cached");  // nobody could join that load
  w.load.release_all();
  origin->answer(loaded<std::string>{"v", 1s});
  w.work.run_ready();
  CHECK(g.flights() == 0);
}

TEST_CASE("a key explained: how often it was hit, where the stats policy counts that") {
  struct policies : test::manual_policies {
    using stats = kcache::key_counting_stats;
  };
  manual_executor const work;
  kcache::group<std::string, std::string, policies> g{
      {.name = "counted", .capacity = 100, .executor = work},
      [](std::string const& key) { return key; }};
  for (int i = 0; i != 4; ++i) CHECK(g.get("k"));
  CHECK(g.explain("k").hits == 3U);
  CHECK(g.explain("k").text() == "cached, 0.000 s old, lives until it is evicted, hit 3 times");
  CHECK(g.explain("other").hits == 0U);
  world w;
  manual_strings const plain{w.options(), w.load};
  CHECK_FALSE(plain.explain("k").hits);
}

namespace {

/// Lets something happen in the middle of a put.
struct hooked_weigher {
  std::function<void()>* hook = nullptr;
  std::size_t operator()(std::string_view, std::string_view value) const {
    if (value == "put" && hook && *hook) std::exchange(*hook, {})();
    return 1;
  }
};
struct hooked_policies : test::manual_policies {
  using weigher = hooked_weigher;
};

}  // namespace

TEST_CASE("a load that begins while a value is put does not win over it") {
  bool const if_absent = GENERATE(false, true);
  world w;
  std::function<void()> hook;
  w.load.answers("k", "old");
  kcache::group<std::string, std::string, hooked_policies> g{{.name = "answers",
                                                              .capacity = 100,
                                                              .jitter = 0,
                                                              .clock = w.clock,
                                                              .weigher = {&hook},
                                                              .executor = w.work},
                                                             w.load};
  listener l;
  w.load.blocks("k");
  hook = [&] {  // it reads the source, and would store after the put
    g.async_get("k", l.handler());
    w.work.run_ready();
  };
  auto const stored = if_absent ? g.put_if_absent("k", "put") : g.put("k", "put");
  REQUIRE(stored);
  CHECK(stored->stored);
  CHECK(w.load.release("k") == 1);
  w.work.run_ready();
  CHECK(l.only() == "value old");
  CHECK(told(g.get("k")) == "value put");
}
