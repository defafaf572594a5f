// SPDX-License-Identifier: BSL-1.0
// How a group asks the owners of its keys, with a cluster that does what the test says.
#include <kcache/remote_origin.hpp>

#include "support/catch.hpp"
#include "support/fake_origin.hpp"
#include "support/manual_policies.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using kcache::errc;
using kcache::load_here;
using kcache::loaded;
using kcache::result;
using kcache::ttl;
using kcache::detail::load_kind;
using kcache::testing::manual_clock;
using kcache::testing::manual_executor;
using test::listener;
using test::manual_strings;
using test::told;

namespace {

using value = loaded<std::string>;

struct world {
  manual_clock clock;
  manual_executor work{clock};
  int loads = 0;
  std::shared_ptr<test::fake_origin> origin = std::make_shared<test::fake_origin>();

  kcache::group_options<test::manual_policies> options() {
    return {.name = "scores",
            .capacity = 100,
            .ttl = 1min,
            .jitter = 0,
            .clock = clock,
            .executor = work};
  }
  auto plain() {
    return [this](std::string const& key) {
      ++loads;
      return "here:" + key;
    };
  }
};

struct joined_group : world {
  manual_strings g{options(), plain()};
  joined_group() { REQUIRE(g.core()->attach(origin)); }
};

}  // namespace

TEST_CASE_METHOD(joined_group,
                 "own keys are loaded, others fetched from their owner and not kept") {
  CHECK(told(g.get("mine")) == "value here:mine");
  CHECK(origin->fetches == 0);
  origin->at_once = [] { return value{"there", 10s}; };
  for (int i = 1; i <= 3; ++i) {
    auto const r = g.get("remote");
    CHECK(told(r) == "value there");
    CHECK((*r).expires_at() == clock.now() + 10s);
    CHECK(origin->fetches == i);
  }
  CHECK(loads == 1);
  CHECK(g.size() == 1);
  CHECK(g.stats().fetches == 3);
  CHECK(g.stats().fetch_failures == 0);
}

TEST_CASE_METHOD(joined_group, "a hundred callers make one question") {
  listener l;
  for (int i = 0; i != 100; ++i) g.async_get("remote", l.handler());
  CHECK(g.flights() == 1);
  REQUIRE(origin->fetches == 1);
  origin->answer(value{"there", ttl::never()});
  CHECK(l.heard == std::vector<std::string>(100, "value there"));
  CHECK(g.flights() == 0);
  CHECK(work.pending() == 0);
}

TEST_CASE_METHOD(joined_group, "the owner's errors are the caller's, and nobody loads for them") {
  for (errc const e : {errc::not_found, errc::loader_failed, errc::overloaded, errc::deadline,
                       errc::recursive_load}) {
    origin->at_once = [e] { return kcache::error{e}; };
    CHECK(g.get("remote").error() == e);
  }
  CHECK(loads == 0);
  CHECK(g.flights() == 0);
}

TEST_CASE_METHOD(joined_group,
                 "where the owner is out of reach the value is loaded, kept briefly") {
  origin->at_once = [] { return load_here{}; };
  listener l;
  for (int i = 0; i != 100; ++i) g.async_get("remote", l.handler());
  work.run_ready();
  CHECK(l.heard == std::vector<std::string>(100, "value here:remote"));
  CHECK(loads == 1);
  CHECK(origin->fetches == 1);
  CHECK(g.stats().fallback_loads == 1);
  CHECK(g.get("remote"));
  CHECK(loads == 1);  // kept
  clock.advance(1s);  // fallback_ttl
  CHECK(g.get("remote"));
  CHECK(loads == 2);
  CHECK(origin->fetches == 2);
  CHECK(g.flights() == 0);
}

TEST_CASE("a copy made in an emergency never outlives what its loader said") {
  world w;
  auto o = w.options();
  o.fallback_ttl = 10s;
  manual_strings g{o, [&](std::string const& key) {
                     ++w.loads;
                     if (key == "r never") return value{"v", ttl::never()};
                     return value{"v", 3s};
                   }};
  REQUIRE(g.core()->attach(w.origin));
  w.origin->at_once = [] { return load_here{}; };
  CHECK(g.get("remote").value().expires_at() == w.clock.now() + 3s);
  CHECK(g.get("r never").value().expires_at() == w.clock.now() + 10s);
}

TEST_CASE("loads in place of others are bounded") {
  world w;
  auto o = w.options();
  o.max_fallback_loads = 2;
  test::open_loads slow;
  manual_strings g{o, slow.loader()};
  REQUIRE(g.core()->attach(w.origin));
  w.origin->at_once = [] { return load_here{}; };
  listener l;
  for (char const* key : {"r1", "r2", "r3", "r1"}) g.async_get(key, l.handler());
  w.work.run_ready();
  CHECK(l.heard == std::vector<std::string>{"overloaded"});
  CHECK(slow.begun == 2);
  g.async_get("mine", l.handler());  // own keys are not held back
  w.work.run_ready();
  CHECK(slow.begun == 3);
  slow.end("r1", "v");
  slow.end("r2", errc::loader_failed);
  slow.end("mine", "v");
  CHECK(l.heard.size() == 5);
  g.async_get("r3", l.handler());  // there is room again
  g.async_get("r4", l.handler());
  w.work.run_ready();
  CHECK(slow.begun == 5);
  slow.open.clear();
  CHECK(l.heard.size() == 7);
  CHECK(g.stats().fallback_loads == 4);
}

TEST_CASE_METHOD(joined_group, "a question that cannot be put fails, and is forgotten") {
  origin->throws = true;
  CHECK(g.get("remote").error() == errc::overloaded);
  CHECK(g.flights() == 0);
  origin->throws = false;
  origin->at_once = [] { return value{"there", {}}; };
  CHECK(told(g.get("remote")) == "value there");
}

TEST_CASE_METHOD(joined_group, "the owner is given the longest deadline among those who wait") {
  auto const start = clock.now();
  listener brief, patient;
  SECTION("of those who are there when it is asked") {
    g.async_get("remote", start + 100ms, brief.handler());
    CHECK(origin->open.front().deadline == start + 100ms);
  }
  SECTION("and is asked again for one who can wait longer") {
    g.async_get("remote", start + 100ms, brief.handler());
    g.async_get("remote", start + 5s, patient.handler());
    work.run_for(100ms);
    CHECK(brief.only() == "deadline");
    origin->answer(kcache::error{errc::deadline});
    REQUIRE(origin->fetches == 2);
    CHECK(origin->open.front().deadline == start + 5s);
    origin->answer(value{"there", {}});
    CHECK(patient.only() == "value there");
  }
  SECTION("not again, if nobody can") {
    g.async_get("remote", start + 5s, patient.handler());
    g.async_get("remote", start + 100ms, brief.handler());
    CHECK(origin->open.front().deadline == start + 5s);
    origin->answer(kcache::error{errc::deadline});  // the owner's loader says so, early
    CHECK(origin->fetches == 1);
    CHECK(patient.only() == "deadline");
    CHECK(brief.only() == "deadline");
  }
  SECTION("and again and again for one who waits for ever, a default deadline each time") {
    g.async_get("remote", kcache::never, patient.handler());
    for (int i = 1; i <= 3; ++i) {
      CHECK(origin->open.front().deadline == start + i * 1s);
      work.run_for(1s);
      origin->answer(kcache::error{errc::deadline});
      CHECK(origin->fetches == i + 1);
    }
    origin->answer(value{"there", {}});
    CHECK(patient.only() == "value there");
  }
  while (!origin->open.empty()) origin->answer(load_here{});
  work.run_ready();
}

TEST_CASE_METHOD(joined_group,
                 "a caller leaves a question at its deadline, and others get its answer") {
  listener l;
  g.async_get("remote", g.now() + 100ms, l.handler());
  work.run_for(200ms);
  CHECK(l.only() == "deadline");
  CHECK(g.flights() == 1);
  listener late;
  g.async_get("remote", g.now() + 100ms, late.handler());
  CHECK(origin->fetches == 1);
  origin->answer(value{"there", {}});
  CHECK(late.only() == "value there");
}

TEST_CASE_METHOD(joined_group,
                 "a peer's question joins loads only, never this node's own question") {
  // Two nodes, each of which believes the other to own the key, would wait for each other for ever.
  listener mine, peers;
  g.async_get("remote", kcache::never, mine.handler());
  REQUIRE(origin->fetches == 1);
  g.core()->serve("remote", load_kind::own, kcache::never, peers.handler());
  work.run_ready();
  CHECK(peers.only() == "value here:remote");
  CHECK(mine.heard.empty());
  CHECK(origin->fetches == 1);  // and is not passed on
  origin->answer(load_here{});
  work.run_ready();
  CHECK(mine.only() == "value here:remote");
  CHECK(loads == 1);
}

TEST_CASE_METHOD(joined_group, "an answer that was not ours to keep is not kept") {
  listener l;
  g.core()->serve("mine", load_kind::foreign, kcache::never, l.handler());
  work.run_ready();
  CHECK(l.only() == "value here:mine");
  CHECK_FALSE(g.contains("mine"));
  g.core()->serve("mine", load_kind::own, kcache::never, l.handler());
  work.run_ready();
  CHECK(g.contains("mine"));
}

TEST_CASE("a circle of loads that goes through a question is found") {
  world w;
  manual_strings* self = nullptr;
  manual_strings g{w.options(), [&](std::string const& key) -> result<std::string> {
                     auto r = self->get(key == "a" ? "r" : "a");
                     if (!r) return r.error();
                     return std::string{**r};
                   }};
  self = &g;
  REQUIRE(g.core()->attach(w.origin));
  w.origin->at_once = [] { return load_here{}; };
  auto const start = w.clock.now();
  CHECK(g.get("a").error() == errc::recursive_load);
  CHECK(g.get("r").error() == errc::recursive_load);
  CHECK(w.clock.now() == start);
}

TEST_CASE("a group that goes leaves its cluster, and answers those who wait for an owner") {
  world w;
  std::optional<manual_strings> g{std::in_place, w.options(), w.plain()};
  REQUIRE(g->core()->attach(w.origin));
  listener l;
  g->async_get("remote", l.handler());
  g.reset();
  CHECK(l.only() == "cancelled");
  CHECK(w.origin->left == 1);
  SECTION("a value may come later") { w.origin->answer(value{"there", {}}); }
  SECTION("an error may") { w.origin->answer(kcache::error{errc::deadline}); }
  SECTION("nothing may") { w.origin->answer(load_here{}); }
  w.work.run_ready();
  CHECK(l.heard.size() == 1);
  CHECK(w.loads == 0);
}

TEST_CASE_METHOD(joined_group, "a group is in one cluster at most, and can be told to leave") {
  CHECK_FALSE(g.core()->attach(std::make_shared<test::fake_origin>()));
  CHECK(g.invalidate("mine").error() == errc::unsupported);
  g.core()->detach();
  CHECK(told(g.get("remote")) == "value here:remote");
  CHECK(g.contains("remote"));
  CHECK(g.invalidate("remote"));
  CHECK(origin->fetches == 0);
}
