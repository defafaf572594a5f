// SPDX-License-Identifier: BSL-1.0
// Many keys at once: get_many, async_get_many, load_many.
#include <kcache/group.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/fake_origin.hpp"
#include "support/frugal_executor.hpp"
#include "support/manual_policies.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <new>
#include <ranges>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using kcache::errc;
using kcache::load_here;
using kcache::loaded;
using kcache::result;
using kcache::ttl;
using kcache::testing::manual_clock;
using test::listener;
using test::manual_strings;
using test::told;

namespace {

using test::words;

/// `v:KEY`; no key that begins with `n` exists, those with `x` fail.
result<std::string> value_of(std::string const& key) {
  if (key.starts_with('n')) return errc::not_found;
  if (key.starts_with('x')) return kcache::error{errc::loader_failed, "no " + key};
  return "v:" + key;
}

/// What loads, and what it was asked for: the keys of each call in one string.
struct source {
  words calls;
  std::function<void(std::span<std::string const>)> during;
  std::function<result<std::string>(std::string const&)> answer = value_of;

  std::vector<result<std::string>> many(std::span<std::string const> keys) {
    std::string all;
    for (auto const& k : keys) all += all.empty() ? k : ' ' + k;
    calls.push_back(all);
    if (auto const hook = during) hook(keys);  // it may change `during`
    std::vector<result<std::string>> answers;
    for (auto const& k : keys) answers.push_back(answer(k));
    return answers;
  }
  result<std::string> one(std::string const& key) {
    calls.push_back(key);
    return answer(key);
  }
};

/// A loader of many keys only.
struct batching {
  source* from;
  std::vector<result<std::string>> load_many(std::span<std::string const> keys) const {
    return from->many(keys);
  }
};
/// One that also loads single keys in its own way: when the test says so.
struct both_ways {
  source* from;
  test::open_loads* open;
  std::vector<result<std::string>> load_many(std::span<std::string const> keys) const {
    return from->many(keys);
  }
  void operator()(std::string const& key, kcache::load_context c,
                  kcache::load_completion<std::string> done) const {
    open->loader()(key, std::move(c), std::move(done));
  }
};

struct world : test::manual_world {
  source from;
  test::open_loads open;

  auto options(ttl t = ttl::never()) { return exact(t); }
  auto single() {
    return [this](std::string const& key) { return from.one(key); };
  }
  kcache::loader<std::string, std::string> either(bool batches) {
    if (batches) return batching{&from};
    return single();
  }
};

words all_told(std::vector<test::answer> const& answers) {
  words all;
  for (auto const& a : answers) all.push_back(told(a));
  return all;
}

/// Remembers what it was called with.
struct many_listener {
  std::vector<words> heard;
  auto handler() {
    return [this](std::vector<test::answer> a) { heard.push_back(all_told(a)); };
  }
  [[nodiscard]] words only() const { return heard.size() == 1 ? heard.front() : words{}; }
};

/// The answers by one of the two ways.
words ask(world& w, manual_strings& g, words const& keys, bool blocking) {
  if (blocking) return all_told(g.get_many(keys));
  many_listener l;
  g.async_get_many(keys, l.handler());
  w.work.run_for(500ms);
  CHECK(l.heard.size() == 1);
  return l.only();
}

}  // namespace

TEST_CASE("the answers come in the order of the keys, and each key is loaded once") {
  world w;
  bool const batches = GENERATE(true, false), blocking = GENERATE(true, false);
  manual_strings g{w.options(), w.either(batches)};
  CHECK(ask(w, g, {"b", "a", "b", "c", "a"}, blocking) ==
        words{"value v:b", "value v:a", "value v:b", "value v:c", "value v:a"});
  CHECK(w.from.calls == (batches ? words{"b a c"} : words{"b", "a", "c"}));
  CHECK(g.stats().loads == 3);
  CHECK(g.stats().batches == (batches ? 1U : 0U));
  CHECK(g.size() == 3);
  CHECK(g.flights() == 0);
  CHECK(w.work.pending() == 0);
}

TEST_CASE("only what is missing is loaded") {
  world w;
  bool const batches = GENERATE(true, false), blocking = GENERATE(true, false);
  manual_strings g{w.options(), w.either(batches)};
  CHECK(g.get("hit"));
  CHECK(g.get("nobody").error() == errc::not_found);
  CHECK(g.get("x1").error() == errc::loader_failed);
  w.from.calls.clear();
  words const expected{"not_found", "value v:hit", "value v:miss", "not_found",
                       "loader_failed: no x1"};
  CHECK(ask(w, g, {"nobody", "hit", "miss", "none", "x1"}, blocking) == expected);
  CHECK(w.from.calls == (batches ? words{"miss none x1"} : words{"miss", "none", "x1"}));
  w.from.calls.clear();
  CHECK(ask(w, g, {"nobody", "hit", "miss", "none", "x1"}, blocking) == expected);
  CHECK(w.from.calls == words{"x1"});  // failures are not remembered
  CHECK(g.stats().absent == 3);
}

TEST_CASE("nothing to ask for is answered at once") {
  world w;
  manual_strings g{w.options(), batching{&w.from}};
  CHECK(g.get_many(words{}).empty());
  int calls = 0;
  g.async_get_many(words{}, [&](std::vector<test::answer> const& a) { calls += a.empty(); });
  CHECK(calls == 1);
  CHECK(g.get("a"));
  many_listener l;
  g.async_get_many(words{"a", "a"}, l.handler());  // hits: before it returns
  CHECK(l.only() == words{"value v:a", "value v:a"});
  CHECK(w.work.pending() == 0);
}

TEST_CASE("keys may be whatever looks like one, in any range") {
  world w;
  manual_strings g{w.options(), batching{&w.from}};
  words const expected{"value v:a", "value v:b"};
  CHECK(all_told(g.get_many(std::vector<char const*>{"a", "b"})) == expected);
  std::array<std::string_view, 2> const views{"a", "b"};
  CHECK(all_told(g.get_many(std::span<std::string_view const>{views})) == expected);
  CHECK(all_told(g.get_many(std::list<std::string>{"a", "b"})) == expected);
  char const* const array[]{"a", "b"};
  CHECK(all_told(g.get_many(array)) == expected);
  many_listener l;
  g.async_get_many(std::vector<char const*>{"c", "d"}, l.handler());
  w.work.run_ready();
  CHECK(l.only() == words{"value v:c", "value v:d"});
}

TEST_CASE("many keys join the loads of other callers") {
  world w;
  bool const blocking = GENERATE(true, false);
  manual_strings g{w.options(), both_ways{&w.from, &w.open}};
  listener one;
  g.async_get("a", kcache::never, one.handler());
  w.work.run_ready();
  REQUIRE(w.open.begun == 1);
  w.work.schedule_at(g.now() + 100ms, [&] { w.open.end("a", "of the other"); });
  CHECK(ask(w, g, {"a", "b"}, blocking) == words{"value of the other", "value v:b"});
  CHECK(w.from.calls == words{"b"});
  CHECK(w.open.begun == 1);
  CHECK(one.only() == "value of the other");
}

TEST_CASE("other callers join the loads of many keys") {
  world w;
  bool const blocking = GENERATE(true, false);
  manual_strings g{w.options(), both_ways{&w.from, &w.open}};
  listener one, before;
  many_listener others;
  w.from.during = [&](auto) {
    w.from.during = nullptr;
    g.async_get("a", one.handler());
    g.async_get_many(words{"b", "a"}, others.handler());
  };
  CHECK(ask(w, g, {"a", "b"}, blocking) == words{"value v:a", "value v:b"});
  CHECK(one.only() == "value v:a");
  CHECK(others.only() == words{"value v:b", "value v:a"});
  CHECK(w.from.calls == words{"a b"});
  CHECK(w.open.begun == 0);
}

TEST_CASE("a get of one key is a load_many of one, if there is no other form") {
  world w;
  manual_strings g{w.options(), batching{&w.from}};
  CHECK(told(g.get("a")) == "value v:a");
  CHECK(told(g.get("none")) == "not_found");
  CHECK(w.from.calls == words{"a", "none"});
  CHECK(g.stats().batches == 0);
}

TEST_CASE("no load_many is asked for more keys than the limit") {
  world w;
  auto o = w.options();
  o.max_batch = 3;
  manual_strings g{o, batching{&w.from}};
  bool const blocking = GENERATE(true, false);
  CHECK(ask(w, g, {"a", "b", "c", "d", "e", "f", "g"}, blocking) ==
        words{"value v:a", "value v:b", "value v:c", "value v:d", "value v:e", "value v:f",
              "value v:g"});
  std::string letters;
  for (auto const& call : w.from.calls) {
    CHECK(call.size() <= 5);  // "a b c"
    letters += call;
  }
  CHECK(w.from.calls.size() == 3);
  std::erase(letters, ' ');
  std::sort(letters.begin(), letters.end());
  CHECK(letters == "abcdefg");
  CHECK(g.stats().batches == 3);
  CHECK(g.stats().loads == 7);
}

TEST_CASE("a load_many that throws fails for each of its keys, and is not kept") {
  world w;
  manual_strings g{w.options(), batching{&w.from}};
  bool const blocking = GENERATE(true, false);
  w.from.during = [](auto) { throw std::runtime_error{"the table is locked"}; };
  CHECK(ask(w, g, {"a", "b"}, blocking) == words(2, "loader_failed: the table is locked"));
  CHECK(g.stats().load_failures == 2);
  CHECK(g.flights() == 0);
  w.from.during = [](auto) { throw kcache::failure{errc::not_found}; };
  CHECK(ask(w, g, {"c"}, blocking).front().starts_with("not_found"));
  w.from.during = nullptr;
  CHECK(ask(w, g, {"a", "b"}, blocking) == words{"value v:a", "value v:b"});
}

TEST_CASE("a load_many that gives too few or too many answers gave none") {
  world w;
  std::size_t given = GENERATE(0U, 1U, 3U);
  struct miscounting {
    std::size_t given;
    std::vector<std::string> load_many(std::span<std::string const>) const {
      return words(given, "v");
    }
  };
  manual_strings g{w.options(), miscounting{given}};
  std::string const told_each =
      "loader_failed: load_many gave " + std::to_string(given) + " answers to 2 keys";
  CHECK(all_told(g.get_many(words{"a", "b"})) == words(2, told_each));
  CHECK(g.size() == 0);
  CHECK(g.flights() == 0);
}

TEST_CASE("a load_many may yield whatever a load may") {
  world w;
  struct dated {
    std::vector<loaded<std::string>> load_many(std::span<std::string const> keys) const {
      std::vector<loaded<std::string>> all;
      for (auto const& k : keys) all.push_back({k, k == "brief" ? ttl{1s} : ttl{}});
      return all;
    }
  };
  struct sparse {
    std::array<std::optional<std::string>, 2> load_many(std::span<std::string const>) const {
      return {std::nullopt, "v"};
    }
  };
  manual_strings g{w.options(1min), dated{}};
  CHECK(all_told(g.get_many(words{"brief", "long"})) == words{"value brief", "value long"});
  w.clock.advance(1s);
  CHECK_FALSE(g.contains("brief"));
  CHECK(g.contains("long"));
  manual_strings h{w.options(), sparse{}};
  CHECK(all_told(h.get_many(words{"a", "b"})) == words{"not_found", "value v"});
}

TEST_CASE("a load_many that asks for a key of its own is told so") {
  world w;
  manual_strings g{w.options(), batching{&w.from}};
  words seen;
  auto const start = g.now();
  SECTION("by get") {
    w.from.during = [&](auto keys) {
      if (keys.size() == 2)
        for (auto const* k : {"a", "b", "c"}) seen.push_back(told(g.get(k)).substr(0, 14));
    };
    CHECK(all_told(g.get_many(words{"a", "b"})) == words{"value v:a", "value v:b"});
    CHECK(seen == words{"recursive_load", "recursive_load", "value v:c"});
  }
  SECTION("by get_many") {
    w.from.during = [&](auto keys) {
      if (keys.front() != "a") return;
      for (auto const& a : all_told(g.get_many(words{"a", "c", "b", "d"})))
        seen.push_back(a.substr(0, 14));
    };
    CHECK(all_told(g.get_many(words{"a", "b"})) == words{"value v:a", "value v:b"});
    CHECK(seen == words{"recursive_load", "value v:c", "recursive_load", "value v:d"});
    CHECK(w.from.calls == words{"a b", "c d"});
  }
  SECTION("through another load") {
    w.from.during = [&](auto keys) {
      if (keys.front() == "a") seen.push_back(told(g.get("c")));
      if (keys.front() == "c") seen.push_back(told(g.get("b")).substr(0, 14));
    };
    CHECK(all_told(g.get_many(words{"a", "b"})) == words{"value v:a", "value v:b"});
    CHECK(seen == words{"recursive_load", "value v:c"});
  }
  CHECK(g.now() == start);  // found, not waited for
  CHECK(g.flights() == 0);
  CHECK(w.work.pending() == 0);
}

TEST_CASE("a load may ask for many keys, its own is refused") {
  world w;
  manual_strings* self = nullptr;
  words seen;
  auto o = w.options();
  o.max_loads = 1;
  manual_strings g{o, [&](std::string const& key) {
                     if (key == "all") seen = all_told(self->get_many(words{"a", "all", "b"}));
                     return "v:" + key;
                   }};
  self = &g;
  CHECK(told(g.get("all")) == "value v:all");
  REQUIRE(seen.size() == 3);
  CHECK(seen[0] == "value v:a");
  CHECK(seen[1].starts_with("recursive_load"));
  CHECK(seen[2] == "value v:b");
}

TEST_CASE("an asynchronous load passes its context on to many") {
  world w;
  manual_strings* self = nullptr;
  many_listener inner;
  manual_strings g{w.options(), [&](std::string const& key, kcache::load_context const& context,
                                    kcache::load_completion<std::string> done) {
                     if (key != "all") return done(loaded<std::string>{"v:" + key, {}});
                     self->async_get_many(words{"a", "all"}, context, kcache::never,
                                          [&, d = std::move(done)](auto answers) mutable {
                                            inner.heard.push_back(all_told(answers));
                                            d(loaded<std::string>{"sum", {}});
                                          });
                   }};
  self = &g;
  CHECK(told(g.get("all")) == "value sum");
  REQUIRE(inner.only().size() == 2);
  CHECK(inner.only()[0] == "value v:a");
  CHECK(inner.only()[1].starts_with("recursive_load"));
}

TEST_CASE("keys without an answer by the deadline get deadline, the others theirs") {
  world w;
  manual_strings g{w.options(), w.open.loader()};
  auto const start = g.now();
  bool const blocking = GENERATE(true, false);
  w.work.schedule_at(start + 100ms, [&] { w.open.end("quick", "v"); });
  words const expected{"deadline", "value v", "deadline", "deadline"};
  if (blocking) {
    CHECK(all_told(g.get_many(words{"slow", "quick", "hung", "slow"}, start + 300ms)) == expected);
  } else {
    many_listener l;
    g.async_get_many(words{"slow", "quick", "hung", "slow"}, start + 300ms, l.handler());
    w.work.run_for(300ms - 1ns);
    CHECK(l.heard.empty());
    w.work.run_for(1ns);
    CHECK(l.only() == expected);
  }
  CHECK(g.now() == start + 300ms);
  CHECK(g.flights() == 2);
  w.open.end("slow", "late");
  CHECK(told(g.get("slow")) == "value late");  // it was kept
  w.open.end("hung", errc::not_found);
  CHECK(g.flights() == 0);
  CHECK(w.work.pending() == 0);
}

TEST_CASE("a deadline that has passed is told to who would have to wait") {
  world w;
  manual_strings g{w.options(), w.open.loader()};
  CHECK(g.put("hit", "v"));
  auto const start = g.now();
  CHECK(all_told(g.get_many(words{"hit", "a"}, kcache::time_point::min())) ==
        words{"value v", "deadline"});
  many_listener l;
  g.async_get_many(words{"hit", "a"}, kcache::time_point::min(), l.handler());
  w.work.run_ready();
  CHECK(l.only() == words{"value v", "deadline"});
  CHECK(g.now() == start);
  w.open.end("a", "v");
  CHECK(g.flights() == 0);
}

TEST_CASE("where nothing may block, many keys get what is known") {
  world w;
  manual_strings g{w.options(), batching{&w.from}};
  CHECK(g.get("hit"));
  CHECK(g.get("none").error() == errc::not_found);
  w.from.calls.clear();
  kcache::no_blocking_scope const here;
  auto const answers = g.get_many(words{"hit", "miss", "none"});
  CHECK(told(answers[0]) == "value v:hit");
  CHECK(answers[1].error() == errc::would_block);
  CHECK(told(answers[2]) == "not_found");
  CHECK(w.from.calls.empty());
  CHECK(g.flights() == 0);
  many_listener l;
  g.async_get_many(words{"hit", "miss"}, l.handler());
  w.work.run_ready();
  CHECK(l.only() == words{"value v:hit", "value v:miss"});
}

TEST_CASE("a key that too many wait for is refused, the others are not") {
  world w;
  auto o = w.options();
  o.max_waiters = 2;
  manual_strings g{o, w.open.loader()};
  listener others;
  for (int i = 0; i != 2; ++i) g.async_get("full", kcache::never, others.handler());
  many_listener l;
  g.async_get_many(words{"full", "a"}, l.handler());
  w.work.run_ready();
  w.open.end("a", "v");
  REQUIRE(l.only().size() == 2);
  CHECK(l.only()[0].starts_with("overloaded"));
  CHECK(l.only()[1] == "value v");
  w.open.end("full", "v");
  CHECK(others.heard == words(2, "value v"));
}

TEST_CASE("keys of other nodes are asked of their owners, those of this one loaded together") {
  world w;
  auto const origin = std::make_shared<test::fake_origin>();
  manual_strings g{w.options(), batching{&w.from}};
  REQUIRE(g.core()->attach(origin));
  many_listener l;
  g.async_get_many(words{"a", "r1", "b", "r2", "r1", "r3"}, l.handler());
  w.work.run_ready();
  CHECK(w.from.calls == words{"a b"});
  REQUIRE(origin->open.size() == 3);
  CHECK(l.heard.empty());
  origin->answer(loaded<std::string>{"there", 10s});
  origin->answer(kcache::error{errc::not_found});
  origin->answer(load_here{});
  w.work.run_ready();
  CHECK(l.only() ==
        words{"value v:a", "value there", "value v:b", "not_found", "value there", "value v:r3"});
  CHECK(origin->fetches == 3);
  CHECK(g.stats().fallback_loads == 1);
  CHECK(g.flights() == 0);
  CHECK(w.work.pending() == 0);
  origin->at_once = [] { return loaded<std::string>{"at once", 10s}; };
  CHECK(all_told(g.get_many(words{"r1", "a"})) == words{"value at once", "value v:a"});
}

TEST_CASE("many keys are served stale, each for itself, while the source is down") {
  world w;
  auto o = w.options(1s);
  o.stale_if_error = 10s;
  bool const batches = GENERATE(true, false), blocking = GENERATE(true, false);
  manual_strings g{o, w.either(batches)};
  CHECK(all_told(g.get_many(words{"a", "b", "gone"})).back() == "value v:gone");
  w.clock.advance(2s);
  w.from.answer = [](std::string const& key) -> result<std::string> {
    if (key == "b") return "new";
    if (key == "gone") return errc::not_found;
    return kcache::error{errc::loader_failed, "down"};
  };
  w.from.calls.clear();
  CHECK(ask(w, g, {"a", "b", "gone", "c"}, blocking) ==
        words{"value v:a", "value new", "not_found", "loader_failed: down"});
  CHECK(g.stats().stale == 1);
  CHECK(ask(w, g, {"a", "b"}, blocking).front() == "value v:a");  // without asking again
  CHECK(w.from.calls.size() == (batches ? 1U : 4U));
}

TEST_CASE("values invalidated while many keys load are answered and not kept") {
  world w;
  manual_strings g{w.options(), batching{&w.from}};
  w.from.during = [&](auto) {
    w.from.during = nullptr;
    CHECK(g.invalidate("b"));
  };
  CHECK(all_told(g.get_many(words{"a", "b", "c"})) == words{"value v:a", "value v:b", "value v:c"});
  CHECK(g.contains("a"));
  CHECK_FALSE(g.contains("b"));
  CHECK(g.contains("c"));
}

TEST_CASE("a group that goes answers for many keys, too") {
  world w;
  auto g = std::make_unique<manual_strings>(w.options(), w.open.loader());
  many_listener l;
  g->async_get_many(words{"a", "b"}, kcache::never, l.handler());
  w.work.run_ready();
  w.open.end("a", "v");
  SECTION("with what is there") {
    g.reset();
    CHECK(l.only() == words{"value v", "cancelled"});
    w.open.end("b", "late");
  }
  SECTION("also if it goes in the handler") {
    g->async_get_many(words{"a", "b"}, kcache::never, [&](auto const&) { g.reset(); });
    w.open.end("b", "v");
    CHECK_FALSE(g);
    CHECK(l.only() == words(2, "value v"));
  }
  CHECK(w.work.pending() == 0);
}

TEST_CASE("a hundred thousand keys at once") {
  world w;
  auto o = w.options();
  o.capacity = 200'000;
  o.max_batch = 200'000;
  std::size_t calls = 0;
  struct counting {
    std::size_t* calls;
    words load_many(std::span<std::string const> keys) const {
      ++*calls;
      return {keys.begin(), keys.end()};
    }
  };
  manual_strings g{o, counting{&calls}};
  words keys;
  for (int i = 0; i != 100'000; ++i) keys.push_back(std::to_string(i));
  auto const answers = g.get_many(keys);
  std::size_t right = 0;
  for (std::size_t i = 0; i != keys.size(); ++i) right += answers[i] && **answers[i] == keys[i];
  CHECK(right == keys.size());
  CHECK(calls == 1);
}

namespace {

struct frugal_policies : kcache::default_policies {
  using clock = manual_clock;
  using executor = test::frugal_executor;
};
using frugal_strings = kcache::group<std::string, std::string, frugal_policies>;

std::string const tail = " and so long that it is not kept in place";

/// Two values, one key that is not there, one that fails, one that another node owns.
struct frugal_loader {
  static result<std::string> one(std::string const& key) {
    if (key.starts_with("none")) return errc::not_found;
    if (key.starts_with("x")) return kcache::error{errc::loader_failed, "broken" + tail};
    return "v" + tail;
  }
};
struct frugal_batches : frugal_loader {
  std::vector<result<std::string>> load_many(std::span<std::string const> keys) const {
    std::vector<result<std::string>> all;
    for (auto const& k : keys) all.push_back(one(k));
    return all;
  }
};

}  // namespace

TEST_CASE("many keys at once survive every failing allocation") {
  bool const batches = GENERATE(true, false), blocking = GENERATE(true, false);
  bool const grace = GENERATE(true, false);
  words const keys{"a" + tail, "none" + tail, "x" + tail, "remote" + tail, "a" + tail, "b" + tail};
  std::size_t n = 1;
  for (bool happened = true; happened; ++n) {
    REQUIRE(n < 1'000);
    CAPTURE(n, batches, blocking, grace);
    test::frugal_executor work;
    auto const origin = std::make_shared<test::fake_origin>();
    origin->at_once = [] { return loaded<std::string>{"v" + tail, {}}; };
    kcache::group_options<frugal_policies> o{.name = "many", .capacity = 100, .executor = work};
    if (grace) o.stale_if_error = 1min;
    o.max_batch = 2;
    frugal_strings g{o, batches ? kcache::loader<std::string, std::string>{frugal_batches{}}
                                : kcache::loader<std::string, std::string>{
                                      [](std::string const& k) { return frugal_loader::one(k); }}};
    REQUIRE(g.core()->attach(origin));
    int calls = 0;
    bool thrown = false, wrong = false;
    std::string const expected = "v" + tail;
    auto const hear = [&](std::vector<frugal_strings::answer> const& all) {  // allocates nothing
      ++calls;
      wrong = all.size() != keys.size();
      for (std::size_t i = 0; i != all.size(); ++i) {
        if (all[i] && (**all[i] != expected || i == 1 || i == 2)) wrong = true;
      }
    };
    {
      test::failing_allocation const nth{n};
      try {
        if (blocking) hear(g.get_many(keys));
        else g.async_get_many(keys, [&hear](auto const& all) { hear(all); });
        work.run_until(work.now() + 2s);
      } catch (std::bad_alloc const&) {
        thrown = true;
      }
      happened = nth.happened();
    }
    work.run_until(work.now() + 2s);
    REQUIRE(calls == (thrown ? 0 : 1));
    REQUIRE_FALSE(wrong);
    REQUIRE(g.flights() == 0);
    REQUIRE(work.pending() == 0);
    auto const again = g.get_many(keys);
    REQUIRE(again.size() == keys.size());
    for (std::size_t i : {0U, 3U, 4U, 5U}) REQUIRE(again[i]);
    REQUIRE(again[1].error() == errc::not_found);
    REQUIRE(again[2].error() == errc::loader_failed);
  }
  CHECK(n > 10);
}

TEST_CASE("a range that throws leaves no key behind") {
  bool const batches = GENERATE(false, true);
  world w;
  manual_strings g{w.options(), w.either(batches)};
  int yielded = 0;
  words const names{"a", "b", "c", "d"};
  auto const keys = names | std::views::transform([&](std::string const& name) {
                      if (++yielded == 3) throw std::runtime_error{"a key that cannot be made"};
                      return name;
                    });
  std::vector<std::string> answers;
  for (auto const& a : g.get_many(keys)) answers.push_back(told(a));
  CHECK(answers == words{"value v:a", "value v:b", "loader_failed", "loader_failed"});
  CHECK(g.flights() == 0);
  CHECK(told(g.get("c")) == "value v:c");
}
