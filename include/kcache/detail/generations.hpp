// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_GENERATIONS_HPP
#define KCACHE_DETAIL_GENERATIONS_HPP
/// \file
/// Floor 3. `generations`: how a load knows, at its end, that its key was invalidated since it
/// began.
///
/// A key's generation is a number that every invalidation of it raises. Who is about to read the
/// source notes it, and stores what was read only if it is the same still, asked under the lock
/// that orders the key's writes and erases (`cache::put_if`): an invalidation raises first and
/// erases then, so that the value is either refused or erased. That holds for whoever reads the
/// source, a load, a refresh or, later, a peer.
///
/// A number per key would need a table of keys that only grows. Instead keys share `stripes` of
/// them by their hash: absent keys are covered, nothing is to be collected, and the price is that
/// an invalidation of one key in 4,096 keeps this one's load under way from being stored. Clearing
/// everything raises one number more, which is part of each. 32 KiB.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace kcache::detail {

/// Thread safe.
class generations {
 public:
  /// Of a key, by its hash.
  [[nodiscard]] std::uint64_t of(std::uint64_t hash) const noexcept {
    return all_.load(std::memory_order_seq_cst) + at(hash).load(std::memory_order_seq_cst);
  }
  void raise(std::uint64_t hash) noexcept {
    at(hash).fetch_add(1, std::memory_order_seq_cst);
  }
  void raise_all() noexcept { all_.fetch_add(1, std::memory_order_seq_cst); }

 private:
  static constexpr std::size_t stripes = 4'096;
  using counter = std::atomic<std::uint64_t>;
  [[nodiscard]] counter& at(std::uint64_t hash) noexcept { return of_[hash % stripes]; }
  [[nodiscard]] counter const& at(std::uint64_t hash) const noexcept {
    return of_[hash % stripes];
  }

  counter all_{0};
  std::array<counter, stripes> of_{};
};

}  // namespace kcache::detail

#endif
