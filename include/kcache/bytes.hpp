// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_BYTES_HPP
#define KCACHE_BYTES_HPP
/// \file
/// Floor 0. `byte_view` and `shared_bytes`: bytes that stay valid while somebody sends them.

#include <cstddef>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace kcache {

/// Bytes, not text: every value from 0 to 255 may occur, and nothing ends them but their length.
using byte_view = std::string_view;

/// A view of bytes and a share in whatever owns them: how a cached value travels from the cache
/// to a socket without a copy.
///
/// Copies share the owner; the bytes never change. Thread safety: distinct objects may be used
/// from several threads if the owner's reference count allows it (a cache handle's and
/// `shared_ptr`'s do). Copying never throws for owners of at most two pointers that copy without
/// throwing, which are kept in place; others are refused at compile time: wrap them in a
/// `std::shared_ptr`.
class shared_bytes {
 public:
  shared_bytes() noexcept = default;

  /// `view`, kept alive by `owner`.
  template <class Owner>
    requires(std::is_nothrow_copy_constructible_v<std::remove_cvref_t<Owner>> &&
             sizeof(std::remove_cvref_t<Owner>) <= 2 * sizeof(void*))
  shared_bytes(byte_view view, Owner&& owner) noexcept
      : view_{view}, ops_{&operations_of<std::remove_cvref_t<Owner>>} {
    ::new (static_cast<void*>(owner_)) std::remove_cvref_t<Owner>(std::forward<Owner>(owner));
  }

  /// Takes a string over: one allocation for its owner. May throw `bad_alloc`.
  [[nodiscard]] static shared_bytes of(std::string bytes) {
    auto owner = std::make_shared<std::string const>(std::move(bytes));
    byte_view const view{*owner};
    return {view, std::move(owner)};
  }

  /// Bytes that outlive every use: literals and other static storage.
  [[nodiscard]] static shared_bytes of_static(byte_view view) noexcept {
    shared_bytes b;
    b.view_ = view;
    return b;
  }

  shared_bytes(shared_bytes const& other) noexcept : view_{other.view_}, ops_{other.ops_} {
    if (ops_) ops_->copy(owner_, other.owner_);
  }
  shared_bytes(shared_bytes&& other) noexcept
      : view_{std::exchange(other.view_, {})}, ops_{std::exchange(other.ops_, nullptr)} {
    if (ops_) ops_->move(owner_, other.owner_);
  }
  shared_bytes& operator=(shared_bytes other) noexcept {
    reset();
    view_ = std::exchange(other.view_, {});
    ops_ = std::exchange(other.ops_, nullptr);
    if (ops_) ops_->move(owner_, other.owner_);
    return *this;
  }
  ~shared_bytes() { reset(); }

  [[nodiscard]] byte_view view() const noexcept { return view_; }
  [[nodiscard]] char const* data() const noexcept { return view_.data(); }
  [[nodiscard]] std::size_t size() const noexcept { return view_.size(); }
  [[nodiscard]] bool empty() const noexcept { return view_.empty(); }
  /// Part of the bytes, sharing the owner. Positions past the end are clamped.
  [[nodiscard]] shared_bytes part(std::size_t offset, std::size_t count) const noexcept {
    shared_bytes b{*this};
    b.view_ = offset < view_.size() ? view_.substr(offset, count) : byte_view{};
    return b;
  }
  friend bool operator==(shared_bytes const& a, byte_view b) noexcept { return a.view_ == b; }

 private:
  struct operations {
    void (*copy)(void* to, void const* from) noexcept;
    /// Moves and destroys the source.
    void (*move)(void* to, void* from) noexcept;
    void (*destroy)(void* owner) noexcept;
  };
  template <class Owner>
  static constexpr operations operations_of{
      [](void* to, void const* from) noexcept {
        ::new (to) Owner(*static_cast<Owner const*>(from));
      },
      [](void* to, void* from) noexcept {
        ::new (to) Owner(std::move(*static_cast<Owner*>(from)));
        static_cast<Owner*>(from)->~Owner();
      },
      [](void* owner) noexcept { static_cast<Owner*>(owner)->~Owner(); }};

  void reset() noexcept {
    if (ops_) ops_->destroy(owner_);
    ops_ = nullptr;
    view_ = {};
  }

  byte_view view_;
  operations const* ops_ = nullptr;
  alignas(void*) std::byte owner_[2 * sizeof(void*)];
};

}  // namespace kcache

#endif
