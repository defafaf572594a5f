// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_SLOTS_HPP
#define KCACHE_DETAIL_SLOTS_HPP
/// \file
/// Floor 2. What a slot holds: a small pair itself, or a cell; and which it is.

#include <kcache/config.hpp>
#include <kcache/detail/cell_node.hpp>
#include <kcache/detail/compact_dates.hpp>
#include <kcache/policies/eviction.hpp>
#include <kcache/policies/expiry.hpp>
#include <kcache/policies/removal.hpp>
#include <kcache/policies/weigher.hpp>
#include <kcache/storage_traits.hpp>
#include <kcache/time.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <type_traits>

namespace kcache::detail {

/// A key that may be compared while it lies in shared memory, without a lock: its bytes cannot
/// own anything.
template <class Key>
inline constexpr bool is_plain_key =
    std::is_trivially_copyable_v<Key> && sizeof(Key) <= 16 && alignof(Key) <= 8;

/// How a cache of these types and policies keeps its entries.
template <class Key, class Value, class Policies>
struct storage_plan {
  static constexpr bool weighed = !std::is_same_v<typename Policies::weigher, unit_weigher>;
  static constexpr bool told =
      !std::is_same_v<typename Policies::removal_listener, no_removal_listener>;
  /// Key and value lie in the slot.
  static constexpr bool inline_pairs =
      is_plain_key<Key> && is_small<Value> && !weighed && !told;
  /// Reads need no lock.
  static constexpr bool lock_free = is_plain_key<Key> || is_flat<Key>;
  /// What leaves is told of, or runs destructors of the user's, so it waits for the lock's end.
  static constexpr bool linked =
      !inline_pairs && (told || !(is_flat<Key> || std::is_trivially_destructible_v<Key>) ||
                        !(is_flat<Value> || std::is_trivially_destructible_v<Value>));
  /// A hash that may throw is computed once and kept; another is computed again.
  static constexpr bool keeps_hash = !noexcept(std::declval<typename Policies::hash const&>()(
      std::declval<typename storage_traits<Key>::view_type>()));
  /// Readers mark the policy's hook, so it lies in the slot that they look at. Other hooks lie
  /// apart: what is written for the queue does not take the slots' cache lines from readers.
  static constexpr bool hook_inside = marked_eviction<typename Policies::eviction>;
  /// Entries expire some time after their last read.
  static constexpr bool idle = requires(typename Policies::expiry const& e) { e.idle(); };
  /// Entries know when they were written and when they are to be renewed.
  static constexpr bool dated = dated_expiry<typename Policies::expiry>;
};

template <bool Kept, class T, int Tag>
struct optional_field {
  static constexpr bool kept = false;
};
template <class T, int Tag>
struct optional_field<true, T, Tag> {
  static constexpr bool kept = true;
  T value{};
};

/// An entry's dates: written under the lock, read without.
class shared_dates {
 public:
  [[nodiscard]] KCACHE_INLINE compact_dates load() const noexcept {
    return compact_dates::of_word(word_.load(std::memory_order_acquire));
  }
  void store(compact_dates d) noexcept { word_.store(d.word(), std::memory_order_release); }

 private:
  std::atomic<std::uint64_t> word_{0};
};

/// What every slot has besides its entry.
template <class Key, class Value, class Policies>
struct slot_facts {
  using plan = storage_plan<Key, Value, Policies>;
  using hook_type = typename Policies::eviction::hook;
  [[no_unique_address]] optional_field<plan::hook_inside, hook_type, 3> hook{};
  [[no_unique_address]] optional_field<plan::weighed, std::uint64_t, 0> weight{};
  [[no_unique_address]] optional_field<plan::keeps_hash, std::uint64_t, 1> hash{};
  /// Written under the lock, read without.
  [[no_unique_address]] optional_field<plan::idle, std::atomic<std::int64_t>, 2> idle_until{};
  /// Of a pair; a cell has its own. To be believed once the sequence number was found unchanged.
  [[no_unique_address]] optional_field<plan::dated && plan::inline_pairs, shared_dates, 4>
      dates{};

  slot_facts() = default;
  void copy(slot_facts const& from) noexcept {
    if constexpr (plan::hook_inside) hook.value = from.hook.value;
    if constexpr (plan::weighed) weight.value = from.weight.value;
    if constexpr (plan::keeps_hash) hash.value = from.hash.value;
    if constexpr (plan::idle) {
      idle_until.value.store(from.idle_until.value.load(std::memory_order_relaxed),
                             std::memory_order_relaxed);
    }
    if constexpr (plan::dated && plan::inline_pairs) dates.value.store(from.dates.value.load());
  }
};

/// A trivially copyable object as words, each of which is loaded and stored at once.
template <class T>
class shared_words {
 public:
  using copy = std::array<std::uint64_t, (sizeof(T) + 7) / 8>;

  [[nodiscard]] KCACHE_INLINE static copy words_of(T const& t) noexcept {
    copy c{};
    std::memcpy(c.data(), std::addressof(t), sizeof t);
    return c;
  }
  /// Only of words that were read together.
  [[nodiscard]] KCACHE_INLINE static T object(copy const& c) noexcept {
    struct bytes {
      std::array<unsigned char, sizeof(T)> all;
    } b;
    std::memcpy(b.all.data(), c.data(), sizeof(T));
    return std::bit_cast<T>(b);
  }
  [[nodiscard]] KCACHE_INLINE copy load() const noexcept {
    copy c;
    for (std::size_t i = 0; i != c.size(); ++i) c[i] = words_[i].load(std::memory_order_acquire);
    return c;
  }
  void store(copy const& c) noexcept {
    for (std::size_t i = 0; i != c.size(); ++i) words_[i].store(c[i], std::memory_order_release);
  }

 private:
  std::array<std::atomic<std::uint64_t>, (sizeof(T) + 7) / 8> words_{};
};

/// A small pair.
template <class Key, class Value, class Policies>
class pair_slot : public slot_facts<Key, Value, Policies> {
 public:
  using key_words = shared_words<Key>;
  using value_words = shared_words<Value>;

  /// What a put brings.
  struct fresh {
    typename key_words::copy key;
    typename value_words::copy value;
    time_point expires_at;
  };

  // The writer's, under the lock.
  [[nodiscard]] bool resident() const noexcept { return expires() != free_slot; }
  [[nodiscard]] slot next_free() const noexcept { return static_cast<slot>(key_.load()[0]); }
  void set_free(slot next) noexcept {
    typename key_words::copy k{};
    k[0] = next;
    key_.store(k);
    expires_.store(free_slot, std::memory_order_release);
  }
  void set(fresh const& f) noexcept {
    key_.store(f.key);
    set_value(f);
  }
  void set_value(fresh const& f) noexcept {
    value_.store(f.value);
    expires_.store(f.expires_at.time_since_epoch().count(), std::memory_order_release);
  }
  void copy(pair_slot const& from) noexcept {
    slot_facts<Key, Value, Policies>::copy(from);
    key_.store(from.key_.load());
    value_.store(from.value_.load());
    expires_.store(from.expires(), std::memory_order_relaxed);
  }
  [[nodiscard]] Key key() const noexcept { return key_words::object(key_.load()); }

  // Anybody's; without the lock, to be believed once the sequence number was found unchanged.
  [[nodiscard]] KCACHE_INLINE typename key_words::copy key_copy() const noexcept {
    return key_.load();
  }
  [[nodiscard]] KCACHE_INLINE typename value_words::copy value_copy() const noexcept {
    return value_.load();
  }
  [[nodiscard]] KCACHE_INLINE time_point expires_at() const noexcept {
    return time_point{duration{expires()}};
  }

 private:
  static constexpr std::int64_t free_slot = time_point::min().time_since_epoch().count();
  [[nodiscard]] KCACHE_INLINE std::int64_t expires() const noexcept {
    return expires_.load(std::memory_order_acquire);
  }

  key_words key_;
  value_words value_;
  std::atomic<std::int64_t> expires_{free_slot};
};

/// A cell.
template <class Key, class Value, class Policies>
class cell_slot : public slot_facts<Key, Value, Policies> {
 public:
  using plan = storage_plan<Key, Value, Policies>;
  using node = cell_node<Key, Value, plan::linked, plan::dated>;
  using cell_type = cell<Value>;

  // The writer's, under the lock.
  [[nodiscard]] bool resident() const noexcept { return (word() & 1U) == 0; }
  [[nodiscard]] slot next_free() const noexcept { return static_cast<slot>(word() >> 1U); }
  void set_free(slot next) noexcept {
    word_.store((std::uintptr_t{next} << 1U) | 1U, std::memory_order_release);
  }
  void set(cell_type& c) noexcept {
    word_.store(reinterpret_cast<std::uintptr_t>(&c), std::memory_order_release);
  }
  void copy(cell_slot const& from) noexcept {
    slot_facts<Key, Value, Policies>::copy(from);
    word_.store(from.word(), std::memory_order_relaxed);
  }
  [[nodiscard]] cell_type& get() const noexcept {
    return *reinterpret_cast<cell_type*>(word());
  }
  [[nodiscard]] typename node::key_view key() const noexcept { return node::key(get()); }
  [[nodiscard]] time_point expires_at() const noexcept { return get().expires_at(); }

  /// A reader's: the cell, or null. It stays within a read section.
  [[nodiscard]] KCACHE_INLINE cell_type* look() const noexcept {
    std::uintptr_t const w = word();
    if ((w & 1U) != 0) return nullptr;
    auto* const c = reinterpret_cast<cell_type*>(w);
    if (c == nullptr) __builtin_unreachable();  // a cell is never at 0
    return c;
  }

 private:
  [[nodiscard]] KCACHE_INLINE std::uintptr_t word() const noexcept {
    return word_.load(std::memory_order_acquire);
  }

  std::atomic<std::uintptr_t> word_{(std::uintptr_t{no_slot} << 1U) | 1U};
};

template <class Key, class Value, class Policies>
using slot_for = std::conditional_t<storage_plan<Key, Value, Policies>::inline_pairs,
                                    pair_slot<Key, Value, Policies>,
                                    cell_slot<Key, Value, Policies>>;

}  // namespace kcache::detail

#endif
