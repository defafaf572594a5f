// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_BEAST_DETAIL_LANE_HPP
#define KCACHE_BEAST_DETAIL_LANE_HPP
/// \file
/// Floor 5. `lane`: one line of execution and the deadlines of everything that lives on it.

#include <kcache/config.hpp>
#include <kcache/detail/unique_function.hpp>
#include <kcache/policies/clock.hpp>
#include <kcache/policies/executor.hpp>
#include <kcache/time.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace kcache::beast {

class lane;

/// Something with a deadline, on one lane; all of it is used on that lane only. While it is linked
/// its deadline may be moved at no cost, so a connection is linked once, for life.
class timed {
 public:
  timed(timed const&) = delete;
  timed& operator=(timed const&) = delete;

 protected:
  timed() = default;
  virtual ~timed() { unlink(); }

  /// `expire` is called once `t` has come, again on every tick until the deadline is moved.
  void due_at(time_point t) noexcept { due_ = t; }
  [[nodiscard]] time_point due_at() const noexcept { return due_; }
  inline void link(lane& l);
  inline void unlink() noexcept;

 private:
  friend class lane;
  virtual void expire(time_point now) = 0;

  time_point due_ = never;
  lane* home_ = nullptr;
  timed* previous_ = nullptr;
  timed* next_ = nullptr;
};

/// A strand of execution: a thread of our own, or a strand over the user's executor. Connections
/// are given to a lane once and never move, so nothing on a lane takes a lock but its inbox.
///
/// Deadlines are kept by one coarse timer: every `tick` it looks at all that is linked, and it
/// stops while nothing is. A deadline is never kept early, and at most a tick late.
///
/// Thread safety: `submit` and `refuse`. All else is used on the lane.
class lane : public std::enable_shared_from_this<lane> {
 public:
  lane(boost::asio::any_io_executor executor, std::chrono::milliseconds tick)
      : executor_{executor},
        tick_{std::max(tick, std::chrono::milliseconds{1})},
        timer_{std::in_place, std::move(executor)} {}
  lane(lane const&) = delete;
  lane& operator=(lane const&) = delete;
  ~lane() { KCACHE_ASSERT(!first_); }

  /// The executor that sockets of this lane are made with; not after `close`.
  [[nodiscard]] boost::asio::any_io_executor const& executor() const noexcept { return executor_; }

  /// Runs `f` on the lane, later. False: the lane is closed, and `f` was destroyed without being
  /// run. Tasks that wait when the lane is closed are destroyed. May throw `bad_alloc`.
  bool submit(task f) {
    std::lock_guard lock{mutex_};
    if (!open_) return false;
    inbox_.push_back(std::move(f));
    if (inbox_.size() != 1) return true;  // whoever put the first one in has posted
    try {
      boost::asio::post(executor_, [self = shared_from_this()] { self->drain(); });
    } catch (...) {
      f = std::move(inbox_.back());  // destroyed by our caller, without our lock
      inbox_.clear();
      throw;
    }
    return true;
  }

  /// Takes no more tasks and destroys those that wait. From any thread.
  void refuse() noexcept {
    std::vector<task> dropped;  // destroyed without the lock: they may submit
    boost::asio::any_io_executor released;
    std::lock_guard lock{mutex_};
    open_ = false;
    dropped.swap(inbox_);
    std::swap(released, executor_);
  }

  /// The last thing done on a lane, by itself or when its thread has ended: no task runs
  /// afterwards, and nothing of the executor is touched. Nothing may be linked any more.
  void close() noexcept {
    refuse();
    timer_.reset();
  }

  /// A cached time, at most a few milliseconds behind; cheap enough for every request.
  [[nodiscard]] static time_point now() noexcept { return coarse_clock{}.now(); }

 private:
  friend class timed;

  void drain() {
    no_blocking_scope const scope;
    {
      std::lock_guard lock{mutex_};
      running_.swap(inbox_);
    }
    for (task& f : running_) {
      try {
        if (timer_) f();  // one of them may be the close of this lane
      } catch (...) {
        // No memory. What the task owned is answered for when it is destroyed.
      }
      f = nullptr;
    }
    running_.clear();
  }

  void start_ticking() {
    timer_->expires_after(tick_);
    timer_->async_wait([self = shared_from_this()](boost::system::error_code const& ec) {
      if (!ec) self->look();
    });
    ticking_ = true;
  }

  void look() {
    no_blocking_scope const scope;
    ticking_ = false;
    time_point const now = steady_clock{}.now();
    // `expire` may unlink anything, so the next one to look at is kept where unlink() can see it.
    for (cursor_ = first_; cursor_;) {
      timed& t = *std::exchange(cursor_, cursor_->next_);
      if (t.due_ <= now) t.expire(now);
    }
    if (first_ && timer_ && !ticking_) start_ticking();
  }

  std::mutex mutex_;
  bool open_ = true;
  std::vector<task> inbox_;
  boost::asio::any_io_executor executor_;

  std::vector<task> running_;
  std::chrono::milliseconds tick_;
  std::optional<boost::asio::steady_timer> timer_;
  bool ticking_ = false;
  timed* first_ = nullptr;
  timed* cursor_ = nullptr;
};

inline void timed::link(lane& l) {
  if (home_) return;
  if (!l.ticking_) l.start_ticking();
  home_ = &l;
  previous_ = nullptr;
  next_ = l.first_;
  if (next_) next_->previous_ = this;
  l.first_ = this;
}

inline void timed::unlink() noexcept {
  if (!home_) return;
  if (home_->cursor_ == this) home_->cursor_ = next_;
  (previous_ ? previous_->next_ : home_->first_) = next_;
  if (next_) next_->previous_ = previous_;
  home_ = nullptr;
}

}  // namespace kcache::beast

#endif
