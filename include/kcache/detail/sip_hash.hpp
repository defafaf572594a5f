// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_SIP_HASH_HPP
#define KCACHE_DETAIL_SIP_HASH_HPP
/// \file
/// Floor 0. `sip_hash`: a keyed 64-bit hash, the same on every machine.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace kcache::detail {

/// SipHash-c-d of Aumasson and Bernstein ("SipHash: a fast short-input PRF", 2012), 1-3 unless
/// told. Bytes are read as little-endian words whatever the machine. Without the key nobody can
/// aim at a value or at collisions.
template <int C = 1, int D = 3>
[[nodiscard]] constexpr std::uint64_t sip_hash(std::uint64_t k0, std::uint64_t k1,
                                               std::string_view bytes) noexcept {
  std::uint64_t v0 = k0 ^ 0x736f6d6570736575;
  std::uint64_t v1 = k1 ^ 0x646f72616e646f6d;
  std::uint64_t v2 = k0 ^ 0x6c7967656e657261;
  std::uint64_t v3 = k1 ^ 0x7465646279746573;
  auto const rounds = [&](int n) {
    for (; n != 0; --n) {
      v0 += v1, v2 += v3;
      v1 = std::rotl(v1, 13) ^ v0, v3 = std::rotl(v3, 16) ^ v2;
      v0 = std::rotl(v0, 32);
      v2 += v1, v0 += v3;
      v1 = std::rotl(v1, 17) ^ v2, v3 = std::rotl(v3, 21) ^ v0;
      v2 = std::rotl(v2, 32);
    }
  };
  auto const word = [](char const* p, std::size_t n) {
    std::uint64_t w = 0;
    for (std::size_t i = 0; i != n; ++i)
      w |= std::uint64_t{static_cast<unsigned char>(p[i])} << (8 * i);
    return w;
  };
  auto const absorb = [&](std::uint64_t w) {
    v3 ^= w;
    rounds(C);
    v0 ^= w;
  };
  std::size_t const whole = bytes.size() & ~std::size_t{7};
  for (std::size_t i = 0; i != whole; i += 8) absorb(word(bytes.data() + i, 8));
  absorb(word(bytes.data() + whole, bytes.size() - whole) | std::uint64_t{bytes.size()} << 56);
  v2 ^= 0xff;
  rounds(D);
  return v0 ^ v1 ^ v2 ^ v3;
}

}  // namespace kcache::detail

#endif
