// SPDX-License-Identifier: BSL-1.0
// Types that would not travel as their own bytes: one with a pointer inside, one with padding.
// expect 1: kcache: trivially_copied<T> needs a trivially copyable T
// expect 2: kcache: trivially_copied<T> needs a T without padding
#include <kcache/cluster/wire_traits.hpp>

struct point {
#if ERROR_CASE == 1
  std::string x;
#elif ERROR_CASE == 2
  char x;
#else
  int x;
#endif
  int y;
};

template <>
struct kcache::wire_traits<point> : kcache::trivially_copied<point> {};

static_assert(kcache::wire_type<point>);

int main() {}
