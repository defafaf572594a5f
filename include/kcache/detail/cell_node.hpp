// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_CELL_NODE_HPP
#define KCACHE_DETAIL_CELL_NODE_HPP
/// \file
/// Floor 2. A cell with a key in its room: what a shard keeps of an entry outside its slot.

#include <kcache/config.hpp>
#include <kcache/detail/cell.hpp>
#include <kcache/detail/compact_dates.hpp>
#include <kcache/policies/expiry.hpp>
#include <kcache/policies/removal.hpp>
#include <kcache/storage_traits.hpp>
#include <kcache/time.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <stdexcept>
#include <type_traits>
#include <utility>

namespace kcache::detail {

/// Lies before a linked cell: a list of those that left, until they are told of.
template <class Cell>
struct cell_links {
  Cell* next = nullptr;
  removal_cause cause{};
};

/// As std::memcmp says, without a call for 8 to 16 bytes, as most keys have.
[[nodiscard]] KCACHE_INLINE bool same_bytes(void const* a, void const* b,
                                            std::size_t size) noexcept {
  if (size - 8 > 8) [[unlikely]] return std::memcmp(a, b, size) == 0;
  auto const word = [](void const* bytes, std::size_t at) {
    std::uint64_t w;
    std::memcpy(&w, static_cast<unsigned char const*>(bytes) + at, sizeof w);
    return w;
  };
  return ((word(a, 0) ^ word(b, 0)) | (word(a, size - 8) ^ word(b, size - 8))) == 0;
}

/// How cells of `Value` hold a `Key`. `Linked`: they carry `cell_links`. `Dated`: the dates of the
/// entry lie in the key's room, before it: so they are of this value, and in a line that is read
/// anyway. A cell begins with two shares, its cache's and its maker's.
template <class Key, class Value, bool Linked, bool Dated = false>
struct cell_node {
  using cell_type = cell<Value>;
  using value_type = Value;
  using heap = cell_heap<Value>;
  using key_view = typename storage_traits<Key>::view_type;
  using links_type = cell_links<cell_type>;
  /// What a put brings.
  using fresh = cell_type*;

  static constexpr bool flat_key = is_flat<Key>;
  static constexpr bool flat_value = is_flat<Value>;

  /// `key` and `value` are views where the type is flat, else rvalues. Strong guarantee: what
  /// throws, the key's move or the value's, is thrown on, and nothing is left.
  template <class K, class V>
  [[nodiscard]] static cell_type* make(K&& key, V&& value, bool pinned, time_point expires) {
    std::size_t const room = room_for(key);
    std::size_t size = header() + room;
    if constexpr (flat_value) size += value.size();
    if (room > key_room::most || size - header() - room > largest_value) {
      throw std::length_error{"kcache: a key or value of 2 GiB or more"};
    }
    void* const memory = heap::allocate(size, Linked);
    try {
      auto* const c = construct(memory, room, std::forward<V>(value), pinned, expires);
      if constexpr (flat_key) {
        if (key.size() != 0) std::memcpy(key_bytes(*c), key.data(), key.size());
      } else {
        construct_key(*c, std::forward<K>(key));
      }
      if constexpr (Linked) ::new (&links(*c)) links_type;
      return c;
    } catch (...) {
      heap::free(memory, Linked);
      throw;
    }
  }

  [[nodiscard]] KCACHE_INLINE static key_view key(cell_type& c) noexcept {
    if constexpr (flat_key) {
      using char_type = typename key_view::value_type;
      return key_view{reinterpret_cast<char_type const*>(key_bytes(c)), key_size(c)};
    } else {
      return storage_traits<Key>::view(*std::launder(reinterpret_cast<Key*>(key_object(c))));
    }
  }
  [[nodiscard]] KCACHE_INLINE static bool has_key(cell_type& c, key_view key) {
    if constexpr (flat_key) {
      return key_size(c) == key.size() * sizeof(typename key_view::value_type) &&
             same_bytes(key_bytes(c), key.data(), key_size(c));
    } else {
      return cell_node::key(c) == key;
    }
  }
  static void destroy_key(cell_type& c) noexcept {
    if constexpr (!flat_key && !std::is_trivially_destructible_v<Key>) {
      std::destroy_at(std::launder(reinterpret_cast<Key*>(key_object(c))));
    }
  }
  /// Before anybody else sees the cell.
  static void set_dates(cell_type& c, compact_dates d) noexcept
    requires Dated
  {
    std::uint64_t const word = d.word();
    std::memcpy(c.key_place(), &word, sizeof word);
  }
  [[nodiscard]] KCACHE_INLINE static compact_dates dates(cell_type& c) noexcept
    requires Dated
  {
    std::uint64_t word;
    std::memcpy(&word, c.key_place(), sizeof word);
    return compact_dates::of_word(word);
  }
  [[nodiscard]] static links_type& links(cell_type& c) noexcept {
    return *std::launder(
        reinterpret_cast<links_type*>(reinterpret_cast<std::byte*>(&c) - sizeof(links_type)));
  }
  /// What it takes from the heap, with what its key and value took and tell.
  [[nodiscard]] static std::size_t bytes(cell_type& c) noexcept {
    std::size_t all = heap_size(header() + c.room().bytes() + c.value_bytes() +
                                (Linked ? heap::links : 0));
    if constexpr (!flat_key) {
      if constexpr (requires { storage_traits<Key>::heap_bytes(key(c)); }) {
        all += storage_traits<Key>::heap_bytes(key(c));
      }
    }
    if constexpr (!flat_value) {
      all += storage_traits<Value>::heap_bytes(c.value());
    }
    return all;
  }

 private:
  static constexpr std::size_t largest_value = 0x7fffffffU;
  static_assert(sizeof(links_type) <= heap::links);
  static constexpr std::size_t dates_room = Dated ? sizeof(compact_dates) : 0;

  [[nodiscard]] KCACHE_INLINE static std::byte* key_bytes(cell_type& c) noexcept {
    return c.key_place() + dates_room;
  }
  [[nodiscard]] KCACHE_INLINE static std::size_t key_size(cell_type& c) noexcept {
    return c.room().bytes() - dates_room;
  }

  static constexpr std::size_t header() noexcept { return sizeof(cell_type); }
  template <class K>
  static std::size_t room_for(K const& key) noexcept {
    if constexpr (flat_key) {
      return dates_room + key.size();
    } else {
      // The room begins at a multiple of 4, or of the cell's alignment.
      return dates_room + sizeof(Key) + (alignof(Key) > 4 ? alignof(Key) - 4 : 0);
    }
  }
  static std::byte* key_object(cell_type& c) noexcept {
    auto const place = reinterpret_cast<std::uintptr_t>(key_bytes(c));
    return key_bytes(c) + ((place + alignof(Key) - 1) / alignof(Key) * alignof(Key) - place);
  }
  static void construct_key(cell_type& c, Key&& key) {
    if constexpr (std::is_nothrow_move_constructible_v<Key>) {
      ::new (static_cast<void*>(key_object(c))) Key(std::move(key));
    } else {
      try {
        ::new (static_cast<void*>(key_object(c))) Key(std::move(key));
      } catch (...) {
        if constexpr (!flat_value) c.destroy_value();
        throw;
      }
    }
  }
  template <class V>
  static cell_type* construct(void* memory, std::size_t room, V&& value, bool pinned,
                              time_point expires) {
    if constexpr (flat_value) {
      auto* const c =
          ::new (memory) flat_cell{2, pinned, key_room{room, Linked}, value.size(), expires};
      if (value.size() != 0) std::memcpy(c->bytes(), value.data(), value.size());
      return c;
    } else {
      return ::new (memory) cell_type{2, pinned, key_room{room, Linked}, expires,
                                      std::forward<V>(value)};
    }
  }
};

}  // namespace kcache::detail

#endif
