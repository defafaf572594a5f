// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_TIMED_WAITS_HPP
#define KCACHE_DETAIL_TIMED_WAITS_HPP
/// \file
/// Floor 3. `timed_waits`: many that wait, each until its deadline, and one timer for the first of
/// them.

#include <kcache/detail/deadline_heap.hpp>
#include <kcache/policies/executor.hpp>
#include <kcache/time.hpp>

#include <utility>

namespace kcache::detail {

/// `Item` is a `deadline_heap`'s. An `Arm` is called as `arm(at)`, has `expire` called at `at`, and
/// returns the timer's id; it may throw. A `Disarm` is called with such an id, and does not. All
/// calls are made under the lock of whoever uses it; 16 bytes an item, O(log n).
template <class Item>
class timed_waits {
 public:
  /// If it throws, nothing has changed.
  template <class Arm, class Disarm>
  void add(Item& item, time_point deadline, Arm arm, Disarm disarm) {
    heap_.push(deadline, item);
    try {
      arm_for(deadline, arm, disarm);
    } catch (...) {
      heap_.erase(item);
      throw;
    }
  }
  /// Does nothing if the item does not wait. Where nothing waits, no timer is left.
  template <class Disarm>
  void remove(Item& item, Disarm disarm) noexcept {
    if (item.heap_place == deadline_heap<Item>::outside) return;
    heap_.erase(item);
    if (!heap_.empty() || timer_ == 0) return;
    disarm(std::exchange(timer_, 0));
    armed_for_ = never;
  }
  /// The timer's: `take` is called with each item whose time has come, and must `remove` it. If the
  /// next timer cannot be armed that is all of them, since they would wait for ever.
  template <class Take, class Arm, class Disarm>
  void expire(time_point now, Take take, Arm arm, Disarm disarm) noexcept {
    if (armed_for_ > now) return;  // a timer that was too late to be disarmed
    timer_ = 0;
    armed_for_ = never;
    while (heap_.first() <= now) take(heap_.first_item());
    try {
      arm_for(heap_.first(), arm, disarm);
    } catch (...) {
      while (!heap_.empty()) take(heap_.first_item());
    }
  }

 private:
  /// Sees to a timer at `at` or before.
  template <class Arm, class Disarm>
  void arm_for(time_point at, Arm& arm, Disarm& disarm) {
    if (at >= armed_for_) return;
    timer_id const timer = arm(at);
    if (timer_ != 0) disarm(timer_);
    timer_ = timer;
    armed_for_ = at;
  }

  deadline_heap<Item> heap_;
  timer_id timer_ = 0;
  time_point armed_for_ = never;
};

}  // namespace kcache::detail

#endif
