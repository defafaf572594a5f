// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_RETIRED_CELLS_HPP
#define KCACHE_DETAIL_RETIRED_CELLS_HPP
/// \file
/// Floor 2. Cells that left a shard and that readers without a lock may still look at.

#include <kcache/detail/cell.hpp>
#include <kcache/detail/reader.hpp>
#include <kcache/detail/spin_lock.hpp>

#include <cstddef>
#include <cstdint>
#include <new>

namespace kcache::detail {

/// A queue of cells, under the shard's lock, that unpins each once no reader can see it. Up to 64
/// cells or 64 KiB wait before a round of readers is asked for (detail/reader.hpp); more only while
/// a reader's thread is kept from running in the middle of a read.
template <class Value>
class retired_cells {
 public:
  retired_cells() noexcept = default;
  retired_cells(retired_cells const&) = delete;
  retired_cells& operator=(retired_cells const&) = delete;
  /// Nobody reads any more.
  ~retired_cells() {
    while (count_ != 0) pop();
    ::operator delete(items_);
  }

  /// Must have been called before the first `add`. May throw std::bad_alloc.
  void reserve() {
    if (room_ != 0) return;
    items_ = static_cast<item*>(::operator new(least_room * sizeof(item)));
    room_ = least_room;
  }
  /// `bytes`: what the cell takes from the heap.
  void add(cell<Value>& c, std::size_t bytes) noexcept {
    if (count_ == room_) make_room();
    items_[(first_ + count_) & (room_ - 1)] = {&c, rounds::stamp(), bytes};
    ++count_;
    bytes_ += bytes;
    if (count_ >= most_waiting || bytes_ > most_bytes) reclaim();
  }
  [[nodiscard]] std::size_t bytes() const noexcept {
    return bytes_ + (room_ == 0 ? 0 : heap_size(room_ * sizeof(item)));
  }

 private:
  static constexpr std::uint32_t least_room = 8;
  static constexpr std::uint32_t most_waiting = 64;
  static constexpr std::size_t most_bytes = 64 * 1024;
  static constexpr int most_at_once = 16;

  struct item {
    cell<Value>* retired;
    std::uint64_t stamp;
    std::size_t bytes;
  };

  void pop() noexcept {
    item const& i = items_[first_];
    bytes_ -= i.bytes;
    cell_heap<Value>::unpin(*i.retired);
    first_ = (first_ + 1) & (room_ - 1);
    --count_;
  }
  void reclaim() noexcept {
    if (!rounds::over(items_[first_].stamp)) rounds::advance();
    for (int n = 0; n != most_at_once && count_ != 0 && rounds::over(items_[first_].stamp); ++n) {
      pop();
    }
  }
  void make_room() noexcept {
    auto* const items =
        static_cast<item*>(::operator new(2 * room_ * sizeof(item), std::nothrow));
    if (!items) {
      // Readers end their sections without waiting for anybody.
      while (!rounds::over(items_[first_].stamp)) {
        rounds::advance();
        give_way();
      }
      return pop();
    }
    for (std::uint32_t i = 0; i != count_; ++i) items[i] = items_[(first_ + i) & (room_ - 1)];
    ::operator delete(items_);
    items_ = items;
    first_ = 0;
    room_ *= 2;
  }

  item* items_ = nullptr;
  std::uint32_t first_ = 0;
  std::uint32_t count_ = 0;
  std::uint32_t room_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace kcache::detail

#endif
