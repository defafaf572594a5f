// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_POLICIES_HASH_HPP
#define KCACHE_POLICIES_HASH_HPP
/// \file
/// Floor 1. The hash policy: a key's 64 bits, from which its shard and its bucket are taken.
///
/// | expression | result | semantics |
/// |---|---|---|
/// | `H h;` `H g{h};` | | an object that the cache stores |
/// | `h(key)` on a const object | unsigned, 64 bits | equal keys, equal result; thread safe; may throw; a `noexcept` one is computed again instead of being kept with each entry |
/// | `h.seed(r)` | | optional: the cache calls it once, with its random source `r` |
/// | `H::is_avalanching` | | optional: says that every bit of a key changes every bit of the result |
///
/// `key` is what look-ups take: `storage_traits<Key>::view_type`. The result of a hash that does
/// not say `is_avalanching` is mixed before use, so that a plain `std::hash` will do.
///
/// Models, cheapest first: `keyed_hash` (the default), `sip_hash`; any functor of yours.
///
///     struct by_id { std::uint64_t operator()(user const& u) const { return u.id; } };
///     kcache::cache<user, int, kcache::with_hash<by_id>> c{{.capacity = 512}};

#include <kcache/config.hpp>
#include <kcache/detail/siphash.hpp>
#include <kcache/policies/random.hpp>
#include <kcache/storage_traits.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

namespace kcache {

namespace detail {

template <class T>
concept hash_code = std::unsigned_integral<T> && sizeof(T) == 8;

template <class T>
inline constexpr bool is_string_view = false;
template <class Char, class Traits>
inline constexpr bool is_string_view<std::basic_string_view<Char, Traits>> = true;

template <class T>
concept word = (std::integral<T> || std::is_enum_v<T>) && sizeof(T) <= sizeof(std::uint64_t);

template <class T>
concept std_hashable = requires(T const& t) {
  { std::hash<T>{}(t) } -> std::convertible_to<std::size_t>;
};

}  // namespace detail

template <class H, class Key>
concept key_hash = std::copy_constructible<H> &&
                   requires(H const& h, typename storage_traits<Key>::view_type key) {
                     { h(key) } -> detail::hash_code;
                   };

/// Keyed per cache, so that nobody outside can choose keys that collide: keyed multiplicative
/// mixers for strings (16 bytes in some 3 ns) and for integers and enumerations, and for other
/// types `std::hash` put through the mixer (which cannot part keys whose `std::hash` is equal).
/// The mixers are no cryptography: who fears an attacker that measures collisions from outside
/// takes `sip_hash`. Default
/// constructed it has the zero key until it is seeded. Does not throw unless `std::hash` does.
class keyed_hash {
 public:
  using is_avalanching = void;

  // Said, not deduced: g++ 12 crashes on a group initialised inside a class otherwise.
  keyed_hash() noexcept = default;

  template <random_source R>
  void seed(R& r) {
    key_.k0 = r.next();
    key_.k1 = r.next();
  }

  template <class T>
    requires(detail::is_string_view<T> || detail::word<T> || detail::std_hashable<T>)
  [[nodiscard]] KCACHE_INLINE std::uint64_t operator()(T const& key) const
      noexcept(detail::is_string_view<T> || detail::word<T> || noexcept(std::hash<T>{}(key))) {
    if constexpr (detail::is_string_view<T>) {
      return detail::mix_bytes(key_, key.data(), key.size() * sizeof(typename T::value_type));
    } else if constexpr (detail::word<T>) {
      return detail::mix(key_, static_cast<std::uint64_t>(key));
    } else {
      return detail::mix(key_, std::hash<T>{}(key));
    }
  }

 protected:
  detail::hash_key key_;
};

/// SipHash-1-3 for strings, at some 12 ns for 16 bytes; for the rest as `keyed_hash`. A
/// pseudo-random function, as in the hash tables of Rust and Python.
class sip_hash : public keyed_hash {
 public:
  template <class T>
    requires(detail::is_string_view<T> || detail::word<T> || detail::std_hashable<T>)
  [[nodiscard]] std::uint64_t operator()(T const& key) const
      noexcept(noexcept(std::declval<keyed_hash const&>()(key))) {
    if constexpr (detail::is_string_view<T>) {
      return detail::siphash<1, 3>(key_, key.data(), key.size() * sizeof(typename T::value_type));
    } else {
      return keyed_hash::operator()(key);
    }
  }
};

namespace detail {

/// What the cache calls: `h(key)`, mixed unless the policy says that it need not be.
template <class H, class View>
[[nodiscard]] KCACHE_INLINE std::uint64_t hash_of(H const& h,
                                                  View const& key) noexcept(noexcept(h(key))) {
  if constexpr (requires { typename H::is_avalanching; }) {
    return h(key);
  } else {
    return mix({}, h(key));
  }
}

}  // namespace detail
}  // namespace kcache

#endif
