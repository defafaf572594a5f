// SPDX-License-Identifier: BSL-1.0
// Stop tokens, those of callers and those of loads.
#include <kcache/group.hpp>

#include "support/catch.hpp"
#include "support/effort.hpp"
#include "support/fake_origin.hpp"
#include "support/manual_policies.hpp"

#include <kcache/testing/scripted_loader.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using kcache::errc;
using kcache::loaded;
using kcache::never;
using kcache::result;
using test::listener;
using test::manual_strings;
using test::open_loads;
using test::told;

namespace {

using test::words;

struct world : test::manual_world {
  open_loads slow;
  std::stop_source stop;
};

/// With a group, and a load of `k` that has begun and that somebody waits for.
struct loading : world {
  manual_strings g{exact(), slow.loader()};

  [[nodiscard]] kcache::load_context const& context() const {
    return slow.open.find("k")->second.context;
  }
};

}  // namespace

TEST_CASE_METHOD(loading, "who has been told to stop gets what is there, and waits for nothing") {
  CHECK(g.put("hit", "v"));
  stop.request_stop();
  CHECK(told(g.get("hit", stop.get_token())) == "value v");
  auto const start = g.now();
  CHECK(told(g.get("k", stop.get_token())) == "cancelled");
  CHECK(told(g.get("k", stop.get_token(), never)) == "cancelled");
  listener l;
  g.async_get("hit", stop.get_token(), never, l.handler());
  g.async_get("k", stop.get_token(), never, l.handler());
  CHECK(l.heard == words{"value v", "cancelled"});
  CHECK(g.now() == start);
  CHECK(slow.begun == 0);
  CHECK(g.flights() == 0);
  CHECK(work.pending() == 0);
}

TEST_CASE_METHOD(loading, "a token that can never stop is none") {
  work.schedule_at(g.now() + 1ms, [&] { slow.end("k", "v"); });
  CHECK(told(g.get("k", std::stop_token{}, never)) == "value v");
  listener l;
  g.async_get("l", std::stop_token{}, never, l.handler());
  work.run_ready();
  slow.end("l", "w");
  CHECK(l.only() == "value w");
}

TEST_CASE_METHOD(loading, "a blocked caller leaves when it is told to, and the load goes on") {
  auto const start = g.now();
  bool const timed = GENERATE(true, false);
  work.schedule_at(start + 50ms, [&] { stop.request_stop(); });
  auto const r = timed ? g.get("k", stop.get_token(), start + 1h) : g.get("k", stop.get_token());
  CHECK(told(r) == "cancelled");
  CHECK(g.now() == start + 50ms);
  CHECK(g.flights() == 1);
  CHECK(context().cancelled());  // it was the last
  slow.end("k", "late");
  CHECK(told(g.get("k")) == "value late");
  CHECK(slow.begun == 1);
  CHECK(work.pending() == 0);
}

TEST_CASE_METHOD(loading, "a handler is told inside request_stop, and not again") {
  listener l;
  g.async_get("k", stop.get_token(), g.now() + 1s, l.handler());
  bool const begun = GENERATE(true, false);
  if (begun) work.run_ready();
  CHECK(l.heard.empty());
  stop.request_stop();
  CHECK(l.only() == "cancelled");
  work.run_for(2s);
  if (begun) slow.end("k", "late");
  CHECK(l.only() == "cancelled");
  CHECK(slow.begun == (begun ? 1 : 0));
  CHECK(g.flights() == 0);
  CHECK(work.pending() == 0);
}

TEST_CASE_METHOD(loading, "of a hundred callers whose leader stops ninety-nine get the value") {
  listener leader, others;
  std::stop_source unused;
  g.async_get("k", stop.get_token(), never, leader.handler());
  for (int i = 0; i != 99; ++i) {
    if (i % 2 == 0) g.async_get("k", never, others.handler());
    else g.async_get("k", unused.get_token(), g.now() + 1s, others.handler());
  }
  bool const begun = GENERATE(true, false);
  if (begun) work.run_ready();
  stop.request_stop();
  CHECK(leader.only() == "cancelled");
  work.run_ready();
  CHECK_FALSE(context().cancelled());
  slow.end("k", "v");
  CHECK(others.heard == words(99, "value v"));
  CHECK(leader.only() == "cancelled");
  CHECK(slow.begun == 1);
  CHECK(g.flights() == 0);
  CHECK(work.pending() == 0);
}

TEST_CASE_METHOD(loading, "one token may stop many") {
  listener l, other;
  for (int i = 0; i != 50; ++i) {
    g.async_get("k", stop.get_token(), never, l.handler());
    g.async_get(std::to_string(i), stop.get_token(), g.now() + 1s, l.handler());
  }
  g.async_get("k", never, other.handler());
  work.run_ready();
  stop.request_stop();
  CHECK(l.heard == words(100, "cancelled"));
  CHECK(other.heard.empty());
  slow.end("k", "v");
  CHECK(other.only() == "value v");
  CHECK(l.heard.size() == 100);
}

TEST_CASE_METHOD(loading,
                 "to be told to stop after the answer, or after the deadline, is nothing") {
  listener l;
  g.async_get("k", stop.get_token(), g.now() + 100ms, l.handler());
  work.run_ready();
  SECTION("the answer") {
    slow.end("k", "v");
    CHECK(l.only() == "value v");
  }
  SECTION("the deadline") {
    work.run_for(100ms);
    CHECK(l.only() == "deadline");
    slow.end("k", "v");
  }
  stop.request_stop();
  work.run_for(1s);
  CHECK(l.heard.size() == 1);
  CHECK(work.pending() == 0);
}

TEST_CASE_METHOD(loading, "many keys may be told to stop, and keep what they have") {
  std::vector<words> heard;
  auto const hear = [&](std::vector<test::answer> const& all) {
    heard.emplace_back();
    for (auto const& a : all) heard.back().push_back(told(a));
  };
  CHECK(g.put("hit", "v"));
  SECTION("before") {
    stop.request_stop();
    g.async_get_many(words{"hit", "k"}, stop.get_token(), never, hear);
    CHECK(heard == std::vector<words>{{"value v", "cancelled"}});
  }
  SECTION("meanwhile") {
    g.async_get_many(words{"a", "k", "hit"}, stop.get_token(), never, hear);
    work.run_ready();
    slow.end("a", "first");
    CHECK(heard.empty());
    stop.request_stop();
    CHECK(heard == std::vector<words>{{"value first", "cancelled", "value v"}});
    CHECK(context().cancelled());
    slow.end("k", "late");
  }
  SECTION("afterwards") {
    g.async_get_many(words{"k"}, stop.get_token(), g.now() + 10ms, hear);
    work.run_for(10ms);
    CHECK(heard == std::vector<words>{{"deadline"}});
    stop.request_stop();
    slow.end("k", "late");
  }
  work.run_for(1s);
  CHECK(heard.size() == 1);
  CHECK(work.pending() == 0);
}

TEST_CASE_METHOD(loading, "who waits for another node's answer may be told to stop") {
  auto const origin = std::make_shared<test::fake_origin>();
  REQUIRE(g.core()->attach(origin));
  listener stopped, stays;
  g.async_get("remote", stop.get_token(), never, stopped.handler());
  g.async_get("remote", never, stays.handler());
  work.schedule_at(g.now() + 5ms, [&] { stop.request_stop(); });
  CHECK(told(g.get("remote", stop.get_token(), never)) == "cancelled");
  CHECK(stopped.only() == "cancelled");
  origin->answer(loaded<std::string>{"there", 1s});
  CHECK(stays.only() == "value there");
  CHECK(origin->fetches == 1);
  CHECK(g.flights() == 0);
}

TEST_CASE_METHOD(loading,
                 "a load is told to stop when the last who waits has left, and not before") {
  listener l;
  g.async_get("k", stop.get_token(), never, l.handler());
  g.async_get("k", g.now() + 20ms, l.handler());
  g.async_get("k", g.now() + 10ms, l.handler());
  work.run_ready();
  auto const token = context().stop_token();
  int asked = 0;
  std::stop_callback const callback{token, [&] { ++asked; }};
  CHECK(token.stop_possible());
  work.run_for(10ms);
  CHECK_FALSE(token.stop_requested());
  stop.request_stop();
  CHECK_FALSE(token.stop_requested());
  CHECK_FALSE(context().cancelled());
  work.run_for(10ms);
  CHECK(token.stop_requested());
  CHECK(context().cancelled());
  CHECK(asked == 1);
  CHECK(l.heard == words{"deadline", "cancelled", "deadline"});
  CHECK(context().stop_token().stop_requested());  // who asks late is told so
  slow.end("k", errc::cancelled);
  CHECK(g.flights() == 0);
  CHECK(g.stats().load_failures == 0);
}

TEST_CASE_METHOD(loading,
                 "a load that everybody left is told so, though it asks for a token late") {
  CHECK(g.get("k", 1ms).error() == errc::deadline);
  CHECK(context().stop_token().stop_requested());
  slow.end("k", errc::cancelled);
  CHECK_FALSE(kcache::load_context{}.stop_token().stop_possible());
}

TEST_CASE_METHOD(loading, "a load that nobody wants any more, and is joined again") {
  CHECK(g.get("k", 1ms).error() == errc::deadline);
  bool const listened = GENERATE(true, false);
  std::stop_token token;
  if (listened) token = context().stop_token();
  listener l;
  g.async_get("k", stop.get_token(), never, l.handler());
  CHECK_FALSE(context().cancelled());
  SECTION("gives up: it is made again") {
    slow.end("k", errc::cancelled);
    work.run_ready();
    CHECK(slow.begun == 2);
    CHECK(l.heard.empty());
    CHECK_FALSE(context().stop_token().stop_requested());
    slow.end("k", "v");
    CHECK(l.only() == "value v");
  }
  SECTION("ends all the same: that is the answer") {
    slow.end("k", "v");
    CHECK(l.only() == "value v");
    CHECK(slow.begun == 1);
  }
  SECTION("fails: perhaps because it was stopped") {
    slow.end("k", kcache::error{errc::loader_failed, "interrupted"});
    work.run_ready();
    CHECK(slow.begun == (listened ? 2 : 1));
    if (listened) slow.end("k", "v");
    CHECK(l.only() == (listened ? "value v" : "loader_failed: interrupted"));
  }
  SECTION("is left again, and again joined") {
    stop.request_stop();
    CHECK(l.only() == "cancelled");
    CHECK(context().cancelled());
    listener again;
    g.async_get("k", never, again.handler());
    slow.end("k", errc::cancelled);
    work.run_ready();
    CHECK(slow.begun == 2);
    slow.end("k", "v");
    CHECK(again.only() == "value v");
  }
  CHECK(g.flights() == 0);
  CHECK(told(g.get("k")).starts_with(l.only().starts_with("loader") ? "deadline" : "value"));
  slow.open.clear();
}

TEST_CASE_METHOD(loading, "a load that is made again is told to stop anew") {
  CHECK(g.get("k", 1ms).error() == errc::deadline);
  CHECK(context().stop_token().stop_requested());
  listener l;
  g.async_get("k", stop.get_token(), never, l.handler());
  slow.end("k", errc::cancelled);
  work.run_ready();
  auto const token = context().stop_token();
  CHECK_FALSE(token.stop_requested());
  stop.request_stop();
  CHECK(token.stop_requested());
  slow.end("k", errc::cancelled);
  CHECK(slow.begun == 2);
  CHECK(g.flights() == 0);
}

TEST_CASE_METHOD(loading, "what a stopped load says when nobody waits is not remembered") {
  CHECK(g.get("k", 1ms).error() == errc::deadline);
  auto const token = context().stop_token();
  bool const failed = GENERATE(true, false);
  if (failed) slow.end("k", kcache::error{errc::loader_failed, "interrupted"});
  else slow.end("k", errc::not_found);
  CHECK_FALSE(g.explain("k").absent);
  CHECK(g.stats().load_failures == 0);
  CHECK(g.flights() == 0);
}

TEST_CASE_METHOD(loading, "an invalidated load made again reads what is new, and may store it") {
  CHECK(g.get("k", 1ms).error() == errc::deadline);
  listener l;
  g.async_get("k", never, l.handler());
  CHECK(g.invalidate("k"));
  slow.end("k", errc::cancelled);
  work.run_ready();
  REQUIRE(slow.begun == 2);
  slow.end("k", "new");
  CHECK(l.only() == "value new");
  CHECK(told(g.get("k")) == "value new");
}

TEST_CASE_METHOD(loading, "handlers and callbacks that are told to stop may use the group") {
  std::vector<std::string> heard;
  listener inner;
  SECTION("the caller's handler") {
    g.async_get("k", stop.get_token(), never, [&](test::answer const& a) {
      heard.push_back(told(a));
      g.async_get("k", never, inner.handler());  // the last has left: it revives the load
      CHECK(g.explain("k").waiters == 1);
    });
    work.run_ready();
    stop.request_stop();
    CHECK(heard == words{"cancelled"});
    CHECK(slow.begun == 1);
    slow.end("k", "v");
    CHECK(inner.only() == "value v");
  }
  SECTION("the load's callback") {
    g.async_get("k", stop.get_token(), never,
                [&](test::answer const& a) { heard.push_back(told(a)); });
    work.run_ready();
    {
      std::stop_callback const callback{context().stop_token(), [&] {
                                          CHECK(context().stop_token().stop_requested());
                                          CHECK(g.invalidate("k"));
                                          g.async_get("k", never, inner.handler());
                                          g.async_get("l", g.now() + 1s, inner.handler());
                                          CHECK(g.flights() == 2);
                                        }};
      stop.request_stop();
    }
    CHECK(heard == words{"cancelled"});
    work.run_ready();
    slow.end("k", errc::cancelled);  // the old one
    work.run_ready();
    slow.end("k", "v");
    slow.end("l", "w");
    CHECK(inner.heard == words{"value v", "value w"});
  }
  SECTION("the load's callback may end the load") {
    g.async_get("k", stop.get_token(), never,
                [&](test::answer const& a) { heard.push_back(told(a)); });
    work.run_ready();
    auto l = slow.take("k");
    {
      std::stop_callback const callback{
          l.context.stop_token(),
          [&] { l.done(result<std::string>{kcache::error{errc::cancelled}}); }};
      stop.request_stop();
    }
    CHECK(heard == words{"cancelled"});
  }
  SECTION("the load's callback may stop another load's last caller") {
    std::stop_source other;
    g.async_get("l", other.get_token(), never, inner.handler());
    g.async_get("k", stop.get_token(), never,
                [&](test::answer const& a) { heard.push_back(told(a)); });
    work.run_ready();
    auto const token = slow.open.find("l")->second.context.stop_token();
    {
      std::stop_callback const callback{context().stop_token(), [&] { other.request_stop(); }};
      stop.request_stop();
    }
    CHECK(heard == words{"cancelled"});
    CHECK(inner.only() == "cancelled");
    CHECK(token.stop_requested());
    slow.end("k", errc::cancelled);
    slow.end("l", errc::cancelled);
  }
  CHECK(g.flights() == 0);
  CHECK(work.pending() == 0);
}

TEST_CASE("a group that goes tells its loads to stop, and its callers once") {
  world w;
  auto g = std::make_unique<manual_strings>(w.exact(), w.slow.loader());
  listener l;
  g->async_get("k", w.stop.get_token(), never, l.handler());
  w.work.run_ready();
  SECTION("first the group, then the token") {
    auto const token = w.slow.open.find("k")->second.context.stop_token();
    g.reset();
    CHECK(l.only() == "cancelled");
    CHECK(token.stop_requested());
    w.stop.request_stop();
  }
  SECTION("in the handler that is told to stop") {
    g->async_get("k", w.stop.get_token(), never, [&](test::answer const&) { g.reset(); });
    w.stop.request_stop();
    CHECK_FALSE(g);
    CHECK(l.only() == "cancelled");
  }
  SECTION("in the callback of a load that is told to stop") {
    std::stop_callback const callback{w.slow.open.find("k")->second.context.stop_token(),
                                      [&] { g.reset(); }};
    w.stop.request_stop();
    CHECK_FALSE(g);
    CHECK(l.only() == "cancelled");
  }
  w.slow.open.clear();
  CHECK(l.heard.size() == 1);
}

TEST_CASE("a load passes its context on with a token of its own") {
  world w;
  manual_strings* self = nullptr;
  listener inner;
  manual_strings g{w.exact(), [&](std::string const& key, kcache::load_context const& context,
                                    kcache::load_completion<std::string> done) {
                     if (key == "inner") return w.slow.loader()(key, context, std::move(done));
                     self->async_get(key, context, context.stop_token(), never, inner.handler());
                     self->async_get("inner", context, context.stop_token(), never,
                                     [&, d = std::move(done)](test::answer a) mutable {
                                       inner.heard.push_back(told(a));
                                       if (a) d(result<std::string>{std::string{**a}});
                                       else d(result<std::string>{std::move(a).error()});
                                     });
                   }};
  self = &g;
  listener l;
  g.async_get("outer", w.stop.get_token(), never, l.handler());
  w.work.run_ready();
  REQUIRE(inner.heard.size() == 1);
  CHECK(inner.heard.front().starts_with("recursive_load"));
  SECTION("it is answered") {
    w.slow.end("inner", "v");
    CHECK(l.only() == "value v");
  }
  SECTION("it stops with the load") {
    auto const token = w.slow.open.find("inner")->second.context.stop_token();
    w.stop.request_stop();
    CHECK(l.only() == "cancelled");
    CHECK(inner.heard.back() == "cancelled");
    CHECK(token.stop_requested());  // down the chain
    w.slow.end("inner", errc::cancelled);
  }
  CHECK(g.flights() == 0);
  CHECK(w.work.pending() == 0);
}

TEST_CASE("a load that blocks is woken by its token when its last caller leaves", "[concurrent]") {
  using numbers = kcache::group<int, int>;
  std::atomic<int> begun{0}, given_up{0};
  numbers g{{.name = "n", .capacity = 10, .deadline = 1min},
            [&](int n, kcache::load_context const& context) -> result<int> {
              if (n == 0) return n;
              ++begun;
              std::mutex mutex;
              std::condition_variable_any changed;
              std::unique_lock lock{mutex};
              changed.wait(lock, context.stop_token(), [] { return false; });
              ++given_up;
              return errc::cancelled;
            }};
  std::stop_source stop;
  std::thread stops{[&] {
    while (begun != 1) std::this_thread::yield();
    stop.request_stop();
  }};
  CHECK(g.get(1, stop.get_token()).error() == errc::cancelled);
  stops.join();
  while (given_up != 1) std::this_thread::yield();
  CHECK(g.get(2, 1ms).error() == errc::deadline);
  while (given_up != begun || g.flights() != 0) std::this_thread::yield();
  CHECK(g.get(0));
}

TEST_CASE("stops, deadlines and answers race, and every caller is answered once", "[concurrent]") {
  using numbers = kcache::group<int, int>;
  struct finisher {
    std::mutex mutex;
    std::deque<std::pair<kcache::load_context, kcache::load_completion<int>>> open;
  };
  auto const loads = std::make_shared<finisher>();
  constexpr std::size_t callers = 4;
  auto const rounds = test::effort(300, 20'000);
  std::atomic<std::uint64_t> values{0}, deadlines{0}, cancelled{0}, others{0}, twice{0};
  std::atomic<bool> done{false};
  {
    numbers g{{.name = "n", .capacity = 4, .deadline = 1min},
              [loads](int, kcache::load_context context, kcache::load_completion<int> completion) {
                std::lock_guard const lock{loads->mutex};
                loads->open.emplace_back(std::move(context), std::move(completion));
              }};
    std::thread source{[&] {
      for (std::uint64_t n = 0;; ++n) {
        std::optional<std::pair<kcache::load_context, kcache::load_completion<int>>> next;
        {
          std::lock_guard const lock{loads->mutex};
          if (!loads->open.empty()) {
            next.emplace(std::move(loads->open.front()));
            loads->open.pop_front();
          }
        }
        if (next) {
          bool const stops = n % 2 == 0 && next->first.stop_token().stop_requested();
          if (stops) next->second(result<int>{errc::cancelled});
          else next->second(result<int>{7});
        } else if (done) {
          return;
        } else {
          std::this_thread::yield();
        }
      }
    }};
    auto const caller = [&](std::size_t me) {
      for (std::uint64_t i = 0; i != rounds; ++i) {
        int const key = static_cast<int>(i % 3);
        std::stop_source stop;
        auto const calls = std::make_shared<std::atomic<int>>(0);
        auto const hear = [&, calls](numbers::answer const& a) {
          if (++*calls != 1) ++twice;
          if (a) ++(**a == 7 ? values : others);
          else if (a.error() == errc::deadline) ++deadlines;
          else if (a.error() == errc::cancelled) ++cancelled;
          else ++others;
        };
        auto const deadline = kcache::after(g.now(), std::chrono::microseconds{(i * 7) % 120});
        switch ((i + me) % 4) {
          case 0:
            g.async_get(key, stop.get_token(), deadline, hear);
            break;
          case 1:
            g.async_get(key, stop.get_token(), never, hear);
            break;
          case 2: {
            std::jthread const stops{[&] { stop.request_stop(); }};
            hear(g.get(key, stop.get_token(), deadline));
            break;
          }
          default: {
            std::jthread const stops{[&] { stop.request_stop(); }};
            g.async_get(key, stop.get_token(), deadline, hear);
          }
        }
        if (i % 5 == me) static_cast<void>(g.invalidate(key));
        if (i % 11 == me) g.clear();
        stop.request_stop();
        while (*calls == 0) std::this_thread::yield();  // it may be running on another thread
      }
    };
    std::vector<std::thread> all;
    for (std::size_t i = 0; i != callers; ++i) all.emplace_back(caller, i);
    for (auto& t : all) t.join();
    done = true;
    source.join();
  }
  CHECK(twice == 0);
  CHECK(others == 0);
  CHECK(values + deadlines + cancelled == callers * rounds);
  CHECK(values > 0);
  CHECK(cancelled > 0);
}
