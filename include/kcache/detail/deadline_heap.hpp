// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_DEADLINE_HEAP_HPP
#define KCACHE_DETAIL_DEADLINE_HEAP_HPP
/// \file
/// Floor 3. `deadline_heap`: who must be answered first, of many that wait.

#include <kcache/time.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace kcache::detail {

/// A binary heap that knows where each of its items is, so that one can leave from the middle.
/// `Item` has a member `heap_place` of `std::uint32_t`, which is the heap's, and is `outside`
/// while the item is in none. 16 bytes an item; `push` and `erase` are O(log n). Not thread safe.
template <class Item>
class deadline_heap {
 public:
  static constexpr std::uint32_t outside = 0xffffffffU;

  [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
  /// The earliest deadline, or `never`.
  [[nodiscard]] time_point first() const noexcept {
    return entries_.empty() ? never : entries_.front().at;
  }
  /// The item with the earliest deadline; there is one.
  [[nodiscard]] Item& first_item() const noexcept { return *entries_.front().item; }

  /// May throw bad_alloc; then nothing has changed.
  void push(time_point at, Item& item) {
    entries_.emplace_back();
    rise(entries_.size() - 1, {at, &item});
  }
  /// `item` is in this heap.
  void erase(Item& item) noexcept {
    std::size_t const place = std::exchange(item.heap_place, outside);
    entry const last = entries_.back();
    entries_.pop_back();
    if (place == entries_.size()) return;
    if (place != 0 && last.at < entries_[(place - 1) / 2].at) rise(place, last);
    else sink(place, last);
  }

 private:
  struct entry {
    time_point at;
    Item* item;
  };

  void put(std::size_t place, entry e) noexcept {
    entries_[place] = e;
    e.item->heap_place = static_cast<std::uint32_t>(place);
  }
  void rise(std::size_t place, entry e) noexcept {
    for (; place != 0 && e.at < entries_[(place - 1) / 2].at; place = (place - 1) / 2)
      put(place, entries_[(place - 1) / 2]);
    put(place, e);
  }
  void sink(std::size_t place, entry e) noexcept {
    for (;;) {
      std::size_t child = 2 * place + 1;
      if (child >= entries_.size()) break;
      if (child + 1 < entries_.size() && entries_[child + 1].at < entries_[child].at) ++child;
      if (e.at <= entries_[child].at) break;
      put(place, entries_[child]);
      place = child;
    }
    put(place, e);
  }

  std::vector<entry> entries_;
};

}  // namespace kcache::detail

#endif
