// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_LOAD_GATE_HPP
#define KCACHE_DETAIL_LOAD_GATE_HPP
/// \file
/// Floor 3. `load_gate`: so many loads at once, so many more in a queue.

#include <kcache/detail/ring_queue.hpp>

#include <cstddef>
#include <mutex>
#include <optional>
#include <utility>

namespace kcache::detail {

enum class gate_answer : unsigned char { run, wait, refused };

/// Places for loads, and a queue for those that have none yet. Thread safe.
///
/// A load that another load waits for never waits itself: all places might be taken by loads that
/// wait for those in the queue. It enters by `enter_anyway`, beyond the limit if need be, also when
/// it is in the queue already; whoever takes it out of the queue later finds it begun.
template <class Item>
class load_gate {
 public:
  load_gate(std::size_t places, std::size_t most_waiting) noexcept
      : places_{places}, most_waiting_{most_waiting} {}

  /// `wait`: `item` was queued, and moved from; else it is as it was. May throw bad_alloc, changing
  /// nothing.
  [[nodiscard]] gate_answer enter(Item& item) {
    std::lock_guard lock{mutex_};
    if (taken_ < places_) {
      ++taken_;
      return gate_answer::run;
    }
    if (waiting_.size() >= most_waiting_) return gate_answer::refused;
    waiting_.push_back(std::move(item));
    return gate_answer::wait;
  }
  void enter_anyway() noexcept {
    std::lock_guard lock{mutex_};
    ++taken_;
  }
  /// Gives a place back; what it is for now, which has it then.
  [[nodiscard]] std::optional<Item> leave() noexcept {
    std::lock_guard lock{mutex_};
    --taken_;
    if (taken_ >= places_ || waiting_.empty()) return std::nullopt;
    ++taken_;
    std::optional<Item> next{std::move(waiting_.front())};
    waiting_.pop_front();
    return next;
  }
  /// Takes the first out of the queue, if `unwanted(item)`.
  template <class Unwanted>
  [[nodiscard]] std::optional<Item> take_first_if(Unwanted const& unwanted) noexcept {
    std::lock_guard lock{mutex_};
    if (waiting_.empty() || !unwanted(std::as_const(waiting_.front()))) return std::nullopt;
    std::optional<Item> first{std::move(waiting_.front())};
    waiting_.pop_front();
    return first;
  }
  [[nodiscard]] std::size_t waiting() const noexcept {
    std::lock_guard lock{mutex_};
    return waiting_.size();
  }
  /// Forgets who waits.
  void clear() noexcept {
    ring_queue<Item> gone;
    std::lock_guard lock{mutex_};
    gone.swap(waiting_);
  }

 private:
  mutable std::mutex mutex_;
  std::size_t const places_;
  std::size_t const most_waiting_;
  std::size_t taken_ = 0;
  ring_queue<Item> waiting_;
};

}  // namespace kcache::detail

#endif
