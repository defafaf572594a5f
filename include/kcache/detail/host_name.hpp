// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_HOST_NAME_HPP
#define KCACHE_DETAIL_HOST_NAME_HPP
/// \file
/// Floor 0. Hosts in one spelling: IPv4, IPv6 and names, read strictly.

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

namespace kcache::detail {

using ipv4_bytes = std::array<std::uint8_t, 4>;
using ipv6_groups = std::array<std::uint16_t, 8>;

/// Four decimal parts without leading zeros and nothing else. The short, octal and hexadecimal
/// forms that `inet_aton` takes are no addresses here: one machine would have many spellings.
[[nodiscard]] constexpr std::optional<ipv4_bytes> parse_ipv4(std::string_view text) noexcept {
  ipv4_bytes out{};
  for (std::size_t i = 0; i != out.size(); ++i) {
    std::size_t digits = 0;
    unsigned value = 0;
    while (digits != text.size() && text[digits] >= '0' && text[digits] <= '9') {
      if (++digits > 3) return std::nullopt;
      value = value * 10 + static_cast<unsigned>(text[digits - 1] - '0');
    }
    if (digits == 0 || value > 255 || (digits > 1 && text.front() == '0')) return std::nullopt;
    out[i] = static_cast<std::uint8_t>(value);
    text.remove_prefix(digits);
    if (i == 3) break;
    if (text.empty() || text.front() != '.') return std::nullopt;
    text.remove_prefix(1);
  }
  if (!text.empty()) return std::nullopt;
  return out;
}

/// RFC 4291, section 2.2, without a zone and without brackets.
[[nodiscard]] inline std::optional<ipv6_groups> parse_ipv6(std::string_view text) noexcept {
  ipv6_groups out{};
  std::size_t n = 0;
  std::optional<std::size_t> gap;  // where "::" stands
  if (text.substr(0, 2) == "::") {
    gap = 0;
    text.remove_prefix(2);
  }
  while (!text.empty()) {
    if (n == out.size()) return std::nullopt;
    auto const end = text.find(':');
    auto const part = text.substr(0, end);
    if (end == std::string_view::npos && part.find('.') != std::string_view::npos) {
      auto const tail = parse_ipv4(part);
      if (!tail || n > 6) return std::nullopt;
      auto const& b = *tail;
      out[n++] = static_cast<std::uint16_t>(b[0] << 8 | b[1]);
      out[n++] = static_cast<std::uint16_t>(b[2] << 8 | b[3]);
      break;
    }
    unsigned value = 0;
    auto const last = part.data() + part.size();
    if (part.empty() || part.size() > 4) return std::nullopt;
    if (auto const r = std::from_chars(part.data(), last, value, 16);
        r.ec != std::errc{} || r.ptr != last)
      return std::nullopt;
    out[n++] = static_cast<std::uint16_t>(value);
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
    if (text.empty()) return std::nullopt;
    if (text.front() == ':') {
      if (gap) return std::nullopt;
      gap = n;
      text.remove_prefix(1);
    }
  }
  if (!gap) return n == out.size() ? std::optional{out} : std::nullopt;
  if (n == out.size()) return std::nullopt;
  auto const from = out.begin() + static_cast<std::ptrdiff_t>(*gap);
  std::rotate(from, out.begin() + static_cast<std::ptrdiff_t>(n), out.end());
  return out;
}

[[nodiscard]] inline std::string to_text(ipv4_bytes const& a) {
  return std::to_string(a[0]) + '.' + std::to_string(a[1]) + '.' + std::to_string(a[2]) + '.' +
         std::to_string(a[3]);
}

/// The one form of RFC 5952: lower case, no leading zeros, the first longest run of two or more
/// zero groups as `::`.
[[nodiscard]] inline std::string to_text(ipv6_groups const& a) {
  std::size_t run_at = a.size();
  std::size_t run = 1;
  for (std::size_t i = 0; i != a.size(); ++i) {
    std::size_t j = i;
    while (j != a.size() && a[j] == 0) ++j;
    if (j - i > run) run_at = i, run = j - i;
  }
  std::string out;
  for (std::size_t i = 0; i != a.size(); ++i) {
    if (i == run_at) {
      out += "::";
      i += run - 1;
      continue;
    }
    if (!out.empty() && out.back() != ':') out += ':';
    char buffer[4];
    out.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, a[i], 16).ptr);
  }
  return out;
}

/// A host in its one spelling, or what is wrong with it.
struct host_name {
  std::string text{};  ///< without brackets; empty if `problem`
  bool is_ipv6 = false;
  bool is_loopback = false;
  char const* problem = nullptr;
};

[[nodiscard]] inline host_name host_of(ipv4_bytes const& a) {
  return {to_text(a), false, a[0] == 127, nullptr};
}

/// What stood in brackets. An IPv4-mapped address is the IPv4 address.
[[nodiscard]] inline host_name canonical_ipv6(std::string_view text) {
  if (text.find('%') != std::string_view::npos)
    return {.problem = "an IPv6 zone means something on one machine only"};
  auto const parsed = parse_ipv6(text);
  if (!parsed) return {.problem = "what stands in brackets is no IPv6 address"};
  auto const& g = *parsed;
  if (std::all_of(g.begin(), g.begin() + 5, [](auto x) { return x == 0; }) && g[5] == 0xffff)
    return host_of({static_cast<std::uint8_t>(g[6] >> 8), static_cast<std::uint8_t>(g[6] & 255),
                    static_cast<std::uint8_t>(g[7] >> 8), static_cast<std::uint8_t>(g[7] & 255)});
  bool const loopback =
      std::all_of(g.begin(), g.begin() + 7, [](auto x) { return x == 0; }) && g[7] == 1;
  return {to_text(g), true, loopback, nullptr};
}

/// What stood without brackets: an IPv4 address or a name. `localhost` is 127.0.0.1; no other name
/// is looked up.
[[nodiscard]] inline host_name canonical_host(std::string_view text) {
  if (!text.empty() && text.back() == '.') text.remove_suffix(1);
  if (text.empty()) return {.problem = "there is no host"};
  host_name out{.text = std::string{text}};
  std::size_t label = 0;  // where the label that holds position i began
  bool well_formed = text.size() <= 253;
  for (std::size_t i = 0; i <= text.size() && well_formed; ++i) {
    if (i == text.size() || text[i] == '.') {
      well_formed = i > label && i - label <= 63 && text[label] != '-' && text[i - 1] != '-';
      if (i != text.size()) label = i + 1;
      continue;
    }
    char& c = out.text[i];
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    well_formed = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  }
  if (!well_formed)
    return {.problem = "a host name has parts of 1 to 63 letters, digits, '-' and '_', with dots "
                       "between them, 253 characters in all"};
  if (out.text == "localhost") return host_of({127, 0, 0, 1});
  if (auto const v4 = parse_ipv4(out.text)) return host_of(*v4);
  // A name that ends in a number is an address to some resolvers: 127.1, 0x7f000001, 010.0.0.1.
  auto const last = std::string_view{out.text}.substr(label);
  bool const hex = last.substr(0, 2) == "0x" &&
                   last.find_first_not_of("0123456789abcdef", 2) == std::string_view::npos;
  if (hex || last.find_first_not_of("0123456789") == std::string_view::npos)
    return {.problem =
                "an IPv4 address has four decimal parts from 0 to 255, without leading zeros"};
  return out;
}

}  // namespace kcache::detail

#endif
