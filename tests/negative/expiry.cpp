// SPDX-License-Identifier: BSL-1.0
// An expiry policy that yields a duration where an instant is asked for.
// expect: kcache: cache<K, V, P>: the expiry policy does not fit K and V, see policies/expiry.hpp
#include <kcache/cache.hpp>

struct one_second {
#ifdef ERROR_CASE
  kcache::duration expires_at(int, int, kcache::write_time const&) const { return {}; }
#else
  kcache::time_point expires_at(int, int, kcache::write_time const& w) const { return w.now; }
#endif
};

int main() {
  kcache::cache<int, int, kcache::with_expiry<one_second>> c{{.capacity = 1}};
  c.put(1, 1);
}
