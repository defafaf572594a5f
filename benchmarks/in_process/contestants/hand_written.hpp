// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_BENCHMARKS_IN_PROCESS_CONTESTANTS_HAND_WRITTEN_HPP
#define KCACHE_BENCHMARKS_IN_PROCESS_CONTESTANTS_HAND_WRITTEN_HPP
/// \file
/// The two caches that kcache is held against.

#include "../../list_map_cache.hpp"
#include "../../sharded_cache.hpp"
#include "../kinds.hpp"
#include "contestant.hpp"

#include <cstddef>
#include <type_traits>

namespace bench {

template <class Kind>
class list_map {
 public:
  static constexpr char const* name = "list + map + mutex";
  static constexpr role part = role::seed;

  explicit list_map(std::size_t capacity) : cache_{capacity, time_to_live} {}
  template <class F>
  bool read(typename Kind::key_arg k, F f) {
    auto const copy = cache_.get(k);
    if (copy) f(*copy);
    return copy.has_value();
  }
  void put(typename Kind::key_arg k, typename Kind::value_arg v) { cache_.put(k, v); }
  [[nodiscard]] std::size_t size() const { return cache_.size(); }

 private:
  list_map_cache<typename Kind::key, typename Kind::value> cache_;
};

template <class Kind, bool Reuse = false>
class sharded {
 public:
  static constexpr char const* name = Reuse ? "64 shards, nodes reused" : "64 shards";
  static constexpr role part = Reuse ? role::peer : role::baseline;

  explicit sharded(std::size_t capacity) : cache_{capacity, time_to_live} {}
  /// Numbers and strings are shown under the lock, which spares a copy. Of what is general a copy
  /// is taken, a shared pointer, since a user must not do with it what he likes under a lock.
  template <class F>
  bool read(typename Kind::key_arg k, F f) {
    if constexpr (std::is_same_v<Kind, general_kind>) {
      typename Kind::value copy;
      if (!cache_.visit(k, [&](auto const& v) { copy = v; })) return false;
      f(copy);
      return true;
    } else {
      return cache_.visit(k, f);
    }
  }
  void put(typename Kind::key_arg k, typename Kind::value_arg v) { cache_.put(k, v); }
  [[nodiscard]] std::size_t size() const { return cache_.size(); }

 private:
  sharded_cache<typename Kind::key, typename Kind::value, Reuse> cache_;
};

}  // namespace bench

#endif
