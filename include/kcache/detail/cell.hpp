// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_CELL_HPP
#define KCACHE_DETAIL_CELL_HPP
/// \file
/// Floor 2. How values are kept: in a cell that a cache and its handles share, or inline.
///
/// A cell is one allocation: a count, the instant of expiry, the value and, behind it or before
/// it, room for the key, which the cell's owner manages. Strings are flat, their bytes in the
/// cell. The count's lowest bit stands for the memory itself: it is set as long as the cache may
/// hand the address to a reader without a lock, and somewhat longer (detail/reader.hpp). The rest
/// counts shares in the value: the cache's, and one for each handle.

#include <kcache/detail/min_max.hpp>
#include <kcache/storage_traits.hpp>
#include <kcache/time.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace kcache::detail {

/// Strings of bytes are kept flat. Strings of wider characters are objects like any other.
template <class T>
inline constexpr bool is_flat = false;
template <class Char, class Traits>
inline constexpr bool is_flat<std::basic_string<Char, Traits, std::allocator<Char>>> =
    sizeof(Char) == 1;

/// Values this small are copied into a handle instead of being shared through it.
template <class T>
inline constexpr bool is_small =
    !is_flat<T> && std::is_trivially_copyable_v<T> && sizeof(T) <= 32 && alignof(T) <= 8;

/// What an allocation of so many bytes takes from the heap.
[[nodiscard]] constexpr std::size_t heap_size(std::size_t bytes) noexcept {
#if defined(__GLIBC__)
  std::size_t const chunk = (bytes + 8 + 15) & ~std::size_t{15};
  return chunk < 32 ? 32 : chunk;
#else
  return bytes + 16;
#endif
}

/// The count of a cell: shares in its value, and whether the memory is pinned by the cache.
class cell_count {
 public:
  cell_count(std::uint32_t shares, bool pinned) noexcept
      : count_{shares * share + (pinned ? pin : 0)} {}
  cell_count(cell_count const&) = delete;
  cell_count& operator=(cell_count const&) = delete;

  void retain() noexcept { count_.fetch_add(share, std::memory_order_relaxed); }
  /// A share of a value that may have none left: false if so.
  [[nodiscard]] bool try_retain() noexcept {
    std::uint32_t n = count_.load(std::memory_order_relaxed);
    while (n >= share) {
      if (count_.compare_exchange_weak(n, n + share, std::memory_order_acquire,
                                       std::memory_order_relaxed)) {
        return true;
      }
    }
    return false;
  }
  /// Gives up a share, calls `destroy()` if it was the last, and returns true if the memory is to
  /// be freed, which stays as long as `destroy` runs.
  template <class Destroy>
  [[nodiscard]] bool release(Destroy const& destroy) noexcept {
    std::uint32_t n = count_.load(std::memory_order_relaxed);
    for (;;) {
      std::uint32_t const less = n >= 2 * share ? n - share : (n - share) | destroying;
      if (count_.compare_exchange_weak(n, less, std::memory_order_acq_rel,
                                       std::memory_order_relaxed)) {
        if (less >= share) return false;
        destroy();
        return count_.fetch_sub(destroying, std::memory_order_acq_rel) == destroying;
      }
    }
  }
  /// As above where there is nothing to destroy.
  [[nodiscard]] bool release() noexcept {
    return count_.fetch_sub(share, std::memory_order_acq_rel) == share;
  }
  /// A share and the pin at once, where there is nothing to destroy. True as below.
  [[nodiscard]] bool release_and_unpin() noexcept {
    return count_.fetch_sub(share + pin, std::memory_order_acq_rel) == share + pin;
  }
  /// The cache hands the address out no more. True if the memory is to be freed.
  [[nodiscard]] bool unpin() noexcept {
    return count_.fetch_sub(pin, std::memory_order_acq_rel) == pin;
  }

 private:
  static constexpr std::uint32_t pin = 1;
  static constexpr std::uint32_t destroying = 2;
  static constexpr std::uint32_t share = 4;

  std::atomic<std::uint32_t> count_;
};

/// What a cell knows of the room for its key: how much it is, and whether links lie before it.
class key_room {
 public:
  static constexpr std::size_t most = 0x7fffffffU;
  key_room(std::size_t bytes, bool linked) noexcept
      : room_{static_cast<std::uint32_t>(bytes) | (linked ? 0x80000000U : 0U)} {}
  [[nodiscard]] std::size_t bytes() const noexcept { return room_ & 0x7fffffffU; }
  [[nodiscard]] bool linked() const noexcept { return (room_ >> 31U) != 0; }

 private:
  std::uint32_t room_;
};

/// A string: its bytes lie behind the key's. The header takes 20 bytes: with a key of 16 and a
/// value of 100 bytes the cell takes 136, which is all that a chunk of 144 of the heap holds.
class flat_cell {
 public:
  flat_cell(std::uint32_t shares, bool pinned, key_room room, std::size_t size,
            time_point expires) noexcept
      : count_{shares, pinned}, room_{room}, size_{static_cast<std::uint32_t>(size)} {
    auto const instant = expires.time_since_epoch().count();
    std::memcpy(expires_, &instant, sizeof instant);
  }
  flat_cell(flat_cell const&) = delete;
  flat_cell& operator=(flat_cell const&) = delete;

  static constexpr std::size_t header = 20;
  static constexpr std::size_t largest = 0xffffffffU;

  [[nodiscard]] cell_count& count() noexcept { return count_; }
  [[nodiscard]] time_point expires_at() const noexcept {
    std::int64_t instant;
    std::memcpy(&instant, expires_, sizeof instant);
    return time_point{duration{instant}};
  }
  [[nodiscard]] key_room room() const noexcept { return room_; }
  [[nodiscard]] std::byte* key_place() noexcept {
    return reinterpret_cast<std::byte*>(this) + header;
  }
  [[nodiscard]] char* bytes() noexcept {
    return reinterpret_cast<char*>(this) + header + room_.bytes();
  }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t value_bytes() const noexcept { return size_; }

 private:
  cell_count count_;
  key_room room_;
  std::uint32_t size_;
  unsigned char expires_[8];
};
static_assert(sizeof(flat_cell) == flat_cell::header);

/// Any other value, kept as an object; the key lies behind it. Its life is its owner's business.
template <class Value>
class object_cell {
 public:
  object_cell(std::uint32_t shares, bool pinned, key_room room, time_point expires, Value&& value)
      : count_{shares, pinned}, room_{room}, expires_at_{expires} {
    ::new (static_cast<void*>(value_)) Value(std::move(value));
  }
  object_cell(object_cell const&) = delete;
  object_cell& operator=(object_cell const&) = delete;

  [[nodiscard]] cell_count& count() noexcept { return count_; }
  [[nodiscard]] time_point expires_at() const noexcept { return expires_at_; }
  [[nodiscard]] key_room room() const noexcept { return room_; }
  [[nodiscard]] std::byte* key_place() noexcept {
    return reinterpret_cast<std::byte*>(this) + sizeof(object_cell);
  }
  [[nodiscard]] std::size_t value_bytes() const noexcept { return 0; }
  [[nodiscard]] Value const& value() const noexcept {
    return *std::launder(reinterpret_cast<Value const*>(value_));
  }
  void destroy_value() noexcept {
    std::destroy_at(std::launder(reinterpret_cast<Value*>(value_)));
  }

 private:
  cell_count count_;
  key_room room_;
  time_point expires_at_;
  alignas(Value) std::byte value_[sizeof(Value)];
};

/// What a cell of `Value` is, and what can be done with it whatever its key was.
template <class Value>
struct cell_kind {
  using type = object_cell<Value>;
  static constexpr std::size_t alignment =
      max_of(alignof(type), std::size_t{__STDCPP_DEFAULT_NEW_ALIGNMENT__});
  [[nodiscard]] static typename storage_traits<Value>::view_type view(type& c) noexcept {
    return storage_traits<Value>::view(c.value());
  }
};
template <class Char, class Traits>
  requires(sizeof(Char) == 1)
struct cell_kind<std::basic_string<Char, Traits, std::allocator<Char>>> {
  using type = flat_cell;
  static constexpr std::size_t alignment = __STDCPP_DEFAULT_NEW_ALIGNMENT__;
  [[nodiscard]] static std::basic_string_view<Char, Traits> view(flat_cell& c) noexcept {
    return {reinterpret_cast<Char const*>(c.bytes()), c.size()};
  }
};

template <class Value>
using cell = typename cell_kind<Value>::type;

/// The memory of cells. `links` is the room before a linked cell.
template <class Value>
struct cell_heap {
  using cell_type = cell<Value>;
  static constexpr std::size_t alignment = cell_kind<Value>::alignment;
  static constexpr bool over_aligned = alignment > __STDCPP_DEFAULT_NEW_ALIGNMENT__;
  static constexpr std::size_t links = max_of(alignment, 2 * sizeof(void*));

  /// Room for a cell of so many bytes; may throw std::bad_alloc.
  [[nodiscard]] static void* allocate(std::size_t bytes, bool linked) {
    std::size_t const all = bytes + (linked ? links : 0);
    void* base = nullptr;
    if constexpr (over_aligned) {
      base = ::operator new(all, std::align_val_t{alignment});
    } else {
      base = ::operator new(all);
    }
    return static_cast<std::byte*>(base) + (linked ? links : 0);
  }
  // Not expanded: g++ 12 then warns that a linked cell's memory does not begin where it began.
  [[gnu::noinline]] static void free(void* cell, bool linked) noexcept {
    void* const base = static_cast<std::byte*>(cell) - (linked ? links : 0);
    if constexpr (over_aligned) {
      ::operator delete(base, std::align_val_t{alignment});
    } else {
      ::operator delete(base);
    }
  }
  static void free(cell_type& c) noexcept { free(&c, c.room().linked()); }

  /// Gives up one share.
  static void release(cell_type& c) noexcept {
    bool last = false;
    if constexpr (is_flat<Value> || std::is_trivially_destructible_v<Value>) {
      last = c.count().release();
    } else {
      last = c.count().release([&c]() noexcept { c.destroy_value(); });
    }
    if (last) free(c);
  }
  static void unpin(cell_type& c) noexcept {
    if (c.count().unpin()) free(c);
  }
};

/// A cell that was never in a cache; `value` is a view of what is kept flat, else an rvalue. One
/// share, the caller's. May throw std::bad_alloc, std::length_error, and what a move throws.
template <class Value, class V>
[[nodiscard]] cell<Value>* detached_cell(V&& value, time_point expires_at) {
  if constexpr (is_flat<Value>) {
    if (value.size() > flat_cell::largest) throw std::length_error{"kcache: a value of 4 GiB"};
    void* const memory = cell_heap<Value>::allocate(flat_cell::header + value.size(), false);
    auto* const c =
        ::new (memory) flat_cell{1, false, key_room{0, false}, value.size(), expires_at};
    if (value.size() != 0) std::memcpy(c->bytes(), value.data(), value.size());
    return c;
  } else {
    void* const memory = cell_heap<Value>::allocate(sizeof(cell<Value>), false);
    try {
      return ::new (memory)
          cell<Value>{1, false, key_room{0, false}, expires_at, std::forward<V>(value)};
    } catch (...) {
      cell_heap<Value>::free(memory, false);
      throw;
    }
  }
}

}  // namespace kcache::detail

#endif
