// SPDX-License-Identifier: BSL-1.0
// An expiry policy that yields a duration where an instant is asked for, and one whose dates are
// one instant.
// expect 1: kcache: cache<K, V, P>: the expiry policy does not fit K and V, see policies/expiry.hpp
// expect 2: kcache: cache<K, V, P>: the expiry policy's dates(w, expires_at) must be const
#include <kcache/cache.hpp>

struct one_second {
#if ERROR_CASE == 1
  kcache::duration expires_at(int, int, kcache::write_time const&) const { return {}; }
#else
  kcache::time_point expires_at(int, int, kcache::write_time const& w) const { return w.now; }
#endif
#if ERROR_CASE == 2
  kcache::time_point dates(kcache::write_time const& w, kcache::time_point) const { return w.now; }
#else
  kcache::entry_dates dates(kcache::write_time const& w, kcache::time_point t) const {
    return {w.now, t};
  }
#endif
};

int main() {
  kcache::cache<int, int, kcache::with_expiry<one_second>> c{{.capacity = 1}};
  c.put(1, 1);
}
