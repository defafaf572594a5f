// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_TESTS_SUPPORT_NUMBERED_HPP
#define KCACHE_TESTS_SUPPORT_NUMBERED_HPP
/// \file
/// Keys and values of every kind of storage that say whose value they are, which one, and whether
/// they are whole.

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <vector>

namespace test {

/// What a value was made of.
struct written {
  std::uint64_t key;
  std::uint64_t number;
};

/// The largest value that is kept in a pair: words that are torn apart show.
struct four_words {
  std::array<std::uint64_t, 4> words;
};
/// A key that the user's code compares: such caches lock.
struct listed_key {
  std::vector<std::uint64_t> parts;
  friend bool operator==(listed_key const&, listed_key const&) = default;
};
struct listed_key_hash {
  std::uint64_t operator()(listed_key const& k) const noexcept {
    return (k.parts[0] + 1) * 0x9e3779b97f4a7c15U;
  }
};
/// A key of a pair that the user's code compares, without a lock; it is never half another's. Now
/// and then the comparison takes long enough for others to change what is being read.
struct twin_key {
  std::uint64_t a;
  std::uint64_t b;
  friend bool operator==(twin_key const& x, twin_key const& y) {
    if (x.b != ~x.a || y.b != ~y.a) std::abort();
    static thread_local unsigned calls = 0;
    if (++calls % 32 == 0) std::this_thread::yield();
    return x.a == y.a;
  }
};
struct twin_key_hash {
  std::uint64_t operator()(twin_key const& k) const noexcept {
    return (k.a + 1) * 0x9e3779b97f4a7c15U;
  }
};

template <class Key>
Key key_of(std::uint64_t k) {
  if constexpr (std::is_same_v<Key, std::string>) {
    std::string s = "key ";
    // Lengths of all kinds, also of one chunk of the heap and another.
    s.append(k % 40, '.');
    return s += std::to_string(k);
  } else if constexpr (std::is_same_v<Key, listed_key>) {
    return {{k, k}};
  } else if constexpr (std::is_same_v<Key, twin_key>) {
    return {k, ~k};
  } else {
    return static_cast<Key>(k);
  }
}

inline std::uint64_t mixed(written const& w, std::uint64_t salt) {
  return (w.key * 0x9e3779b97f4a7c15U ^ w.number * 0xc2b2ae3d27d4eb4fU) + salt;
}

template <class Value>
Value value_of(written const& w) {
  if constexpr (std::is_same_v<Value, std::string>) {
    // From 32 to some 1,000 bytes, more than a visitor copies: the same two words over and over.
    std::string s((2 + w.number % 61) * 16, '\0');
    std::array<std::uint64_t, 2> const words{w.key, w.number};
    for (std::size_t at = 0; at != s.size(); at += 16) std::memcpy(&s[at], words.data(), 16);
    return s;
  } else if constexpr (std::is_same_v<Value, four_words>) {
    return {{w.key, w.number, mixed(w, 1), mixed(w, 2)}};
  } else if constexpr (std::is_same_v<Value, std::uint64_t>) {
    return w.key << 40U | w.number;
  } else {
    return std::make_shared<typename Value::element_type>(value_of<four_words>(w));
  }
}

// What a value that was read is made of; nothing if it is not whole.
inline std::optional<written> read_of(std::uint64_t v) {
  return written{v >> 40U, v & ((std::uint64_t{1} << 40U) - 1)};
}
inline std::optional<written> read_of(four_words const& v) {
  written const w{v.words[0], v.words[1]};
  if (v.words[2] != mixed(w, 1) || v.words[3] != mixed(w, 2)) return {};
  return w;
}
inline std::optional<written> read_of(std::string_view v) {
  if (v.size() < 16) return {};
  std::array<std::uint64_t, 2> words;
  std::memcpy(words.data(), v.data(), 16);
  written const w{words[0], words[1]};
  if (v.size() != (2 + w.number % 61) * 16) return {};
  for (std::size_t at = 16; at != v.size(); at += 16) {
    if (std::memcmp(v.data() + at, v.data(), 16) != 0) return {};
  }
  return w;
}
inline std::optional<written> read_of(std::shared_ptr<four_words const> const& v) {
  return v ? read_of(*v) : std::nullopt;
}

}  // namespace test

#endif
