// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_POLICIES_LRU_HPP
#define KCACHE_POLICIES_LRU_HPP
/// \file
/// Floor 1. `lru`: the entry that was not read or written for the longest time goes first.
///
/// # How a hit can be exact and take no lock
/// A hit leaves a note (its slot) in a ring of its thread's and its shard's own; notes are played
/// into the list before anything depends on the order: before each insert, erase and eviction of
/// the shard, and when a ring is full. While one thread reads, its ring is the order. Once several
/// do, each note carries a time stamp of the processor, and the rings are merged by it.
///
/// # How exact
/// Whenever calls do not overlap, victims are those of a textbook LRU, also if threads take turns.
/// Hits that overlap each other, or that overlap a write, may be noted in either order; and once a
/// thread's hit was seen to overlap another's, its next 63 hits in that shard may be taken for
/// earlier than they were among those of other threads. Where more threads than rings share one,
/// of two overlapping hits one may be lost; a hit that overlaps the removal of its entry may be
/// noted for the slot's next entry. Nothing else is lost: it is recency order, not an
/// approximation of it. (detail/read_rings.hpp; tests: cache_exact.cpp, detail/read_rings.cpp.)

#include <kcache/detail/slot_list.hpp>
#include <kcache/policies/eviction.hpp>

#include <cstdint>

namespace kcache {

/// Least recently used. The default. Every operation is O(1); the hook is two links of 4 bytes.
struct lru {
  using hook = detail::slot_links;

  template <class Entries>
  class queue {
   public:
    queue(Entries const& entries, std::uint64_t /*capacity*/) noexcept : entries_{entries} {}

    void insert(slot s) noexcept { recency_.push_front(s, links()); }
    void touch(slot s) noexcept { recency_.move_to_front(s, links()); }
    void replaced(slot s) noexcept { touch(s); }
    void erase(slot s) noexcept { recency_.erase(s, links()); }
    void clear() noexcept { recency_ = {}; }
    [[nodiscard]] slot evict() noexcept {
      slot const victim = recency_.back();
      if (victim != no_slot) erase(victim);
      return victim;
    }
    [[nodiscard]] slot soon() const noexcept {
      slot const next = recency_.back();
      return next == no_slot ? no_slot : entries_.hook(next).newer;
    }

   private:
    [[nodiscard]] auto links() const noexcept {
      return [this](slot s) -> hook& { return entries_.hook(s); };
    }

    [[no_unique_address]] Entries entries_;
    detail::slot_list recency_;
  };
};

static_assert(eviction<lru>);

}  // namespace kcache

#endif
