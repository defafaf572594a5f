// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_EXPIRY_HEAP_HPP
#define KCACHE_DETAIL_EXPIRY_HEAP_HPP
/// \file
/// Floor 2. The entries of a shard that expire, the first to expire on top.

#include <kcache/time.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace kcache::detail {

/// A heap of width 4 over (instant, entry); an entry knows its position, so that any can leave.
/// Insertion is O(1) where instants come in order (one TTL for all), O(log n) at worst; leaving is
/// O(log n). Instants sit beside the pointers: a comparison does not touch the entry. 16 bytes an
/// entry; those that never expire are not in it.
template <class Entry>
class expiry_heap {
 public:
  [[nodiscard]] std::size_t size() const noexcept { return items_.size(); }
  /// Makes room for `entries` in all, at most one more than there are. The only operation that
  /// may throw.
  void reserve(std::uint64_t entries) {
    if (entries > items_.capacity()) items_.reserve(std::max<std::size_t>(8, 2 * items_.size()));
  }
  /// Needs a `reserve` before it.
  void insert(Entry& e) noexcept {
    items_.push_back({e.expires_at(), &e});
    rise(items_.size() - 1, items_.back());
  }
  void erase(Entry& e) noexcept {
    std::size_t const hole = e.heap_position;
    item const last = items_.back();
    items_.pop_back();
    e.heap_position = Entry::not_scheduled;
    if (hole == items_.size()) return;
    if (last.at < items_[parent(hole)].at) {
      rise(hole, last);
    } else {
      sink(hole, last);
    }
  }
  /// The entry that expires first, if that is not after `now`; else null.
  [[nodiscard]] Entry* expired(time_point now) const noexcept {
    return items_.empty() || items_.front().at > now ? nullptr : items_.front().entry;
  }
  [[nodiscard]] std::size_t bytes() const noexcept { return items_.capacity() * sizeof(item); }

 private:
  static constexpr std::size_t width = 4;
  struct item {
    time_point at;
    Entry* entry;
  };

  /// The top is its own parent.
  static std::size_t parent(std::size_t i) noexcept { return i == 0 ? 0 : (i - 1) / width; }
  void place(std::size_t i, item x) noexcept {
    items_[i] = x;
    x.entry->heap_position = i;
  }
  void rise(std::size_t i, item x) noexcept {
    for (; i != 0 && x.at < items_[parent(i)].at; i = parent(i)) place(i, items_[parent(i)]);
    place(i, x);
  }
  void sink(std::size_t i, item x) noexcept {
    for (;;) {
      std::size_t const begin = width * i + 1;
      if (begin >= items_.size()) break;
      std::size_t first = begin;
      for (std::size_t c = begin + 1; c < std::min(begin + width, items_.size()); ++c) {
        if (items_[c].at < items_[first].at) first = c;
      }
      if (items_[first].at >= x.at) break;
      place(i, items_[first]);
      i = first;
    }
    place(i, x);
  }

  std::vector<item> items_;
};

}  // namespace kcache::detail

#endif
