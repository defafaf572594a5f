// SPDX-License-Identifier: BSL-1.0
// A bundle that restates the policies instead of deriving from the defaults.
// expect: kcache: cache<K, V, P>: P must derive from kcache::default_policies
#include <kcache/cache.hpp>

#ifdef ERROR_CASE
struct mine {
  using clock = kcache::steady_clock;
  using executor = kcache::default_policies::executor;
  using random = kcache::system_random;
  using hash = kcache::keyed_hash;
  using weigher = kcache::unit_weigher;
  using expiry = kcache::expire_after_write;
  using eviction = kcache::lru;
  using stats = kcache::no_stats;
  using removal_listener = kcache::no_removal_listener;
};
#else
struct mine : kcache::default_policies {
  using clock = kcache::steady_clock;
};
#endif

int main() {
  kcache::cache<int, int, mine> c{{.capacity = 1}};
  c.put(1, 1);
}
