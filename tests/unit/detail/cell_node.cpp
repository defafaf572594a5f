// SPDX-License-Identifier: BSL-1.0
#include <kcache/detail/cell_node.hpp>

#include "support/catch.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

using kcache::never;
using kcache::removal_cause;
using kcache::time_point;
using kcache::detail::cell_node;
using kcache::detail::is_flat;

namespace {

struct alignas(64) wide {
  int number;
  friend bool operator==(wide const&, wide const&) = default;
};
struct alignas(16) half_wide {
  int number;
  friend bool operator==(half_wide const&, half_wide const&) = default;
};
struct big {
  std::array<std::uint64_t, 300> words;
  friend bool operator==(big const&, big const&) = default;
};

/// Keys and values of every kind, by a number.
template <class T>
T make(int n) {
  if constexpr (std::is_same_v<T, std::string>) {
    if (n == 0) return {};
    return std::string("text\0 ", 6) + std::to_string(n) + std::string("\0", 1);
  } else if constexpr (std::is_same_v<T, std::u8string>) {
    return std::u8string(static_cast<std::size_t>(n), u8'\xe9');
  } else if constexpr (std::is_same_v<T, std::u16string>) {
    return std::u16string(static_cast<std::size_t>(n), u'\u20ac');
  } else if constexpr (std::is_same_v<T, std::unique_ptr<int>>) {
    return std::make_unique<int>(n);
  } else if constexpr (std::is_same_v<T, std::vector<int>>) {
    return std::vector<int>(static_cast<std::size_t>(n), n);
  } else if constexpr (std::is_same_v<T, big>) {
    big b{};
    b.words.fill(static_cast<std::uint64_t>(n));
    return b;
  } else if constexpr (std::is_same_v<T, char>) {
    return static_cast<char>(n);
  } else if constexpr (std::is_class_v<T>) {
    return T{n};
  } else {
    return static_cast<T>(n);
  }
}
template <class T, class View>
bool is(View const& view, int n) {
  if constexpr (std::is_same_v<T, std::unique_ptr<int>>) {
    return *view == n;
  } else {
    return view == make<T>(n);
  }
}
template <class T>
auto given(T& t) -> std::conditional_t<is_flat<T>, typename kcache::storage_traits<T>::view_type,
                                       T&&> {
  return static_cast<T&&>(t);
}

/// CHECK, compiled once: it stands in many instances.
void kept(bool law) { CHECK(law); }

template <class Key, class Value, bool Linked>
void check_node() {
  using node = cell_node<Key, Value, Linked>;
  for (bool const pinned : {false, true}) {
    for (int const n : {0, 1, 7, 90}) {
      Key key = make<Key>(n);
      Value value = make<Value>(n + 1);
      auto* const c = node::make(given(key), given(value), pinned, time_point{kcache::duration{n}});
      kept(is<Key>(node::key(*c), n));
      kept(is<Value>(kcache::detail::cell_kind<Value>::view(*c), n + 1));
      kept(c->expires_at() == time_point{kcache::duration{n}});
      kept(c->room().linked() == Linked);
      if constexpr (std::is_reference_v<typename node::key_view>) {
        kept(reinterpret_cast<std::uintptr_t>(std::addressof(node::key(*c))) % alignof(Key) == 0);
      }
      if constexpr (!is_flat<Value>) {
        kept(reinterpret_cast<std::uintptr_t>(&c->value()) % alignof(Value) == 0);
      }
      if constexpr (Linked) {
        kept(node::links(*c).next == nullptr);
        node::links(*c) = {c, removal_cause::erased};
        kept(is<Key>(node::key(*c), n));
        kept(c->expires_at() == time_point{kcache::duration{n}});
      }
      kept(node::bytes(*c) >= sizeof(*c));
      // As a cache lets go of it: two shares, the key before the first.
      node::destroy_key(*c);
      node::heap::release(*c);
      if (pinned) node::heap::unpin(*c);
      kept(is<Value>(kcache::detail::cell_kind<Value>::view(*c), n + 1));
      node::heap::release(*c);
    }
  }
}
template <class Key, class Value>
void check_nodes() {
  check_node<Key, Value, false>();
  check_node<Key, Value, true>();
}
template <class Key>
void check_some_values() {
  check_nodes<Key, std::string>();
  check_nodes<Key, std::unique_ptr<int>>();
  check_nodes<Key, wide>();
}
template <class Key>
void check_values() {
  check_some_values<Key>();
  check_nodes<Key, std::u8string>();
  check_nodes<Key, char>();
  check_nodes<Key, std::uint64_t>();
  check_nodes<Key, half_wide>();
  check_nodes<Key, big>();
  check_nodes<Key, std::vector<int>>();
}

/// Throws when it is moved, if it is to; counts its living.
struct fragile {
  static inline int living = 0;
  static inline bool breaks = false;
  bool mine = false;
  fragile() noexcept { ++living; }
  explicit fragile(bool b) noexcept : mine{b} { ++living; }
  fragile(fragile&& other) : mine{other.mine} {
    if (breaks && mine) throw std::runtime_error{"move"};
    ++living;
  }
  fragile& operator=(fragile&&) = delete;
  ~fragile() { --living; }
};

struct telling {
  std::size_t heap = 0;
};

}  // namespace

template <>
struct kcache::storage_traits<telling> {
  using view_type = telling const&;
  static view_type view(telling const& t) noexcept { return t; }
  static std::size_t heap_bytes(telling const& t) noexcept { return t.heap; }
};

TEST_CASE("keys and values of every kind share a cell: flat keys", "[cell_node]") {
  check_values<std::string>();
  check_some_values<std::u8string>();
}

TEST_CASE("keys and values of every kind share a cell: plain keys", "[cell_node]") {
  check_some_values<char>();
  check_some_values<std::uint64_t>();
  check_some_values<half_wide>();
  check_values<wide>();
}

TEST_CASE("keys and values of every kind share a cell: owning keys", "[cell_node]") {
  check_some_values<std::u16string>();
  check_some_values<std::unique_ptr<int>>();
  check_some_values<std::vector<int>>();
  check_some_values<big>();
}

TEST_CASE("bytes of flat cells are neither ended nor changed by zeros", "[cell_node]") {
  using node = cell_node<std::string, std::string, false>;
  std::string const key("\0k\0", 3);
  std::string const value("\0\0v", 3);
  auto* const c = node::make(std::string_view{key}, std::string_view{value}, false, never);
  CHECK(node::key(*c) == key);
  CHECK(kcache::detail::cell_kind<std::string>::view(*c) == value);
  node::heap::release(*c);
  node::heap::release(*c);
  auto* const empty = node::make(std::string_view{}, std::string_view{}, false, never);
  CHECK(node::key(*empty).empty());
  CHECK(kcache::detail::cell_kind<std::string>::view(*empty).empty());
  node::heap::release(*empty);
  node::heap::release(*empty);
}

TEST_CASE("a key of 16 and a value of 100 bytes take 144", "[cell_node]") {
  using node = cell_node<std::string, std::string, false>;
  std::string const key(16, 'k');
  std::string const value(100, 'v');
  auto* const c = node::make(std::string_view{key}, std::string_view{value}, true, never);
#if defined(__GLIBC__) && defined(__LP64__)
  CHECK(node::bytes(*c) == 144);
#endif
  node::heap::release(*c);
  node::heap::release(*c);
  node::heap::unpin(*c);
}

TEST_CASE("what a type tells of its heap is counted, of keys too", "[cell_node]") {
  using node = cell_node<telling, telling, true>;
  auto const bytes_of = [](std::size_t key, std::size_t value) {
    telling k{key};
    telling v{value};
    auto* const c = node::make(std::move(k), std::move(v), false, never);
    auto const bytes = node::bytes(*c);
    node::heap::release(*c);
    node::heap::release(*c);
    return bytes;
  };
  CHECK(bytes_of(1000, 200'000) == bytes_of(0, 0) + 201'000);
}

TEST_CASE("a move that throws leaves nothing, of the key or of the value", "[cell_node]") {
  auto const attempt = [](auto kind, bool key_breaks, bool value_breaks) {
    using node = decltype(kind);
    fragile key{key_breaks};
    fragile value{value_breaks};
    fragile::breaks = true;
    bool thrown = false;
    try {
      auto* const c = node::make(std::move(key), std::move(value), true, never);
      node::destroy_key(*c);
      node::heap::release(*c);
      node::heap::release(*c);
      node::heap::unpin(*c);
    } catch (std::runtime_error const&) {
      thrown = true;
    }
    fragile::breaks = false;
    CHECK(fragile::living == 2);
    return thrown;
  };
  using plain = cell_node<fragile, fragile, false>;
  using linked = cell_node<fragile, fragile, true>;
  CHECK_FALSE(attempt(plain{}, false, false));
  CHECK(attempt(plain{}, true, false));
  CHECK(attempt(plain{}, false, true));
  CHECK(attempt(linked{}, true, false));
  CHECK(attempt(linked{}, false, true));
  CHECK(fragile::living == 0);

  // A key that throws behind a flat value.
  {
    fragile key{true};
    fragile::breaks = true;
    using flat = cell_node<fragile, std::string, false>;
    CHECK_THROWS_AS(flat::make(std::move(key), std::string_view{"text"}, true, never),
                    std::runtime_error);
    fragile::breaks = false;
  }
  CHECK(fragile::living == 0);
}

TEST_CASE("a value of 2 GiB is refused, before it is read", "[cell_node]") {
  using node = cell_node<std::string, std::string, false>;
  char const byte = 'x';
  std::string_view const huge{&byte, std::size_t{1} << 31U};
  CHECK_THROWS_AS(node::make(std::string_view{"k"}, std::string_view{huge}, true, never),
                  std::length_error);
  CHECK_THROWS_AS(node::make(std::string_view{huge}, std::string_view{"v"}, true, never),
                  std::length_error);
}
