// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_POLICIES_REMOVAL_HPP
#define KCACHE_POLICIES_REMOVAL_HPP
/// \file
/// Floor 1. The removal listener policy: who is told that an entry left the cache, and why.
///
/// | expression | result | semantics |
/// |---|---|---|
/// | `L l;` `L m{l};` | | an object that the cache stores |
/// | `l(key, value, cause)` on a const object | | `key` and `value` are views, valid during the call; `cause` is a `removal_cause`; must not throw |
///
/// It is called once per entry that leaves, after the fact and outside all locks, on the thread
/// whose call removed the entry; so several threads may call at once, and two removals of one key
/// by two threads may be told in either order. It may call the cache. What `clear` removes is told
/// of later, by calls that put, by `remove_expired` or by the destructor. Entries that are there
/// when the cache is destroyed are not reported, nor are values that were never stored. An
/// exception ends the program. An empty `std::function` or null pointer is not called.
///
/// Models: `no_removal_listener` (the default, costs nothing); any function object of yours.
///
///     using log = std::function<void(std::string_view, int const&, kcache::removal_cause)>;
///     kcache::cache<std::string, int, kcache::with_removal_listener<log>> c{
///         {.capacity = 8,
///          .on_removal = [](auto, int, auto cause) { std::puts(kcache::name(cause)); }}};

#include <kcache/storage_traits.hpp>

#include <concepts>
#include <cstdint>

namespace kcache {

/// Why an entry left.
enum class removal_cause : std::uint8_t {
  /// Its time to live was over; that it was replaced or erased afterwards does not matter.
  expired,
  /// It made room for another.
  size,
  /// A new value was put under its key, whether or not that one could be stored.
  replaced,
  /// `erase` or `clear`.
  erased,
};

/// The name of a cause, as it stands in the enumeration.
[[nodiscard]] constexpr char const* name(removal_cause c) noexcept {
  switch (c) {
    case removal_cause::expired: return "expired";
    case removal_cause::size: return "size";
    case removal_cause::replaced: return "replaced";
    case removal_cause::erased: return "erased";
  }
  return "unknown cause";
}

template <class L, class Key, class Value>
concept removal_listener = std::copy_constructible<L> &&
                           requires(L const& l, typename storage_traits<Key>::view_type key,
                                    typename storage_traits<Value>::view_type value,
                                    removal_cause cause) { l(key, value, cause); };

/// Nobody is told.
struct no_removal_listener {
  template <class Key, class Value>
  constexpr void operator()(Key const&, Value const&, removal_cause) const noexcept {}
};

}  // namespace kcache

#endif
