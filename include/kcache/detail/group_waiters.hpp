// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_GROUP_WAITERS_HPP
#define KCACHE_DETAIL_GROUP_WAITERS_HPP
/// \file
/// Floor 3. The two ways to wait for a flight: on the stack of a blocked thread, or on the heap
/// with a handler and a timer.

#include <kcache/detail/current_load.hpp>
#include <kcache/detail/unique_function.hpp>
#include <kcache/loader.hpp>
#include <kcache/policies/executor.hpp>
#include <kcache/result.hpp>
#include <kcache/time.hpp>

#include <atomic>
#include <memory>
#include <optional>
#include <utility>

namespace kcache::detail {

/// A copy of an answer that cannot fail: without memory for its message an error keeps its code.
template <class Answer>
Answer copy_of(Answer const& answer) noexcept {
  try {
    return answer;
  } catch (...) {
    return Answer{answer.error().code()};
  }
}

template <class Flights, class Answer>
class blocked_waiter final : public Flights::waiter {
 public:
  explicit blocked_waiter(time_point deadline) : Flights::waiter{current_load, deadline} {}
  ~blocked_waiter() override = default;

  void complete(Answer const& answer) noexcept override {
    answer_.emplace(copy_of(answer));
    event_.set();
  }
  one_shot_event& event() noexcept { return event_; }
  Answer take() { return std::move(*answer_); }

 private:
  std::optional<Answer> answer_;
  one_shot_event event_;
};

/// Owned by itself while it is in a flight, and by its timer. Whoever claims it first, the flight
/// or the timer, calls the handler.
template <class Flights, class Answer, class Executor>
class async_waiter final
    : public Flights::waiter,
      public std::enable_shared_from_this<async_waiter<Flights, Answer, Executor>> {
 public:
  using handler = unique_function<void(Answer)>;

  async_waiter(Executor executor, std::shared_ptr<load_state> parent, time_point deadline,
               handler h)
      : Flights::waiter{parent.get(), deadline},
        parent_{std::move(parent)},
        executor_{std::move(executor)},
        handler_{std::move(h)} {}
  ~async_waiter() override = default;

  void keep() noexcept { self_ = this->shared_from_this(); }
  void release() noexcept { self_.reset(); }
  void set_timer(timer_id id) noexcept { timer_.store(id, std::memory_order_release); }

  [[nodiscard]] bool claim() noexcept {
    return !claimed_.exchange(true, std::memory_order_acq_rel);
  }

  void complete(Answer const& answer) noexcept override {
    auto const self = std::move(self_);
    if (!claim()) return;
    cancel_timer();
    handler_(copy_of(answer));
  }
  /// After a successful `claim`.
  void answer(Answer a) { handler_(std::move(a)); }
  void cancel_timer() noexcept {
    if (timer_id const id = timer_.exchange(0, std::memory_order_acq_rel)) executor_.cancel(id);
  }

 private:
  std::shared_ptr<load_state> parent_;  // it may end before those that it asked for
  Executor executor_;
  handler handler_;
  std::atomic<bool> claimed_{false};
  std::atomic<timer_id> timer_{0};
  std::shared_ptr<async_waiter> self_;
};

}  // namespace kcache::detail

#endif
