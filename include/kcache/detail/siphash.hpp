// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_SIPHASH_HPP
#define KCACHE_DETAIL_SIPHASH_HPP
/// \file
/// Floor 1. SipHash (Aumasson and Bernstein 2012), and keyed mixers for single words and bytes.

#include <kcache/config.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace kcache::detail {

/// 128 bits of key.
struct hash_key {
  std::uint64_t k0 = 0;
  std::uint64_t k1 = 0;
};

[[nodiscard]] KCACHE_INLINE std::uint64_t load_little_endian(unsigned char const* bytes) noexcept {
  if constexpr (std::endian::native == std::endian::little) {
    std::uint64_t word;
    std::memcpy(&word, bytes, sizeof word);
    return word;
  } else {
    std::uint64_t word = 0;
    for (unsigned i = 0; i != 8; ++i) word |= std::uint64_t{bytes[i]} << (8 * i);
    return word;
  }
}

/// SipHash-C-D: C rounds per 8 bytes, D at the end. 1-3 is what hash tables use (Rust, Python).
template <int C, int D>
[[nodiscard]] inline std::uint64_t siphash(hash_key key, void const* data,
                                           std::size_t size) noexcept {
  std::uint64_t v0 = key.k0 ^ 0x736f6d6570736575U;
  std::uint64_t v1 = key.k1 ^ 0x646f72616e646f6dU;
  std::uint64_t v2 = key.k0 ^ 0x6c7967656e657261U;
  std::uint64_t v3 = key.k1 ^ 0x7465646279746573U;
  auto const rounds = [&](int n) {
#pragma GCC unroll 4
    for (int i = 0; i != n; ++i) {
      v0 += v1;
      v1 = std::rotl(v1, 13) ^ v0;
      v0 = std::rotl(v0, 32);
      v2 += v3;
      v3 = std::rotl(v3, 16) ^ v2;
      v0 += v3;
      v3 = std::rotl(v3, 21) ^ v0;
      v2 += v1;
      v1 = std::rotl(v1, 17) ^ v2;
      v2 = std::rotl(v2, 32);
    }
  };
  auto const absorb = [&](std::uint64_t word) {
    v3 ^= word;
    rounds(C);
    v0 ^= word;
  };

  auto const* bytes = static_cast<unsigned char const*>(data);
  std::size_t left = size;
  for (; left >= 8; left -= 8, bytes += 8) absorb(load_little_endian(bytes));
  std::uint64_t last = static_cast<std::uint64_t>(size) << 56U;
  for (std::size_t i = 0; i != left; ++i) last |= std::uint64_t{bytes[i]} << (8 * i);
  absorb(last);
  v2 ^= 0xff;
  rounds(D);
  return v0 ^ v1 ^ v2 ^ v3;
}

/// The two halves of the 128-bit product, folded.
[[nodiscard]] KCACHE_INLINE constexpr std::uint64_t fold_multiply(std::uint64_t a,
                                                                  std::uint64_t b) noexcept {
  __extension__ using wide = unsigned __int128;
  wide const product = static_cast<wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64U);
}

/// A keyed mix of one word: two folded multiplications, every input bit reaches every output bit.
[[nodiscard]] KCACHE_INLINE constexpr std::uint64_t mix(hash_key key, std::uint64_t word) noexcept {
  std::uint64_t const once = fold_multiply(word ^ key.k0 ^ 0x9e3779b97f4a7c15U,
                                           key.k1 ^ 0xd6e8feb86659fd93U);
  return fold_multiply(once ^ key.k1 ^ word, 0xe7037ed1a0b428dbU) ^ once;
}

/// What `mix_bytes` folds into its state before the last 16 bytes or less: all before them, 16 at a
/// time.
[[nodiscard, gnu::noinline]] inline std::uint64_t mix_front(std::uint64_t state, std::uint64_t k1,
                                                            unsigned char const* p,
                                                            std::size_t size) noexcept {
  for (std::size_t left = size; left > 16; left -= 16, p += 16) {
    state = fold_multiply(load_little_endian(p) ^ state, load_little_endian(p + 8) ^ k1);
  }
  return state;
}

/// A keyed hash of bytes: 16 at a time are folded into the state by one multiplication, the last 16
/// by one more (its two words overlap where there are fewer), and a last one spreads.
/// Both factors depend on the key, so that whoever does not know it cannot make them zero or equal.
/// (The construction of wyhash and of aHash's fallback, but every secret is the instance's own.)
[[nodiscard]] KCACHE_INLINE std::uint64_t mix_bytes(hash_key key, void const* data,
                                                    std::size_t size) noexcept {
  auto const* p = static_cast<unsigned char const*>(data);
  // g++ 12 would warn of reading past a short literal, in branches that are never taken.
  asm("" : "+r"(p));
  std::uint64_t const k1 = key.k1 ^ 0xd6e8feb86659fd93U;
  std::uint64_t state = (key.k0 ^ 0x9e3779b97f4a7c15U) + size;
  std::uint64_t a = 0;
  std::uint64_t b = 0;
  if (size >= 8) [[likely]] {
    auto const* const end = p + size;
    if (size > 16) {
      state = mix_front(state, k1, p, size);
      p = end - 16;
    }
    a = load_little_endian(p);
    b = load_little_endian(end - 8);
  } else {
    for (std::size_t i = 0; i != size; ++i) a |= std::uint64_t{p[i]} << (8 * i);
  }
  state = fold_multiply(a ^ state, b ^ k1);
  return fold_multiply(state ^ key.k0, 0xe7037ed1a0b428dbU ^ k1) ^ state;
}

}  // namespace kcache::detail

#endif
