// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_FREQUENCY_SKETCH_HPP
#define KCACHE_DETAIL_FREQUENCY_SKETCH_HPP
/// \file
/// Floor 1. How often a key was asked for lately: approximate, 8 to 16 bytes for each entry.

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace kcache::detail {

/// A count-min sketch (Cormode, Muthukrishnan, "An improved data stream summary", J. Algorithms
/// 2005) of 4-bit counters that are halved from time to time, as TinyLFU has them (Einziger,
/// Friedman, Manes, ACM Transactions on Storage 13(4), 2017). A key has four counters, one in each
/// row, and its estimate is the least of them: other keys may raise it, nothing but ageing lowers
/// it. All four lie in one block of 64 bytes (blocked, as Putze, Sanders and Singler did it to
/// Bloom filters), so that a key costs one cache line.
///
/// Ageing halves all counters after ten additions for each entry, so that what was popular once
/// gives way. It takes a pass over the sketch: O(1) for each addition, amortised.
class frequency_sketch {
 public:
  static constexpr unsigned most = 15;

  /// For one entry. \throws std::bad_alloc
  frequency_sketch() : blocks_(1) {}

  /// Grows for as many entries and keeps what it counted: no estimate falls, nor rises. Never
  /// shrinks. \throws std::bad_alloc, then nothing has changed.
  void reserve(std::size_t entries) {
    std::size_t const size = std::bit_ceil(std::max(entries, std::size_t{8})) / 8;
    if (size <= blocks_.size()) return;
    std::vector<block> grown;
    grown.reserve(size);
    for (std::size_t i = 0; i != size; ++i) grown.push_back(blocks_[i & (blocks_.size() - 1)]);
    blocks_.swap(grown);
  }
  /// How many additions lie between two ageings.
  void age_after(std::uint64_t additions) noexcept { period_ = additions; }

  void add(std::uint64_t hash) noexcept {
    std::uint64_t const bits = mix(hash);
    auto& words = blocks_[index(bits)].words;
    std::uint64_t added = 0;
    for (unsigned row = 0; row != rows; ++row) {
      counter const at = place(bits, row);
      // No branch: whether a counter is full is hard to foretell.
      std::uint64_t const one = (words[at.word] >> at.shift & most) != most;
      words[at.word] += one << at.shift;
      added |= one;
    }
    if (added != 0 && ++additions_ >= period_) age();
  }

  /// At least the number of additions of that hash since the last ageing and half of the estimate
  /// before it, or `most`.
  [[nodiscard]] unsigned estimate(std::uint64_t hash) const noexcept {
    std::uint64_t const bits = mix(hash);
    auto const& words = blocks_[index(bits)].words;
    std::uint64_t least = most;
    for (unsigned row = 0; row != rows; ++row) {
      counter const at = place(bits, row);
      least = std::min(least, words[at.word] >> at.shift & most);
    }
    return static_cast<unsigned>(least);
  }

  /// Halves every counter.
  void age() noexcept {
    std::uint64_t odd = 0;
    for (auto& b : blocks_) {
      // Sixteen sums of up to eight, side by side; then one of all.
      std::uint64_t sums = 0;
      for (auto& word : b.words) {
        sums += word & 0x1111'1111'1111'1111U;
        word = word >> 1U & 0x7777'7777'7777'7777U;
      }
      sums = (sums & 0x0f0f'0f0f'0f0f'0f0fU) + (sums >> 4U & 0x0f0f'0f0f'0f0f'0f0fU);
      odd += sums * 0x0101'0101'0101'0101U >> 56U;
    }
    // What the halving rounded down is not half of an addition any more.
    additions_ = (additions_ - std::min(additions_, odd / rows)) / 2;
  }

  /// The bytes that it allocated.
  [[nodiscard]] std::size_t heap_bytes() const noexcept {
    return blocks_.capacity() * sizeof(block);
  }

 private:
  static constexpr unsigned rows = 4;

  /// Two words of 16 counters for each row.
  struct alignas(64) block {
    std::uint64_t words[8] = {};
  };
  struct counter {
    unsigned word;
    unsigned shift;
  };

  /// A hash of which some bits are the same for all keys of a shard will do.
  [[nodiscard]] static std::uint64_t mix(std::uint64_t hash) noexcept {
    std::uint64_t const product = hash * 0x9e37'79b9'7f4a'7c15U;
    return product ^ product >> 32U;
  }
  /// Five bits for each row; the bits above them choose the block.
  [[nodiscard]] static counter place(std::uint64_t bits, unsigned row) noexcept {
    auto const own = static_cast<unsigned>(bits >> 5U * row & 31U);
    return {2 * row + (own & 1U), (own >> 1U) * 4};
  }
  [[nodiscard]] std::size_t index(std::uint64_t bits) const noexcept {
    return static_cast<std::size_t>(bits >> 5U * rows) & (blocks_.size() - 1);
  }

  std::vector<block> blocks_;  // their number is a power of two
  std::uint64_t additions_ = 0;
  std::uint64_t period_ = 10;
};

}  // namespace kcache::detail

#endif
