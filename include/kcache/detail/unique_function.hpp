// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_UNIQUE_FUNCTION_HPP
#define KCACHE_DETAIL_UNIQUE_FUNCTION_HPP
/// \file
/// Floor 0. `unique_function`: a move-only callable, as `std::move_only_function` of C++23.

#include <kcache/config.hpp>

#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

namespace kcache {

template <class Signature>
class unique_function;

/// Holds any callable, move-only ones too. Callables of at most 56 bytes that move without
/// throwing are kept in place; larger ones cost one allocation. Calling an empty one asserts.
template <class R, class... Args>
class unique_function<R(Args...)> {
  static constexpr std::size_t room = 56;

 public:
  unique_function() noexcept = default;
  unique_function(std::nullptr_t) noexcept {}

  template <class F>
    requires(!std::is_same_v<std::remove_cvref_t<F>, unique_function> &&
             std::is_invocable_r_v<R, std::decay_t<F>&, Args...>)
  unique_function(F&& f) {
    using function = std::decay_t<F>;
    if constexpr (fits<function>) {
      ::new (static_cast<void*>(store_)) function(std::forward<F>(f));
      ops_ = &in_place<function>;
    } else {
      ::new (static_cast<void*>(store_)) function*(new function(std::forward<F>(f)));
      ops_ = &on_heap<function>;
    }
  }

  unique_function(unique_function&& other) noexcept : ops_{std::exchange(other.ops_, nullptr)} {
    if (ops_) ops_->move(store_, other.store_);
  }
  unique_function& operator=(unique_function&& other) noexcept {
    if (this == &other) return *this;
    reset();
    ops_ = std::exchange(other.ops_, nullptr);
    if (ops_) ops_->move(store_, other.store_);
    return *this;
  }
  ~unique_function() { reset(); }

  [[nodiscard]] explicit operator bool() const noexcept { return ops_ != nullptr; }

  R operator()(Args... args) {
    KCACHE_ASSERT(ops_);
    return ops_->call(store_, std::forward<Args>(args)...);
  }

 private:
  struct operations {
    R (*call)(void* store, Args&&... args);
    void (*move)(void* to, void* from) noexcept;
    void (*destroy)(void* store) noexcept;
  };

  template <class F>
  static constexpr bool fits = sizeof(F) <= room && alignof(F) <= alignof(void*) &&
                               std::is_nothrow_move_constructible_v<F>;

  template <class F>
  static constexpr operations in_place{
      [](void* store, Args&&... args) -> R {
        return static_cast<R>((*static_cast<F*>(store))(std::forward<Args>(args)...));
      },
      [](void* to, void* from) noexcept {
        ::new (to) F(std::move(*static_cast<F*>(from)));
        static_cast<F*>(from)->~F();
      },
      [](void* store) noexcept { static_cast<F*>(store)->~F(); }};

  template <class F>
  static constexpr operations on_heap{
      [](void* store, Args&&... args) -> R {
        return static_cast<R>((**static_cast<F**>(store))(std::forward<Args>(args)...));
      },
      [](void* to, void* from) noexcept { ::new (to) F*(*static_cast<F**>(from)); },
      [](void* store) noexcept { delete *static_cast<F**>(store); }};

  void reset() noexcept {
    if (ops_) std::exchange(ops_, nullptr)->destroy(store_);
  }

  operations const* ops_ = nullptr;
  alignas(void*) std::byte store_[room];
};

}  // namespace kcache

#endif
