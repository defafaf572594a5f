// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_MIN_MAX_HPP
#define KCACHE_DETAIL_MIN_MAX_HPP
/// \file
/// Floor 0. `min_of` and `max_of`: all that the cache would include <algorithm> for, which is 8,600
/// lines for everyone who includes the cache.

#include <type_traits>

namespace kcache::detail {

/// By value; the first argument's type decides.
template <class T>
[[nodiscard]] constexpr T min_of(T a, std::type_identity_t<T> b) {
  return b < a ? b : a;
}
template <class T>
[[nodiscard]] constexpr T max_of(T a, std::type_identity_t<T> b) {
  return a < b ? b : a;
}

}  // namespace kcache::detail

#endif
