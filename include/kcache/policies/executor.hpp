// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_POLICIES_EXECUTOR_HPP
#define KCACHE_POLICIES_EXECUTOR_HPP
/// \file
/// Floor 1. The executor policy: where loads and completions run, and how anything waits.
///
/// The core never starts a thread, sleeps or reads the time to wait by itself: it posts, schedules
/// and waits here. An executor is a cheap handle; copies share the same workers.
///
/// | expression | result | semantics |
/// |---|---|---|
/// | `e.now()` | `time_point` | the time that the deadlines below are compared with |
/// | `e.post(task)` | | runs `task` once, later, never inside `post`; may throw `bad_alloc` |
/// | `e.schedule_at(t, task)` | `timer_id` | runs `task` once, at `t` or a little later; no order is promised among timers |
/// | `e.cancel(id)` | `bool` | true: the task will not run, and is destroyed; false: it ran, runs, or was cancelled |
/// | `e.wait_until(event, t)` | `bool` | blocks until `event` is set (true) or `t` has come (false) |
///
/// `task` is a `unique_function<void()>` and must not throw. All calls are thread safe. A task
/// may block in `wait_until`; the executor then makes sure that other tasks still run (a pool
/// lends itself another thread, the manual executor runs them while it waits). Tasks that have
/// not begun when the last handle goes are destroyed without being run.
///
/// Models: `thread_pool` (thread_pool.hpp, the default), `testing::manual_executor`.

#include <kcache/detail/unique_function.hpp>
#include <kcache/time.hpp>

#include <chrono>
#include <concepts>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace kcache {

using task = unique_function<void()>;

/// Names a scheduled task; 0 names none.
using timer_id = std::uint64_t;

/// An event that happens once. `set` may be called from any thread, more than once; whoever
/// waits may destroy the event as soon as its wait has returned true.
class one_shot_event {
 public:
  one_shot_event() = default;
  one_shot_event(one_shot_event const&) = delete;
  one_shot_event& operator=(one_shot_event const&) = delete;

  void set() {
    std::lock_guard lock{mutex_};
    set_ = true;
    changed_.notify_all();  // under the lock: the waiter may destroy us once it is released
  }
  [[nodiscard]] bool is_set() const {
    std::lock_guard lock{mutex_};
    return set_;
  }
  /// Blocks the thread; for executors that own real threads. `t` is of std's steady clock.
  bool block_until(time_point t) {
    std::unique_lock lock{mutex_};
    if (t == never) {
      changed_.wait(lock, [&] { return set_; });
      return true;
    }
    return changed_.wait_until(
        lock, std::chrono::steady_clock::time_point{t.time_since_epoch()}, [&] { return set_; });
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool set_ = false;
};

template <class E>
concept executor = std::copy_constructible<E> &&
                   requires(E const& e, task f, time_point t, timer_id id, one_shot_event& event) {
                     { e.now() } -> std::same_as<time_point>;
                     { e.post(std::move(f)) } -> std::same_as<void>;
                     { e.schedule_at(t, std::move(f)) } -> std::same_as<timer_id>;
                     { e.cancel(id) } -> std::same_as<bool>;
                     { e.wait_until(event, t) } -> std::same_as<bool>;
                   };

/// While one of these lives on a thread, blocking calls that would have to wait are refused with
/// `errc::would_block`: the thread serves others (an I/O thread) and must not wait for itself.
class no_blocking_scope {
 public:
  no_blocking_scope() noexcept { ++depth_; }
  ~no_blocking_scope() { --depth_; }
  no_blocking_scope(no_blocking_scope const&) = delete;
  no_blocking_scope& operator=(no_blocking_scope const&) = delete;
  [[nodiscard]] static bool active() noexcept { return depth_ != 0; }

 private:
  static inline thread_local unsigned depth_ = 0;
};

}  // namespace kcache

#endif
