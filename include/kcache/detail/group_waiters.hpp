// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_GROUP_WAITERS_HPP
#define KCACHE_DETAIL_GROUP_WAITERS_HPP
/// \file
/// Floor 3. The ways to wait for a flight: on the stack of a blocked thread, or on the heap with a
/// handler. (For many keys at once: group_gathering.hpp.)

#include <kcache/detail/current_load.hpp>
#include <kcache/detail/unique_function.hpp>
#include <kcache/loader.hpp>
#include <kcache/policies/executor.hpp>
#include <kcache/result.hpp>
#include <kcache/time.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
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

/// Owns itself from the moment it has joined until it is answered. The flight or its deadline
/// answers, whichever takes it out first. Small: there may be a hundred thousand of them.
template <class Flights, class Answer, class Handler>
class async_waiter final : public Flights::waiter {
 public:
  async_waiter(std::shared_ptr<load_state> parent, time_point deadline, Handler h)
      : Flights::waiter{parent.get(), deadline, true},
        parent_{std::move(parent)},
        handler_(std::move(h)) {}
  ~async_waiter() override = default;

  void complete(Answer const& answer) noexcept override {
    Handler h{std::move(handler_)};
    delete this;
    h(copy_of(answer));
  }
  /// Instead of waiting.
  void refuse(Answer a) noexcept { complete(a); }

 private:
  std::shared_ptr<load_state> parent_;  // it may end before those that it asked for
  Handler handler_;
};

/// The same, and leaves when a token says so. Shared by its flight and by whoever starts it, since
/// the token may say so at any moment.
template <class Flights, class Answer, class Handler>
class stoppable_waiter final : public Flights::waiter {
 public:
  stoppable_waiter(Flights& flights, std::uint64_t hash, std::shared_ptr<load_state> parent,
                   std::stop_token stop, time_point deadline, Handler h)
      : Flights::waiter{parent.get(), deadline, true},
        parent_{std::move(parent)},
        flights_{flights},
        hash_{hash},
        handler_(std::move(h)),
        on_stop_{std::in_place, std::move(stop), leave_now{this}} {}
  ~stoppable_waiter() override = default;

  void complete(Answer const& answer) noexcept override {
    on_stop_.reset();  // waits for one that is running on another thread
    Handler h{std::move(handler_)};
    release();
    h(copy_of(answer));
  }
  /// It has joined: what the token said before that had no effect.
  void joined(std::stop_token const& stop) noexcept {
    if (stop.stop_requested()) leave();
    release();
  }
  /// Instead of waiting: both shares.
  void refuse(Answer a) noexcept {
    release();
    complete(a);
  }

 private:
  struct leave_now {
    stoppable_waiter* self;
    void operator()() const noexcept { self->leave(); }
  };
  void leave() noexcept {
    if (flights_.leave(hash_, *this)) complete(Answer{errc::cancelled});
  }
  void release() noexcept {
    if (shares_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

  std::shared_ptr<load_state> parent_;
  Flights& flights_;
  std::uint64_t hash_;
  Handler handler_;
  std::atomic<unsigned> shares_{2};
  std::optional<std::stop_callback<leave_now>> on_stop_;
};

}  // namespace kcache::detail

#endif
