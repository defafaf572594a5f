// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_POLICIES_EVICTION_HPP
#define KCACHE_POLICIES_EVICTION_HPP
/// \file
/// Floor 1. The eviction policy: which entry goes when a shard is full.
///
/// A shard keeps its entries in numbered slots. A policy `E` nests a hook, its own fields in each
/// slot, and a queue of slots, of which each shard has one. `s` stands for a slot, `e` for the
/// view through which the queue reaches its hooks.
///
/// | expression | result | semantics |
/// |---|---|---|
/// | `E::hook` | | default constructible, copied without throwing (a table that grows moves its hooks), trivially destructible, aligned to 8 bytes at most |
/// | `E::template queue<Entries>` | | `Entries` is incomplete when this is named |
/// | `queue<Entries> q{e, capacity}` | | `e`: an `Entries`, to be kept as a copy; `capacity`: the shard's share (`std::uint64_t`); may throw |
/// | `q.insert(s)` | | `s` joins; it is in no queue |
/// | `q.erase(s)` | | `s`, which is in `q`, leaves: erased, expired or replaced |
/// | `q.evict()` | `slot` | takes the victim out of `q` and returns it; `no_slot` only if `q` is empty |
/// | `e.hook(s)` | `E::hook&` | of a slot that is in `q` |
/// | `e.hash(s)`, `e.weight(s)` | `std::uint64_t` | what the policy may ask of a slot that is in `q`; `hash` may read the key's bytes |
///
/// How it hears of reads, one of the two or neither:
///
/// | expression | semantics |
/// |---|---|
/// | `q.touch(s)` | `s`, which is in `q`, was read. Readers leave notes in rings; they are told in the order of the reads, and before the next insert, erase or evict. Reads that overlap may be told in any order, and a note may be lost or meant for the slot's former entry |
/// | `E::mark(h)` | static: the entry of hook `h` was read. Called by readers, without a lock and several at once, also for an entry that has just left: use `read_mark` |
///
/// And, each of them optional:
///
/// | expression | semantics |
/// |---|---|
/// | `q.missed(hash)` | a key of that hash, which has no entry, is about to be put; said before room is made for it. Its `insert` may fail to follow (too heavy) |
/// | `q.replaced(s)` | the value, and perhaps the weight, of `s` is a new one; a policy with a `touch` may be told of a touch instead where all weights are 1. Without it a replacement is an `erase` before and an `insert` after |
/// | `q.reserve(n)` | slots will be numbered below `n` from now on (`std::size_t`, never less than before); may throw, then nothing has changed |
/// | `q.resize(capacity)` | the share is another from now on; what is too much is evicted next; if it is more, a `reserve` of as many slots as before follows |
/// | `q.clear()` | all that is in `q` leaves, erased; to be O(1), and not to look at hooks. Without it each is an `erase`, and clearing a cache takes O(entries) |
/// | `E::max_slots` or `queue<Entries>::max_slots` | the hook can name only slots below this number (a `slot`): a shard keeps no more entries |
/// | `q.heap_bytes()` | what the queue has allocated (`std::size_t`), for `memory_usage()` |
/// | `q.soon()` | a slot that will probably be evicted two evictions on, or `no_slot`: the cache fetches it ahead |
///
/// All calls but `mark` are made under the shard's lock, so a queue needs none of its own; it must
/// not call the cache. All but `reserve` and the constructor are `noexcept`: whatever must be
/// allocated is allocated there. They should take O(1), amortised. A queue stays where it was
/// made. Nothing may depend on addresses, time or chance, so that equal calls choose equal victims.
///
/// Models, cheapest first: `fifo`, `sieve`, `clock_hand`, `lru` (the default), `s3_fifo`,
/// `w_tinylfu`. `testing/eviction_laws.hpp` checks yours:
///
///     kcache::testing::check_eviction_laws<my_policy>(
///         [](bool kept, char const* law) { if (!kept) std::puts(law); });

#include <kcache/config.hpp>

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace kcache {

/// The number of a place for an entry within its shard; used anew when its entry has left.
using slot = std::uint32_t;
inline constexpr slot no_slot = static_cast<slot>(-1);

/// A small number that readers raise without a lock. Raising is a load and a store, not an atomic
/// addition: of reads that overlap some may be lost, none is invented.
class read_mark {
 public:
  constexpr read_mark() noexcept = default;
  read_mark(read_mark const& other) noexcept : reads_{other.reads()} {}
  read_mark& operator=(read_mark const& other) noexcept {
    set(other.reads());
    return *this;
  }

  [[nodiscard]] KCACHE_INLINE std::uint8_t reads() const noexcept {
    return reads_.load(std::memory_order_relaxed);
  }
  KCACHE_INLINE void set(std::uint8_t reads) noexcept {
    reads_.store(reads, std::memory_order_relaxed);
  }
  /// One more, up to `most`. Does not write where nothing changes, so that a hot entry's cache
  /// line stays shared.
  KCACHE_INLINE void raise(std::uint8_t most) noexcept {
    if (auto const n = reads(); n < most) set(static_cast<std::uint8_t>(n + 1));
  }

 private:
  std::atomic<std::uint8_t> reads_{0};
};

namespace detail {

/// The least that a queue may expect of its entries.
template <class Hook>
struct eviction_entries {
  [[nodiscard]] Hook& hook(slot) const noexcept;
  [[nodiscard]] std::uint64_t hash(slot) const noexcept;
  [[nodiscard]] std::uint64_t weight(slot) const noexcept;
};

template <class Queue, class Entries>
concept eviction_queue =
    std::constructible_from<Queue, Entries const&, std::uint64_t> && requires(Queue& q, slot s) {
      { q.insert(s) } noexcept -> std::same_as<void>;
      { q.erase(s) } noexcept -> std::same_as<void>;
      { q.evict() } noexcept -> std::same_as<slot>;
    };

/// Wants every read told in order.
template <class E, class Queue>
concept touched_eviction = requires(Queue& q, slot s) {
  { q.touch(s) } noexcept -> std::same_as<void>;
};
/// Marks the entries that are read.
template <class E>
concept marked_eviction = requires(typename E::hook& h) {
  { E::mark(h) } noexcept -> std::same_as<void>;
};

template <class E>
using probe_queue = typename E::template queue<eviction_entries<typename E::hook>>;

}  // namespace detail

template <class E>
concept eviction =
    std::is_class_v<typename E::hook> && std::default_initializable<typename E::hook> &&
    std::is_nothrow_copy_constructible_v<typename E::hook> &&
    std::is_nothrow_copy_assignable_v<typename E::hook> &&
    std::is_trivially_destructible_v<typename E::hook> && alignof(typename E::hook) <= 8 &&
    detail::eviction_queue<detail::probe_queue<E>, detail::eviction_entries<typename E::hook>> &&
    !(detail::touched_eviction<E, detail::probe_queue<E>> && detail::marked_eviction<E>);

}  // namespace kcache

#endif
