// SPDX-License-Identifier: BSL-1.0
#include <kcache/testing/scripted_loader.hpp>

#include "support/catch.hpp"
#include "support/manual_policies.hpp"

#include <kcache/group.hpp>
#include <kcache/policies/thread_pool.hpp>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using kcache::errc;
using kcache::load_completion;
using kcache::load_context;
using kcache::loaded;
using kcache::never;
using kcache::result;
using kcache::testing::manual_clock;
using kcache::testing::manual_executor;
using kcache::testing::scripted_loader;
using test::listener;
using test::manual_strings;
using test::told;

template class kcache::testing::scripted_loader<int, std::string>;
template class kcache::testing::scripted_loader<int, std::unique_ptr<int>, kcache::thread_pool>;

namespace {

using script = scripted_loader<std::string, std::string>;

static_assert(kcache::loader_for<script, std::string, std::string>);
static_assert(std::is_nothrow_move_constructible_v<script>);

/// A temporary's script would go with it: only a named object can be written on.
template <class S>
concept can_write = requires(S&& s) {
  std::forward<S>(s).answers("k", "v");
};
static_assert(can_write<script&> && !can_write<script>);

/// A script by itself: what its loads were answered with.
struct fixture {
  std::vector<std::string> heard;  // the script, when it goes, ends what hangs
  manual_executor work;
  script load{work};

  load_completion<std::string> completion() {
    return load_completion<std::string>{[this](result<loaded<std::string>> r) {
      if (!r) heard.push_back(told(test::answer{r.error()}));
      else heard.push_back("value " + r->value);
    }};
  }
  void begin(std::string const& key, load_context context = {}) {
    load(key, std::move(context), completion());
  }
  /// What one load, that begins now and takes no time, answers.
  std::string answer(std::string const& key) {
    heard.clear();
    begin(key);
    return heard.size() == 1 ? heard.front() : std::to_string(heard.size()) + " answers";
  }
};

struct world {
  manual_clock clock;
  manual_executor work{clock};
  script load{work};

  kcache::group_options<test::manual_policies> options() {
    return {.name = "scripted", .capacity = 100, .jitter = 0, .clock = clock, .executor = work};
  }
};

/// A context that says what the test says.
struct state : kcache::detail::load_state {};

}  // namespace

TEST_CASE("a scripted load answers what it was told for its key, else what for all, else nothing") {
  fixture f;
  CHECK(f.answer("k") == "not_found");
  f.load.answers_with([](std::string const& key) { return "all:" + key; });
  CHECK(f.answer("k") == "value all:k");
  f.load.answers("k", "own");
  CHECK(f.answer("k") == "value own");
  CHECK(f.answer("other") == "value all:other");
  f.load.fails("k", "no connection");
  CHECK(f.answer("k") == "loader_failed: no connection");
  f.load.fails("k", errc::overloaded);
  CHECK(f.answer("k") == "overloaded");
  f.load.drops("k");
  CHECK(f.answer("k") == "loader_failed: no answer");
  f.load.not_found("k");
  CHECK(f.answer("k") == "not_found");
  CHECK(f.load.calls() == 8);
  CHECK(f.load.calls("k") == 7);
  CHECK(f.load.calls("nobody asked") == 0);
  CHECK(f.load.running() == 0);
  CHECK(f.load.most_running() == 1);
  CHECK(f.work.pending() == 0);
}

TEST_CASE("what is said for all keys may have any plain form, and may throw") {
  fixture f;
  f.load.answers_with([](std::string const& key) -> std::optional<std::string> {
    if (key == "Tom") return "630";
    return std::nullopt;
  });
  CHECK(f.answer("Tom") == "value 630");
  CHECK(f.answer("Eve") == "not_found");
  f.load.answers_with([](std::string const&) -> result<std::string> { return errc::unreachable; });
  CHECK(f.answer("Tom") == "unreachable");
  f.load.answers_with([](std::string const&) -> std::string { throw std::runtime_error{"boo"}; });
  CHECK(f.answer("Tom") == "loader_failed: boo");
  CHECK(f.load.running() == 0);
}

TEST_CASE("a value may have a time to live of its own") {
  world w;
  w.load.answers("k", "v", 5s);
  manual_strings g{w.options(), w.load};
  CHECK(g.get("k"));
  w.clock.advance(5s - 1ns);
  CHECK(g.get("k"));
  CHECK(w.load.calls() == 1);
  w.clock.advance(1ns);
  w.load.next_answers("k", "brief", 1s);
  CHECK(told(g.get("k")) == "value brief");
  w.clock.advance(1s);
  CHECK(told(g.get("k")) == "value v");
  CHECK(w.load.calls() == 3);
}

TEST_CASE("a load that throws does so out of its call, at once") {
  fixture f;
  f.load.throws("k", "boo").takes(1s).blocks("k");
  CHECK_THROWS_WITH(f.begin("k"), "boo");
  CHECK(f.heard == std::vector<std::string>{"loader_failed: no answer"});
  CHECK(f.load.running() == 0);
  CHECK(f.load.history().at(0).ended == f.work.now());
  f.load.reads_late();
  f.heard.clear();
  f.begin("k");
  CHECK(f.heard.empty());
  CHECK(f.load.release("k") == 1);
  CHECK(f.heard == std::vector<std::string>{"loader_failed: boo"});
}

TEST_CASE("answers of the queue come first, one for each load") {
  fixture f;
  f.load.answers("k", "standing").next_fails("k", "first").next_answers("k", "second");
  f.load.next_fails("k", errc::overloaded);
  CHECK(f.answer("k") == "loader_failed: first");
  CHECK(f.answer("other") == "not_found");
  CHECK(f.answer("k") == "value second");
  CHECK(f.answer("k") == "overloaded");
  CHECK(f.answer("k") == "value standing");
  CHECK(f.answer("k") == "value standing");
}

TEST_CASE("a late load answers at its time, not before, with what was so at its beginning") {
  fixture f;
  auto const start = f.work.now();
  f.load.answers("k", "old").takes(10ms).takes("brief", 1ms);
  f.begin("k");
  f.begin("brief");
  f.load.answers("k", "new").takes(1h);
  CHECK(f.load.running() == 2);
  CHECK(f.load.running("k") == 1);
  CHECK(f.load.history().at(0).ended == never);
  f.work.run_for(10ms - 1ns);
  CHECK(f.heard == std::vector<std::string>{"not_found"});
  f.work.run_for(1ns);
  CHECK(f.heard == std::vector<std::string>{"not_found", "value old"});
  CHECK(f.load.running() == 0);
  CHECK(f.load.most_running() == 2);
  CHECK(f.load.most_running("k") == 1);

  auto const h = f.load.history();
  REQUIRE(h.size() == 2);
  CHECK(h[0].key == "k");
  CHECK(h[0].started == start);
  CHECK(h[0].ended == start + 10ms);
  CHECK(h[1].key == "brief");
  CHECK(h[1].ended == start + 1ms);
}

TEST_CASE("a load that reads late answers what is so at its end") {
  fixture f;
  f.load.answers("k", "old").takes(10ms).reads_late();
  f.begin("k");
  f.load.answers("k", "new");
  f.work.run_for(10ms);
  CHECK(f.heard == std::vector<std::string>{"value new"});
  f.begin("k");
  f.load.drops("k");
  f.work.run_for(10ms);
  CHECK(f.heard.back() == "loader_failed: no answer");
}

TEST_CASE("a blocked load hangs until it is released") {
  fixture f;
  f.load.answers("a", "1").answers("b", "2").takes(1s).blocks("a");
  f.begin("a");
  f.begin("a");
  f.begin("b");
  f.load.answers("a", "later");
  f.work.run_for(1h);
  CHECK(f.heard == std::vector<std::string>{"value 2"});
  CHECK(f.load.running("a") == 2);
  CHECK(f.load.most_running("a") == 2);
  CHECK(f.work.pending() == 0);
  CHECK(f.load.release("b") == 0);
  CHECK(f.load.release("a") == 2);
  CHECK(f.heard == std::vector<std::string>{"value 2", "value 1", "value 1"});
  CHECK(f.load.running() == 0);
  CHECK(f.load.release("a") == 0);
  CHECK(f.load.takes(0s).running() == 0);
  CHECK(f.answer("a") == "value later");
}

TEST_CASE("all keys may be blocked, and released, at once") {
  fixture f;
  f.load.blocks_all();
  f.begin("a");
  f.begin("b");
  CHECK(f.load.release("a") == 1);
  f.begin("a");
  CHECK(f.heard.size() == 2);
  f.load.blocks_all();  // all of them
  f.begin("a");
  CHECK(f.load.running() == 2);
  CHECK(f.load.release_all() == 2);
  f.begin("b");
  CHECK(f.heard == std::vector<std::string>(5, "not_found"));
}

TEST_CASE("a release ends what hung when it began, though its handlers block and ask again") {
  fixture f;
  f.load.blocks("k");
  f.load("k", {}, load_completion<std::string>{[&](result<loaded<std::string>> const&) {
           CHECK(f.load.running() == 0);  // it has ended when its answer is handed over
           f.load.blocks("k");
           f.begin("k");
         }});
  CHECK(f.load.release("k") == 1);
  CHECK(f.load.running("k") == 1);
  CHECK(f.load.most_running("k") == 1);
  CHECK(f.heard.empty());
}

TEST_CASE("a load that nobody waits for is counted, and gives up if told to") {
  fixture f;
  bool const gives_up = GENERATE(false, true);
  auto const seen = std::make_shared<state>();
  f.load.answers_with([](std::string const&) { return "v"; }).takes(1s).blocks("hangs");
  f.load.gives_up_when_cancelled(gives_up);
  f.begin("late", load_context{seen});
  f.begin("hangs", load_context{seen});
  seen->abandoned = true;
  CHECK(f.load.cancelled() == 0);
  f.work.run_for(1s);
  CHECK(f.load.cancelled() == 1);
  CHECK(f.load.release("hangs") == 1);
  CHECK(f.load.cancelled() == 2);
  CHECK(f.heard == std::vector<std::string>(2, gives_up ? "cancelled" : "value v"));
}

TEST_CASE("callers of a group share one scripted load") {
  world w;
  w.load.answers("Tom", "630").takes(5ms);
  manual_strings g{w.options(), w.load};
  listener l;
  for (int i = 0; i != 100; ++i) g.async_get("Tom", l.handler());
  w.work.run_for(5ms);
  CHECK(l.heard == std::vector<std::string>(100, "value 630"));
  CHECK(w.load.calls("Tom") == 1);
  CHECK(w.load.most_running("Tom") == 1);
  CHECK(w.work.pending() == 0);
}

TEST_CASE("a group hears a scripted load throw, and loads again") {
  world w;
  w.load.throws("k", "boo");
  manual_strings g{w.options(), w.load};
  CHECK(g.get("k").error() == errc::loader_failed);
  w.load.answers("k", "v");
  CHECK(told(g.get("k")) == "value v");
  CHECK(w.load.calls() == 2);
}

TEST_CASE("a caller leaves a scripted load that hangs, and it ends for the next") {
  world w;
  w.load.answers("k", "v").blocks("k");
  manual_strings g{w.options(), w.load};
  CHECK(g.get("k", 100ms).error() == errc::deadline);
  CHECK(w.load.running("k") == 1);
  CHECK_FALSE(g.contains("k"));
  SECTION("and is kept") {
    CHECK(w.load.release("k") == 1);
    CHECK(w.load.cancelled() == 1);
    CHECK(told(g.get("k")) == "value v");
    CHECK(w.load.calls() == 1);
  }
  SECTION("or gives up") {
    w.load.gives_up_when_cancelled();
    CHECK(w.load.release("k") == 1);
    CHECK(g.flights() == 0);
    CHECK(told(g.get("k")) == "value v");
    CHECK(w.load.calls() == 2);
  }
}

TEST_CASE("an invalidation wins over a scripted load that has read") {
  world w;
  w.load.answers("k", "old").takes(10ms);
  manual_strings g{w.options(), w.load};
  listener before, later;
  g.async_get("k", before.handler());
  w.work.run_ready();
  w.load.answers("k", "new");
  CHECK(g.invalidate("k"));
  g.async_get("k", later.handler());
  w.work.run_for(10ms);
  CHECK(before.only() == "value old");
  CHECK(later.only() == "value new");
  CHECK(told(g.get("k")) == "value new");
  CHECK(w.load.most_running("k") == 2);
}

TEST_CASE("loads that hang, are late or are yet to come end when the first object goes") {
  fixture f;
  std::optional<script> first{std::in_place, f.work};
  script const copy{*first};
  first->takes(1s).blocks("hangs");
  copy("late", {}, f.completion());
  copy("hangs", {}, f.completion());
  SECTION("as a copy does not") {
    { script const another{*first}; }
    CHECK(f.heard.empty());
    CHECK(f.work.pending() == 1);
    script moved{std::move(*first)};
    first.reset();
    CHECK(f.heard.empty());
    moved = script{f.work};
    CHECK(f.heard.size() == 2);
  }
  first.reset();
  CHECK(f.heard == std::vector<std::string>(2, "cancelled"));
  CHECK(f.work.pending() == 0);
  copy("later", {}, f.completion());
  REQUIRE(f.heard.size() == 3);
  CHECK(f.heard[2].find("cancelled: the scripted_loader") == 0);
  CHECK(copy.calls() == 2);
  CHECK(copy.running() == 0);
  CHECK(copy.cancelled() == 0);
}

TEST_CASE("a group may go while its scripted loads hang") {
  world w;
  w.load.blocks("hangs").takes("late", 1h);
  listener l;
  {
    manual_strings g{w.options(), w.load};
    g.async_get("hangs", never, l.handler());
    g.async_get("late", never, l.handler());
    w.work.run_ready();
  }
  CHECK(l.heard == std::vector<std::string>(2, "cancelled"));
  CHECK(w.load.running() == 2);  // what is left goes with the script
}

TEST_CASE("scripted loads end when their executor goes") {
  std::optional<manual_executor> work{std::in_place};
  script load{*work};
  fixture f;
  load.takes(1s);
  load("before", {}, f.completion());
  work.reset();
  CHECK(f.heard == std::vector<std::string>{"cancelled"});
  load("after", {}, f.completion());
  CHECK(f.heard == std::vector<std::string>(2, "cancelled"));
  CHECK(load.running() == 0);
  CHECK(load.history().at(1).ended != never);
}

TEST_CASE("a script may be changed by what it calls") {
  fixture f;
  f.load.answers_with([&](std::string const& key) {
    f.load.answers(key, "next").takes(1s);
    return f.load.running(key) == 1 ? "this" : "?";
  });
  CHECK(f.answer("k") == "value this");
  f.begin("k");
  f.work.run_for(1s);
  CHECK(f.heard.back() == "value next");
}

TEST_CASE("keys need no hash, and values no copy") {
  struct point {
    int x = 0;
    bool operator==(point const&) const = default;
  };
  manual_executor const work;
  scripted_loader<point, std::unique_ptr<int>> load{work};
  load.answers_with([](point p) { return std::make_unique<int>(p.x); }).fails({2}, "two");
  std::vector<int> heard;
  for (int x : {1, 2, 3, 1})
    load({x}, {}, load_completion<std::unique_ptr<int>>{[&](auto r) {
           heard.push_back(r ? *r->value : -1);
         }});
  CHECK(heard == std::vector<int>{1, -1, 3, 1});
  CHECK(load.calls({1}) == 2);
}

TEST_CASE("a value whose move throws fails its scripted load") {
  struct fragile {
    explicit fragile(int moves) : left{moves} {}
    fragile(fragile&& other) : left{other.left - 1} {
      if (left < 0) throw std::runtime_error{"cannot be moved any more"};
    }
    int left;
  };
  bool const late = GENERATE(false, true);
  int values = 0;
  for (int moves = 0; moves != 30; ++moves) {
    manual_executor const work;
    scripted_loader<int, fragile> load{work};
    load.answers_with([=](int) { return fragile{moves}; }).takes(late ? 1s : 0s);
    int answers = 0;
    try {
      load(1, {}, load_completion<fragile>{[&](result<loaded<fragile>> const& r) {
             ++answers;
             if (r) ++values;
           }});
    } catch (std::runtime_error const&) {  // the group does this
    }
    work.run_for(1s);
    CHECK(load.running() == 0);
    CHECK(work.pending() == 0);
    CHECK(answers <= 1);  // a completion whose function has begun is not called again
  }
  CHECK(values > 0);
}

TEST_CASE("scripted loads under a pool of threads", "[concurrent]") {
  using pooled = scripted_loader<int, int, kcache::thread_pool>;
  constexpr int keys = 20, threads = 4, rounds = 50;
  kcache::thread_pool const pool;
  pooled load{pool};
  load.answers_with([](int n) { return 2 * n; }).takes(1us).takes(1, 1ms).throws(2, "boo");
  kcache::group<int, int> g{{.name = "n", .capacity = 100, .deadline = 1min, .executor = pool},
                            load};
  std::atomic<int> wrong{0}, right{0}, open{threads * rounds};
  kcache::one_shot_event all_answered;
  auto const see = [&](int key, auto const& a) {
    bool const as_said = key == 2 ? !a : a && **a == 2 * key;
    ++(as_said ? right : wrong);
  };
  std::vector<std::thread> all;
  for (int t = 0; t != threads; ++t)
    all.emplace_back([&, mine = load]() mutable {
      for (int i = 0; i != rounds; ++i) {
        mine.blocks(0);
        g.async_get(0, [&](auto const& a) {
          see(0, a);
          if (--open == 0) all_answered.set();
        });
        for (int k = 1; k != keys; ++k) see(k, g.get(k));
        mine.release(0);
        if (i % 10 == 9) g.clear();
      }
    });
  for (auto& t : all) t.join();
  all_answered.block_until(never);
  CHECK(wrong == 0);
  CHECK(right == threads * rounds * keys);
  CHECK(load.calls() == load.history().size());
  CHECK(load.calls(2) >= rounds);
  CHECK(load.running(0) == 0);
  CHECK(load.most_running(0) >= 1);
}
