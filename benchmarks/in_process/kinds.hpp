// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_BENCHMARKS_IN_PROCESS_KINDS_HPP
#define KCACHE_BENCHMARKS_IN_PROCESS_KINDS_HPP
/// \file
/// The pairs of types that caches are filled with. A kind says
///   key, value       what the cache stores
///   item             a key as the sequences keep it, flat, so that reading them costs little
///   key_arg          what look-ups take, made of an item by `arg`
///   value_source     makes the value of a key; each thread has its own
///   fault(k, v)      0 if `v` is the value of `k`: every read that is measured is checked
///   digest(v)        a sum of what a value says, and
///   expected(k)      what it is for the value of `k`: where every read is a hit, what was read is
///                    added up and the sum checked, which costs a fast cache less

#include "../bench.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

namespace bench {

[[nodiscard]] inline std::uint64_t word_at(char const* bytes) {
  std::uint64_t word;
  std::memcpy(&word, bytes, sizeof word);
  return word;
}

/// u64 -> u64.
struct u64_kind {
  static constexpr char const* name = "u64";
  static constexpr char const* title = "u64 -> u64";
  using key = std::uint64_t;
  using value = std::uint64_t;
  using item = std::uint64_t;
  using key_arg = std::uint64_t;
  using value_arg = std::uint64_t;
  static constexpr std::uint64_t mark = 0x6b63616368650001;

  // Scattered: consecutive ones would flatter a map whose hash is the number itself.
  static item make(std::uint64_t n) { return random{n}(); }
  static key_arg arg(item k) { return k; }
  struct value_source {
    value_arg operator()(key_arg k) const { return k ^ mark; }
  };
  static value own(value_arg v) { return v; }
  static std::uint64_t fault(key_arg k, std::uint64_t v) { return v ^ k ^ mark; }
  static std::uint64_t digest(std::uint64_t v) { return v; }
  static std::uint64_t expected(key_arg k) { return k ^ mark; }
};

/// 16 bytes -> 100 bytes. The value begins and ends with words made of the key, and a read looks at
/// both: it touches the first and the last of the value's cache lines.
struct text_kind {
  static constexpr char const* name = "text";
  static constexpr char const* title = "string of 16 B -> string of 100 B";
  static constexpr std::size_t value_size = 100;
  using key = std::string;
  using value = std::string;
  using item = std::array<char, 16>;
  using key_arg = std::string_view;
  using value_arg = std::string_view;

  static item make(std::uint64_t n) {
    item k;
    std::uint64_t const words[2] = {random{n}(), n};
    std::memcpy(k.data(), words, sizeof words);
    return k;
  }
  static key_arg arg(item const& k) { return {k.data(), k.size()}; }
  class value_source {
   public:
    value_source() { bytes_.fill('v'); }
    value_arg operator()(key_arg k) {
      std::uint64_t const head = word_at(k.data());
      std::uint64_t const tail = ~head;
      std::memcpy(bytes_.data(), &head, sizeof head);
      std::memcpy(bytes_.data() + value_size - sizeof tail, &tail, sizeof tail);
      return {bytes_.data(), bytes_.size()};
    }

   private:
    std::array<char, value_size> bytes_;
  };
  static value own(value_arg v) { return value{v}; }
  static std::uint64_t fault(key_arg k, std::string_view v) {
    if (v.size() != value_size) return 1;
    std::uint64_t const word = word_at(k.data());
    return (word_at(v.data()) ^ word) | (word_at(v.data() + value_size - sizeof word) ^ ~word);
  }
  /// Its first word, its last and its size, so that each counts.
  static std::uint64_t digest(std::string_view v) {
    return word_at(v.data()) * 2 + word_at(v.data() + v.size() - 8) + v.size();
  }
  static std::uint64_t expected(key_arg k) {
    std::uint64_t const word = word_at(k.data());
    return word * 2 + ~word + value_size;
  }
};

/// 16 bytes -> a shared page of 100 bytes: types of which a cache knows nothing.
struct general_kind : text_kind {
  static constexpr char const* name = "general";
  static constexpr char const* title = "string of 16 B -> shared_ptr to 100 B";
  struct page {
    std::uint64_t id;
    std::array<char, 92> rest;
  };
  using value = std::shared_ptr<page const>;
  using value_arg = value const&;

  struct value_source {
    value operator()(key_arg k) const {
      return std::make_shared<page const>(page{word_at(k.data()), {}});
    }
  };
  static value own(value_arg v) { return v; }
  static std::uint64_t fault(key_arg k, value_arg v) { return v->id ^ word_at(k.data()); }
  static std::uint64_t digest(value_arg v) { return v->id; }
  static std::uint64_t expected(key_arg k) { return word_at(k.data()); }
};

}  // namespace bench

#endif
