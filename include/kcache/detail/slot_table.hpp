// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_SLOT_TABLE_HPP
#define KCACHE_DETAIL_SLOT_TABLE_HPP
/// \file
/// Floor 2. The slots of a shard and the index that finds them: one allocation.
///
/// # Groups
/// The index is an array of groups, each a cache line: twelve tags of a byte, twelve numbers of
/// slots, and how many keys that belong here had to go on to a later group. A look-up goes to its
/// key's home group, compares all tags at once, and follows the few that match; only where a group
/// has sent keys on it reads the next. Groups are filled to 71 %, so that a key costs 7.5 bytes.
/// (At 80 %, 6.7 bytes, groups that are full meet, and a look-up in vain read several.) An entry's
/// place never changes while its table lives, so nothing moves under a reader.
///
/// # Reading without a lock
/// All that a reader looks at is atomic: loads acquire, stores release. The writer, alone under the
/// shard's lock, makes the shard's sequence number odd before it changes anything and even
/// afterwards; a reader that saw the same even number before and after has seen one state. (Boehm,
/// "Can seqlocks get along with programming language memory models?", 2012: acquiring loads need
/// no fence.) A slot's number found in a group is always within this table, so what a reader
/// follows before it has checked is at worst the wrong entry.

#include <kcache/detail/reader.hpp>
#include <kcache/policies/eviction.hpp>

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>

namespace kcache::detail {

/// Where the bits of a hash go: the highest choose the shard, the next lower ones the home group,
/// the lowest byte is the tag.
struct alignas(64) index_group {
  static constexpr unsigned places = 12;

  /// Tags 0 to 7; tags 8 to 11 and, above them, the count of keys that went on.
  std::atomic<std::uint64_t> low{0};
  std::atomic<std::uint64_t> high{0};
  std::atomic<slot> slots[places]{};

  /// Never 0, which marks a free place.
  [[nodiscard]] static std::uint64_t tag(std::uint64_t hash) noexcept {
    std::uint64_t const t = hash & 0xffU;
    return t + (t == 0 ? 1 : 0);
  }
  /// Where `tag` stands: bit i for place i. A place next to a true one may be set too.
  [[nodiscard]] static std::uint32_t equal(std::uint64_t low, std::uint64_t high,
                                           std::uint64_t tag) noexcept {
    auto const bits = [tag](std::uint64_t word) {
      std::uint64_t const x = word ^ (tag * ones);
      // The highest bits of equal bytes, gathered into the lowest byte.
      return (((x - ones) & ~x & (ones << 7U)) >> 7U) * 0x0102040810204080U >> 56U;
    };
    return static_cast<std::uint32_t>(bits(low) | (bits(high) << 8U)) & all_places;
  }
  /// The same of this group, in one load where the processor can. (That such a load yields whole
  /// words, in order, is the processor's promise, not the language's: so a sanitizer is shown
  /// loads of words.)
  [[nodiscard]] std::uint32_t look(std::uint64_t tag) const noexcept {
#if defined(__x86_64__) && !KCACHE_THREAD_SANITIZER
    // Sixteen bytes; spelled without <emmintrin.h>, which is longer than this library's floor.
    using bytes [[gnu::vector_size(16)]] = char;
    bytes tags;
    asm volatile("movdqa %1, %0" : "=x"(tags) : "m"(low), "m"(high));
    auto const same = reinterpret_cast<bytes>(tags == bytes{} + static_cast<char>(tag));
    return static_cast<std::uint32_t>(__builtin_ia32_pmovmskb128(same)) & all_places;
#else
    return equal(low.load(std::memory_order_acquire), high.load(std::memory_order_acquire), tag);
#endif
  }
  /// The highest bit of every free place of a word of tags, exactly.
  [[nodiscard]] static std::uint64_t zero(std::uint64_t word) noexcept {
    std::uint64_t const low_bits = ~(ones << 7U);
    return ~(((word & low_bits) + low_bits) | word | low_bits);
  }
  static unsigned first(std::uint64_t zeros) noexcept {
    return static_cast<unsigned>(std::countr_zero(zeros)) / 8;
  }

  static constexpr std::uint32_t all_places = 0xfffU;
  static constexpr std::uint64_t ones = 0x0101010101010101U;
  static constexpr std::uint64_t four_tags = 0xffffffffU;
};
static_assert(sizeof(index_group) == 64);

struct nothing_apart {};

/// `Slot` is what the shard keeps per entry, `Apart` what it keeps per entry in other cache lines.
/// The writer's calls are made under its lock.
template <class Slot, class Apart = nothing_apart>
class slot_table {
 public:
  slot_table(slot_table const&) = delete;
  slot_table& operator=(slot_table const&) = delete;

  static constexpr unsigned room_of(std::uint32_t slots) noexcept {
    // Twelve places for every 8.6 slots.
    return static_cast<unsigned>((std::uint64_t{slots} * 7 + 59) / 60);
  }
  [[nodiscard]] static slot_table* make(std::uint32_t slots) {
    std::uint32_t const groups = room_of(slots);
    void* const memory = ::operator new(bytes_for(groups, slots), std::align_val_t{64});
    return ::new (memory) slot_table{groups, slots};
  }
  static void destroy(slot_table* t) noexcept {
    ::operator delete(static_cast<void*>(t), std::align_val_t{64});
  }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_for(groups_, slots_); }

  [[nodiscard]] std::uint32_t slots() const noexcept { return slots_; }
  [[nodiscard]] Slot& operator[](slot s) noexcept { return first_slot_[s]; }
  [[nodiscard]] Slot* first_slot() noexcept { return first_slot_; }
  [[nodiscard]] Apart* first_apart() noexcept { return first_apart_; }

  /// Calls `look(s)` for slots whose key may have this hash until it returns true; false if it
  /// never does. Now and then the slot is one whose entry has left. For readers and writers alike;
  /// `look` may throw.
  template <class Look>
  [[gnu::always_inline]] inline bool find(std::uint64_t hash, Look const& look) {
    std::uint64_t const tag = index_group::tag(hash);
    std::uint32_t g = home(hash);
    for (std::uint32_t n = groups_; n != 0; --n) {
      index_group& group = groups()[g];
      for (std::uint32_t m = group.look(tag); m != 0; m &= m - 1) {
        if (look(group.slots[std::countr_zero(m)].load(std::memory_order_acquire))) return true;
      }
      if ((group.high.load(std::memory_order_acquire) >> 32U) == 0) return false;
      g = next(g);
    }
    return false;
  }

  void prefetch(std::uint64_t hash) const noexcept { __builtin_prefetch(&groups()[home(hash)]); }

  /// There is a free place: the table holds at most `slots()` entries.
  void insert(std::uint64_t hash, slot s) noexcept {
    std::uint64_t const tag = index_group::tag(hash);
    for (std::uint32_t g = home(hash);; g = next(g)) {
      index_group& group = groups()[g];
      std::uint64_t const low = group.low.load(std::memory_order_relaxed);
      if (std::uint64_t const free = index_group::zero(low); free != 0) {
        unsigned const i = index_group::first(free);
        group.slots[i].store(s, std::memory_order_release);
        group.low.store(low | (tag << (8 * i)), std::memory_order_release);
        return;
      }
      std::uint64_t const high = group.high.load(std::memory_order_relaxed);
      if (std::uint64_t const free = index_group::zero(high) & index_group::four_tags;
          free != 0) {
        unsigned const i = index_group::first(free);
        group.slots[8 + i].store(s, std::memory_order_release);
        group.high.store(high | (tag << (8 * i)), std::memory_order_release);
        return;
      }
      group.high.store(high + (std::uint64_t{1} << 32U), std::memory_order_release);
    }
  }
  /// `s` is in the table under this hash.
  void erase(std::uint64_t hash, slot s) noexcept {
    std::uint64_t const tag = index_group::tag(hash);
    for (std::uint32_t g = home(hash);; g = next(g)) {
      index_group& group = groups()[g];
      std::uint64_t const low = group.low.load(std::memory_order_relaxed);
      std::uint64_t const high = group.high.load(std::memory_order_relaxed);
      for (std::uint32_t m = index_group::equal(low, high, tag); m != 0; m &= m - 1) {
        auto const i = static_cast<unsigned>(std::countr_zero(m));
        if (group.slots[i].load(std::memory_order_relaxed) != s) continue;
        std::uint64_t const mask = std::uint64_t{0xff} << (8 * (i % 8));
        if (((i < 8 ? low : high) & mask) == 0) continue;  // the number of an entry that left
        i < 8 ? group.low.store(low & ~mask, std::memory_order_release)
              : group.high.store(high & ~mask, std::memory_order_release);
        return;
      }
      group.high.store(high - (std::uint64_t{1} << 32U), std::memory_order_release);
    }
  }

 private:
  static constexpr std::size_t apart_bytes = std::is_empty_v<Apart> ? 0 : sizeof(Apart);

  slot_table(std::uint32_t groups, std::uint32_t slots) noexcept
      : groups_{groups}, slots_{slots} {
    auto* const base = reinterpret_cast<std::byte*>(this) + sizeof *this;
    for (std::uint32_t g = 0; g != groups; ++g) ::new (base + sizeof(index_group) * g) index_group;
    auto* const after = base + sizeof(index_group) * groups;
    for (std::uint32_t s = 0; s != slots; ++s) ::new (after + sizeof(Slot) * s) Slot;
    first_slot_ = std::launder(reinterpret_cast<Slot*>(after));
    if constexpr (apart_bytes != 0) {
      static_assert(alignof(Apart) <= alignof(Slot),
                    "kcache: an eviction policy's hook must not be aligned to more than 8 bytes");
      auto* const last = after + sizeof(Slot) * slots;
      for (std::uint32_t s = 0; s != slots; ++s) ::new (last + apart_bytes * s) Apart;
      first_apart_ = std::launder(reinterpret_cast<Apart*>(last));
    }
  }
  static std::size_t bytes_for(std::size_t groups, std::size_t slots) noexcept {
    return sizeof(slot_table) + groups * sizeof(index_group) +
           slots * (sizeof(Slot) + apart_bytes);
  }
  [[nodiscard]] index_group* groups() const noexcept {
    return std::launder(reinterpret_cast<index_group*>(
        reinterpret_cast<std::byte*>(const_cast<slot_table*>(this)) + sizeof *this));
  }
  /// By 32 bits of the hash, multiplied instead of divided (Lemire, "Fast random integer
  /// generation in an interval", 2019).
  [[nodiscard]] std::uint32_t home(std::uint64_t hash) const noexcept {
    return static_cast<std::uint32_t>((((hash >> 8U) & 0xffffffffU) * groups_) >> 32U);
  }
  [[nodiscard]] std::uint32_t next(std::uint32_t g) const noexcept {
    return g + 1 == groups_ ? 0 : g + 1;
  }

  alignas(64) std::uint32_t groups_;
  std::uint32_t slots_;
  Slot* first_slot_ = nullptr;
  Apart* first_apart_ = nullptr;

 public:
  /// Once another has taken its place: the table that was replaced before it, and the stamp of its
  /// own replacement (detail/reader.hpp).
  slot_table* older = nullptr;
  std::uint64_t stamp = 0;
};

}  // namespace kcache::detail

#endif
