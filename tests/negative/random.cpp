// SPDX-License-Identifier: BSL-1.0
// A random source of 32 bits.
// expect: kcache: with_random<R>: R is no random_source, see policies/random.hpp
#include <kcache/cache.hpp>

struct dice {
#ifdef ERROR_CASE
  std::uint32_t next() { return 4; }
#else
  std::uint64_t next() { return 4; }
#endif
};

int main() {
  kcache::cache<int, int, kcache::with_random<dice>> c{{.capacity = 1}};
  c.put(1, 1);
}
