// SPDX-License-Identifier: BSL-1.0
// Groups under real threads.
#include <kcache/group.hpp>

#include "support/catch.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using kcache::errc;
using kcache::loaded;
using kcache::never;
using kcache::one_shot_event;
using kcache::result;
using kcache::thread_pool;

namespace {

using strings = kcache::group<std::string, std::string>;
using numbers = kcache::group<int, int>;

void in_parallel(int threads, std::function<void(int)> const& work) {
  std::vector<std::thread> all;
  for (int i = 0; i != threads; ++i) all.emplace_back(work, i);
  for (auto& t : all) t.join();
}

}  // namespace

TEST_CASE("a hundred threads make one load", "[concurrent]") {
  std::atomic<int> loads{0}, right{0}, waiting{0};
  one_shot_event go;
  numbers g{{.name = "n", .capacity = 10, .deadline = 1min}, [&](int n) {
              ++loads;
              go.block_until(never);  // until all have asked, or are about to
              return n * 2;
            }};
  in_parallel(100, [&](int) {
    if (++waiting == 100) go.set();
    auto const r = g.get(21);
    if (r && **r == 42) ++right;
  });
  CHECK(right == 100);
  CHECK(loads == 1);
}

TEST_CASE("a hundred threads share one failure, and the next get loads again", "[concurrent]") {
  std::atomic<int> loads{0}, failed{0}, waiting{0};
  one_shot_event go;
  numbers g{{.name = "n", .capacity = 10, .deadline = 1min}, [&](int n) {
              if (++loads == 1) {
                go.block_until(never);
                throw std::runtime_error{"boo, in words that do not fit in place"};
              }
              return n;
            }};
  // The last to come may be too late for the failure, and make a second load.
  in_parallel(100, [&](int) {
    if (++waiting == 100) go.set();
    if (!g.get(1)) ++failed;
  });
  CHECK(failed >= 1);
  CHECK(g.get(1));
  CHECK(loads == 2);
}

TEST_CASE("loads on two threads that ask for each other's keys are told so", "[concurrent]") {
  for (int round = 0; round != 30; ++round) {
    std::atomic<int> begun{0}, recursive{0};
    one_shot_event both;
    numbers* self = nullptr;
    numbers g{{.name = "n", .capacity = 10, .deadline = 1min}, [&](int n) -> result<int> {
                if (++begun == 2) both.set();
                both.block_until(never);
                auto const r = self->get(1 - n);
                if (!r) {
                  if (r.error() == errc::recursive_load) ++recursive;
                  return r.error();
                }
                return **r;
              }};
    self = &g;
    std::atomic<int> failed{0};
    in_parallel(2, [&](int n) {
      if (!g.get(n)) ++failed;
    });
    REQUIRE(failed == 2);
    REQUIRE(recursive >= 1);
  }
}

TEST_CASE("nested loads need no more threads than there are", "[concurrent]") {
  // Two groups with a pool of one thread each, that ask each other by turns.
  thread_pool const one{{.max_threads = 1}}, two{{.max_threads = 1}};
  numbers *even = nullptr, *odd = nullptr;
  auto const down = [&](numbers*& other) {
    return [&other](int n) -> result<int> {
      if (n == 0) return 0;
      auto const r = other->get(n - 1);
      if (!r) return r.error();
      return **r + 1;
    };
  };
  numbers g{{.name = "even", .capacity = 100, .deadline = 1min, .executor = one}, down(odd)};
  numbers h{{.name = "odd", .capacity = 100, .deadline = 1min, .executor = two}, down(even)};
  even = &g;
  odd = &h;
  auto const r = g.get(40);
  REQUIRE(r);
  CHECK(**r == 40);
}

TEST_CASE("an asynchronous loader answers from a thread of its own", "[concurrent]") {
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  {
    numbers g{{.name = "n", .capacity = 10, .deadline = 1min},
              [&](int n, kcache::load_context, kcache::load_completion<int> done) {
                threads.emplace_back([n, d = std::move(done)]() mutable { d(loaded<int>{n * 2}); });
              }};
    in_parallel(8, [&](int) {
      if (auto const r = g.get(4); r && **r == 8) ++right;
    });
  }
  for (auto& t : threads) t.join();
  CHECK(right == 8);
}

TEST_CASE("a load that hangs delays neither its callers nor its group", "[concurrent]") {
  struct shared {
    one_shot_event begun, release, ended;
  };
  auto const s = std::make_shared<shared>();
  std::atomic<int> late{0}, cancelled{0};
  {
    thread_pool const pool{{.max_threads = 4, .stop_within = 1ms}};
    std::optional<numbers> g{std::in_place,
                             numbers::options_type{.name = "n",
                                                   .capacity = 10,
                                                   .deadline = 1min,
                                                   .drain = 1ms,
                                                   .executor = pool},
                             [s](int n) {
                               if (n == 1) {
                                 s->begun.set();
                                 s->release.block_until(never);
                                 s->ended.set();
                               }
                               return n;
                             }};
    // A load that everybody left before it began is not made: asked again until it was in time.
    while (!s->begun.is_set())
      if (g->get(1, 1ms).error() == errc::deadline) late = 1;
    CHECK(g->get(2));  // another key is served
    auto const misses = g->stats().cache.misses;
    // Threads that wait while the group goes.
    std::atomic<int> asked{0};
    std::vector<std::thread> waiting;
    for (int i = 0; i != 4; ++i)
      waiting.emplace_back([&, &g = *g, i] {  // not the std::optional, which is reset below
        auto count = [&](numbers::answer const& a) {
          if (!a && a.error() == errc::cancelled) ++cancelled;
        };
        if (i == 0) g.async_get(1, count);
        ++asked;
        if (i != 0) count(g.get(1));
      });
    while (g->stats().cache.misses < misses + 4) std::this_thread::yield();
    while (asked != 4) std::this_thread::yield();
    g.reset();
    for (auto& t : waiting) t.join();
  }
  CHECK(late == 1);
  CHECK(cancelled == 4);
  CHECK_FALSE(s->ended.is_set());
  s->release.set();
  s->ended.block_until(never);
}

TEST_CASE("every caller is answered once while deadlines, failures and drops race",
          "[concurrent]") {
  constexpr int threads = 4, rounds = 300;
  std::atomic<int> wrong{0}, answered{0}, loads{0};
  {
    strings g{{.name = "s", .capacity = 4, .deadline = 1min},
              [&](std::string const& key) -> result<std::string> {
                int const n = ++loads;
                if (n % 7 == 0) throw std::runtime_error{"boo"};
                if (n % 5 == 0) return errc::not_found;
                if (n % 3 == 0) std::this_thread::yield();
                return "v:" + key;
              }};
    in_parallel(threads, [&](int t) {
      for (int i = 0; i != rounds; ++i) {
        std::string const key = "k" + std::to_string(i % 6);
        auto const check = [&wrong, &answered, key](strings::answer const& a) {
          ++answered;
          if (a ? **a != "v:" + key
                : a.error() == errc::recursive_load || a.error() == errc::cancelled)
            ++wrong;
        };
        switch ((i + t) % 6) {
          case 0: check(g.get(key)); break;
          case 1: check(g.get(key, 20us)); break;
          case 2: g.async_get(key, check); break;
          case 3: g.async_get(key, g.now() + 20us, check); break;
          case 4:
            (void)g.invalidate(key);
            check(g.get(key));
            break;
          default:
            g.clear();
            g.async_get(key, never, check);
        }
      }
    });
    while (answered != threads * rounds) std::this_thread::yield();
  }
  CHECK(answered == threads * rounds);
  CHECK(wrong == 0);
}

TEST_CASE("no get that starts after an invalidation sees what was loaded before", "[concurrent]") {
  std::atomic<int> source{0}, stale{0};
  numbers g{{.name = "n", .capacity = 10, .deadline = 1min}, [&](int) { return source.load(); }};
  in_parallel(3, [&](int t) {
    for (int i = 0; i != 400; ++i) {
      if (t == 0) {
        int const version = ++source;
        (void)g.invalidate(1);
        auto const r = g.get(1);
        if (!r || **r < version) ++stale;
      } else {
        (void)g.get(1);
      }
    }
  });
  CHECK(stale == 0);
}

TEST_CASE("group and executor may go in any order, with loads under way", "[concurrent]") {
  for (int round = 0; round != 40; ++round) {
    std::atomic<int> answered{0};
    std::optional<thread_pool> pool{thread_pool::options{.max_threads = 2}};
    std::optional<numbers> g{std::in_place,
                             numbers::options_type{.name = "n", .capacity = 10, .executor = *pool},
                             [](int n) {
                               std::this_thread::yield();
                               return n;
                             }};
    for (int i = 0; i != 6; ++i) g->async_get(i, [&](numbers::answer const&) { ++answered; });
    if (round % 2 == 0) pool.reset();
    g.reset();
    pool.reset();
    REQUIRE(answered == 6);
  }
}

TEST_CASE("who blocks is answered before handlers are called", "[concurrent]") {
  one_shot_event begun, release, returned;
  std::atomic<bool> right{false};
  numbers g{{.name = "n", .capacity = 10, .deadline = 1min}, [&](int n) {
              begun.set();
              release.block_until(never);
              return n;
            }};
  std::thread blocked{[&] {
    auto const a = g.get(1);
    right = a && **a == 1;
    returned.set();
  }};
  begun.block_until(never);
  one_shot_event told;
  // Waits for what comes behind it, if that were so.
  g.async_get(1, [&](numbers::answer const&) {
    returned.block_until(never);
    told.set();
  });
  release.set();
  told.block_until(never);
  blocked.join();
  CHECK(right);
}
