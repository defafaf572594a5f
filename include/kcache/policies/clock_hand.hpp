// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_POLICIES_CLOCK_HAND_HPP
#define KCACHE_POLICIES_CLOCK_HAND_HPP
/// \file
/// Floor 1. `clock_hand`: CLOCK; the entry that was not read since the hand last passed it goes.
///
/// # What it does
/// Entries stand in line in order of insertion, each with one bit, which is clear at first and
/// which a read sets. The victim is sought from the far end: an entry whose bit is set has it
/// cleared and goes to the end of the line again; the first whose bit is clear is evicted. (The
/// textbook's ring and hand are the same line, cut open at the hand.)
///
/// # Why
/// LRU's order, seen through one bit: its hit ratio stays within a point or two of `lru`, while a
/// hit writes one byte, and nothing if it is set already: no list is moved, no note left, so that
/// hits of many threads disturb each other least. Against scans it is no better than `lru`; see
/// `sieve` and `s3_fifo`.
///
/// F. J. Corbato, "A Paging Experiment with the Multics System", MIT Project MAC report MAC-M-384,
/// 1968.

#include <kcache/detail/slot_list.hpp>
#include <kcache/policies/eviction.hpp>

#include <cstdint>

namespace kcache {

/// CLOCK, with one bit. A new value for a key counts as a read. The hook takes 8 bytes, `evict`
/// amortised O(1), at worst one turn of the hand; all else is O(1). Weights are not asked for.
struct clock_hand {
  using hook = detail::marked_links;
  /// A shard's slots are numbered below this: the price of the small hook.
  static constexpr slot max_slots = detail::short_slot::limit;

  KCACHE_INLINE static void mark(hook& h) noexcept { h.reads.raise(1); }

  template <class Entries>
  class queue {
   public:
    queue(Entries const& entries, std::uint64_t /*capacity*/) noexcept : entries_{entries} {}

    void insert(slot s) noexcept {
      entries_.hook(s).reads.set(0);
      line_.push_front(s, links());
    }
    void replaced(slot s) noexcept { mark(entries_.hook(s)); }
    void erase(slot s) noexcept { line_.erase(s, links()); }
    void clear() noexcept { line_ = {}; }
    [[nodiscard]] slot evict() noexcept {
      // Readers may set bits behind the hand: one turn is enough, whatever they do.
      slot turned = no_slot;
      slot s = line_.back();
      while (s != no_slot && s != turned && entries_.hook(s).reads.reads() != 0) {
        entries_.hook(s).reads.set(0);
        line_.move_to_front(s, links());
        if (turned == no_slot) turned = s;
        s = line_.back();
      }
      if (s != no_slot) erase(s);
      return s;
    }
    [[nodiscard]] slot soon() const noexcept {
      slot const next = line_.back();
      return next == no_slot ? no_slot : entries_.hook(next).newer;
    }

   private:
    [[nodiscard]] auto links() const noexcept {
      return [this](slot s) -> hook& { return entries_.hook(s); };
    }

    [[no_unique_address]] Entries entries_;
    detail::slot_list line_;
  };
};

static_assert(eviction<clock_hand>);

}  // namespace kcache

#endif
