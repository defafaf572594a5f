// SPDX-License-Identifier: BSL-1.0
// A weigher of something else than the cache's values, and one that yields a signed number.
// expect 1: kcache: cache<K, V, P>: the weigher does not take (key, value)
// expect 2: kcache: cache<K, V, P>: the weigher does not take (key, value)
#include <kcache/cache.hpp>

#include <string>
#include <string_view>
#include <vector>

struct by_length {
#if ERROR_CASE == 1
  std::size_t operator()(int, std::vector<int> const& v) const { return v.size(); }
#elif ERROR_CASE == 2
  int operator()(int, std::string_view v) const { return static_cast<int>(v.size()); }
#else
  std::size_t operator()(int, std::string_view v) const { return v.size(); }
#endif
};

int main() {
  kcache::cache<int, std::string, kcache::with_weigher<by_length>> c{{.capacity = 100}};
  c.put(1, "one");
}
