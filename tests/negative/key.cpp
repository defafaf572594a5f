// SPDX-License-Identifier: BSL-1.0
// A key without a hash, and keys and values that are no object types.
// expect 1: kcache: cache<K, V, P>: the hash policy does not take K: specialise std::hash
// expect 2: kcache: cache<K, V>: K must be an object type that can be moved and compared
// expect 3: kcache: cache<K, V>: V must be an object type that can be moved
#include <kcache/cache.hpp>

struct point {
  int x = 0;
  int y = 0;
  bool operator==(point const&) const = default;
};

#if ERROR_CASE != 1
template <>
struct std::hash<point> {
  std::size_t operator()(point const& p) const noexcept {
    return static_cast<std::size_t>(p.x) * 31 + static_cast<std::size_t>(p.y);
  }
};
#endif

#if ERROR_CASE == 2
template class kcache::cache<point const, int>;
#elif ERROR_CASE == 3
template class kcache::cache<point, int const>;
#else
template class kcache::cache<point, int>;
#endif
