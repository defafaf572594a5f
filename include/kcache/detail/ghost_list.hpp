// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_GHOST_LIST_HPP
#define KCACHE_DETAIL_GHOST_LIST_HPP
/// \file
/// Floor 1. What was evicted lately: the hashes of keys that have no entry any more.

#include <kcache/detail/slot_list.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace kcache::detail {

/// Hashes in order of arrival; the oldest is forgotten for a new one. Equal hashes are taken for
/// equal keys. All but `reserve` allocate nothing and are O(1): a hash table whose chains, like the
/// order, are links between numbered places, at 20 bytes a place. A place that falls free is the
/// next to be used, so that where few hashes are taken out, the order follows memory.
class ghost_list {
 public:
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t room() const noexcept { return hashes_.size(); }
  [[nodiscard]] std::size_t heap_bytes() const noexcept {
    return hashes_.capacity() * sizeof(std::uint64_t) + places_.capacity() * sizeof(place) +
           heads_.capacity() * sizeof(short_slot);
  }

  /// Room for `room` hashes, below `short_slot::limit`; never shrinks. O(room).
  /// \throws std::bad_alloc, then nothing has changed.
  void reserve(std::size_t room) {
    if (room <= hashes_.size()) return;
    ghost_list grown;
    grown.hashes_.resize(room);
    grown.places_.resize(room);
    grown.heads_.resize(room);
    grown.most_ = most_;
    for (slot p = order_.back(); p != no_slot; p = places_[p].newer) grown.push(hashes_[p]);
    *this = std::move(grown);
  }
  /// Remembers `most` hashes from now on, or as many as there is room for, and forgets the oldest
  /// if it knows more. O(how many that are).
  void limit(std::uint64_t most) noexcept {
    most_ = static_cast<std::size_t>(std::min<std::uint64_t>(most, room()));
    while (size_ > most_) leave(order_.back());
  }

  void remember(std::uint64_t hash) noexcept {
    if (most_ == 0) return;
    if (size_ == most_) leave(order_.back());
    push(hash);
  }
  /// Whether it was remembered; it is no longer.
  [[nodiscard]] bool take(std::uint64_t hash) noexcept {
    if (size_ == 0) return false;
    slot p = heads_[bucket(hash)];
    while (p != no_slot && hashes_[p] != hash) p = places_[p].chained;
    if (p == no_slot) return false;
    leave(p);
    return true;
  }

 private:
  struct place {
    short_slot newer;
    short_slot older;
    /// The next in its chain; of a free place, the next that is free.
    short_slot chained;
  };

  [[nodiscard]] auto links() noexcept {
    return [this](slot p) -> place& { return places_[p]; };
  }
  /// Takes a user's poor hash too: Fibonacci's, then the upper half scaled to the table.
  [[nodiscard]] std::size_t bucket(std::uint64_t hash) const noexcept {
    std::uint64_t const upper = hash * 0x9e3779b97f4a7c15U >> 32U;
    return static_cast<std::size_t>(upper * heads_.size() >> 32U);
  }
  void push(std::uint64_t hash) noexcept {
    slot p = free_;
    if (p == no_slot) p = used_++;
    else free_ = places_[p].chained;
    hashes_[p] = hash;
    short_slot& head = heads_[bucket(hash)];
    places_[p].chained = head;
    head = p;
    order_.push_front(p, links());
    ++size_;
  }
  void leave(slot p) noexcept {
    short_slot* at = &heads_[bucket(hashes_[p])];
    while (*at != p) at = &places_[*at].chained;
    *at = places_[p].chained;
    order_.erase(p, links());
    places_[p].chained = free_;
    free_ = p;
    --size_;
  }

  std::vector<std::uint64_t> hashes_;
  std::vector<place> places_;
  std::vector<short_slot> heads_;
  slot_list order_;
  slot free_ = no_slot;
  /// Places from here on were never used.
  slot used_ = 0;
  std::size_t size_ = 0;
  std::size_t most_ = 0;
};

}  // namespace kcache::detail

#endif
