// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_BENCHMARKS_IN_PROCESS_CONTESTANTS_HPP
#define KCACHE_BENCHMARKS_IN_PROCESS_CONTESTANTS_HPP
/// \file
/// Who takes part. oneTBB and RocksDB do where the build has found them.

#include "contestants/contestant.hpp"
#include "contestants/hand_written.hpp"
#include "contestants/kcache.hpp"
#ifdef BENCH_WITH_TBB
#include "contestants/tbb.hpp"
#endif
#ifdef BENCH_WITH_ROCKSDB
#include "contestants/rocksdb.hpp"
#endif

namespace bench {

/// Calls `f<C>()` for each contestant C of the kind.
template <class Kind, class F>
void each_contestant(F f) {
  static_assert(contestant<list_map<Kind>, Kind> && contestant<sharded<Kind>, Kind>);
  f.template operator()<list_map<Kind>>();
  f.template operator()<sharded<Kind>>();
  f.template operator()<sharded<Kind, true>>();
#ifdef BENCH_WITH_TBB
  f.template operator()<tbb_lru<Kind>>();
#endif
#ifdef BENCH_WITH_ROCKSDB
  f.template operator()<rocksdb_lru<Kind>>();
  f.template operator()<rocksdb_hyper_clock<Kind>>();
#endif
  each_bundle([&]<class Entry>() {
    static_assert(contestant<kcache_with<Kind, Entry>, Kind>);
    f.template operator()<kcache_with<Kind, Entry>>();
  });
}

}  // namespace bench

#endif
