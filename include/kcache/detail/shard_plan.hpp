// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_SHARD_PLAN_HPP
#define KCACHE_DETAIL_SHARD_PLAN_HPP
/// \file
/// Floor 2. How a capacity is divided among shards.

#include <kcache/config.hpp>
#include <kcache/detail/min_max.hpp>
#include <kcache/error.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>

namespace kcache::detail {

/// What the options ask for.
struct shard_request {
  std::uint64_t capacity;
  std::size_t shards;
  std::uint64_t max_entry_weight;
  bool weighed;
};

/// A power of two of shards, whose shares differ by at most 1 and sum to the capacity.
class shard_plan {
 public:
  static constexpr std::size_t most_automatic = 64;
  /// Beyond so many entries a shard's index is slower (slot_table.hpp): then there are more shards,
  /// but not so many that an empty cache of a capacity without meaning would take megabytes.
  static constexpr std::uint64_t most_entries = 65'536;
  static constexpr std::uint64_t most_for_size = 256;
  static constexpr std::size_t most = std::size_t{1} << 16U;
  /// An automatic share is at least so many entries, or heaviest entries.
  static constexpr std::uint64_t least_entries = 1024;
  static constexpr std::uint64_t least_heaviest = 8;

  /// \throws failure(errc::invalid_options)
  explicit shard_plan(shard_request const& r)
      : capacity_{r.capacity}, max_entry_weight_{r.max_entry_weight}, weighed_{r.weighed} {
    if (capacity_ == 0) refuse("capacity must be at least 1");
    if (max_entry_weight_ > capacity_) refuse("max_entry_weight is more than the capacity");
    if (!r.weighed && max_entry_weight_ > 1) refuse("max_entry_weight needs a weigher");
    shards_ = r.shards == 0 ? automatic(r.weighed) : r.shards;
    if (!std::has_single_bit(shards_) || shards_ > most) {
      refuse("shards must be 0 (automatic) or a power of two up to 65536");
    }
    shift_ = 63U - static_cast<unsigned>(std::countr_zero(shards_));
    if (shards_ > capacity_) refuse("more shards than capacity");
    if (capacity_ / shards_ < max_entry_weight_) {
      refuse("a shard's share of the capacity is less than max_entry_weight: use fewer shards");
    }
  }

  /// The same shards for another capacity. \throws failure(errc::invalid_options)
  [[nodiscard]] shard_plan resized(std::uint64_t capacity) const {
    return shard_plan{{.capacity = capacity,
                       .shards = shards_,
                       .max_entry_weight = max_entry_weight_,
                       .weighed = weighed_}};
  }

  [[nodiscard]] std::uint64_t capacity() const noexcept { return capacity_; }
  [[nodiscard]] std::size_t shards() const noexcept { return shards_; }
  [[nodiscard]] std::uint64_t share(std::size_t shard) const noexcept {
    return capacity_ / shards_ + (shard < capacity_ % shards_ ? 1 : 0);
  }
  /// The heaviest entry that the shard takes.
  [[nodiscard]] std::uint64_t heaviest(std::size_t shard) const noexcept {
    return max_entry_weight_ == 0 ? share(shard) : max_entry_weight_;
  }
  /// By the high bits of a hash, as the low ones choose the bucket.
  [[nodiscard]] KCACHE_INLINE std::size_t shard_of(std::uint64_t hash) const noexcept {
    // Halved first: a shift by all 64 bits, for one shard, would be undefined.
    return static_cast<std::size_t>((hash >> 1U) >> shift_);
  }

 private:
  [[noreturn]] static void refuse(char const* why) {
    throw failure{error{errc::invalid_options, std::string{"kcache: cache options: "} + why}};
  }
  [[nodiscard]] std::size_t automatic(bool weighed) const noexcept {
    // Unknown weights: one shard, where an entry may be as heavy as the capacity.
    if (weighed && max_entry_weight_ == 0) return 1;
    std::uint64_t const least = weighed ? least_heaviest * min_of(max_entry_weight_, capacity_)
                                        : least_entries;
    std::uint64_t const fit = max_of<std::uint64_t>(1, capacity_ / least);
    std::uint64_t enough = most_automatic;
    if (!weighed && capacity_ > most_automatic * most_entries) {
      enough = min_of(most_for_size, std::bit_ceil((capacity_ - 1) / most_entries + 1));
    }
    return std::bit_floor(static_cast<std::size_t>(min_of(fit, enough)));
  }

  std::uint64_t capacity_;
  std::uint64_t max_entry_weight_;
  bool weighed_;
  std::size_t shards_ = 1;
  unsigned shift_ = 63;
};

}  // namespace kcache::detail

#endif
