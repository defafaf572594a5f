// SPDX-License-Identifier: BSL-1.0
// A pool without memory refuses, keeps nothing of what it refused, and goes on.
#include <kcache/policies/thread_pool.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"

#include <new>
#include <utility>

using kcache::never;
using kcache::one_shot_event;
using kcache::thread_pool;
using kcache::timer_id;

namespace {

/// A task that calls its pool when it goes, so that it must not go under the pool's lock.
struct caller {
  explicit caller(thread_pool const& p, int& count) : pool{&p}, gone{&count} {}
  caller(caller&& other) noexcept : pool{std::exchange(other.pool, nullptr)}, gone{other.gone} {}
  ~caller() {
    if (!pool) return;
    pool->cancel(1'000'000);
    ++*gone;
  }
  void operator()() {}
  thread_pool const* pool;
  int* gone;
};

}  // namespace

TEST_CASE("a timer that finds no memory is destroyed, outside the locks") {
  int gone = 0;
  thread_pool const pool;
  bool failed = true;
  for (std::size_t n = 1; failed; ++n) {
    REQUIRE(n < 50);
    timer_id id = 0;
    try {
      caller c{pool, gone};
      test::failing_allocation const nth{n};
      id = pool.schedule_at(never, std::move(c));
      failed = false;
    } catch (std::bad_alloc const&) {
    }
    if (!failed) CHECK(pool.cancel(id));
    CHECK(gone == static_cast<int>(n));
  }
}

TEST_CASE("a task that finds no memory is destroyed, and the pool goes on") {
  int gone = 0;
  {
    thread_pool const pool;
    bool failed = true;
    for (std::size_t n = 1; failed; ++n) {
      REQUIRE(n < 50);
      try {
        caller c{pool, gone};
        test::failing_allocation const nth{n};
        pool.post(std::move(c));
        failed = false;
      } catch (std::bad_alloc const&) {
        CHECK(gone == static_cast<int>(n));
      }
    }
    one_shot_event e;
    pool.post([&e] { e.set(); });
    CHECK(e.block_until(never));
  }
}
