// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_TESTS_SUPPORT_FRUGAL_EXECUTOR_HPP
#define KCACHE_TESTS_SUPPORT_FRUGAL_EXECUTOR_HPP
/// \file
/// An executor for tests of failing allocations: it allocates, and may fail, where the concept says
/// so, in `post` and `schedule_at`, once each, and nowhere else; a wait never does.

#include <kcache/policies/executor.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <new>
#include <utility>
#include <vector>

namespace test {

/// One thread and virtual time, as `testing::manual_executor`. Copies share it.
class frugal_executor {
 public:
  frugal_executor() : state_{std::make_shared<state>()} {}

  [[nodiscard]] kcache::time_point now() const noexcept { return state_->now; }
  void post(kcache::task f) const {
    allocate();
    state_->ready.push_back(std::move(f));
  }
  kcache::timer_id schedule_at(kcache::time_point t, kcache::task f) const {
    allocate();
    state_->timers.push_back({t, ++state_->last, std::move(f)});
    return state_->last;
  }
  bool cancel(kcache::timer_id id) const noexcept {
    auto& timers = state_->timers;
    auto const at =
        std::find_if(timers.begin(), timers.end(), [id](auto& t) { return t.id == id; });
    if (at == timers.end()) return false;
    timer const doomed = std::move(*at);
    timers.erase(at);
    return true;
  }
  bool wait_until(kcache::one_shot_event& e, kcache::time_point t) const {
    while (!e.is_set() && run_one(t)) {
    }
    return e.is_set();
  }
  /// Runs everything that can run until `t`.
  void run_until(kcache::time_point t) const {
    while (run_one(t)) {
    }
  }
  [[nodiscard]] std::size_t pending() const noexcept {
    return state_->ready.size() + state_->timers.size();
  }
  /// Destroys what has not run.
  void drop_all() const {
    while (pending() != 0) {
      state_->timers.clear();
      auto const doomed = std::exchange(state_->ready, {});
      state_->ready.reserve(room);
    }
  }

 private:
  static constexpr std::size_t room = 4'096;

  struct timer {
    kcache::time_point at;
    kcache::timer_id id;
    kcache::task run;
  };
  struct state {
    state() {
      ready.reserve(room);
      timers.reserve(room);
    }
    kcache::time_point now{std::chrono::seconds{1}};
    std::vector<kcache::task> ready;
    std::vector<timer> timers;
    kcache::timer_id last = 0;
  };

  static void allocate() { ::operator delete(::operator new(1)); }

  bool run_one(kcache::time_point limit) const {
    kcache::task f;
    auto& s = *state_;
    if (!s.ready.empty()) {
      f = std::move(s.ready.front());
      s.ready.erase(s.ready.begin());
    } else {
      auto const first = std::min_element(s.timers.begin(), s.timers.end(), [](auto& a, auto& b) {
        return std::pair{a.at, a.id} < std::pair{b.at, b.id};
      });
      if (first == s.timers.end() || first->at > limit) {
        if (limit != kcache::never) s.now = std::max(s.now, limit);
        return false;
      }
      s.now = std::max(s.now, first->at);
      f = std::move(first->run);
      s.timers.erase(first);
    }
    f();
    return true;
  }

  std::shared_ptr<state> state_;
};

static_assert(kcache::executor<frugal_executor>);

}  // namespace test

#endif
