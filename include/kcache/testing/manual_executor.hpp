// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_TESTING_MANUAL_EXECUTOR_HPP
#define KCACHE_TESTING_MANUAL_EXECUTOR_HPP
/// \file
/// Floor 1. `testing::manual_executor`: all work in one thread, in an order given by a seed, under
/// virtual time.

#include <kcache/detail/current_load.hpp>
#include <kcache/policies/executor.hpp>
#include <kcache/testing/manual_clock.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

namespace kcache::testing {

/// An executor without threads. Tasks run when the test says so, or while a blocking call waits;
/// when nothing is ready a wait moves the clock on to the next timer, so that an hour of timeouts
/// takes no time. With seed 0 ready tasks run first in, first out; with another seed, in an order
/// drawn from it: one seed, one run.
///
///     kcache::testing::manual_clock t;
///     kcache::testing::manual_executor e{t};
///     ... a group with both ...
///     e.run_for(5s);
///
/// Copies share the tasks. When the object that the others were copied from goes, tasks that have
/// not run are destroyed (they may hold copies, and would otherwise keep each other alive), and
/// what is posted from then on is too. Not thread safe: a simulation has one thread.
class manual_executor {
 public:
  manual_executor() : manual_executor{manual_clock{}} {}
  explicit manual_executor(manual_clock clock, std::uint64_t seed = 0)
      : state_{std::make_shared<state>(std::move(clock), seed)}, first_{true} {}
  manual_executor(manual_executor const& other) noexcept : state_{other.state_} {}
  manual_executor(manual_executor&& other) noexcept
      : state_{other.state_}, first_{std::exchange(other.first_, false)} {}
  manual_executor& operator=(manual_executor other) noexcept {
    std::swap(state_, other.state_);
    std::swap(first_, other.first_);
    return *this;
  }
  ~manual_executor() {
    if (!first_) return;
    state_->closed = true;
    while (!state_->ready.empty() || !state_->timers.empty()) {
      auto const ready = std::exchange(state_->ready, {});
      auto const timers = std::exchange(state_->timers, {});
    }
  }

  [[nodiscard]] time_point now() const noexcept { return state_->clock.now(); }
  [[nodiscard]] manual_clock const& clock() const noexcept { return state_->clock; }

  void post(task f) const {
    if (!state_->closed) state_->ready.push_back(std::move(f));
  }

  timer_id schedule_at(time_point t, task f) const {
    if (state_->closed) return 0;
    timer_id const id = ++state_->last_timer;
    state_->timers.emplace(std::pair{t, id}, std::move(f));
    return id;
  }

  bool cancel(timer_id id) const {
    for (auto at = state_->timers.begin(); at != state_->timers.end(); ++at)
      if (at->first.second == id) {
        task const doomed = std::move(at->second);
        state_->timers.erase(at);
        return true;
      }
    return false;
  }

  /// Runs ready tasks, then timers, until the event is set or nothing but time can pass; then it is
  /// `t`. A wait without a deadline that nothing can end any more returns false: a test would hang.
  bool wait_until(one_shot_event& event, time_point t) const {
    while (!event.is_set()) {
      if (run_one()) continue;
      if (state_->timers.empty() || next_timer() > t) {
        if (t != never) state_->clock.advance_to(t);
        return event.is_set();
      }
      advance_to_next_timer();
    }
    return true;
  }

  /// Runs one ready task. False if there is none.
  bool run_one() const {
    collect_due();
    auto& ready = state_->ready;
    if (ready.empty()) return false;
    std::size_t const i = state_->seed == 0 ? 0 : state_->draw() % ready.size();
    task f = std::move(ready[i]);
    ready.erase(ready.begin() + static_cast<std::ptrdiff_t>(i));
    kcache::detail::load_scope const foreign{nullptr};
    f();
    return true;
  }

  /// Runs until nothing is ready. Returns how many tasks ran.
  std::size_t run_ready() const {
    std::size_t n = 0;
    while (run_one()) ++n;
    return n;
  }

  /// Lets `d` pass, running every timer at its instant and everything that becomes ready.
  std::size_t run_for(duration d) const { return run_until(after(now(), d)); }
  std::size_t run_until(time_point t) const {
    std::size_t n = run_ready();
    while (!state_->timers.empty() && next_timer() <= t) {
      advance_to_next_timer();
      n += run_ready();
    }
    state_->clock.advance_to(t);
    return n;
  }

  /// Tasks ready and timers pending: 0 at the end of a test that left nothing behind.
  [[nodiscard]] std::size_t pending() const noexcept {
    return state_->ready.size() + state_->timers.size();
  }

 private:
  struct state {
    state(manual_clock c, std::uint64_t s) : clock{std::move(c)}, seed{s}, random{s} {}

    std::uint64_t draw() noexcept {  // splitmix64
      std::uint64_t z = random += 0x9e3779b97f4a7c15;
      z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
      z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
      return z ^ (z >> 31);
    }

    manual_clock clock;
    std::uint64_t seed, random;
    std::vector<task> ready;
    std::map<std::pair<time_point, timer_id>, task> timers;
    timer_id last_timer = 0;
    bool closed = false;
  };

  [[nodiscard]] time_point next_timer() const { return state_->timers.begin()->first.first; }
  void advance_to_next_timer() const {
    state_->clock.advance_to(next_timer());
    collect_due();
  }
  void collect_due() const {
    auto& timers = state_->timers;
    while (!timers.empty() && timers.begin()->first.first <= now()) {
      state_->ready.push_back(std::move(timers.begin()->second));
      timers.erase(timers.begin());
    }
  }

  std::shared_ptr<state> state_;
  bool first_ = false;
};

static_assert(executor<manual_executor>);

}  // namespace kcache::testing

#endif
