// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_ENTRY_HPP
#define KCACHE_DETAIL_ENTRY_HPP
/// \file
/// Floor 2. `cell`, what a handle points to, and `entry`, the cell with its key and its place in
/// a shard: one allocation per entry.

#include <kcache/policies/removal.hpp>
#include <kcache/policies/weigher.hpp>
#include <kcache/storage_traits.hpp>
#include <kcache/time.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace kcache::detail {

/// A value with a count of its owners: handles, and the cache while the value is in it. Nothing
/// but the count changes after construction. Derived types end in their own `destroy`.
template <class Value>
class cell {
 public:
  cell(cell const&) = delete;
  cell& operator=(cell const&) = delete;

  [[nodiscard]] Value const& value() const noexcept { return value_; }
  [[nodiscard]] time_point expires_at() const noexcept { return expires_at_; }

  void retain() noexcept { owners_.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept {
    if (owners_.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy_(this);
  }

 protected:
  /// One owner: the maker.
  cell(Value&& value, time_point expires_at, void (*destroy)(cell*) noexcept)
      : value_(std::move(value)), expires_at_{expires_at}, destroy_{destroy} {}
  ~cell() = default;

 private:
  Value value_;
  time_point expires_at_;
  void (*destroy_)(cell*) noexcept;
  std::atomic<std::size_t> owners_{1};
};

/// A value that was never in a cache.
template <class Value>
class detached_cell final : public cell<Value> {
 public:
  detached_cell(Value&& value, time_point expires_at)
      : cell<Value>(std::move(value), expires_at, [](cell<Value>* c) noexcept {
          delete static_cast<detached_cell*>(c);
        }) {}
};

/// The weight of an entry, which takes no room where every entry weighs 1.
template <bool Weighed>
struct stored_weight {
  explicit constexpr stored_weight(std::uint64_t) noexcept {}
  static constexpr std::uint64_t value = 1;
};
template <>
struct stored_weight<true> {
  explicit constexpr stored_weight(std::uint64_t w) noexcept : value{w} {}
  std::uint64_t value;
};

/// What the owner of a new entry found out before making it.
struct entry_facts {
  std::uint64_t hash;
  std::uint64_t weight;
  time_point expires_at;
};

/// The public fields belong to the shard, which reads and writes them under its lock; once the
/// entry has left, to the thread that took it out.
template <class Key, class Value, class Policies>
class entry final : public cell<Value>, public Policies::eviction::hook {
  static constexpr bool weighed = !std::is_same_v<typename Policies::weigher, unit_weigher>;

 public:
  static constexpr std::size_t not_scheduled = static_cast<std::size_t>(-1);

  entry(Key&& k, Value&& v, entry_facts const& facts)
      : cell<Value>(std::move(v), facts.expires_at,
                    [](cell<Value>* c) noexcept { delete static_cast<entry*>(c); }),
        key_(std::move(k)),
        hash_{facts.hash},
        weight_{facts.weight} {}

  // Named again, lest a policy's hook with such a member make them ambiguous.
  using cell<Value>::value;
  using cell<Value>::expires_at;
  using cell<Value>::retain;
  using cell<Value>::release;

  [[nodiscard]] typename storage_traits<Key>::view_type key() const noexcept {
    return storage_traits<Key>::view(key_);
  }
  [[nodiscard]] std::uint64_t hash() const noexcept { return hash_; }
  [[nodiscard]] std::uint64_t weight() const noexcept { return weight_.value; }
  [[nodiscard]] std::size_t bytes() const noexcept {
    return sizeof(entry) + storage_traits<Key>::heap_bytes(key_) +
           storage_traits<Value>::heap_bytes(value());
  }

 private:
  Key key_;
  std::uint64_t hash_;

 public:
  /// The next entry of the bucket, or of a list of removed entries.
  entry* chain = nullptr;
  /// The position in the expiry heap.
  std::size_t heap_position = not_scheduled;

 private:
  [[no_unique_address]] stored_weight<weighed> weight_;

 public:
  /// Why it left.
  removal_cause cause{};
};

}  // namespace kcache::detail

#endif
