// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_POLICIES_WEIGHER_HPP
#define KCACHE_POLICIES_WEIGHER_HPP
/// \file
/// Floor 1. The weigher policy: in which unit a cache's capacity counts.
///
/// | expression | result | semantics |
/// |---|---|---|
/// | `W w;` `W u{w};` | | an object that the cache stores |
/// | `w(key, value)` on a const object | unsigned integer | called once per put, outside the locks, by several threads at once; may throw; 0 counts as 1 |
///
/// `key` and `value` are views (`storage_traits<T>::view_type`). The weight of an entry is fixed
/// when it is put.
///
/// Models, cheapest first: `unit_weigher` (the default: capacity is a number of entries); any
/// function object of yours, a lambda too.
///
///     struct by_length {
///       std::size_t operator()(int, std::string_view page) const { return page.size(); }
///     };
///     kcache::cache<int, std::string, kcache::with_weigher<by_length>> c{{.capacity = 1 << 20}};

#include <kcache/storage_traits.hpp>

#include <concepts>
#include <cstdint>

namespace kcache {

template <class W, class Key, class Value>
concept weigher = std::copy_constructible<W> &&
                  requires(W const& w, typename storage_traits<Key>::view_type key,
                           typename storage_traits<Value>::view_type value) {
                    { w(key, value) } -> std::unsigned_integral;
                  };

/// Every entry weighs 1. Costs nothing: the cache then stores no weights.
struct unit_weigher {
  template <class Key, class Value>
  [[nodiscard]] constexpr std::uint64_t operator()(Key const&, Value const&) const noexcept {
    return 1;
  }
};

}  // namespace kcache

#endif
