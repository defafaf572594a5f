// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_CLUSTER_WIRE_TRAITS_HPP
#define KCACHE_CLUSTER_WIRE_TRAITS_HPP
/// \file
/// Floor 4. `wire_traits<T>`: how a key or a value becomes bytes, and comes back.
///
/// | expression | result | semantics |
/// |---|---|---|
/// | `wire_traits<T>::view(v)` (optional) | `byte_view` | the bytes, where they already lie in `v`: no copy |
/// | `wire_traits<T>::encode(v)` | `std::string` | the bytes; not needed where `view` exists |
/// | `wire_traits<T>::decode(bytes)` | `result<T>` | the value, or `bad_message`; never throws but `bad_alloc` |
///
/// `v` is what a read of `T` yields: `T const&`, or `std::string_view` for strings. Equal values
/// must have equal bytes (a key's bytes decide its owner). Given for strings, for integers (decimal
/// text, as the Go programs write them, so that `/_kcache/g/42` reads key 42), and by opt-in for
/// trivially copyable types without padding, which travel in the byte order of the machine:
///
///     template <> struct kcache::wire_traits<point> : kcache::trivially_copied<point> {};
///
/// For a type of your own, specialise it. A type that has none is refused at compile time where its
/// group joins a cluster.

#include <kcache/bytes.hpp>
#include <kcache/result.hpp>
#include <kcache/storage_traits.hpp>

#include <array>
#include <bit>
#include <charconv>
#include <concepts>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

namespace kcache {

template <class T>
struct wire_traits;  // specialise it: see the table above

template <>
struct wire_traits<std::string> {
  static byte_view view(std::string_view v) noexcept { return v; }
  static result<std::string> decode(byte_view bytes) { return std::string{bytes}; }
};

template <std::integral T>
  requires(!std::same_as<T, bool>)
struct wire_traits<T> {
  static std::string encode(T v) {
    char buffer[24];
    auto const end = std::to_chars(buffer, buffer + sizeof buffer, +v).ptr;
    return {buffer, end};
  }
  /// Only the form that `encode` writes is read: no sign `+`, no leading zeros, no spaces.
  static result<T> decode(byte_view bytes) {
    T v{};
    auto const [end, problem] = parse(bytes, v);
    if (problem != std::errc{} || end != bytes.data() + bytes.size() || encode(v) != bytes)
      return kcache::error{errc::bad_message, "not an integer of the group's type"};
    return v;
  }

 private:
  static std::from_chars_result parse(byte_view bytes, T& v) noexcept {
    auto n = +v;
    auto const r = std::from_chars(bytes.data(), bytes.data() + bytes.size(), n);
    v = static_cast<T>(n);
    return r;
  }
};

/// Base of a specialisation for a type whose object representation is its encoding. All nodes of
/// the cluster must agree on the type's layout and on byte order. Floating-point types are fit for
/// values only: 0.0 and -0.0 are equal but have different bytes, and so different owners.
template <class T>
struct trivially_copied {
  static_assert(std::is_trivially_copyable_v<T>,
                "kcache: trivially_copied<T> needs a trivially copyable T");
  static_assert(std::has_unique_object_representations_v<T> || std::is_floating_point_v<T>,
                "kcache: trivially_copied<T> needs a T without padding: equal values must have "
                "equal bytes");
  static byte_view view(T const& v) noexcept {
    return {reinterpret_cast<char const*>(&v), sizeof v};
  }
  static result<T> decode(byte_view bytes) {
    std::array<char, sizeof(T)> copy;
    if (bytes.size() != copy.size()) return kcache::error{errc::bad_message, "wrong size"};
    std::memcpy(copy.data(), bytes.data(), copy.size());
    return std::bit_cast<T>(copy);
  }
};

namespace detail {
template <class T>
concept viewed_on_the_wire = requires(typename storage_traits<T>::view_type v) {
  { wire_traits<T>::view(v) } -> std::convertible_to<byte_view>;
};
template <class T>
concept encoded_for_the_wire = requires(typename storage_traits<T>::view_type v) {
  { wire_traits<T>::encode(v) } -> std::convertible_to<std::string>;
};
}  // namespace detail

/// A type that can travel.
template <class T>
concept wire_type = (detail::viewed_on_the_wire<T> || detail::encoded_for_the_wire<T>) &&
                    requires(byte_view bytes) {
                      { wire_traits<T>::decode(bytes) } -> std::same_as<result<T>>;
                    };

}  // namespace kcache

#endif
