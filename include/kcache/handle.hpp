// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_HANDLE_HPP
#define KCACHE_HANDLE_HPP
/// \file
/// Floor 2. `handle`: a share in a value that a cache gave out.

#include <kcache/config.hpp>
#include <kcache/detail/cell.hpp>
#include <kcache/detail/min_max.hpp>
#include <kcache/fwd.hpp>
#include <kcache/storage_traits.hpp>
#include <kcache/time.hpp>

#include <cstring>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace kcache {

namespace detail {

/// What `->` yields for a view that is made on the fly.
template <class View>
class view_arrow {
 public:
  explicit constexpr view_arrow(View view) noexcept : view_{view} {}
  [[nodiscard]] constexpr View const* operator->() const noexcept { return &view_; }

 private:
  View view_;
};

struct handle_access;

/// Holds a small value itself; empty where the instant of expiry is the earliest of all.
template <class Value, bool Small = is_small<Value>>
class held_value {
 public:
  held_value() noexcept = default;
  KCACHE_INLINE held_value(Value const& value, time_point expires_at) noexcept
      : expires_at_{detail::max_of(expires_at, time_point::min() + duration{1})} {
    std::memcpy(bytes_, std::addressof(value), sizeof value);
  }
  held_value(held_value const&) noexcept = default;
  KCACHE_INLINE held_value(held_value&& other) noexcept
      : expires_at_{std::exchange(other.expires_at_, time_point::min())} {
    std::memcpy(bytes_, other.bytes_, sizeof bytes_);
  }
  held_value& operator=(held_value const&) noexcept = default;

  [[nodiscard]] bool full() const noexcept { return expires_at_ != time_point::min(); }
  [[nodiscard]] time_point expires_at() const noexcept { return expires_at_; }
  [[nodiscard]] Value const& view() const noexcept {
    return *std::launder(reinterpret_cast<Value const*>(bytes_));
  }
  friend bool operator==(held_value const& a, held_value const& b) noexcept {
    return a.expires_at_ == b.expires_at_ &&
           std::memcmp(a.bytes_, b.bytes_, sizeof(Value)) == 0;
  }

 private:
  alignas(Value) unsigned char bytes_[sizeof(Value)]{};
  time_point expires_at_ = time_point::min();
};

/// Holds a share in a cell.
template <class Value>
class held_value<Value, false> {
 public:
  held_value() noexcept = default;
  /// Takes over one share of the caller's.
  KCACHE_INLINE explicit held_value(cell<Value>* c) noexcept : cell_{c} {}
  held_value(held_value const& other) noexcept : cell_{other.cell_} {
    if (cell_) cell_->count().retain();
  }
  KCACHE_INLINE held_value(held_value&& other) noexcept
      : cell_{std::exchange(other.cell_, nullptr)} {}
  held_value& operator=(held_value other) noexcept {
    std::swap(cell_, other.cell_);
    return *this;
  }
  KCACHE_INLINE ~held_value() {
    if (cell_) cell_heap<Value>::release(*cell_);
  }

  [[nodiscard]] bool full() const noexcept { return cell_ != nullptr; }
  [[nodiscard]] time_point expires_at() const noexcept { return cell_->expires_at(); }
  [[nodiscard]] typename storage_traits<Value>::view_type view() const noexcept {
    return cell_kind<Value>::view(*cell_);
  }
  friend bool operator==(held_value const&, held_value const&) noexcept = default;

 private:
  cell<Value>* cell_ = nullptr;
};

}  // namespace detail

/// A value that stays valid and unchanged as long as the handle lives, whatever becomes of its
/// entry: evicted, expired, replaced, erased, or the whole cache destroyed.
///
///     if (auto h = cache.get("Tom")) use(*h);       // empty: there was no such entry
///
/// `*h` is a `std::string_view` for strings and a `Value const&` otherwise
/// (`storage_traits<Value>`), valid as long as this handle lives. Copying, moving and destroying
/// never throw. Distinct handles may be used from several threads at once, as `std::shared_ptr`.
///
/// Small values (trivially copyable, 32 bytes at most) lie in the handle itself, which is a copy.
/// For all others a handle is one pointer; copies share the value through an atomic count, and the
/// last one destroys it. Using `*` or `->` on an empty handle asserts.
template <class Value>
class handle {
 public:
  using value_type = Value;
  using view_type = typename storage_traits<Value>::view_type;
  /// True if the value lies in the handle: a view goes with its handle, not with the last copy.
  static constexpr bool holds_copy = detail::is_small<Value>;

  handle() noexcept = default;
  handle(handle const&) noexcept = default;
  KCACHE_INLINE handle(handle&& other) noexcept : held_{std::move(other.held_)} {}
  handle& operator=(handle other) noexcept {
    std::swap(held_, other.held_);
    return *this;
  }
  ~handle() = default;

  [[nodiscard]] explicit operator bool() const noexcept { return held_.full(); }

  [[nodiscard]] view_type operator*() const noexcept {
    KCACHE_ASSERT(held_.full());
    return held_.view();
  }
  [[nodiscard]] auto operator->() const noexcept {
    if constexpr (std::is_reference_v<view_type>) {
      return std::addressof(**this);
    } else {
      return detail::view_arrow<view_type>{**this};
    }
  }

  /// When the value stops being served, by the clock of its cache; `never` if it does not. A
  /// handle yields its value after that instant too. That a cache whose entries expire when idle
  /// may stop serving it earlier does not show here.
  [[nodiscard]] time_point expires_at() const noexcept {
    KCACHE_ASSERT(held_.full());
    return held_.expires_at();
  }

  /// True if both share one value, or both are empty; of small values, if bytes and expiry are
  /// equal.
  friend bool operator==(handle const&, handle const&) noexcept = default;

 private:
  friend detail::handle_access;
  KCACHE_INLINE explicit handle(detail::held_value<Value>&& held) noexcept
      : held_{std::move(held)} {}

  detail::held_value<Value> held_;
};

namespace detail {

/// How a cache makes handles.
struct handle_access {
  /// Takes over one share of the caller's.
  template <class Value>
  [[nodiscard]] KCACHE_INLINE static handle<Value> adopt(cell<Value>& c) noexcept {
    return handle<Value>{held_value<Value>{&c}};
  }
  template <class Value>
  [[nodiscard]] KCACHE_INLINE static handle<Value> copy(Value const& value,
                                                        time_point expires_at) noexcept {
    return handle<Value>{held_value<Value>{value, expires_at}};
  }
};

}  // namespace detail
}  // namespace kcache

#endif
