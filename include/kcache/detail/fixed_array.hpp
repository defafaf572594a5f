// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_FIXED_ARRAY_HPP
#define KCACHE_DETAIL_FIXED_ARRAY_HPP
/// \file
/// Floor 2. An array whose size is known at run time and whose elements never move.

#include <kcache/config.hpp>

#include <cstddef>
#include <memory>
#include <new>

namespace kcache::detail {

/// Element `i` is made in place by `make(i)`, so that it may be a type that cannot move.
template <class T>
class fixed_array {
 public:
  template <class Make>
  fixed_array(std::size_t size, Make const& make)
      : elements_{std::allocator<T>{}.allocate(size)}, capacity_{size} {
    try {
      for (; size_ != size; ++size_) ::new (static_cast<void*>(elements_ + size_)) T(make(size_));
    } catch (...) {
      clear();
      throw;
    }
  }
  fixed_array(fixed_array const&) = delete;
  fixed_array& operator=(fixed_array const&) = delete;
  ~fixed_array() { clear(); }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] KCACHE_INLINE T& operator[](std::size_t i) const noexcept { return elements_[i]; }
  [[nodiscard]] T* begin() const noexcept { return elements_; }
  [[nodiscard]] T* end() const noexcept { return elements_ + size_; }

 private:
  void clear() noexcept {
    while (size_ != 0) std::destroy_at(elements_ + --size_);
    std::allocator<T>{}.deallocate(elements_, capacity_);
  }

  T* elements_;
  std::size_t size_ = 0;
  std::size_t capacity_;
};

}  // namespace kcache::detail

#endif
