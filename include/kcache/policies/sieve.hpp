// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_POLICIES_SIEVE_HPP
#define KCACHE_POLICIES_SIEVE_HPP
/// \file
/// Floor 1. `sieve`: SIEVE; new entries that nobody reads go soon, the others keep their place.
///
/// # What it does
/// Entries stand in line in order of insertion, each with one bit, which is clear at first and
/// which a read sets. A hand walks the line from its oldest end to its newest, then from the
/// oldest again. It clears the bits that are set and evicts the first entry whose bit is clear;
/// there it waits for the next eviction. Unlike CLOCK's, an entry that survives is not moved.
///
/// # Why
/// So the hand comes to new entries early, and sifts out those that are read once and never again,
/// while what it passed stays behind it for a whole turn: on web-like requests, where most keys
/// are wanted once, fewer misses than `lru`, `clock_hand` and most elaborate policies, for a hit
/// as cheap as `clock_hand`'s. It does badly where whole ranges are read again in order (scans and
/// loops, as of a disk): there `s3_fifo` or `w_tinylfu` is the better choice.
///
/// Y. Zhang, J. Yang, Y. Yue, Y. Vigfusson, K. V. Rashmi, "SIEVE is Simpler than LRU: an Efficient
/// Turn-Key Eviction Algorithm for Web Caches", NSDI 2024.

#include <kcache/detail/slot_list.hpp>
#include <kcache/policies/eviction.hpp>

#include <cstdint>

namespace kcache {

/// SIEVE. A new value for a key counts as a read. The hook takes 8 bytes, `evict` amortised O(1),
/// at worst one turn of the hand; all else is O(1). Weights are not asked for.
struct sieve {
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
    void erase(slot s) noexcept {
      if (s == hand_) hand_ = entries_.hook(s).newer;
      line_.erase(s, links());
    }
    void clear() noexcept {
      line_ = {};
      hand_ = no_slot;
    }
    [[nodiscard]] slot evict() noexcept {
      slot s = at_hand();
      // Readers may set bits behind the hand: one turn is enough, whatever they do.
      slot turned = no_slot;
      while (s != no_slot && s != turned && entries_.hook(s).reads.reads() != 0) {
        entries_.hook(s).reads.set(0);
        if (turned == no_slot) turned = s;
        slot const newer = entries_.hook(s).newer;
        s = newer == no_slot ? line_.back() : newer;
      }
      hand_ = s;
      if (s != no_slot) erase(s);
      return s;
    }
    [[nodiscard]] slot soon() const noexcept {
      slot const next = at_hand();
      return next == no_slot ? no_slot : entries_.hook(next).newer;
    }

   private:
    [[nodiscard]] slot at_hand() const noexcept { return hand_ == no_slot ? line_.back() : hand_; }
    [[nodiscard]] auto links() const noexcept {
      return [this](slot s) -> hook& { return entries_.hook(s); };
    }

    [[no_unique_address]] Entries entries_;
    detail::slot_list line_;
    /// Where the next search begins; `no_slot`: at the oldest.
    slot hand_ = no_slot;
  };
};

static_assert(eviction<sieve>);

}  // namespace kcache

#endif
