// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_POLICIES_EXPIRY_HPP
#define KCACHE_POLICIES_EXPIRY_HPP
/// \file
/// Floor 1. The expiry policy: until when an entry is served.
///
/// | expression | result | semantics |
/// |---|---|---|
/// | `E e;` `E f{e};` | | an object that the cache stores |
/// | `e.expires_at(key, value, w)` on a const object | `time_point` | `w` is a `write_time`; called once per put, outside the locks, by several threads at once; may throw |
///
/// `key` and `value` are views. An entry is served while the clock is before the result; `never`
/// keeps it until it is evicted, an instant that is not after `w.now` stores nothing.
///
/// Models: `expire_after_write` (the default); a policy of yours, by value for instance:
///
///     struct by_lease {
///       auto expires_at(int, lease const& l, kcache::write_time const& w) const {
///         return kcache::after(w.now, l.length);
///       }
///     };

#include <kcache/storage_traits.hpp>
#include <kcache/time.hpp>

#include <concepts>

namespace kcache {

/// What is known of a write when its expiry is asked for.
struct write_time {
  /// The cache's clock at the write.
  time_point now;
  /// What the caller asked for; `ttl::use_default()` if it did not say.
  ttl requested;
  /// The cache's default; never `use_default()`.
  ttl default_ttl;
};

template <class E, class Key, class Value>
concept expiry = std::copy_constructible<E> &&
                 requires(E const& e, typename storage_traits<Key>::view_type key,
                          typename storage_traits<Value>::view_type value, write_time const& w) {
                   { e.expires_at(key, value, w) } -> std::same_as<time_point>;
                 };

/// The requested time to live, or the default, counted from the write.
struct expire_after_write {
  template <class Key, class Value>
  [[nodiscard]] constexpr time_point expires_at(Key const&, Value const&,
                                                write_time const& w) const noexcept {
    return w.requested.value_or(w.default_ttl).expires_at(w.now);
  }
};

}  // namespace kcache

#endif
