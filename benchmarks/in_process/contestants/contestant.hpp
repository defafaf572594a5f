// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_BENCHMARKS_IN_PROCESS_CONTESTANTS_CONTESTANT_HPP
#define KCACHE_BENCHMARKS_IN_PROCESS_CONTESTANTS_CONTESTANT_HPP
/// \file
/// The one interface behind which all caches are measured.

#include <chrono>
#include <concepts>
#include <cstddef>

namespace bench {

inline constexpr std::chrono::hours time_to_live{1};

enum class role {
  seed,      ///< what the first ratio is to
  baseline,  ///< what the second ratio is to
  peer,      ///< is only shown
  policy,    ///< of kcache: the best of these is held against the bars
  lru,       ///< the same, and the default
};

/// Of a kind, see kinds.hpp. Made with a capacity in entries; threads share it.
template <class C, class Kind>
concept contestant = std::constructible_from<C, std::size_t> &&
    requires(C& c, typename Kind::key_arg k, typename Kind::value_arg v,
             void (&f)(typename Kind::value_arg)) {
  { C::name } -> std::convertible_to<char const*>;
  { C::part } -> std::convertible_to<role>;
  // Calls `f` with the value of `k`, if there is one; tells whether there was.
  { c.read(k, f) } -> std::same_as<bool>;
  // The entries, or nothing that makes sense (0).
  { c.size() } -> std::same_as<std::size_t>;
};

/// Can have its values replaced.
template <class C, class Kind>
concept writable = requires(C& c, typename Kind::key_arg k, typename Kind::value_arg v) {
  c.put(k, v);
};

/// What is not a loading cache reads through by a get, and a put if that misses. Yields true if
/// there was a hit.
template <class C, class Kind, class F>
bool read_through(C& c, typename Kind::key_arg k, typename Kind::value_source& source, F f) {
  if constexpr (requires { c.read_through(k, f); }) {
    return c.read_through(k, f);
  } else {
    if (c.read(k, f)) return true;
    auto&& value = source(k);
    if constexpr (requires { c.put_new(k, value); }) {
      c.put_new(k, value);
    } else {
      c.put(k, value);
    }
    return false;
  }
}

/// Puts a key that has no entry.
template <class C, class Kind>
void put_new(C& c, typename Kind::key_arg k, typename Kind::value_source& source) {
  if constexpr (requires { c.read_through(k, [](auto const&) {}); }) {
    c.read_through(k, [](auto const&) {});
  } else if constexpr (requires { c.put_new(k, source(k)); }) {
    c.put_new(k, source(k));
  } else {
    c.put(k, source(k));
  }
}

}  // namespace bench

#endif
