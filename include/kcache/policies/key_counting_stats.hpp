// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_POLICIES_KEY_COUNTING_STATS_HPP
#define KCACHE_POLICIES_KEY_COUNTING_STATS_HPP
/// \file
/// Floor 1. `key_counting_stats`: `counting_stats` that also tell how often a key was hit.
///
/// A count-min sketch (Cormode, Muthukrishnan, "An improved data stream summary", J. Algorithms
/// 2005): a key's hash names one counter in each of four rows, each hit raises all four, and the
/// least of them is the estimate. Other keys may raise it too, so it is never too low, and too high
/// where many keys share few counters: it finds the keys that are hit often, and tells nothing
/// precise of the others. All four counters of a key lie in one block of two cache lines.
///
///     kcache::cache<int, page, kcache::with_stats<kcache::key_counting_stats>> c{
///         {.capacity = 512}};
///     if (c.hits_of(17).value_or(0) > 1000) std::puts("17 is hot");

#include <kcache/detail/reader.hpp>
#include <kcache/policies/stats.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace kcache {

/// Counts hits by key since the cache was made, whether or not the key has left and come back
/// meanwhile. A hit costs four atomic additions besides, some 20 ns, and more where several threads
/// hit one key; 32 bytes for each key that it is made for.
class key_counting_stats : public counting_stats {
 public:
  /// `keys`: about as many as are hit often at a time; by default 128 KB for 4,096.
  /// \throws std::bad_alloc
  explicit key_counting_stats(std::size_t keys = 4096)
      : blocks_(std::bit_ceil(std::max<std::size_t>(keys, row) / row)) {}

  void on_key_hit(std::uint64_t hash) noexcept {
    std::uint64_t const bits = mix(hash);
    block& b = blocks_[index(bits)];
    for (std::size_t r = 0; r != rows; ++r) {
      b.counters[place(bits, r)].hits.fetch_add(1, std::memory_order_relaxed);
    }
  }
  /// At least the number of hits of that hash.
  [[nodiscard]] std::uint64_t key_hits(std::uint64_t hash) const noexcept {
    std::uint64_t const bits = mix(hash);
    block const& b = blocks_[index(bits)];
    std::uint64_t least = ~std::uint64_t{0};
    for (std::size_t r = 0; r != rows; ++r) {
      least = std::min(least, b.counters[place(bits, r)].hits.load(std::memory_order_relaxed));
    }
    return least;
  }

 private:
  static constexpr std::size_t rows = 4;
  static constexpr std::size_t row = 4;

  /// The copy begins with what the other has counted.
  struct counter {
    counter() noexcept = default;
    counter(counter const& other) noexcept : hits{other.hits.load(std::memory_order_relaxed)} {}
    counter& operator=(counter const&) = delete;
    std::atomic<std::uint64_t> hits{0};
  };
  struct alignas(detail::apart) block {
    std::array<counter, rows * row> counters{};
  };

  /// A user's poor hash will do.
  [[nodiscard]] static std::uint64_t mix(std::uint64_t hash) noexcept {
    std::uint64_t const product = hash * 0x9e37'79b9'7f4a'7c15U;
    return product ^ product >> 32U;
  }
  /// Two bits for each row; the bits above them choose the block.
  [[nodiscard]] static std::size_t place(std::uint64_t bits, std::size_t r) noexcept {
    return row * r + static_cast<std::size_t>(bits >> 2U * r & 3U);
  }
  [[nodiscard]] std::size_t index(std::uint64_t bits) const noexcept {
    return static_cast<std::size_t>(bits >> 2U * rows) & (blocks_.size() - 1);
  }

  std::vector<block> blocks_;  // their number is a power of two
};

static_assert(stats_recorder<key_counting_stats>);

}  // namespace kcache

#endif
