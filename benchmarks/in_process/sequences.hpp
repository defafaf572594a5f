// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_BENCHMARKS_IN_PROCESS_SEQUENCES_HPP
#define KCACHE_BENCHMARKS_IN_PROCESS_SEQUENCES_HPP
/// \file
/// Which keys are asked for, in which order: made before anything is measured.

#include "../bench.hpp"
#include "entrant.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace bench {

/// Ranks from 0 to n - 1, rank r with a probability proportional to 1 / (r + 1)^0.99: rejection
/// inversion (W. Hörmann, G. Derflinger, "Rejection-inversion to generate variates from monotone
/// discrete distributions", ACM TOMACS 6(3), 1996).
class zipf {
 public:
  explicit zipf(std::uint64_t n)
      : n_{static_cast<double>(n)},
        low_{integral(1.5) - 1},
        high_{integral(n_ + 0.5)},
        accept_{2 - inverse(integral(2.5) - std::pow(2, -exponent))} {}

  std::uint64_t operator()(random& r) const {
    for (;;) {
      double const unit = static_cast<double>(r() >> 11U) * 0x1p-53;
      double const u = high_ + unit * (low_ - high_);
      double const x = inverse(u);
      double const k = std::clamp(std::floor(x + 0.5), 1.0, n_);
      if (k - x <= accept_ || u >= integral(k + 0.5) - std::pow(k, -exponent))
        return static_cast<std::uint64_t>(k) - 1;
    }
  }

 private:
  static constexpr double exponent = 0.99;
  static double integral(double x) { return (std::pow(x, 1 - exponent) - 1) / (1 - exponent); }
  static double inverse(double y) { return std::pow(1 + (1 - exponent) * y, 1 / (1 - exponent)); }

  double n_, low_, high_, accept_;
};

/// `length` ranks below `among`.
[[nodiscard]] inline std::vector<std::uint32_t> zipf_ranks(std::uint64_t among,
                                                           std::size_t length) {
  zipf const draw{among};
  random r{2026};
  std::vector<std::uint32_t> ranks(length);
  for (auto& rank : ranks) rank = static_cast<std::uint32_t>(draw(r));
  return ranks;
}

/// A random order, the same each time. Without it the keys asked for most would lie side by side
/// in memory, since they were put one after the other.
template <class T>
void shuffle(std::vector<T>& items) {
  random r{7};
  for (std::size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[r() % i]);
}

/// At i: the sum of `f` of the first i items.
template <class Item, class F>
[[nodiscard]] std::vector<std::uint64_t> running_sums(std::vector<Item> const& items, F f) {
  std::vector<std::uint64_t> sums{0};
  sums.reserve(items.size() + 1);
  for (auto const& item : items) sums.push_back(sums.back() + f(item));
  return sums;
}
/// Of the `n` items of a ring from `from` on, less than all.
[[nodiscard]] inline std::uint64_t sum_of(std::vector<std::uint64_t> const& sums, std::size_t from,
                                          std::size_t n) {
  std::size_t const size = sums.size() - 1;
  if (from + n <= size) return sums[from + n] - sums[from];
  return sums[size] - sums[from] + sums[from + n - size];
}

/// Items in a ring, of which each thread reads on from a place of its own. Several rings may be of
/// the same items.
template <class Item>
class ring {
 public:
  explicit ring(std::shared_ptr<std::vector<Item> const> items) : items_{std::move(items)} {
    expect(std::has_single_bit(items_->size()), "a ring of no power of two");
    for (unsigned t = 0; t != most_threads; ++t) at_[t].next = t * (items_->size() / most_threads);
  }

  /// The position of thread `t`'s next item.
  [[nodiscard]] std::size_t next(unsigned t) const {
    return at_[t].next & (items_->size() - 1);
  }
  /// Calls `f` with the next `n` items of thread `t`.
  template <class F>
  void each(unsigned t, std::size_t n, F f) {
    Item const* const items = items_->data();
    std::size_t const mask = items_->size() - 1;
    std::size_t at = at_[t].next;
    for (; n != 0; --n) f(items[at++ & mask]);
    at_[t].next = at;
  }

 private:
  struct alignas(128) place {
    std::size_t next = 0;
  };
  std::shared_ptr<std::vector<Item> const> items_;
  place at_[most_threads];
};

}  // namespace bench

#endif
