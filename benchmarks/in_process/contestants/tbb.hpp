// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_BENCHMARKS_IN_PROCESS_CONTESTANTS_TBB_HPP
#define KCACHE_BENCHMARKS_IN_PROCESS_CONTESTANTS_TBB_HPP
/// \file
/// oneTBB's preview of an LRU cache: loading, so that it has no put.

#include "../kinds.hpp"
#include "contestant.hpp"

#define TBB_PREVIEW_CONCURRENT_LRU_CACHE 1
#include <oneapi/tbb/concurrent_lru_cache.h>

#include <cstddef>

namespace bench {

template <class Kind>
class tbb_lru {
 public:
  static constexpr char const* name = "oneTBB LRU";
  static constexpr role part = role::peer;

  explicit tbb_lru(std::size_t capacity) : cache_{loader{}, capacity} {}

  /// Loads what is missing, as `read_through`; true if nothing had to be loaded.
  template <class F>
  bool read(typename Kind::key_arg k, F f) {
    return read_through(k, f);
  }
  template <class F>
  bool read_through(typename Kind::key_arg k, F f) {
    auto const before = my_loads();
    auto handle = cache_[typename Kind::key(k)];
    f(static_cast<typename Kind::value const&>(handle.value()));
    return my_loads() == before;
  }
  /// Does not tell.
  [[nodiscard]] std::size_t size() const { return 0; }

 private:
  /// Loads run on the caller's thread.
  static std::size_t& my_loads() {
    thread_local std::size_t loads = 0;
    return loads;
  }
  struct loader {
    typename Kind::value operator()(typename Kind::key const& k) const {
      ++my_loads();
      typename Kind::value_source source;
      return Kind::own(source(k));
    }
  };
  tbb::concurrent_lru_cache<typename Kind::key, typename Kind::value, loader> cache_;
};

}  // namespace bench

#endif
