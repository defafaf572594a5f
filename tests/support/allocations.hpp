// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_TESTS_SUPPORT_ALLOCATIONS_HPP
#define KCACHE_TESTS_SUPPORT_ALLOCATIONS_HPP
/// \file
/// Counts this thread's allocations, and makes the n-th of them fail. The replacement of
/// `operator new` is in unit/cache_failures.cpp.

#include <cstddef>

namespace test {

/// Allocations of the calling thread since it began.
[[nodiscard]] std::size_t allocations() noexcept;

/// While it lives, the calling thread's `n`-th allocation from now (the first is 1) throws
/// `std::bad_alloc`, once.
class failing_allocation {
 public:
  explicit failing_allocation(std::size_t n) noexcept;
  failing_allocation(failing_allocation const&) = delete;
  failing_allocation& operator=(failing_allocation const&) = delete;
  ~failing_allocation();
  /// False: there were fewer than `n` allocations.
  [[nodiscard]] bool happened() const noexcept;
};

}  // namespace test

#endif
