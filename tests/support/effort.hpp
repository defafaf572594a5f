// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_TESTS_SUPPORT_EFFORT_HPP
#define KCACHE_TESTS_SUPPORT_EFFORT_HPP
/// \file
/// How long a test that can run for any time runs: seconds, or as the suite `full` wants.

#include <cstdint>
#include <cstdlib>

namespace test {

/// True under `tests/run --full`: the environment says KCACHE_FULL=1.
[[nodiscard]] inline bool full() {
  auto const* const set = std::getenv("KCACHE_FULL");
  return set != nullptr && *set == '1';
}

[[nodiscard]] inline std::uint64_t effort(std::uint64_t usual, std::uint64_t in_full) {
  return full() ? in_full : usual;
}

}  // namespace test

#endif
