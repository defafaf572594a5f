// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_RESULT_HPP
#define KCACHE_RESULT_HPP
/// \file
/// Floor 0. `result<T>`: a value or an `error`; expected failures are returned, never thrown.

#include <kcache/config.hpp>
#include <kcache/error.hpp>

#include <type_traits>
#include <utility>
#include <variant>

namespace kcache {

/// A value or an error. A subset of `std::expected`, which C++20 does not have yet.
///
///     if (auto r = group.get("Tom")) use(*r);
///     else if (r.error() == kcache::errc::not_found) ...
///
/// Thread safety: as the contained value. `*`, `->` and `error()` assert that they fit.
template <class T>
class [[nodiscard]] result {
 public:
  using value_type = T;

  template <class U = T>
    requires(!std::is_same_v<std::remove_cvref_t<U>, result> &&
             !std::is_same_v<std::remove_cvref_t<U>, kcache::error> &&
             !std::is_same_v<std::remove_cvref_t<U>, errc> && std::is_constructible_v<T, U>)
  constexpr result(U&& value) : state_{std::in_place_index<0>, std::forward<U>(value)} {}
  /// A value made in place.
  template <class... Args>
  explicit constexpr result(std::in_place_t, Args&&... args)
      : state_{std::in_place_index<0>, std::forward<Args>(args)...} {}
  result(kcache::error e) : state_{std::in_place_index<1>, std::move(e)} {}
  result(errc code) : state_{std::in_place_index<1>, code} {}

  [[nodiscard]] constexpr bool has_value() const noexcept { return state_.index() == 0; }
  [[nodiscard]] explicit constexpr operator bool() const noexcept { return has_value(); }

  [[nodiscard]] T& operator*() & noexcept { return *get(); }
  [[nodiscard]] T const& operator*() const& noexcept { return *get(); }
  [[nodiscard]] T&& operator*() && noexcept { return std::move(*get()); }
  [[nodiscard]] T* operator->() noexcept { return get(); }
  [[nodiscard]] T const* operator->() const noexcept { return get(); }

  /// The value. \throws failure if there is none.
  [[nodiscard]] T& value() & { return check(), *get(); }
  [[nodiscard]] T const& value() const& { return check(), *get(); }
  [[nodiscard]] T&& value() && { return check(), std::move(*get()); }

  [[nodiscard]] kcache::error& error() & noexcept { return *err(); }
  [[nodiscard]] kcache::error const& error() const& noexcept { return *err(); }
  [[nodiscard]] kcache::error&& error() && noexcept { return std::move(*err()); }

 private:
  void check() const {
    if (!has_value()) throw failure{error()};
  }
  T* get() noexcept { return KCACHE_ASSERT(has_value()), std::get_if<0>(&state_); }
  T const* get() const noexcept { return KCACHE_ASSERT(has_value()), std::get_if<0>(&state_); }
  kcache::error* err() noexcept { return KCACHE_ASSERT(!has_value()), std::get_if<1>(&state_); }
  kcache::error const* err() const noexcept {
    return KCACHE_ASSERT(!has_value()), std::get_if<1>(&state_);
  }

  std::variant<T, kcache::error> state_;
};

/// Success, or an error.
template <>
class [[nodiscard]] result<void> {
 public:
  using value_type = void;

  result() noexcept = default;
  result(kcache::error e) : state_{std::in_place_index<1>, std::move(e)} {}
  result(errc code) : state_{std::in_place_index<1>, code} {}

  [[nodiscard]] bool has_value() const noexcept { return state_.index() == 0; }
  [[nodiscard]] explicit operator bool() const noexcept { return has_value(); }
  /// \throws failure on an error.
  void value() const {
    if (!has_value()) throw failure{error()};
  }
  [[nodiscard]] kcache::error const& error() const noexcept {
    KCACHE_ASSERT(!has_value());
    return *std::get_if<1>(&state_);
  }

 private:
  std::variant<std::monostate, kcache::error> state_;
};

}  // namespace kcache

#endif
