// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_SLOT_TABLE_HPP
#define KCACHE_DETAIL_SLOT_TABLE_HPP
/// \file
/// Floor 2. The slots of a shard and the index that finds them: one allocation.
///
/// # Groups
/// The index is an array of groups, each a cache line: tags of a byte, numbers of slots, and how
/// many keys that belong here had to go on to a later group. A look-up goes to its key's home
/// group, compares all tags at once, and follows the few that match; only where a group has sent
/// keys on it reads the next. Numbers take 16 bits while they fit: 20 places in a group, filled to
/// 60 %, so that a key costs 5.3 bytes and one in 300 lies outside its home. Tables of more than
/// 65,536 slots have 12 places filled to 71 %, 7.5 bytes a key, and one in 30 goes on. (At 80 %
/// groups that are full meet, and a look-up in vain reads several.) An entry's place never changes
/// while its table lives, so nothing moves under a reader.
///
/// # Reading without a lock
/// All that a reader looks at is atomic: loads acquire, stores release. The writer, alone under the
/// shard's lock, makes the shard's sequence number odd before it changes anything and even
/// afterwards; a reader that saw the same even number before and after has seen one state. (Boehm,
/// "Can seqlocks get along with programming language memory models?", 2012: acquiring loads need
/// no fence.) A slot's number found in a group is always within this table, so what a reader
/// follows before it has checked is at worst the wrong entry.

#include <kcache/config.hpp>
#include <kcache/detail/reader.hpp>
#include <kcache/policies/eviction.hpp>
#include <kcache/time.hpp>

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>

namespace kcache::detail {

/// Where the bits of a hash go: the highest choose the shard, the next lower ones the home group,
/// the lowest byte is the tag. `Words` words of tags, of which the last has four and, above them,
/// the count of keys that went on.
template <unsigned Words, class Number>
struct alignas(64) index_group {
  static constexpr unsigned places = 8 * (Words - 1) + 4;

  std::atomic<std::uint64_t> tags[Words]{};
  std::atomic<Number> slots[places]{};

  /// Never 0, which marks a free place.
  [[nodiscard]] KCACHE_INLINE static std::uint64_t tag(std::uint64_t hash) noexcept {
    std::uint64_t const t = hash & 0xffU;
    return t + (t == 0 ? 1 : 0);
  }
  /// Where `tag`, or 0 for what is free, stands: bit i for place i. In two loads where the
  /// processor can. (That such a load yields whole words, in order, is the processor's promise, not
  /// the language's: so a sanitizer is shown loads of words.)
  [[nodiscard]] KCACHE_INLINE std::uint32_t look(std::uint64_t tag) const noexcept {
#if defined(__x86_64__) && !KCACHE_THREAD_SANITIZER
    // Sixteen bytes; spelled without <emmintrin.h>, which is longer than this library's floor.
    using bytes [[gnu::vector_size(16)]] = char;
    bytes const wanted = bytes{} + static_cast<char>(tag);
    bytes found;
    asm volatile("movdqa %1, %0" : "=x"(found) : "m"(tags[0]), "m"(tags[1]));
    auto all = static_cast<std::uint32_t>(
        __builtin_ia32_pmovmskb128(reinterpret_cast<bytes>(found == wanted)));
    if constexpr (Words == 3) {
      asm volatile("movq %1, %0" : "=x"(found) : "m"(tags[2]));
      all |= static_cast<std::uint32_t>(
                 __builtin_ia32_pmovmskb128(reinterpret_cast<bytes>(found == wanted)))
             << 16U;
    }
    return all & all_places;
#else
    return look_by_words(tag);
#endif
  }
  /// The same in any words.
  [[nodiscard]] std::uint32_t look_by_words(std::uint64_t tag) const noexcept {
    std::uint32_t all = 0;
    for (unsigned w = 0; w != Words; ++w) {
      std::uint64_t const differing = tags[w].load(std::memory_order_acquire) ^ (tag * ones);
      // The highest bits of equal bytes, gathered into the lowest byte.
      std::uint64_t const bits = (zero(differing) >> 7U) * 0x0102040810204080U >> 56U;
      all |= static_cast<std::uint32_t>(bits) << (8 * w);
    }
    return all & all_places;
  }
  [[nodiscard]] KCACHE_INLINE slot at(unsigned place) const noexcept {
    return slots[place].load(std::memory_order_acquire);
  }
  /// How many keys went on from here.
  [[nodiscard]] KCACHE_INLINE std::uint64_t passed() const noexcept {
    return tags[Words - 1].load(std::memory_order_acquire) >> 32U;
  }

  // The writer's.
  void pass(bool on) noexcept {
    std::uint64_t const last = tags[Words - 1].load(std::memory_order_relaxed);
    std::uint64_t const one = std::uint64_t{1} << 32U;
    tags[Words - 1].store(on ? last + one : last - one, std::memory_order_release);
  }
  /// False if there is no free place.
  bool insert(std::uint64_t tag, slot s) noexcept {
    std::uint32_t const free = look(0);
    if (free == 0) return false;
    auto const i = static_cast<unsigned>(std::countr_zero(free));
    auto& word = tags[i / 8];
    slots[i].store(static_cast<Number>(s), std::memory_order_release);
    word.store(word.load(std::memory_order_relaxed) | (tag << (8 * (i % 8))),
               std::memory_order_release);
    return true;
  }
  /// False if it is not here.
  bool erase(std::uint64_t tag, slot s) noexcept {
    for (std::uint32_t m = look(tag); m != 0; m &= m - 1) {
      auto const i = static_cast<unsigned>(std::countr_zero(m));
      if (slots[i].load(std::memory_order_relaxed) != s) continue;
      auto& word = tags[i / 8];
      word.store(word.load(std::memory_order_relaxed) & ~(std::uint64_t{0xff} << (8 * (i % 8))),
                 std::memory_order_release);
      return true;
    }
    return false;
  }

  /// The highest bit of every byte that is 0, exactly.
  [[nodiscard]] static std::uint64_t zero(std::uint64_t word) noexcept {
    std::uint64_t const low_bits = ~(ones << 7U);
    return ~(((word & low_bits) + low_bits) | word | low_bits);
  }

  static constexpr std::uint32_t all_places = (std::uint32_t{1} << places) - 1;
  static constexpr std::uint64_t ones = 0x0101010101010101U;
};
using narrow_group = index_group<3, std::uint16_t>;
using wide_group = index_group<2, slot>;
static_assert(sizeof(narrow_group) == 64 && sizeof(wide_group) == 64);

struct nothing_apart {};

/// How a search in a group ended: keys of that home may be `further` on.
enum class search : unsigned char { found, absent, further };

/// `Slot` is what the shard keeps per entry, `Apart` what it keeps per entry in other cache lines.
/// The writer's calls are made under its lock.
template <class Slot, class Apart = nothing_apart>
class slot_table {
 public:
  slot_table(slot_table const&) = delete;
  slot_table& operator=(slot_table const&) = delete;

  /// Tables of no more slots number them in 16 bits.
  static constexpr std::uint32_t most_narrow = 65'536;

  /// How many groups they take.
  static constexpr std::uint32_t room_of(std::uint32_t slots) noexcept {
    return slots <= most_narrow
               ? (slots + 11) / 12
               : static_cast<std::uint32_t>((std::uint64_t{slots} * 7 + 59) / 60);
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
  [[nodiscard]] KCACHE_INLINE Slot& operator[](slot s) noexcept { return first_slot_[s]; }
  [[nodiscard]] Slot* first_slot() noexcept { return first_slot_; }
  [[nodiscard]] Apart* first_apart() noexcept { return first_apart_; }

  /// Calls `look(s)` for slots whose key may have this hash until it returns true; false if it
  /// never does. Now and then the slot is one whose entry has left. For readers and writers alike;
  /// `look` may throw.
  template <class Look>
  bool find(std::uint64_t hash, Look const& look) {
    return narrow_ ? find_in<narrow_group>(hash, look) : find_in<wide_group>(hash, look);
  }
  /// The same in the key's home group alone, where nearly all keys are, for what must be short. Of
  /// a large table all are `further`.
  template <class Look>
  KCACHE_INLINE search find_at_home(std::uint64_t hash, Look const& look) {
    if (!narrow_) [[unlikely]] return search::further;
    return look_in(group<narrow_group>(home(hash)), narrow_group::tag(hash), look);
  }

  void prefetch(std::uint64_t hash) const noexcept {
    __builtin_prefetch(&group<wide_group>(home(hash)));
  }

  /// There is a free place: the table holds at most `slots()` entries.
  void insert(std::uint64_t hash, slot s) noexcept {
    narrow_ ? insert_in<narrow_group>(hash, s) : insert_in<wide_group>(hash, s);
  }
  /// `s` is in the table under this hash.
  void erase(std::uint64_t hash, slot s) noexcept {
    narrow_ ? erase_in<narrow_group>(hash, s) : erase_in<wide_group>(hash, s);
  }

 private:
  template <class Group, class Look>
  KCACHE_INLINE static search look_in(Group const& group, std::uint64_t tag, Look const& look) {
    for (std::uint32_t m = group.look(tag); m != 0; m &= m - 1) {
      if (look(group.at(static_cast<unsigned>(std::countr_zero(m))))) return search::found;
    }
    return group.passed() == 0 ? search::absent : search::further;
  }
  template <class Group, class Look>
  bool find_in(std::uint64_t hash, Look const& look) {
    std::uint64_t const tag = Group::tag(hash);
    std::uint32_t g = home(hash);
    for (std::uint32_t n = groups_; n != 0; --n) {
      search const end = look_in(group<Group>(g), tag, look);
      if (end != search::further) return end == search::found;
      g = next(g);
    }
    return false;
  }
  template <class Group>
  void insert_in(std::uint64_t hash, slot s) noexcept {
    std::uint64_t const tag = Group::tag(hash);
    std::uint32_t g = home(hash);
    for (; !group<Group>(g).insert(tag, s); g = next(g)) group<Group>(g).pass(true);
  }
  template <class Group>
  void erase_in(std::uint64_t hash, slot s) noexcept {
    std::uint64_t const tag = Group::tag(hash);
    std::uint32_t g = home(hash);
    for (; !group<Group>(g).erase(tag, s); g = next(g)) group<Group>(g).pass(false);
  }

  static constexpr std::size_t group_bytes = 64;
  static constexpr std::size_t apart_bytes = std::is_empty_v<Apart> ? 0 : sizeof(Apart);

  slot_table(std::uint32_t groups, std::uint32_t slots) noexcept
      : groups_{groups}, narrow_{slots <= most_narrow}, slots_{slots} {
    auto* const base = reinterpret_cast<std::byte*>(this) + sizeof *this;
    for (std::uint32_t g = 0; g != groups; ++g) {
      if (narrow_) ::new (base + group_bytes * g) narrow_group;
      else ::new (base + group_bytes * g) wide_group;
    }
    auto* const after = base + group_bytes * groups;
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
    return sizeof(slot_table) + groups * group_bytes +
           slots * (sizeof(Slot) + apart_bytes);
  }
  template <class Group>
  [[nodiscard]] KCACHE_INLINE Group& group(std::uint32_t g) const noexcept {
    return std::launder(reinterpret_cast<Group*>(
        reinterpret_cast<std::byte*>(const_cast<slot_table*>(this)) + sizeof *this))[g];
  }
  /// By 32 bits of the hash, multiplied instead of divided (Lemire, "Fast random integer
  /// generation in an interval", 2019).
  [[nodiscard]] KCACHE_INLINE std::uint32_t home(std::uint64_t hash) const noexcept {
    return static_cast<std::uint32_t>((((hash >> 8U) & 0xffffffffU) * groups_) >> 32U);
  }
  [[nodiscard]] std::uint32_t next(std::uint32_t g) const noexcept {
    return g + 1 == groups_ ? 0 : g + 1;
  }

  alignas(64) std::uint32_t groups_;
  bool narrow_;
  std::uint32_t slots_;
  Slot* first_slot_ = nullptr;
  Apart* first_apart_ = nullptr;

 public:
  /// Once another has taken its place: the table that was given up before it, and the stamp of its
  /// own giving up (detail/reader.hpp). Of one whose entries were cleared, while there are any: the
  /// one that was cleared after it.
  slot_table* linked = nullptr;
  std::uint64_t stamp = 0;
  /// Of one whose entries were cleared: so many are left, from `next_cleared` on.
  slot next_cleared = 0;
  slot left = 0;
  time_point cleared_at{};
};

}  // namespace kcache::detail

#endif
