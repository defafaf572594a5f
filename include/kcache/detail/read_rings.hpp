// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_READ_RINGS_HPP
#define KCACHE_DETAIL_READ_RINGS_HPP
/// \file
/// Floor 2. Notes of reads, left without a lock and told to the eviction queue later, in order.
///
/// Each shard has four rings; a thread's number chooses one. A note is two stores to lines that
/// usually no other thread writes. As long as all notes since the last telling came through one
/// ring, their order is the ring's, and a note carries no time. When a second ring comes into use
/// the shard is `shared` until the next telling, and notes carry a stamp by which the rings are
/// merged: on x86-64 the processor's time stamp counter, which all processors share and which
/// costs some nanoseconds; elsewhere a counter of the shard's own, added to atomically. (Notes
/// made while a ring was alone come first: who made them had not seen the shard become shared, so
/// none of them came after a stamped one.)
///
/// What is exact: notes of calls that do not overlap are told in the order of the calls. (The time
/// stamp counter is read after earlier loads are done: else a thread that is set going by another
/// may have read it ahead of what told it to go, and one in thousands of hand-overs is misordered.)
/// Notes of calls that overlap each other or a telling may be told in either order, and where
/// threads share a ring, one of two overlapping notes may be lost.

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
  static constexpr std::uint32_t length = 32;

  /// Notes a read of `s` by the thread of this number. False if there is no room: then the notes
  /// must be told first.
  [[nodiscard, gnu::always_inline]] bool note(slot s, std::uint32_t thread) noexcept {
    auto const mine = static_cast<std::uint32_t>(thread % rings);
    ring& r = rings_[mine];
    std::uint32_t const head = r.head.load(std::memory_order_relaxed);
    std::uint32_t const waiting = head - r.tail.load(std::memory_order_acquire);
    if (waiting != 0 && r.last(head) == s && says_nothing(s)) return true;
    if (waiting >= length) return false;
    place& p = r.places[head % length];
    p.stamp.store(stamp(mine), std::memory_order_relaxed);
    p.read.store(s, std::memory_order_relaxed);
    r.head.store(head + 1, std::memory_order_release);
    return true;
  }

  /// Under the shard's lock: takes all notes and calls `touch(s)` for each, in order.
  template <class Touch>
  void tell(Touch const& touch) noexcept {
    std::uint32_t const used = used_.load(std::memory_order_acquire);
    if (used == 0) return;
    if (user_.load(std::memory_order_relaxed) != nobody) {
      user_.store(nobody, std::memory_order_release);
    }
    if ((used & (used - 1)) == 0) {
      drain(rings_[static_cast<unsigned>(std::countr_zero(used))], touch);
    } else {
      merge(touch);
    }
  }

 private:
  static constexpr std::uint32_t nobody = 0xffffffffU;
  static constexpr std::uint32_t shared = 0xfffffffeU;

  struct place {
    std::atomic<std::uint64_t> stamp{0};
    std::atomic<slot> read{0};
  };
  struct alignas(64) ring {
    std::atomic<std::uint32_t> head{0};
    std::atomic<std::uint32_t> tail{0};
    std::array<place, length> places{};

    [[nodiscard]] slot last(std::uint32_t before) const noexcept {
      return places[(before - 1) % length].read.load(std::memory_order_relaxed);
    }
  };

  /// True if the last note of every ring that waits to be told is of `s`: then one more would
  /// change nothing. So a hot entry's readers write nothing.
  [[nodiscard]] bool says_nothing(slot s) const noexcept {
    std::uint32_t used = used_.load(std::memory_order_relaxed);
    if ((used & (used - 1)) == 0) return true;
    for (; used != 0; used &= used - 1) {
      ring const& r = rings_[static_cast<unsigned>(std::countr_zero(used))];
      std::uint32_t const head = r.head.load(std::memory_order_acquire);
      if (head != r.tail.load(std::memory_order_acquire) && r.last(head) != s) return false;
    }
    return true;
  }

  /// 0 while `mine` is alone.
  std::uint64_t stamp(std::uint32_t mine) noexcept {
    std::uint32_t user = user_.load(std::memory_order_acquire);
    if (user == mine) return 0;
    if ((used_.load(std::memory_order_relaxed) >> mine) % 2 == 0) {
      used_.fetch_or(1U << mine, std::memory_order_acq_rel);
    }
    if (user == nobody && user_.compare_exchange_strong(user, mine, std::memory_order_acq_rel)) {
      return 0;
    }
    if (user == mine) return 0;
    if (user != shared) user_.store(shared, std::memory_order_release);
#if defined(__x86_64__)
    __builtin_ia32_lfence();
    return __builtin_ia32_rdtsc();
#else
    return count_.fetch_add(1, std::memory_order_relaxed) + 1;
#endif
  }

  /// Where the notes of `r` end. A thread that shares it and that lost its processor in the middle
  /// of a note sets the head back to where it was then, perhaps behind what has been told.
  static std::uint32_t end(ring& r) noexcept {
    std::uint32_t const tail = r.tail.load(std::memory_order_relaxed);
    std::uint32_t head = r.head.load(std::memory_order_acquire);
    while (head - tail > length) {
      if (r.head.compare_exchange_weak(head, tail, std::memory_order_acq_rel)) return tail;
    }
    return head;
  }
  template <class Touch>
  static void drain(ring& r, Touch const& touch) noexcept {
    std::uint32_t const head = end(r);
    std::uint32_t at = r.tail.load(std::memory_order_relaxed);
    for (; at != head; ++at) touch(r.places[at % length].read.load(std::memory_order_relaxed));
    r.tail.store(at, std::memory_order_release);
  }
  template <class Touch>
  void merge(Touch const& touch) noexcept {
    struct run {
      std::uint32_t at;
      std::uint32_t head;
      std::uint64_t next;
    };
    std::array<run, rings> runs;
    auto const look = [&](std::size_t i) {
      run& r = runs[i];
      r.next = r.at == r.head
                   ? ~std::uint64_t{0}
                   : rings_[i].places[r.at % length].stamp.load(std::memory_order_relaxed);
    };
    for (std::size_t i = 0; i != rings; ++i) {
      runs[i].head = end(rings_[i]);
      runs[i].at = rings_[i].tail.load(std::memory_order_relaxed);
      look(i);
    }
    for (;;) {
      std::size_t first = 0;
      for (std::size_t i = 1; i != rings; ++i) {
        if (runs[i].next < runs[first].next) first = i;
      }
      if (runs[first].at == runs[first].head) break;
      touch(rings_[first].places[runs[first].at % length].read.load(std::memory_order_relaxed));
      ++runs[first].at;
      look(first);
    }
    for (std::size_t i = 0; i != rings; ++i) {
      rings_[i].tail.store(runs[i].at, std::memory_order_release);
    }
  }

  /// The ring that is alone in use since the last telling, or `shared`, or `nobody`.
  alignas(64) std::atomic<std::uint32_t> user_{nobody};
  /// A bit for each ring that has ever been in use.
  std::atomic<std::uint32_t> used_{0};
#if !defined(__x86_64__)
  std::atomic<std::uint64_t> count_{0};
#endif
  std::array<ring, rings> rings_{};
};

}  // namespace kcache::detail

#endif
