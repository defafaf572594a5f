// SPDX-License-Identifier: BSL-1.0
#include <kcache/group.hpp>

#include "support/catch.hpp"
#include "support/manual_policies.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using kcache::errc;
using kcache::loaded;
using kcache::result;
using kcache::ttl;
using kcache::testing::manual_executor;
using test::listener;
using test::manual_strings;
using test::open_loads;
using test::told;

namespace {

struct world : test::manual_world {
  int loads = 0;

  auto options(ttl t = ttl::never()) { return exact(t); }
  /// `v:KEY`, counted.
  auto plain() {
    return [this](std::string const& key) {
      ++loads;
      return "v:" + key;
    };
  }
};

/// A hash that calls back.
struct hooked_hash {
  using is_avalanching = void;
  std::function<void()>* hook = nullptr;
  std::uint64_t operator()(std::string_view key) const {
    if (hook && *hook) (*hook)();
    return std::hash<std::string_view>{}(key);
  }
};

}  // namespace

TEST_CASE("a miss is loaded, a hit is not") {
  world w;
  manual_strings g{w.options(), w.plain()};
  CHECK(g.name() == "scores");
  CHECK_FALSE(g.contains("Tom"));
  CHECK(told(g.get("Tom")) == "value v:Tom");
  CHECK(told(g.get("Tom")) == "value v:Tom");
  CHECK(told(g.get("Jack")) == "value v:Jack");
  CHECK(w.loads == 2);
  CHECK(g.contains("Tom"));
  CHECK(*g.peek("Jack") == "v:Jack");
  CHECK(g.size() == 2);
  CHECK(g.weight() == 2);
  CHECK(g.flights() == 0);
  CHECK(w.work.pending() == 0);
  auto const s = g.stats();
  CHECK(s.loads == 2);
  CHECK(s.cache.hits == 1);
  CHECK(s.load_failures == 0);
  CHECK(s.fetches == 0);
}

TEST_CASE("the original's NewGroup") {
  kcache::group<std::string, std::string> g{"scores", 10, 5s,
                                            [](std::string const& k) { return k + k; }};
  CHECK(g.name() == "scores");
  CHECK(told(g.get("ab")) == "value abab");
}

TEST_CASE("a value lives as long as its loader or its group says") {
  world w;
  ttl own;
  manual_strings g{w.options(5s), [&](std::string const&) {
                     ++w.loads;
                     return loaded<std::string>{"v", own};
                   }};
  struct row {
    ttl own;
    kcache::duration lives;
  };
  for (auto const& r : {row{{}, 5s}, row{1s, 1s}, row{1min, 1min}}) {
    own = r.own;
    g.clear();
    w.loads = 0;
    CHECK(g.get("k"));
    w.clock.advance(r.lives - 1ns);
    CHECK(g.get("k"));
    CHECK(w.loads == 1);
    w.clock.advance(1ns);
    CHECK(g.get("k"));
    CHECK(w.loads == 2);
  }
  own = ttl::never();
  g.clear();
  CHECK(g.get("k"));
  w.loads = 0;
  w.clock.advance(24h * 365);
  CHECK(g.get("k"));
  CHECK(w.loads == 0);
}

TEST_CASE("not found and failures reach the caller, and only the former is kept for a while") {
  world w;
  manual_strings g{w.options(), [&](std::string const& key) -> result<std::string> {
                     ++w.loads;
                     if (key == "nobody") return errc::not_found;
                     if (key == "broken")
                       return kcache::error{errc::loader_failed, "no such table"};
                     if (key == "busy") return errc::overloaded;
                     throw std::runtime_error{"connection refused"};
                   }};
  for (int i = 0; i != 2; ++i) {
    CHECK(told(g.get("nobody")) == "not_found");
    CHECK(told(g.get("broken")) == "loader_failed: no such table");
    CHECK(told(g.get("busy")) == "overloaded");
    CHECK(told(g.get("throws")) == "loader_failed: connection refused");
  }
  CHECK(w.loads == 7);
  CHECK(g.size() == 0);
  CHECK(g.flights() == 0);
  CHECK(g.stats().not_found == 1);
  CHECK(g.stats().absent == 1);
  CHECK(g.stats().load_failures == 6);
}

TEST_CASE("after a loader has thrown the next get loads again") {
  world w;
  manual_strings g{w.options(), [&](std::string const& key) {
                     if (++w.loads == 1) throw 42;
                     return key;
                   }};
  CHECK(g.get("k").error() == errc::loader_failed);
  CHECK(told(g.get("k")) == "value k");
  CHECK(w.loads == 2);
}

TEST_CASE("a hundred callers make one load") {
  world w;
  manual_strings g{w.options(), w.plain()};
  listener l;
  for (int i = 0; i != 100; ++i) g.async_get("k", l.handler());
  CHECK(g.flights() == 1);
  CHECK(l.heard.empty());
  w.work.run_ready();
  CHECK(l.heard == std::vector<std::string>(100, "value v:k"));
  CHECK(w.loads == 1);
  CHECK(w.work.pending() == 0);  // no timer is left
}

TEST_CASE("they share a failure, too") {
  world w;
  manual_strings g{w.options(), [&](std::string const&) -> std::string {
                     ++w.loads;
                     throw std::runtime_error{"a message that is too long to be kept in place"};
                   }};
  listener l;
  for (int i = 0; i != 100; ++i) g.async_get("k", l.handler());
  w.work.run_ready();
  CHECK(l.heard == std::vector<std::string>(
                       100, "loader_failed: a message that is too long to be kept in place"));
  CHECK(w.loads == 1);
}

TEST_CASE("whoever leads looks at the cache once more") {
  // The hash is asked for once by the cache, that misses, then by the flights: a load that runs
  // from its beginning to its end in between has stored by the time of the join.
  struct policies : test::manual_policies {
    using hash = hooked_hash;
  };
  manual_executor const work;
  std::function<void()> hook;
  int loads = 0;
  kcache::group<std::string, std::string, policies> g{
      {.name = "scores", .capacity = 100, .hash = {&hook}, .executor = work},
      [&](std::string const& key) {
        ++loads;
        return "v:" + key;
      }};
  int calls = 0;
  hook = [&] {
    if (++calls == 2) CHECK(g.get("k"));
  };
  bool const blocking = GENERATE(true, false);
  listener l;
  if (blocking) {
    l.heard.push_back(told(g.get("k")));
  } else {
    g.async_get("k", l.handler());
    work.run_ready();
  }
  CHECK(calls > 2);
  CHECK(l.only() == "value v:k");
  CHECK(loads == 1);
}

TEST_CASE("a loader that asks for its own key is told so") {
  world w;
  manual_strings* self = nullptr;
  manual_strings g{w.options(), [&](std::string const& key) -> result<std::string> {
                     ++w.loads;
                     auto r = self->get(key);
                     if (!r) return r.error();
                     return std::string{**r};
                   }};
  self = &g;
  CHECK(g.get("k").error() == errc::recursive_load);
  CHECK(w.loads == 1);
  CHECK(g.flights() == 0);
}

TEST_CASE("loads that ask for each other's keys are told so") {
  world w;
  manual_strings *first = nullptr, *second = nullptr;
  std::vector<std::string> seen;
  auto const ask = [&](manual_strings*& whom, char const* key) {
    return [&seen, &whom, key](std::string const&) -> result<std::string> {
      auto r = whom->get(key);
      seen.push_back(told(r));
      if (!r) return r.error();
      return std::string{**r};
    };
  };
  // One group of each, so that the circle goes through both.
  manual_strings g{w.options(), ask(second, "b")};
  auto other = w.options();
  manual_strings h{other, ask(first, "a")};
  first = &g;
  second = &h;
  auto const start = w.clock.now();
  SECTION("one after the other") { CHECK(g.get("a").error() == errc::recursive_load); }
  SECTION("both at once") {
    listener l;
    g.async_get("a", l.handler());
    h.async_get("b", l.handler());
    w.work.run_ready();
    REQUIRE(l.heard.size() == 2);
    CHECK(l.heard[0].find("recursive_load") == 0);
    CHECK(l.heard[1].find("recursive_load") == 0);
  }
  CHECK(w.clock.now() == start);  // found, not waited for
  CHECK(g.flights() + h.flights() == 0);
}

TEST_CASE("nested loads of other keys are answered") {
  world w;
  kcache::group<int, std::uint64_t, test::manual_policies>* self = nullptr;
  kcache::group<int, std::uint64_t, test::manual_policies> g{
      {.name = "fibonacci", .capacity = 100, .executor = w.work},
      [&](int n) -> std::uint64_t {
        ++w.loads;
        return n < 2 ? static_cast<std::uint64_t>(n)
                     : *self->get(n - 1).value() + *self->get(n - 2).value();
      }};
  self = &g;
  CHECK(*g.get(60).value() == 1'548'008'755'920);
  CHECK(w.loads == 61);
}

TEST_CASE("asynchronous loads may wait for many others") {
  world w;
  using numbers = kcache::group<int, std::uint64_t, test::manual_policies>;
  numbers* self = nullptr;
  numbers g{{.name = "fibonacci", .capacity = 100, .executor = w.work},
            [&](int n, kcache::load_context context, kcache::load_completion<std::uint64_t> done) {
              if (n < 2) return done(loaded<std::uint64_t>{static_cast<std::uint64_t>(n)});
              struct sum {
                explicit sum(kcache::load_completion<std::uint64_t> d) : done{std::move(d)} {}
                kcache::load_completion<std::uint64_t> done;
                int missing = 2;
                std::uint64_t value = 0;
              };
              auto const s = std::make_shared<sum>(std::move(done));
              for (int i : {n - 1, n - 2})
                self->async_get(i, context, kcache::never, [s](numbers::answer a) {
                  s->value += **a;
                  if (--s->missing == 0) s->done(loaded<std::uint64_t>{s->value});
                });
            }};
  self = &g;
  CHECK(*g.get(60).value() == 1'548'008'755'920);
  CHECK(g.stats().loads == 61);
}

TEST_CASE("an asynchronous load that passes its context on is told of a circle") {
  world w;
  manual_strings* self = nullptr;
  manual_strings g{w.options(), [&](std::string const& key, kcache::load_context context,
                                    kcache::load_completion<std::string> done) {
                     self->async_get(key == "a" ? "b" : "a", context, kcache::never,
                                     [d = std::move(done)](test::answer a) mutable {
                                       d(result<std::string>{std::move(a).error()});
                                     });
                   }};
  self = &g;
  listener l;
  g.async_get("a", kcache::never, l.handler());
  g.async_get("b", kcache::never, l.handler());
  w.work.run_ready();
  REQUIRE(l.heard.size() == 2);
  CHECK(l.heard[0].find("recursive_load") == 0);
  CHECK(l.heard[1].find("recursive_load") == 0);
}

TEST_CASE("a load may end before those that it asked for") {
  world w;
  manual_strings* self = nullptr;
  open_loads slow;
  listener inner;
  manual_strings g{w.options(), [&](std::string const& key, kcache::load_context context,
                                    kcache::load_completion<std::string> done) {
                     if (key != "quick") return slow.loader()(key, context, std::move(done));
                     self->async_get("slow", context, self->now() + 1s, inner.handler());
                     done(result<std::string>{"at once"});
                   }};
  self = &g;
  CHECK(told(g.get("quick")) == "value at once");
  g.clear();
  w.work.run_ready();
  SECTION("and they end later") {
    slow.end("slow", "later");
    CHECK(inner.only() == "value later");
  }
  SECTION("and they end too late") {
    w.work.run_for(2s);
    CHECK(inner.only() == "deadline");
    slow.end("slow", "later");
  }
}

TEST_CASE("a caller leaves at its deadline, and the load goes on and is kept") {
  world w;
  open_loads slow;
  manual_strings g{w.options(), slow.loader()};
  auto const start = w.clock.now();
  SECTION("of its own") {
    CHECK(g.get("k", 100ms).error() == errc::deadline);
    CHECK(w.clock.now() == start + 100ms);
    CHECK(g.get("k", g.now() + 50ms).error() == errc::deadline);
    CHECK(w.clock.now() == start + 150ms);
  }
  SECTION("of the group") {
    CHECK(g.get("k").error() == errc::deadline);
    CHECK(w.clock.now() == start + 1s);
  }
  SECTION("that has passed") {
    CHECK(g.get("k", kcache::time_point::min()).error() == errc::deadline);
    CHECK(g.get("k", -1s).error() == errc::deadline);
    CHECK(w.clock.now() == start);
    w.work.run_ready();
  }
  SECTION("as a handler") {
    listener l;
    g.async_get("k", start + 100ms, l.handler());
    w.work.run_for(99ms);
    CHECK(l.heard.empty());
    w.work.run_for(1ms);
    CHECK(l.only() == "deadline");
  }
  CHECK(slow.begun == 1);
  CHECK(g.flights() == 1);
  CHECK(slow.open.find("k")->second.context.cancelled());  // nobody waits at the moment
  slow.end("k", "late");
  CHECK(told(g.get("k")) == "value late");
  CHECK(slow.begun == 1);
  CHECK(g.flights() == 0);
  CHECK(w.work.pending() == 0);
}

TEST_CASE("each caller has its own deadline, whoever leads") {
  world w;
  open_loads slow;
  manual_strings g{w.options(), slow.loader()};
  listener brief, patient, endless;
  bool const brief_leads = GENERATE(true, false);
  if (brief_leads) g.async_get("k", g.now() + 100ms, brief.handler());
  g.async_get("k", g.now() + 5s, patient.handler());
  g.async_get("k", kcache::never, endless.handler());
  if (!brief_leads) g.async_get("k", g.now() + 100ms, brief.handler());
  w.work.run_for(100ms);
  CHECK(brief.only() == "deadline");
  CHECK(patient.heard.empty());
  CHECK_FALSE(slow.open.find("k")->second.context.cancelled());
  w.work.run_for(1s);
  slow.end("k", "v");
  CHECK(brief.only() == "deadline");
  CHECK(patient.only() == "value v");
  CHECK(endless.only() == "value v");
  CHECK(slow.begun == 1);
}

TEST_CASE("a blocked caller gets the answer that comes in time") {
  world w;
  open_loads slow;
  manual_strings g{w.options(), slow.loader()};
  w.work.schedule_at(g.now() + 300ms, [&] { slow.end("k", "v"); });
  CHECK(told(g.get("k", 400ms)) == "value v");
}

TEST_CASE("an asynchronous loader may answer at once, drop its completion, or throw") {
  world w;
  manual_strings g{w.options(), [&](std::string const& key, kcache::load_context,
                                    kcache::load_completion<std::string> done) {
                     ++w.loads;
                     if (key == "at once") return done(loaded<std::string>{"v", 1s});
                     if (key == "fails") return done(result<std::string>{errc::not_found});
                     if (key == "throws") throw std::runtime_error{"boo"};
                     if (key == "answers, then throws") {
                       done(loaded<std::string>{"v", {}});
                       throw std::runtime_error{"boo"};
                     }
                   }};
  CHECK(told(g.get("at once")) == "value v");
  CHECK(told(g.get("fails")) == "not_found");
  CHECK(g.get("drops").error() == errc::loader_failed);
  CHECK(g.get("throws").error() == errc::loader_failed);
  CHECK(told(g.get("answers, then throws")) == "value v");
  CHECK(g.flights() == 0);
  CHECK(g.get("drops").error() == errc::loader_failed);
  CHECK(w.loads == 6);
}

TEST_CASE("an answer that comes late from a dropped load ends its flight") {
  world w;
  open_loads slow;
  manual_strings g{w.options(), slow.loader()};
  listener l;
  g.async_get("k", l.handler());
  w.work.run_ready();
  (void)slow.take("k");
  CHECK(l.heard == std::vector<std::string>{"loader_failed: no answer"});
  CHECK(g.flights() == 0);
}

TEST_CASE("a hit is handed over before async_get returns") {
  world w;
  manual_strings g{w.options(), w.plain()};
  CHECK(g.get("k"));
  listener l;
  g.async_get("k", l.handler());
  CHECK(l.only() == "value v:k");
}

TEST_CASE("where nothing may block, hits are answered and misses refused") {
  world w;
  manual_strings g{w.options(), w.plain()};
  CHECK(g.get("known"));
  kcache::no_blocking_scope const here;
  CHECK(told(g.get("known")) == "value v:known");
  CHECK(g.get("k").error() == errc::would_block);
  CHECK(g.get("k", 5s).error() == errc::would_block);
  CHECK(w.loads == 1);
  CHECK(g.flights() == 0);
  listener l;
  g.async_get("k", l.handler());
  w.work.run_ready();
  CHECK(l.only() == "value v:k");
}

TEST_CASE("an invalidation wins over a load that began before it") {
  world w;
  open_loads slow;
  manual_strings g{w.options(), slow.loader()};
  listener before, after;
  g.async_get("k", before.handler());
  w.work.run_ready();
  bool const all = GENERATE(false, true);
  if (all) g.clear();
  else CHECK(g.invalidate("k"));
  g.async_get("k", after.handler());
  w.work.run_ready();
  REQUIRE(slow.begun == 2);  // the second does not join the first

  slow.end("k", "old");
  CHECK(before.only() == "value old");
  CHECK(after.heard.empty());
  CHECK_FALSE(g.contains("k"));
  slow.end("k", "new");
  CHECK(after.only() == "value new");
  CHECK(*g.peek("k") == "new");
}

TEST_CASE("the old load may end after the new one, and stores nothing") {
  world w;
  open_loads slow;
  manual_strings g{w.options(), slow.loader()};
  listener before, after;
  g.async_get("k", before.handler());
  w.work.run_ready();
  auto old = slow.take("k");
  CHECK(g.invalidate("k"));
  g.async_get("k", after.handler());
  w.work.run_ready();
  slow.end("k", "new");
  old.done(result<std::string>{"old"});
  CHECK(before.only() == "value old");
  CHECK(*g.peek("k") == "new");
}

TEST_CASE("invalidating drops what is kept") {
  world w;
  manual_strings g{w.options(), w.plain()};
  CHECK(g.get("k"));
  auto const h = g.peek("k");
  CHECK(g.invalidate("k"));
  CHECK_FALSE(g.contains("k"));
  CHECK(*h == "v:k");
  CHECK(g.get("k"));
  CHECK(w.loads == 2);
}

TEST_CASE("no more callers may wait than the limit") {
  world w;
  auto o = w.options();
  o.max_waiters = 2;
  manual_strings g{o, w.plain()};
  listener a, b, c;
  g.async_get("k", a.handler());
  g.async_get("k", b.handler());
  g.async_get("k", c.handler());
  CHECK(c.heard.size() == 1);
  CHECK(c.heard.at(0).find("overloaded") == 0);
  w.work.run_ready();
  CHECK(a.only() == "value v:k");
  CHECK(b.only() == "value v:k");
  CHECK(w.work.pending() == 0);
}

TEST_CASE("what a group takes with it when it goes") {
  world w;
  open_loads slow;
  listener l;
  std::optional<manual_strings> g{std::in_place, w.options(), slow.loader()};
  g->async_get("begun", l.handler());
  w.work.run_ready();
  g->async_get("posted", l.handler());
  auto const start = w.clock.now();
  SECTION("every caller is answered, and a load that hangs is awaited for a while only") {
    g.reset();
    CHECK(l.heard == std::vector<std::string>(2, "cancelled"));
    CHECK(slow.begun == 1);  // the other was not begun any more
    CHECK(w.clock.now() == start + 1s);
    CHECK(slow.open.find("begun")->second.context.cancelled());
    SECTION("it may answer later") { slow.end("begun", "v"); }
    SECTION("or never") { slow.open.clear(); }
    CHECK(l.heard.size() == 2);
  }
  SECTION("a load that ends in time is not waited for longer") {
    w.work.schedule_at(start + 200ms, [&] { slow.end("begun", "v"); });
    g.reset();
    CHECK(w.clock.now() == start + 200ms);
    CHECK(l.heard == std::vector<std::string>(2, "cancelled"));
  }
}

TEST_CASE("a group may go from a handler of its own") {
  world w;
  auto g = std::make_unique<manual_strings>(w.options(), w.plain());
  listener l;
  g->async_get("k", [&](test::answer a) {
    l.heard.push_back(told(a));
    g.reset();
  });
  g->async_get("other", l.handler());
  auto const start = w.work.now();
  w.work.run_ready();
  CHECK_FALSE(g);
  CHECK(l.heard.size() == 2);
  CHECK(w.work.now() == start);  // nor does it wait for the load that it ends
}

TEST_CASE("an executor may go before its group") {
  open_loads slow;
  listener l;
  {
    std::optional<manual_executor> work{std::in_place};
    manual_strings g{{.name = "scores", .capacity = 10, .executor = *work}, slow.loader()};
    g.async_get("begun", l.handler());
    work->run_ready();
    g.async_get("posted", l.handler());
    work.reset();
    CHECK(l.heard == std::vector<std::string>{"cancelled"});  // the load that was dropped
    slow.end("begun", "v");
    CHECK(l.heard == std::vector<std::string>{"cancelled", "value v"});
    CHECK(g.get("later", 1s).error() == errc::cancelled);
    CHECK(told(g.get("begun")) == "value v");
  }
  CHECK(l.heard.size() == 2);
}

TEST_CASE("a value outlives its group") {
  world w;
  std::optional<manual_strings> g{std::in_place, w.options(), w.plain()};
  auto const h = g->get("k").value();
  g.reset();
  CHECK(*h == "v:k");
}

TEST_CASE("values need not be copied") {
  manual_executor const work;
  using pointers = kcache::group<int, std::unique_ptr<int>, test::manual_policies>;
  pointers g{{.name = "pointers", .capacity = 10, .executor = work},
             [](int n) { return std::make_unique<int>(n); }};
  CHECK(**g.get(7).value() == 7);
  pointers a{{.name = "pointers", .capacity = 10, .executor = work},
             [](int n, kcache::load_context, kcache::load_completion<std::unique_ptr<int>> done) {
               done(loaded<std::unique_ptr<int>>{std::make_unique<int>(n), {}});
             }};
  CHECK(**a.get(8).value() == 8);
}

TEST_CASE("a value whose move throws fails its load, wherever it throws") {
  struct fragile {
    explicit fragile(int moves) : left{moves} {}
    fragile(fragile&& other) : left{other.left - 1} {
      if (left < 0) throw std::runtime_error{"cannot be moved any more"};
    }
    int left;
  };
  using group = kcache::group<int, fragile, test::manual_policies>;
  bool const late = GENERATE(false, true);
  int values = 0;
  for (int moves = 0; moves != 30; ++moves) {
    manual_executor const work;
    std::optional<kcache::load_completion<fragile>> open;
    group g{{.name = "fragile", .capacity = 10, .executor = work},
            late ? kcache::loader<int, fragile>{[&](int, kcache::load_context,
                                                    kcache::load_completion<fragile> done) {
                     open.emplace(std::move(done));
                   }}
                 : kcache::loader<int, fragile>{[&](int) { return fragile{moves}; }}};
    int answers = 0;
    g.async_get(1, [&](group::answer const& a) {
      ++answers;
      if (a) ++values;
    });
    work.run_ready();
    if (open) {
      try {
        (*open)(loaded<fragile>{fragile{moves}, {}});
      } catch (std::runtime_error const&) {  // its own thread may be told
      }
      open.reset();
    }
    CHECK(answers == 1);
    CHECK(g.flights() == 0);
  }
  CHECK(values > 0);
}

TEST_CASE("options that cannot be are refused with a message") {
  world w;
  auto const message = [&](auto change) -> std::string {
    auto o = w.options();
    change(o);
    try {
      manual_strings const g{o, w.plain()};
    } catch (kcache::failure const& e) {
      CHECK(e.kind() == errc::invalid_options);
      return e.what();
    }
    return {};
  };
  CHECK(message([](auto& o) { o.capacity = 0; }).find("capacity") != std::string::npos);
  CHECK(message([](auto& o) { o.ttl = 0s; }).find("ttl") != std::string::npos);
  CHECK(message([](auto& o) { o.ttl = -1s; }).find("ttl") != std::string::npos);
  CHECK(message([](auto&) {}).empty());
}
