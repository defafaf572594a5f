// SPDX-License-Identifier: BSL-1.0
// A recorder that misses one event.
// expect: kcache: with_stats<S>: S is no stats_recorder, see policies/stats.hpp
#include <kcache/cache.hpp>

struct recorder {
  void on_hit() noexcept {}
  void on_miss() noexcept {}
  void on_load() noexcept {}
  void on_load_failure() noexcept {}
  void on_removal(kcache::removal_cause) noexcept {}
#ifndef ERROR_CASE
  void on_refusal() noexcept {}
#endif
  void add_to(kcache::cache_stats&) const noexcept {}
};

int main() {
  kcache::cache<int, int, kcache::with_stats<recorder>> c{{.capacity = 1}};
  c.put(1, 1);
}
