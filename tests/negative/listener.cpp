// SPDX-License-Identifier: BSL-1.0
// A removal listener that does not take the cause.
// expect: kcache: cache<K, V, P>: the listener does not take (key, value, cause)
#include <kcache/cache.hpp>

struct heard {
#ifdef ERROR_CASE
  void operator()(int, int) const {}
#else
  void operator()(int, int, kcache::removal_cause) const {}
#endif
};

int main() {
  kcache::cache<int, int, kcache::with_removal_listener<heard>> c{{.capacity = 1}};
  c.put(1, 1);
}
