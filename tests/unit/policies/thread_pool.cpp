// SPDX-License-Identifier: BSL-1.0
#include <kcache/policies/thread_pool.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using kcache::never;
using kcache::one_shot_event;
using kcache::thread_pool;
using kcache::time_point;
using kcache::timer_id;

namespace {

/// Long enough that a test which needs it has failed.
time_point in_a_minute(thread_pool const& p) { return after(p.now(), 1min); }

bool happens(one_shot_event& e, thread_pool const& p) { return e.block_until(in_a_minute(p)); }

}  // namespace

TEST_CASE("a pool runs what it is given, on other threads", "[concurrent]") {
  constexpr int tasks = 500;
  std::atomic<int> ran{0}, here{0};
  one_shot_event all;
  thread_pool const pool{{.max_threads = 2}};
  auto const me = std::this_thread::get_id();
  for (int i = 0; i != tasks; ++i)
    pool.post([&] {
      if (std::this_thread::get_id() == me) here.fetch_add(1);
      if (ran.fetch_add(1) + 1 == tasks) all.set();
    });
  CHECK(happens(all, pool));
  CHECK(ran == tasks);
  CHECK(here == 0);
}

TEST_CASE("a pool grows no further than asked, and as far as needed", "[concurrent]") {
  constexpr int n = 3;
  std::mutex mutex;
  std::set<std::thread::id> threads;
  std::atomic<int> met{0}, ran{0};
  one_shot_event all_met, done;
  thread_pool const pool{{.max_threads = n}};  // goes first: what its tasks refer to outlives it
  // n tasks that wait for each other without the pool's knowledge: they need n threads.
  for (int i = 0; i != n; ++i)
    pool.post([&] {
      if (met.fetch_add(1) + 1 == n) all_met.set();
      all_met.block_until(never);
    });
  REQUIRE(happens(all_met, pool));
  constexpr int tasks = 200;
  for (int i = 0; i != tasks; ++i)
    pool.post([&] {
      {
        std::lock_guard lock{mutex};
        threads.insert(std::this_thread::get_id());
      }
      if (ran.fetch_add(1) + 1 == tasks) done.set();
    });
  REQUIRE(happens(done, pool));
  CHECK(threads.size() <= n);
}

TEST_CASE("a task that waits lends its place", "[concurrent]") {
  constexpr int depth = 20;
  std::vector<one_shot_event> ended(depth + 1);
  std::atomic<int> timed_out{0};
  kcache::unique_function<void(int)> nest;
  thread_pool const pool{{.max_threads = 1}};
  nest = [&](int level) {
    if (level != depth) {
      pool.post([&, level] { nest(level + 1); });
      if (!pool.wait_until(ended[static_cast<std::size_t>(level) + 1], in_a_minute(pool)))
        timed_out.fetch_add(1);
    }
    ended[static_cast<std::size_t>(level)].set();
  };
  pool.post([&] { nest(0); });
  CHECK(happens(ended[0], pool));
  CHECK(timed_out == 0);
}

TEST_CASE("a task that waits through another pool lends its place too", "[concurrent]") {
  one_shot_event second, first;
  bool met = false;
  thread_pool const outer{{.max_threads = 1}};
  thread_pool const inner{{.max_threads = 1}};
  outer.post([&] {
    outer.post([&] { second.set(); });
    met = inner.wait_until(second, after(inner.now(), 5s));
    first.set();
  });
  REQUIRE(happens(first, outer));
  CHECK(met);
}

TEST_CASE("the threads lent for a while do not raise the limit for good", "[concurrent]") {
  one_shot_event inner, outer, done;
  std::atomic<int> running{0}, most{0}, ran{0};
  thread_pool const pool{{.max_threads = 1}};
  pool.post([&] {
    pool.post([&] { inner.set(); });
    (void)pool.wait_until(inner, in_a_minute(pool));
    outer.set();
  });
  REQUIRE(happens(outer, pool));
  constexpr int tasks = 2'000;
  for (int i = 0; i != tasks; ++i)
    pool.post([&] {
      int const now = running.fetch_add(1) + 1;
      if (int m = most.load(); now > m) most.store(now);
      std::this_thread::yield();
      running.fetch_sub(1);
      if (ran.fetch_add(1) + 1 == tasks) done.set();
    });
  REQUIRE(happens(done, pool));
  CHECK(most == 1);
}

TEST_CASE("a wait on a thread that is not the pool's just blocks", "[concurrent]") {
  thread_pool const pool;
  one_shot_event e;
  CHECK_FALSE(pool.wait_until(e, pool.now()));
  pool.post([&] { e.set(); });
  CHECK(pool.wait_until(e, never));
  CHECK(pool.wait_until(e, time_point::min()));
}

TEST_CASE("timers run once each, and not before their times", "[concurrent]") {
  std::mutex mutex;
  std::multiset<int> ran;
  int early = 0;
  one_shot_event all;
  thread_pool const pool{{.max_threads = 1}};
  time_point const start = pool.now();
  for (int i : {3, 1, 2, 0}) {
    time_point const due = start + i * 2ms;
    pool.schedule_at(due, [&, i, due] {
      std::lock_guard lock{mutex};
      ran.insert(i);
      early += pool.now() < due ? 1 : 0;
      if (ran.size() == 4) all.set();
    });
  }
  pool.schedule_at(time_point::min(), [] {});
  REQUIRE(happens(all, pool));
  std::lock_guard lock{mutex};
  CHECK(ran == std::multiset<int>{0, 1, 2, 3});
  CHECK(early == 0);
}

TEST_CASE("a timer waits for no other that hangs, nor does posted work", "[concurrent]") {
  for (int round = 0; round != 20; ++round) {
    one_shot_event warm, go, came, ran;
    thread_pool const pool{{.max_threads = 3}};
    pool.post([&] { warm.set(); });  // one thread, idle from then on
    REQUIRE(happens(warm, pool));
    time_point const soon = kcache::after(pool.now(), 100us);
    pool.schedule_at(soon, [&] { go.block_until(never); });
    pool.schedule_at(soon, [&] { came.set(); });
    pool.post([&] { ran.set(); });
    CHECK(came.block_until(kcache::after(pool.now(), 10s)));
    CHECK(ran.block_until(kcache::after(pool.now(), 10s)));
    go.set();
  }
}

TEST_CASE("a cancelled timer does not run, and lets go of what it holds", "[concurrent]") {
  thread_pool const pool;
  auto const held = std::make_shared<int>(1);
  std::atomic<bool> ran{false};
  timer_id const id = pool.schedule_at(after(pool.now(), 1h), [held, &ran] { ran = true; });
  timer_id const forever = pool.schedule_at(never, [held] {});
  CHECK(id != 0);
  CHECK(id != forever);
  CHECK(pool.cancel(id));
  CHECK(held.use_count() == 2);
  CHECK_FALSE(pool.cancel(id));
  CHECK(pool.cancel(forever));
  CHECK_FALSE(pool.cancel(0));
  one_shot_event e;
  timer_id const fired = pool.schedule_at(pool.now(), [&] { e.set(); });
  REQUIRE(happens(e, pool));
  CHECK_FALSE(pool.cancel(fired));
  CHECK_FALSE(ran);
}

TEST_CASE("a task may call its pool when it is destroyed", "[concurrent]") {
  struct caller {
    explicit caller(thread_pool const* p) : pool{p} {}
    caller(caller&& other) noexcept : pool{std::exchange(other.pool, nullptr)} {}
    ~caller() {
      if (pool) pool->cancel(pool->schedule_at(never, [] {}));
    }
    thread_pool const* pool;
  };
  thread_pool const pool;
  pool.cancel(pool.schedule_at(never, [c = caller{&pool}] {}));
  one_shot_event e;
  pool.post([&e, c = caller{&pool}] { e.set(); });
  CHECK(happens(e, pool));
}

TEST_CASE("when the last handle goes, what has not begun is destroyed", "[concurrent]") {
  struct shared {
    one_shot_event begun, release, ended;
    std::atomic<bool> late{false};
  };
  auto const s = std::make_shared<shared>();
  auto const held = std::make_shared<int>(1);
  std::optional<thread_pool> pool{thread_pool::options{.max_threads = 1, .stop_within = 1ms}};
  std::optional<thread_pool> copy{*pool};
  pool->post([s] {
    s->begun.set();
    s->release.block_until(never);
    s->ended.set();
  });
  REQUIRE(happens(s->begun, *pool));
  pool->post([held, s] { s->late = true; });
  pool->schedule_at(never, [held] {});
  pool->schedule_at(kcache::after(pool->now(), 1h), [held] {});
  pool.reset();
  CHECK(held.use_count() == 4);
  copy.reset();
  CHECK(held.use_count() == 1);
  s->release.set();
  CHECK(s->ended.block_until(never));
  CHECK_FALSE(s->late);
}

TEST_CASE("the last handle may go inside a task", "[concurrent]") {
  one_shot_event handed_over, ended;
  {
    thread_pool pool{{.max_threads = 2}};
    pool.post([&ended] { (void)ended; });
    pool.post([&ended, &handed_over, own = pool]() mutable {
      handed_over.block_until(never);
      thread_pool const last = std::move(own);
      last.post([] {});
      last.schedule_at(never, [] {});
      ended.set();
    });
  }
  handed_over.set();
  CHECK(ended.block_until(never));
}

TEST_CASE("a task that hangs delays the end by the bound only, and is left alone", "[concurrent]") {
  struct shared {
    one_shot_event begun, release, ended;
  };
  auto const s = std::make_shared<shared>();
  {
    thread_pool const pool{{.max_threads = 2, .stop_within = 1ms}};
    pool.post([s] {
      s->begun.set();
      s->release.block_until(never);
      s->ended.set();
    });
    REQUIRE(happens(s->begun, pool));
  }
  CHECK_FALSE(s->ended.is_set());  // the pool has gone, the task has not
  s->release.set();
  CHECK(s->ended.block_until(never));
}

TEST_CASE("timers are kept while every thread of the pool hangs", "[concurrent]") {
  one_shot_event go, came, ran;
  thread_pool const pool{{.max_threads = 2, .stop_within = 5s}};
  // Blocks without telling the pool, as a loader does that waits for a database.
  for (int i = 0; i != 2; ++i) pool.post([&] { go.block_until(kcache::never); });
  pool.post([&] { ran.set(); });
  pool.schedule_at(pool.now() + 1ms, [&] { came.set(); });
  CHECK(came.block_until(pool.now() + 10s));
  CHECK_FALSE(ran.is_set());  // the limit holds for what is posted
  go.set();
  CHECK(ran.block_until(pool.now() + 10s));
}

TEST_CASE("a pool that nobody uses, and one of no threads", "[concurrent]") {
  thread_pool const unused;
  thread_pool const none{{.max_threads = 0}};  // counts as one
  one_shot_event e;
  none.post([&] { e.set(); });
  CHECK(happens(e, none));
}

TEST_CASE("many threads post, schedule and cancel at once", "[concurrent]") {
  constexpr int each = 300;
  std::atomic<int> left{3 * each};
  one_shot_event done;
  thread_pool const pool{{.max_threads = 3}};
  auto const tick = [&] {
    if (left.fetch_sub(1) == 1) done.set();
  };
  std::vector<std::thread> threads;
  for (int t = 0; t != 3; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i != each; ++i) {
        if (i % 3 == 0) {
          pool.post(tick);
          continue;
        }
        timer_id const id = pool.schedule_at(after(pool.now(), i % 5 * 10us), tick);
        if (i % 3 == 1 && pool.cancel(id)) tick();
      }
    });
  for (auto& t : threads) t.join();
  CHECK(happens(done, pool));
  CHECK(left == 0);
}
