// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_READ_RINGS_HPP
#define KCACHE_DETAIL_READ_RINGS_HPP
/// \file
/// Floor 2. Notes of reads, left without a lock and told to the eviction queue later, in order.
///
/// Each shard has four rings; a thread's number chooses one. A note is two stores to lines that
/// usually no other thread writes. As long as one ring is in use, the notes' order is the ring's.
/// When a second comes into use the shard is `shared`, until a telling finds notes in one ring at
/// most, and notes carry a stamp by which the rings are merged: on x86-64 the
/// processor's time stamp counter, which all processors share; elsewhere a counter of the shard's
/// own, added to atomically. (Notes made while a ring was alone come first: who made them had not
/// seen the shard become shared, so none of them came after a stamped one.)
///
/// A stamp must be read after everything before it, or a thread that was set going by another could
/// stamp its note earlier than that one's; waiting for that costs more than the rest of a hit. So a
/// thread that finds another in the middle of a read of the same cache, which proves that calls
/// overlap, gives its next 63 notes in that ring the same stamp.
///
/// What is exact: notes of calls that do not overlap are told in the order of the calls. Once calls
/// were seen to overlap, the next 63 notes of that thread may be told before those of others that
/// were made before them. Notes of calls that overlap a telling may be told by the next one.
/// Where threads share a ring, one of two overlapping notes may be lost.

#include <kcache/config.hpp>
#include <kcache/detail/min_max.hpp>
#include <kcache/detail/reader.hpp>
#include <kcache/policies/eviction.hpp>

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace kcache::detail {

class read_rings {
 public:
  static constexpr std::size_t rings = 4;
  static constexpr std::uint32_t length = 128;

  /// `cache`: what read sections of the same cache are opened with.
  explicit read_rings(void const* cache = nullptr) noexcept : cache_{cache} {}

  /// Notes a read of `s` by the thread of this number. False if there is no room: then the notes
  /// must be told first.
  [[nodiscard]] KCACHE_INLINE bool note(slot s, std::uint32_t thread) noexcept {
    std::uint32_t const mine = thread % rings;
    ring& r = rings_[mine];
    std::uint32_t const head = r.head.load(std::memory_order_relaxed);
    if (!before(head, r.full_at.load(std::memory_order_relaxed)) && !has_room(mine, head))
        [[unlikely]] {
      return false;
    }
    if (std::uint32_t const user = user_.load(std::memory_order_acquire); user != mine) {
      if (user != shared || !r.spend_credit()) s |= stamp(mine, head, thread);
    }
    r.reads[head % length].store(s, std::memory_order_relaxed);
    r.head.store(head + 1, std::memory_order_release);
    return true;
  }

  /// Under the shard's lock, by a thread whose note found no room: it tells from now on, and is
  /// asked to as soon as its ring is half full. So the others seldom must, and the queue's cache
  /// lines stay with one processor.
  void set_teller(std::uint32_t thread) noexcept {
    std::uint32_t const mine = thread % rings;
    if (teller_ == mine) return;
    if (teller_ != nobody) set_room(teller_, length);
    set_room(mine, length / 2);
    teller_ = mine;
  }
  /// Under the shard's lock: takes all notes and calls `touch(s)` for each, in order.
  template <class Touch>
  void tell(Touch const& touch) noexcept {
    std::uint32_t const used = used_.load(std::memory_order_acquire);
    if (used == 0) return;
    if ((used & (used - 1)) == 0) {
      drain(static_cast<std::size_t>(std::countr_zero(used)), touch);
    } else if (!merge(touch) && user_.load(std::memory_order_relaxed) == shared) {
      // Until the next telling, at least, the shard may be one ring's own again.
      user_.store(nobody, std::memory_order_release);
    }
  }

 private:
  static constexpr std::uint32_t nobody = 0xffffffffU;
  static constexpr std::uint32_t shared = 0xfffffffeU;

  /// Set in a note that has a stamp of its own; others have that of the note before, if any. Slots
  /// are below it.
  static constexpr slot fresh_stamp = slot{1} << 31U;

  struct alignas(apart) ring {
    std::atomic<std::uint32_t> head{0};
    /// The note at which there last seemed to be no room.
    std::atomic<std::uint32_t> full_at{length};
    /// So many may wait.
    std::atomic<std::uint32_t> room{length};
    /// So many notes may do without a stamp of their own.
    std::atomic<std::uint32_t> credit{0};
    std::array<std::atomic<slot>, length> reads{};
    std::array<std::atomic<std::uint64_t>, length> stamps{};

    [[nodiscard]] slot read(std::uint32_t at) const noexcept {
      return reads[at % length].load(std::memory_order_relaxed);
    }
    /// `before`: of the note before.
    [[nodiscard]] std::uint64_t stamp(std::uint32_t at, std::uint64_t before) const noexcept {
      return (read(at) & fresh_stamp) == 0 ? before
                                           : stamps[at % length].load(std::memory_order_relaxed);
    }
    [[nodiscard]] KCACHE_INLINE bool spend_credit() noexcept {
      std::uint32_t const left = credit.load(std::memory_order_relaxed);
      if (left == 0) return false;
      credit.store(left - 1, std::memory_order_relaxed);
      return true;
    }
  };

  /// True if a note at `head` comes before `end`; both wrap.
  KCACHE_INLINE static bool before(std::uint32_t head, std::uint32_t end) noexcept {
    return static_cast<std::int32_t>(end - head) > 0;
  }
  /// Looks again.
  [[gnu::noinline]] bool has_room(std::uint32_t mine, std::uint32_t head) noexcept {
    ring& r = rings_[mine];
    std::uint32_t const full_at = told_[mine].load(std::memory_order_acquire) +
                                  r.room.load(std::memory_order_relaxed);
    r.full_at.store(full_at, std::memory_order_relaxed);
    return before(head, full_at);
  }
  void set_room(std::uint32_t i, std::uint32_t room) noexcept {
    rings_[i].room.store(room, std::memory_order_relaxed);
    rings_[i].full_at.store(told_[i].load(std::memory_order_relaxed) + room,
                            std::memory_order_relaxed);
  }
  /// True if `mine` is the only ring in use; makes it so if there is none.
  bool alone(std::uint32_t mine) noexcept {
    std::uint32_t user = user_.load(std::memory_order_acquire);
    if ((used_.load(std::memory_order_relaxed) >> mine) % 2 == 0) {
      used_.fetch_or(1U << mine, std::memory_order_acq_rel);
    }
    if (user == nobody && user_.compare_exchange_strong(user, mine, std::memory_order_acq_rel)) {
      return true;
    }
    if (user == mine) return true;
    if (user != shared) user_.store(shared, std::memory_order_release);
    return false;
  }
  /// Gives the note at `head` a stamp unless it needs none; what is to be set in it.
  [[gnu::noinline]] slot stamp(std::uint32_t mine, std::uint32_t head,
                               std::uint32_t thread) noexcept {
    ring& r = rings_[mine];
    if (alone(mine) || r.spend_credit()) return 0;
    r.stamps[head % length].store(now_stamp(), std::memory_order_relaxed);
    if (others_read(thread)) r.credit.store(length / 2 - 1, std::memory_order_relaxed);
    return fresh_stamp;
  }
  std::uint64_t now_stamp() noexcept {
#if defined(__x86_64__)
    __builtin_ia32_lfence();
    return __builtin_ia32_rdtsc();
#else
    return count_.fetch_add(1, std::memory_order_relaxed) + 1;
#endif
  }
  /// True if some other thread is in a read section of the same cache right now. Looks at a few.
  [[nodiscard]] bool others_read(std::uint32_t thread) const noexcept {
    constexpr std::uint32_t most = 16;
    std::uint32_t const n = min_of(used_readers.load(std::memory_order_relaxed), most);
    for (std::uint32_t i = 0; i != n; ++i) {
      reader const& other = readers[i];
      if (i != thread && other.sections.load(std::memory_order_acquire) % 2 != 0 &&
          other.place.load(std::memory_order_relaxed) == cache_) {
        return true;
      }
    }
    return false;
  }

  /// Where the notes of ring `i` end. A thread that shares it and that lost its processor in the
  /// middle of a note sets the head back to where it was then, perhaps behind what has been told.
  std::uint32_t end(std::size_t i) noexcept {
    std::uint32_t const told = told_[i].load(std::memory_order_relaxed);
    std::uint32_t head = rings_[i].head.load(std::memory_order_acquire);
    while (head - told > length) {
      if (rings_[i].head.compare_exchange_weak(head, told, std::memory_order_acq_rel)) return told;
    }
    return head;
  }
  template <class Touch>
  void drain(std::size_t i, Touch const& touch) noexcept {
    std::uint32_t const head = end(i);
    std::uint32_t at = told_[i].load(std::memory_order_relaxed);
    for (; at != head; ++at) touch(rings_[i].read(at) & ~fresh_stamp);
    told_[i].store(at, std::memory_order_release);
  }
  /// True if more than one ring had something to tell.
  template <class Touch>
  bool merge(Touch const& touch) noexcept {
    struct run {
      std::uint32_t at;
      std::uint32_t head;
      std::uint64_t stamp;
    };
    constexpr std::uint64_t never = ~std::uint64_t{0};
    std::array<run, rings> runs;
    auto const look = [&](std::size_t i) {
      run& r = runs[i];
      if (r.at == r.head) {
        r.stamp = never;
      } else {
        r.stamp = last_stamps_[i] = rings_[i].stamp(r.at, last_stamps_[i]);
      }
    };
    std::size_t filled = 0;
    for (std::size_t i = 0; i != rings; ++i) {
      runs[i].head = end(i);
      runs[i].at = told_[i].load(std::memory_order_relaxed);
      look(i);
      if (runs[i].at != runs[i].head) ++filled;
    }
    for (;;) {
      std::size_t first = 0;
      for (std::size_t i = 1; i != rings; ++i) {
        if (runs[i].stamp < runs[first].stamp) first = i;
      }
      run& r = runs[first];
      if (r.at == r.head) break;
      // This note and those that share its stamp.
      do {
        touch(rings_[first].read(r.at) & ~fresh_stamp);
        ++r.at;
      } while (r.at != r.head && (rings_[first].read(r.at) & fresh_stamp) == 0);
      look(first);
    }
    for (std::size_t i = 0; i != rings; ++i) told_[i].store(runs[i].at, std::memory_order_release);
    return filled > 1;
  }

  /// The ring that is alone in use, or `shared`, or `nobody`.
  alignas(64) std::atomic<std::uint32_t> user_{nobody};
  /// A bit for each ring that has ever been in use.
  std::atomic<std::uint32_t> used_{0};
  void const* cache_;
#if !defined(__x86_64__)
  std::atomic<std::uint64_t> count_{0};
#endif
  /// Under the lock: how many notes of each ring have been told, and the stamp of the last.
  alignas(64) std::array<std::atomic<std::uint32_t>, rings> told_{};
  std::uint32_t teller_ = nobody;
  std::array<std::uint64_t, rings> last_stamps_{};
  std::array<ring, rings> rings_{};
};

}  // namespace kcache::detail

#endif
