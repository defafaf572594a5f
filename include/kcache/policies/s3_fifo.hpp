// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_POLICIES_S3_FIFO_HPP
#define KCACHE_POLICIES_S3_FIFO_HPP
/// \file
/// Floor 1. `s3_fifo`: S3-FIFO; three queues, of which a small one tries out what is new.
///
/// # What it does
/// A new entry joins the small queue, a tenth of the capacity, with a counter of its reads that
/// starts at 0 and stops at 3. What reaches the end of the small queue with two reads or more moves
/// to the main queue, and its counter starts anew; the rest is evicted, and the hash of its key
/// joins the ghost queue, which holds no entries. A key that is put while the ghost remembers it
/// was evicted too early: it joins the main queue at once. What reaches the end of the main queue
/// with a counter above 0 pays one and joins it again; with 0 it is evicted, and not remembered.
/// The victim comes from the main queue if that is over its nine tenths, else from the small one.
///
/// # Why
/// In most workloads the greater part of the keys is asked for once: they pass through a tenth of
/// the cache and are gone, whatever their number, so that a scan cannot flush it. Keys that come
/// back get there by their counter or by the ghost. A hit costs what it costs in `clock_hand`, at
/// most one byte written, no list moved and no note left; on most traces there are fewer misses
/// than with `lru`, on many about as few as with `w_tinylfu`, which does more for each hit.
///
/// # How it differs from the paper
/// Not in its choices: this is the authors' own implementation (libCacheSim) with its defaults,
/// victim for victim. In what a cache needs besides:
/// - Weights: the shares of the queues are counted in weight. The ghost counts keys: nine tenths
///   of the capacity, but not many more than nine tenths of the slots in use, so that it remembers
///   about as many keys as there are entries.
/// - A new value for a key counts as a read, and takes the entry to the end of the queue that it
///   is in: its weight may have changed, so it leaves and enters again. What enters without having
///   been missed is known by that.
/// - What is erased or expires is not remembered.
///
/// J. Yang, Y. Zhang, Z. Qiu, Y. Yue, K. V. Rashmi, "FIFO Queues are All You Need for Cache
/// Eviction", SOSP 2023.

#include <kcache/detail/ghost_list.hpp>
#include <kcache/detail/slot_list.hpp>
#include <kcache/policies/eviction.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace kcache {

/// S3-FIFO. The hook takes 8 bytes, the ghost up to 18 for each slot. `evict` is amortised O(1),
/// at worst four turns of the main queue; all else is O(1), but for `reserve` and `resize`.
struct s3_fifo {
  struct hook {
    detail::short_slot newer;
    bool in_main = false;
    detail::short_slot older;
    read_mark reads;
  };
  static_assert(sizeof(hook) == 8);
  /// A shard's slots are numbered below this: the price of the small hook.
  static constexpr slot max_slots = detail::short_slot::limit;
  static constexpr std::uint8_t most_reads = 3;
  /// What makes an entry of the small queue one of the main queue.
  static constexpr std::uint8_t enough_reads = 2;

  KCACHE_INLINE static void mark(hook& h) noexcept { h.reads.raise(most_reads); }

  template <class Entries>
  class queue {
   public:
    queue(Entries const& entries, std::uint64_t capacity) noexcept
        : entries_{entries}, capacity_{capacity} {}

    void missed(std::uint64_t hash) noexcept {
      next_ = {.in_main = ghost_.take(hash), .reads = 0};
      missed_ = true;
    }
    void insert(slot s) noexcept {
      // Not missed: the entry that was erased last has got a new value.
      if (!missed_ && next_.reads < most_reads) ++next_.reads;
      entries_.hook(s).reads.set(next_.reads);
      push(s, next_.in_main);
      missed_ = false;
    }
    void erase(slot s) noexcept {
      hook const& h = entries_.hook(s);
      // Also what has expired may leave between a miss and its insert.
      if (!missed_) next_ = {.in_main = h.in_main, .reads = h.reads.reads()};
      take(s);
    }
    /// What was evicted before is remembered.
    void clear() noexcept { small_ = main_ = {}; }
    [[nodiscard]] slot evict() noexcept {
      slot const victim = main_is_next() ? no_slot : sweep_small();
      return victim == no_slot ? sweep_main() : victim;
    }
    void reserve(std::size_t slots) {
      std::uint64_t const most = nine_tenths(capacity_);
      std::uint64_t const wanted = std::min(most, nine_tenths(slots));
      if (wanted > ghost_.room()) {
        // Even if it is called for each slot, it grows in few steps.
        std::uint64_t const grown = ghost_.room() + ghost_.room() / 2;
        ghost_.reserve(static_cast<std::size_t>(std::min(most, std::max(wanted, grown))));
      }
      resize(capacity_);
    }
    void resize(std::uint64_t capacity) noexcept {
      capacity_ = capacity;
      ghost_.limit(nine_tenths(capacity));
    }
    [[nodiscard]] slot soon() const noexcept {
      slot const next = (main_is_next() ? main_ : small_).line.back();
      return next == no_slot ? no_slot : entries_.hook(next).newer;
    }
    /// The bytes that it allocated.
    [[nodiscard]] std::size_t heap_bytes() const noexcept { return ghost_.heap_bytes(); }

   private:
    struct part {
      detail::slot_list line;
      std::uint64_t weight = 0;
    };
    /// How the next entry enters.
    struct entrance {
      bool in_main = false;
      std::uint8_t reads = 0;
    };

    [[nodiscard]] static constexpr std::uint64_t nine_tenths(std::uint64_t n) noexcept {
      return n - n / 10 - (n % 10 != 0);
    }
    [[nodiscard]] bool main_is_next() const noexcept {
      return small_.line.empty() || main_.weight > capacity_ - capacity_ / 10;
    }
    void push(slot s, bool in_main) noexcept {
      entries_.hook(s).in_main = in_main;
      part& p = in_main ? main_ : small_;
      p.line.push_front(s, links());
      p.weight += entries_.weight(s);
    }
    void take(slot s) noexcept {
      part& p = entries_.hook(s).in_main ? main_ : small_;
      p.line.erase(s, links());
      p.weight -= entries_.weight(s);
    }
    /// The victim, or `no_slot` if all that was there went to the main queue.
    slot sweep_small() noexcept {
      slot s = small_.line.back();
      while (s != no_slot && entries_.hook(s).reads.reads() >= enough_reads) {
        take(s);
        entries_.hook(s).reads.set(0);
        push(s, true);
        s = small_.line.back();
      }
      if (s == no_slot) return no_slot;
      ghost_.remember(entries_.hash(s));
      take(s);
      return s;
    }
    slot sweep_main() noexcept {
      // Readers may raise the counters meanwhile: it takes one turn more than a counter holds.
      slot first = no_slot;
      unsigned turns = 0;
      for (slot s = main_.line.back(); s != no_slot; s = main_.line.back()) {
        std::uint8_t const reads = entries_.hook(s).reads.reads();
        if (s == first) ++turns;
        if (reads == 0 || turns == most_reads) {
          take(s);
          return s;
        }
        if (first == no_slot) first = s;
        entries_.hook(s).reads.set(static_cast<std::uint8_t>(reads - 1));
        main_.line.move_to_front(s, links());
      }
      return no_slot;
    }
    [[nodiscard]] auto links() const noexcept {
      return [this](slot s) -> hook& { return entries_.hook(s); };
    }

    [[no_unique_address]] Entries entries_;
    part small_;
    part main_;
    detail::ghost_list ghost_;
    std::uint64_t capacity_;
    entrance next_;
    bool missed_ = false;
  };
};

static_assert(eviction<s3_fifo>);

}  // namespace kcache

#endif
