// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_STORAGE_TRAITS_HPP
#define KCACHE_STORAGE_TRAITS_HPP
/// \file
/// Floor 0. `storage_traits`: how a key or a value is read once it is in a cache.
///
/// Nobody sees the stored object itself but a view of it, so that the engine may store it in
/// another form: a string's bytes flat in the node, for instance.
///
/// | expression | result | semantics |
/// |---|---|---|
/// | `storage_traits<T>::view_type` | | what look-ups take and handles yield |
/// | `storage_traits<T>::view(t)` | `view_type` | valid while `t` lives and is not changed; no throw |
/// | `storage_traits<T>::heap_bytes(t)` | `std::size_t` | bytes that `t` allocated; the same at every call; no throw |
///
/// Strings yield a `std::basic_string_view`, every other type a `T const&`. Specialise it to tell
/// `heap_bytes` for a type of your own (`cache_stats::bytes` sums it); keep `view_type` as it is.

#include <kcache/fwd.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace kcache {

template <class T>
struct storage_traits {
  using view_type = T const&;
  [[nodiscard]] static constexpr view_type view(T const& t) noexcept { return t; }
  /// The general type does not tell: 0.
  [[nodiscard]] static constexpr std::size_t heap_bytes(T const&) noexcept { return 0; }
};

template <class Char, class Traits, class Allocator>
struct storage_traits<std::basic_string<Char, Traits, Allocator>> {
  using string_type = std::basic_string<Char, Traits, Allocator>;
  using view_type = std::basic_string_view<Char, Traits>;
  [[nodiscard]] static constexpr view_type view(string_type const& s) noexcept { return s; }
  /// 0 where the string fits into its own object.
  [[nodiscard]] static std::size_t heap_bytes(string_type const& s) noexcept {
    auto const object = reinterpret_cast<std::uintptr_t>(&s);
    auto const bytes = reinterpret_cast<std::uintptr_t>(s.data());
    return bytes - object < sizeof s ? 0 : (s.capacity() + 1) * sizeof(Char);
  }
};

}  // namespace kcache

#endif
