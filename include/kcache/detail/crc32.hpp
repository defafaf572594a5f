// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_CRC32_HPP
#define KCACHE_DETAIL_CRC32_HPP
/// \file
/// Floor 0. `crc32`: the CRC-32 of IEEE 802.3 (Go's `crc32.ChecksumIEEE`), the ring hash of two
/// Go dialects.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace kcache::detail {

inline constexpr std::array<std::uint32_t, 256> crc32_table = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i != 256; ++i) {
    std::uint32_t c = i;
    for (int bit = 0; bit != 8; ++bit) c = (c >> 1) ^ ((c & 1) != 0 ? 0xedb88320u : 0u);
    table[i] = c;
  }
  return table;
}();

/// The checksum of `bytes`, or of `before` followed by `bytes` where `running` is that of `before`.
/// One table step per byte: what is hashed here are keys and peers, not blocks.
[[nodiscard]] constexpr std::uint32_t crc32(std::string_view bytes,
                                            std::uint32_t running = 0) noexcept {
  std::uint32_t c = ~running;
  for (char const b : bytes) c = crc32_table[(c ^ static_cast<unsigned char>(b)) & 0xff] ^ (c >> 8);
  return ~c;
}

}  // namespace kcache::detail

#endif
