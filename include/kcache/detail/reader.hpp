// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_READER_HPP
#define KCACHE_DETAIL_READER_HPP
/// \file
/// Floor 1. Who reads without a lock at this moment: so that memory is freed when nobody does.
///
/// # The problem
/// A read that takes no lock may look at an entry, or at a whole table, that another thread has
/// just taken out. Its memory must not be freed under the reader's eyes. So each thread has a
/// reader of its own, a cache line with a counter: odd while the thread is in a read section, which
/// is short and never runs a user's code that could wait. What was taken out is kept aside until
/// every section that was under way has ended: a round.
///
/// # What a section costs
/// Two plain stores to a line that nobody else writes. That the first store becomes visible before
/// the section's loads is not the reader's work: on Linux, who begins a round has the kernel put a
/// barrier into every running thread of the process (membarrier(2)), once per some dozens of
/// removals. Where there is no such call the reader's store and a load are sequentially consistent
/// instead; thread sanitizers, which do not know membarrier, check that form. (McKenney, "Is
/// Parallel Programming Hard", on asymmetric barriers; Desnoyers et al. 2012, user-level RCU.)
///
/// # Holding on
/// A visitor is shown a cell itself, for as long as it likes: a section would keep the memory of
/// all that is removed meanwhile. So before the section ends the reader notes the cell as held, and
/// who frees memory leaves out what is held when a round has ended: whoever could hold it had said
/// so within a section that the round waited for. (Michael, "Hazard pointers", 2004; that the note
/// needs no barrier of its own is the section's doing.)
///
/// # Threads
/// The first 128 threads alive at once have readers, others (and threads that are ending) must
/// lock. A reader's number also names its thread's own counters and rings. A child that was forked
/// while another thread was in a section waits for its end in vain: what leaves its caches is not
/// freed.

#include <kcache/config.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>

#if defined(__linux__)
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#if defined(__SANITIZE_THREAD__)
#define KCACHE_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define KCACHE_THREAD_SANITIZER 1
#endif
#endif
#ifndef KCACHE_THREAD_SANITIZER
#define KCACHE_THREAD_SANITIZER 0
#endif

namespace kcache::detail {

/// What different threads write lies so far apart: processors fetch lines of 64 bytes in pairs.
inline constexpr std::size_t apart = 128;

/// A thread's reader. Its members are written by that thread alone.
struct alignas(apart) reader {
  std::atomic<std::uint64_t> sections{0};
  std::atomic<bool> taken{false};
  /// The stores of a section need no barrier of their own.
  bool light = false;
  std::uint32_t number = 0;
  /// What the section under way reads, if that was said.
  std::atomic<void const*> place{nullptr};
  /// What the thread holds, the first `holds` of them: a visitor's calls may nest.
  static constexpr std::uint32_t most_held = 4;
  std::atomic<void const*> held[most_held]{};
  std::uint32_t holds = 0;

  /// In a section, or under the lock of what holds `p`. False if there is no room.
  [[nodiscard]] KCACHE_INLINE bool hold(void const* p) noexcept {
    if (holds == most_held) [[unlikely]] return false;
    held[holds++].store(p, std::memory_order_release);
    return true;
  }
  KCACHE_INLINE void let_go() noexcept { held[--holds].store(nullptr, std::memory_order_release); }
};

inline constexpr std::size_t most_readers = 128;
/// One for a process, though its shared libraries hide what is inline.
[[gnu::visibility("default")]] inline constinit reader readers[most_readers];
/// Readers below this number have been used.
[[gnu::visibility("default")]] inline constinit std::atomic<std::uint32_t> used_readers{0};

/// Rounds: see the file's comment. Process-wide.
class [[gnu::visibility("default")]] rounds {
 public:
  /// A stamp for what has just been taken out; `over(stamp)` tells when nobody can see it any more.
  /// (A load would not do: it may run ahead of the stores that took it out, and so name a round
  /// whose readers had not seen them.)
  [[nodiscard]] static std::uint64_t stamp() noexcept {
    return begun_.fetch_add(0, std::memory_order_seq_cst);
  }
  [[nodiscard]] static bool over(std::uint64_t stamp) noexcept {
    return completed_.load(std::memory_order_acquire) > stamp;
  }

  /// Ends the round under way if it can be ended, and begins one if there is none. Does not wait;
  /// at most one system call.
  static void advance() noexcept {
    if (busy_.exchange(true, std::memory_order_acquire)) return;
    std::uint64_t const round = begun_.load(std::memory_order_relaxed);
    if (completed_.load(std::memory_order_relaxed) == round) {
      begun_.fetch_add(1, std::memory_order_seq_cst);
      barrier();
      watched_ = used_readers.load(std::memory_order_seq_cst);
      for (std::uint32_t i = 0; i != watched_; ++i) {
        seen_[i] = readers[i].sections.load(std::memory_order_seq_cst);
      }
    }
    while (watched_ != 0 && !reads_still(watched_ - 1)) --watched_;
    if (watched_ == 0) {
      completed_.store(begun_.load(std::memory_order_relaxed), std::memory_order_release);
    }
    busy_.store(false, std::memory_order_release);
  }

  /// True if the kernel's barrier can be had; asked once per process.
  [[nodiscard]] static bool light() noexcept {
    int known = light_.load(std::memory_order_relaxed);
    if (known == 0) {
      known = enable() ? 1 : 2;
      light_.store(known, std::memory_order_relaxed);
    }
    return known == 1;
  }

  static std::uint64_t begun() noexcept { return begun_.load(std::memory_order_seq_cst); }

 private:
  static bool reads_still(std::uint32_t i) noexcept {
    return (seen_[i] & 1U) != 0 &&
           readers[i].sections.load(std::memory_order_acquire) == seen_[i];
  }
#if defined(__linux__) && !KCACHE_THREAD_SANITIZER
  static bool enable() noexcept {
    return ::syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
  }
  static void barrier() noexcept {
    if (light()) ::syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
  }
#else
  static bool enable() noexcept { return false; }
  static void barrier() noexcept {}
#endif

  static inline constinit std::atomic<int> light_{0};
  static inline constinit std::atomic<std::uint64_t> begun_{0};
  static inline constinit std::atomic<std::uint64_t> completed_{0};
  static inline constinit std::atomic<bool> busy_{false};
  /// Under `busy_`: what the round under way still waits for.
  static inline constinit std::uint32_t watched_ = 0;
  static inline constinit std::uint64_t seen_[most_readers]{};
};

/// What is held by anybody at this moment.
class held_places {
 public:
  held_places() noexcept {
    std::uint32_t const n = used_readers.load(std::memory_order_acquire);
    for (std::uint32_t i = 0; i != n; ++i) {
      for (auto const& place : readers[i].held) {
        void const* const p = place.load(std::memory_order_acquire);
        if (!p) break;  // those beyond it were let go before it
        places_[count_++] = p;
      }
    }
  }
  [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
  [[nodiscard]] bool contains(void const* p) const noexcept {
    for (std::uint32_t i = 0; i != count_; ++i) {
      if (places_[i] == p) return true;
    }
    return false;
  }

 private:
  std::uint32_t count_ = 0;
  void const* places_[most_readers * reader::most_held];
};

/// Null until the thread's first read, and again while the thread ends.
[[gnu::visibility("default")]] inline constinit thread_local reader* own_reader = nullptr;
[[gnu::visibility("default")]] inline constinit thread_local bool reader_refused = false;

struct reader_return {
  ~reader_return() {
    reader* const r = own_reader;
    own_reader = nullptr;
    reader_refused = true;
    if (r) r->taken.store(false, std::memory_order_release);
  }
};

[[gnu::noinline]] inline reader* find_reader() noexcept {
  if (reader_refused) return nullptr;
  for (std::uint32_t i = 0; i != most_readers; ++i) {
    reader& r = readers[i];
    if (r.taken.load(std::memory_order_relaxed) ||
        r.taken.exchange(true, std::memory_order_acquire)) {
      continue;
    }
    r.number = i;
    r.light = rounds::light();
    std::uint32_t used = used_readers.load(std::memory_order_relaxed);
    while (used <= i &&
           !used_readers.compare_exchange_weak(used, i + 1, std::memory_order_seq_cst)) {
    }
    own_reader = &r;
    static thread_local reader_return const at_exit{};
    static_cast<void>(&at_exit);
    return &r;
  }
  reader_refused = true;
  return nullptr;
}

/// The calling thread's reader, or null if it must lock.
[[nodiscard]] KCACHE_INLINE reader* this_reader() noexcept {
  reader* const r = own_reader;
  return r ? r : find_reader();
}

/// Lets go, at the end of a scope, what the thread held last.
class held_last {
 public:
  explicit held_last(reader& r) noexcept : reader_{r} {}
  held_last(held_last const&) = delete;
  held_last& operator=(held_last const&) = delete;
  ~held_last() { reader_.let_go(); }

 private:
  reader& reader_;
};

/// While it lives, nothing that this thread finds is freed. Sections of a thread do not nest.
class read_section {
 public:
  /// `place`: anything that tells others what is read.
  KCACHE_INLINE read_section(reader& r, void const* place) noexcept
      : read_section{(r.place.store(place, std::memory_order_relaxed), r)} {}
  KCACHE_INLINE explicit read_section(reader& r) noexcept
      : reader_{r}, odd_{r.sections.load(std::memory_order_relaxed) + 1} {
    if (r.light) [[likely]] {
      // Released for `place`, which comes before it.
      r.sections.store(odd_, std::memory_order_release);
      std::atomic_signal_fence(std::memory_order_seq_cst);
    } else {
      r.sections.store(odd_, std::memory_order_seq_cst);
      static_cast<void>(rounds::begun());
    }
  }
  read_section(read_section const&) = delete;
  read_section& operator=(read_section const&) = delete;
  KCACHE_INLINE ~read_section() { reader_.sections.store(odd_ + 1, std::memory_order_release); }

 private:
  reader& reader_;
  std::uint64_t odd_;
};

}  // namespace kcache::detail

#endif
