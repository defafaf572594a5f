// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_TESTS_SUPPORT_STORAGE_KINDS_HPP
#define KCACHE_TESTS_SUPPORT_STORAGE_KINDS_HPP
/// \file
/// Caches of every way in which entries are kept, with keys and values by number.

#include <kcache/cache.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <vector>

namespace test {

struct point {
  std::uint64_t x;
  std::uint64_t y;
  friend bool operator==(point const&, point const&) = default;
};
struct alignas(64) wide {
  int number;
  friend bool operator==(wide const&, wide const&) = default;
};
/// Moves only, owns memory, and has an == of its own.
class owner {
 public:
  explicit owner(int n) : number_{std::make_unique<int>(n)} {}
  [[nodiscard]] int number() const noexcept { return number_ ? *number_ : -1; }
  friend bool operator==(owner const& a, owner const& b) noexcept {
    return a.number() == b.number();
  }

 private:
  std::unique_ptr<int> number_;
};
struct by_number {
  std::uint64_t operator()(owner const& o) const noexcept {
    return static_cast<std::uint64_t>(o.number());
  }
  std::uint64_t operator()(point const& p) const noexcept { return p.x; }
  std::uint64_t operator()(wide const& w) const { return static_cast<std::uint64_t>(w.number); }
};
template <class Key, class Value>
using told_policies = kcache::with_removal_listener<
    std::function<void(typename kcache::storage_traits<Key>::view_type,
                       typename kcache::storage_traits<Value>::view_type, kcache::removal_cause)>>;

template <class T>
T numbered(int n) {
  if constexpr (std::is_same_v<T, std::string>) {
    // Some fit into a string object, some do not, some are longer than what a visitor copies.
    std::size_t const sizes[] = {0, 3, 40, 512, 513, 5000};
    return "#" + std::to_string(n) + std::string("\0", 1) +
           std::string(sizes[static_cast<std::size_t>(n) % 6], 'x');
  } else if constexpr (std::is_same_v<T, std::u16string>) {
    return std::u16string(static_cast<std::size_t>(n) + 1, u'\u20ac');
  } else if constexpr (std::is_same_v<T, std::unique_ptr<int>>) {
    return std::make_unique<int>(n);
  } else if constexpr (std::is_same_v<T, std::vector<int>>) {
    return std::vector<int>(3, n);
  } else if constexpr (std::is_same_v<T, point>) {
    return point{static_cast<std::uint64_t>(n), ~static_cast<std::uint64_t>(n)};
  } else if constexpr (std::is_class_v<T>) {
    return T{n};
  } else {
    return static_cast<T>(n);
  }
}
template <class T, class View>
bool is_numbered(View const& view, int n) {
  if constexpr (std::is_same_v<T, std::unique_ptr<int>>) {
    return view && *view == n;
  } else {
    return view == numbered<T>(n);
  }
}

/// A cache of these, and how to speak of its entries by number.
template <class Key, class Value, class Policies = kcache::default_policies>
struct storage_kind {
  using key_type = Key;
  using value_type = Value;
  using policies = Policies;
  using cache = kcache::cache<Key, Value, Policies>;
  using view_type = typename kcache::storage_traits<Value>::view_type;
  static constexpr bool copies = std::is_copy_constructible_v<Value>;

  static Key key(int n) { return numbered<Key>(n); }
  static Value value(int n) { return numbered<Value>(n); }
  static bool is(view_type v, int n) { return is_numbered<Value>(v, n); }
  static auto put(cache& c, int k, int v, kcache::ttl t = {}) { return c.put(key(k), value(v), t); }
};

using storage_kinds = std::tuple<
    // Pairs: of words, and with a key's own ==.
    storage_kind<std::uint64_t, std::uint64_t>,
    storage_kind<point, std::uint64_t, kcache::with_hash<by_number>>,
    // Cells read without a lock: flat, small, owning, told of.
    storage_kind<std::uint64_t, std::string>,
    storage_kind<std::string, std::string>,
    storage_kind<std::string, std::uint64_t>,
    storage_kind<int, std::unique_ptr<int>>,
    storage_kind<int, int, told_policies<int, int>>,
    // Cells read under the lock.
    storage_kind<std::u16string, std::string>,
    storage_kind<owner, owner, kcache::with_hash<by_number>>,
    storage_kind<wide, wide, kcache::with_hash<by_number>>>;

}  // namespace test

#endif
