// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_QUOTED_HPP
#define KCACHE_DETAIL_QUOTED_HPP
/// \file
/// Floor 0. `quoted`: text from outside, made safe to stand in a message or a log line.

#include <cstddef>
#include <string>
#include <string_view>

namespace kcache::detail {

/// `text` in double quotes, on one line, in printable ASCII only: `"` and `\` get a backslash,
/// every other byte outside space..`~` becomes `\xNN`. What exceeds `limit` bytes of the input is
/// cut, and `...` follows the closing quote.
[[nodiscard]] inline std::string quoted(std::string_view text, std::size_t limit = 64) {
  constexpr char const* digits = "0123456789abcdef";
  std::string out{'"'};
  for (char const c : text.substr(0, limit)) {
    auto const byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte >= 0x20 && byte < 0x7f) {
      out += c;
    } else {
      out += "\\x";
      out += digits[byte >> 4];
      out += digits[byte & 15];
    }
  }
  out += text.size() > limit ? "\"..." : "\"";
  return out;
}

}  // namespace kcache::detail

#endif
