// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_EXPIRY_BLOCKS_HPP
#define KCACHE_DETAIL_EXPIRY_BLOCKS_HPP
/// \file
/// Floor 2. Which slots have expired, without an order of all of them.
///
/// Sixteen neighbouring slots are a block. A block knows a bound: no entry in it expires earlier.
/// A heap yields the block with the earliest bound; once that has passed, the block's slots are
/// looked at, what has expired is taken, and the bound is set to the earliest of the rest. An entry
/// that leaves or lives longer changes nothing: its block's bound is merely too early, and costs
/// one look later. So a look is paid for by a write: O(16 + log(n / 16)), to the nanosecond, for
/// one byte an entry. (A timing wheel takes links in each entry, 8 bytes or more, and is exact to
/// its tick; a heap of entries takes 16 bytes and O(log n) for every write.)

#include <kcache/time.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace kcache::detail {

class expiry_blocks {
 public:
  static constexpr std::uint32_t block_slots = 16;
  static constexpr std::uint32_t none = 0xffffffffU;

  /// Makes room for slots below `slots`. The only operation that may throw; then nothing changed.
  void reserve(std::size_t slots) {
    if (slots > block_slots * bounds_.size()) grow(slots);
  }
  /// The entry in `slot`, below what was reserved, expires at `at`.
  void note(std::uint32_t slot, time_point at) noexcept {
    std::uint32_t const b = slot / block_slots;
    if (at >= bounds_[b]) return;
    bounds_[b] = at;
    rise(places_[b]);
    earliest_ = bound(0);
  }
  /// A block whose bound is not after `now`, or `none`.
  [[nodiscard]] std::uint32_t due(time_point now) const noexcept {
    return earliest_ > now || earliest_ == never ? none : heap_[0];
  }
  /// The bound of the block that is due is `at` from now on, which is not earlier than before.
  void settle(std::uint32_t block, time_point at) noexcept {
    bounds_[block] = at;
    sink(places_[block]);
    earliest_ = bound(0);
  }
  [[nodiscard]] std::size_t bytes() const noexcept {
    return bounds_.capacity() * sizeof(time_point) +
           (places_.capacity() + heap_.capacity()) * sizeof(std::uint32_t);
  }

 private:
  [[gnu::noinline]] void grow(std::size_t slots) {
    std::size_t const blocks = (slots + block_slots - 1) / block_slots;
    bounds_.reserve(blocks);
    places_.reserve(blocks);
    heap_.reserve(blocks);
    for (std::size_t b = bounds_.size(); b != blocks; ++b) {
      bounds_.push_back(never);
      places_.push_back(static_cast<std::uint32_t>(b));
      heap_.push_back(static_cast<std::uint32_t>(b));
    }
  }
  [[nodiscard]] time_point bound(std::size_t place) const noexcept {
    return bounds_[heap_[place]];
  }
  void exchange(std::size_t a, std::size_t b) noexcept {
    std::swap(heap_[a], heap_[b]);
    places_[heap_[a]] = static_cast<std::uint32_t>(a);
    places_[heap_[b]] = static_cast<std::uint32_t>(b);
  }
  void rise(std::size_t at) noexcept {
    for (std::size_t up = 0; at != 0 && bound(at) < bound(up = (at - 1) / 2); at = up) {
      exchange(at, up);
    }
  }
  void sink(std::size_t at) noexcept {
    for (;;) {
      std::size_t first = at;
      for (std::size_t const child : {2 * at + 1, 2 * at + 2}) {
        if (child < heap_.size() && bound(child) < bound(first)) first = child;
      }
      if (first == at) return;
      exchange(at, first);
      at = first;
    }
  }

  time_point earliest_ = never;
  std::vector<time_point> bounds_;     // by block
  std::vector<std::uint32_t> places_;  // by block: where it is in the heap
  std::vector<std::uint32_t> heap_;    // of blocks
};

}  // namespace kcache::detail

#endif
