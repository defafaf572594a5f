// SPDX-License-Identifier: BSL-1.0
// A clock whose now() may throw, and a type that tells no time.
// expect 1: kcache: with_clock<C>: C is no clock, see policies/clock.hpp
// expect 2: kcache: with_clock<C>: C is no clock, see policies/clock.hpp
#include <kcache/cache.hpp>

struct my_clock {
#if ERROR_CASE == 1
  kcache::time_point now() const { return {}; }
#elif ERROR_CASE == 2
  long now() const noexcept { return 0; }
#else
  kcache::time_point now() const noexcept { return {}; }
#endif
};

int main() {
  kcache::cache<int, int, kcache::with_clock<my_clock>> c{{.capacity = 1}};
  c.put(1, 1);
}
