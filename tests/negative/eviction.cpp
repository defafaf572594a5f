// SPDX-License-Identifier: BSL-1.0
// An eviction policy without a hook, and one whose queue may throw where the cache could not
// recover.
// expect 1: kcache: with_eviction<E>: E is no eviction policy, see policies/eviction.hpp
// expect 2: kcache: with_eviction<E>: E is no eviction policy, see policies/eviction.hpp
#include <kcache/cache.hpp>

struct newest_goes {
#if ERROR_CASE != 1
  struct hook {};
#endif
  template <class Entries>
  struct queue {
    queue(Entries const&, std::uint64_t) {}
    void insert(kcache::slot s) noexcept { newest = s; }
#if ERROR_CASE == 2
    void erase(kcache::slot) { newest = kcache::no_slot; }
#else
    void erase(kcache::slot) noexcept { newest = kcache::no_slot; }
#endif
    kcache::slot evict() noexcept { return newest; }
    kcache::slot newest = kcache::no_slot;
  };
};

int main() {
  kcache::cache<int, int, kcache::with_eviction<newest_goes>> c{{.capacity = 1}};
  c.put(1, 1);
}
