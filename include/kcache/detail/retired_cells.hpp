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
#include <utility>

namespace kcache::detail {

/// A queue of cells, under the shard's lock, that unpins each once no reader can see it. Sixteen or
/// more that came together are given a stamp, and may go when a round of readers
/// (detail/reader.hpp) has happened since; from 32 cells on they do, one for each that comes. Where
/// none may go, a round is asked for at 48 cells or 64 KiB. More wait only while a reader's thread
/// is kept from running in the middle of a read; and a cell that a visitor holds waits for it.
///
/// `Sharing`: the cells still have their cache's share, which goes with the pin. (Where nothing is
/// to be destroyed it may go as late; one atomic operation is spared.)
template <class Value, bool Sharing = false>
class retired_cells {
 public:
  retired_cells() noexcept = default;
  retired_cells(retired_cells const&) = delete;
  retired_cells& operator=(retired_cells const&) = delete;
  /// Nobody reads any more.
  ~retired_cells() {
    while (count_ != 0) pop(free_at_once);
    ::operator delete(items_);
  }

  /// Must have been called before the first `add`. May throw std::bad_alloc.
  void reserve() {
    if (room_ != 0) return;
    items_ = static_cast<item*>(::operator new(least_room * sizeof(item)));
    room_ = least_room;
  }
  /// `bytes`: what the cell takes from the heap. Calls `gone(cell)` for cells whose memory is to be
  /// freed, after the lock if that can be.
  template <class Gone>
  void add(cell<Value>& c, std::size_t bytes, Gone const& gone) noexcept {
    if (count_ == room_) make_room();
    at(count_) = {&c, bytes};
    ++count_;
    bytes_ += bytes;
    if (count_ >= least_waiting || bytes_ > most_bytes) reclaim(gone);
  }
  void add(cell<Value>& c, std::size_t bytes) noexcept { add(c, bytes, free_at_once); }
  [[nodiscard]] std::size_t bytes() const noexcept {
    return bytes_ + (room_ == 0 ? 0 : heap_size(room_ * sizeof(item)));
  }

 private:
  static constexpr std::uint32_t least_room = 8;
  static constexpr std::uint32_t least_waiting = 32;
  static constexpr std::uint32_t urgent = 48;
  static constexpr std::uint32_t least_stamped = 16;
  static constexpr std::size_t most_bytes = 64 * 1024;

  struct item {
    cell<Value>* retired;
    std::size_t bytes;
  };

  static constexpr auto free_at_once = [](cell<Value>& c) noexcept { cell_heap<Value>::free(c); };

  template <class Gone>
  void pop(Gone const& gone) noexcept {
    item const& i = items_[first_];
    bytes_ -= i.bytes;
    cell_count& count = i.retired->count();
    if (Sharing ? count.release_and_unpin() : count.unpin()) gone(*i.retired);
    first_ = (first_ + 1) & (room_ - 1);
    --count_;
  }
  void stamp() noexcept {
    stamped_ = count_ - free_;
    stamp_ = rounds::stamp();
  }
  /// Lets go what waited for a round that is over, and stamps what has come since if that is as
  /// many as `least`.
  void settle(std::uint32_t least) noexcept {
    if (stamped_ != 0 && rounds::over(stamp_)) {
      free_ += stamped_ - put_back_held();
      stamped_ = 0;
    }
    if (stamped_ == 0 && count_ - free_ >= least) stamp();
  }
  /// Puts those of the stamped that are held behind all others, to wait for another round. Says
  /// how many.
  [[nodiscard]] std::uint32_t put_back_held() noexcept {
    held_places const held;
    if (held.empty()) [[likely]] return 0;
    std::uint32_t kept = 0;
    for (std::uint32_t i = free_; i + kept != free_ + stamped_;) {
      item const one = at(i);
      if (!held.contains(one.retired)) {
        ++i;
        continue;
      }
      for (std::uint32_t j = i; j + 1 != count_; ++j) at(j) = at(j + 1);
      at(count_ - 1) = one;
      ++kept;
    }
    return kept;
  }
  [[nodiscard]] item& at(std::uint32_t i) noexcept { return items_[(first_ + i) & (room_ - 1)]; }
  void ask() noexcept {
    settle(1);
    rounds::advance();
    settle(least_stamped);
  }
  /// As many go as come, or one more: so what is freed here is what the next put's allocation gets,
  /// still in the processor's cache and the allocator's. That there is always something to go is
  /// why cells are stamped before the last ones have gone: many that come while none goes, and then
  /// go two by two, are more than an allocator keeps at hand.
  template <class Gone>
  void reclaim(Gone const& gone) noexcept {
    settle(least_stamped);
    if (free_ == 0 && (count_ >= urgent || bytes_ > most_bytes)) ask();
    int const most = count_ > urgent ? 2 : 1;
    for (int n = 0; free_ != 0 && (n != most || bytes_ > most_bytes); ++n, --free_) pop(gone);
  }
  void make_room() noexcept {
    auto* const items =
        static_cast<item*>(::operator new(2 * room_ * sizeof(item), std::nothrow));
    if (!items) {
      // Readers end their sections without waiting for anybody.
      for (ask(); free_ == 0; ask()) give_way();
      --free_;
      return pop(free_at_once);
    }
    for (std::uint32_t i = 0; i != count_; ++i) items[i] = at(i);
    ::operator delete(items_);
    items_ = items;
    first_ = 0;
    room_ *= 2;
  }

  item* items_ = nullptr;
  std::uint32_t first_ = 0;
  std::uint32_t count_ = 0;
  std::uint32_t room_ = 0;
  /// The first of them may go; or the first of them may, once `stamp_` is over.
  std::uint32_t free_ = 0;
  std::uint32_t stamped_ = 0;
  std::uint64_t stamp_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace kcache::detail

#endif
