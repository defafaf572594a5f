// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_RING_QUEUE_HPP
#define KCACHE_DETAIL_RING_QUEUE_HPP
/// \file
/// Floor 1. `ring_queue`: first in, first out, without an allocation once it is large enough.

#include <cstddef>
#include <utility>
#include <vector>

namespace kcache::detail {

/// Grows by doubling; what a long queue took is given back when it is empty. (`std::deque`
/// allocates and frees a block for every few items that pass through it.) `T` is default
/// constructible and moves without throwing. Not thread safe.
template <class T>
class ring_queue {
 public:
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] T& front() noexcept { return items_[first_]; }
  [[nodiscard]] T& back() noexcept { return items_[place(size_ - 1)]; }

  /// May throw bad_alloc; then nothing has changed, `item` neither.
  void push_back(T&& item) {
    if (size_ == items_.size()) grow();
    items_[place(size_)] = std::move(item);
    ++size_;
  }
  void pop_front() noexcept {
    items_[first_] = T{};
    first_ = place(1);
    --size_;
    if (size_ == 0 && items_.size() > most_kept) std::vector<T>{}.swap(items_), first_ = 0;
  }
  void pop_back() noexcept {
    items_[place(size_ - 1)] = T{};
    --size_;
  }
  void swap(ring_queue& other) noexcept {
    items_.swap(other.items_);
    std::swap(first_, other.first_);
    std::swap(size_, other.size_);
  }

 private:
  static constexpr std::size_t most_kept = 256;

  [[nodiscard]] std::size_t place(std::size_t i) const noexcept {
    return (first_ + i) & (items_.size() - 1);
  }
  void grow() {
    constexpr std::size_t least = 8;
    std::vector<T> more(items_.empty() ? least : 2 * items_.size());
    for (std::size_t i = 0; i != size_; ++i) more[i] = std::move(items_[place(i)]);
    items_.swap(more);
    first_ = 0;
  }

  std::vector<T> items_;  // as many as a power of two, or none
  std::size_t first_ = 0;
  std::size_t size_ = 0;
};

}  // namespace kcache::detail

#endif
