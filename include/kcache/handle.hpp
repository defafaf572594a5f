// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_HANDLE_HPP
#define KCACHE_HANDLE_HPP
/// \file
/// Floor 2. `handle`: a share in a value that a cache gave out.

#include <kcache/config.hpp>
#include <kcache/detail/entry.hpp>
#include <kcache/fwd.hpp>
#include <kcache/storage_traits.hpp>
#include <kcache/time.hpp>

#include <memory>
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

}  // namespace detail

/// A value that stays valid and unchanged as long as the handle lives, whatever becomes of its
/// entry: evicted, expired, replaced, erased, or the whole cache destroyed.
///
///     if (auto h = cache.get("Tom")) use(*h);       // empty: there was no such entry
///
/// One pointer. Copies share the value through an atomic count; copying, moving and destroying
/// never throw, but the last handle runs the destructors of the value and of its key. Distinct
/// handles may be used from several threads at once, as `std::shared_ptr`. `*h` is a
/// `std::string_view` for strings and a `Value const&` otherwise (`storage_traits<Value>`), valid
/// as long as some handle to the value lives. Using `*` or `->` on an empty handle asserts.
template <class Value>
class handle {
 public:
  using value_type = Value;
  using view_type = typename storage_traits<Value>::view_type;

  handle() noexcept = default;
  handle(handle const& other) noexcept : cell_{other.cell_} {
    if (cell_) cell_->retain();
  }
  handle(handle&& other) noexcept : cell_{std::exchange(other.cell_, nullptr)} {}
  handle& operator=(handle other) noexcept {
    std::swap(cell_, other.cell_);
    return *this;
  }
  ~handle() {
    if (cell_) cell_->release();
  }

  [[nodiscard]] explicit operator bool() const noexcept { return cell_ != nullptr; }

  [[nodiscard]] view_type operator*() const noexcept {
    KCACHE_ASSERT(cell_);
    return storage_traits<Value>::view(cell_->value());
  }
  [[nodiscard]] auto operator->() const noexcept {
    if constexpr (std::is_reference_v<view_type>) {
      return std::addressof(**this);
    } else {
      return detail::view_arrow<view_type>{**this};
    }
  }

  /// When the value stops being served, by the clock of its cache; `never` if it does not. A
  /// handle yields its value after that instant too.
  [[nodiscard]] time_point expires_at() const noexcept {
    KCACHE_ASSERT(cell_);
    return cell_->expires_at();
  }

  /// True if both share one value, or both are empty.
  friend bool operator==(handle const&, handle const&) noexcept = default;

 private:
  friend detail::handle_access;
  explicit handle(detail::cell<Value>* adopted) noexcept : cell_{adopted} {}

  detail::cell<Value>* cell_ = nullptr;
};

namespace detail {

/// How a cache makes handles.
struct handle_access {
  /// Takes over one share of the caller's.
  template <class Value>
  [[nodiscard]] static handle<Value> adopt(cell<Value>* c) noexcept {
    return handle<Value>{c};
  }
  /// Adds a share.
  template <class Value>
  [[nodiscard]] static handle<Value> share(cell<Value>& c) noexcept {
    c.retain();
    return handle<Value>{&c};
  }
};

}  // namespace detail
}  // namespace kcache

#endif
