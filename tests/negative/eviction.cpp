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
  template <class Node>
  struct queue {
    explicit queue(std::uint64_t) {}
    void insert(Node& n) noexcept { newest = &n; }
#if ERROR_CASE == 2
    void touch(Node&) {}
#else
    void touch(Node&) noexcept {}
#endif
    void erase(Node& n) noexcept { newest = newest == &n ? nullptr : newest; }
    Node* victim() noexcept { return newest; }
    Node* newest = nullptr;
  };
};

int main() {
  kcache::cache<int, int, kcache::with_eviction<newest_goes>> c{{.capacity = 1}};
  c.put(1, 1);
}
