// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_PEER_HPP
#define KCACHE_PEER_HPP
/// \file
/// Floor 0. `peer_address`: where a node of a cluster is reached, `http://host:port`.

#include <kcache/detail/host_name.hpp>
#include <kcache/detail/quoted.hpp>
#include <kcache/error.hpp>
#include <kcache/result.hpp>

#include <charconv>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace kcache {

/// The address of a node, well-formed by construction. It has two texts:
///
/// - `spelling()`, as it was given, less trailing slashes: the Go dialects hash these very bytes;
/// - `canonical()`, `http://host:port` in one form for one address. Equality, order and hash go by
///   it, and so does a node's recognition of itself.
///
/// The canonical form is lower case, without the dot that may end a name, with the port written
/// out (80 if none was given) and the host reduced:
///
/// | given | canonical |
/// |---|---|
/// | `HTTP://Cache-1.Example.com./` | `http://cache-1.example.com:80` |
/// | `http://localhost:8001` | `http://127.0.0.1:8001` |
/// | `http://[2001:DB8:0:0::1]:8001` | `http://[2001:db8::1]:8001` |
/// | `http://[::ffff:10.0.0.1]:8001` | `http://10.0.0.1:8001` |
///
/// Nothing is looked up: a name and its address are two peers, and so are 127.0.0.1 and `::1`.
/// IPv4 addresses in any other spelling than four plain decimal parts are refused, as are other
/// schemes than http, user names, paths and queries.
///
/// Thread safety: as `std::string`. Copying may throw `bad_alloc`.
class peer_address {
 public:
  /// Reads an address of a peer; its port is 1 to 65535. `bad_peer_address` says what is wrong and
  /// quotes the input, escaped and cut to 64 bytes. O(size).
  [[nodiscard]] static result<peer_address> parse(std::string_view text) { return read(text, 1); }

  /// Reads an address to listen on: as `parse`, but port 0 is taken too ("any free port").
  [[nodiscard]] static result<peer_address> parse_listen(std::string_view text) {
    return read(text, 0);
  }

  /// As given, less trailing slashes.
  [[nodiscard]] std::string const& spelling() const noexcept { return spelling_; }
  /// `http://host:port`, the one form. `parse(canonical())` yields an equal address.
  [[nodiscard]] std::string const& canonical() const noexcept { return canonical_; }
  /// `host:port`, canonical, an IPv6 address in brackets: what a `Host` field carries.
  [[nodiscard]] std::string_view authority() const noexcept {
    return std::string_view{canonical_}.substr(scheme.size());
  }
  /// The host, canonical, an IPv6 address without brackets: what a resolver takes.
  [[nodiscard]] std::string_view host() const noexcept {
    return std::string_view{canonical_}.substr(scheme.size() + (is_ipv6_ ? 1 : 0), host_size_);
  }
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  /// 127.0.0.0/8 (and so `localhost`) or `::1`. No other name is: it may resolve to anything.
  [[nodiscard]] bool is_loopback() const noexcept { return is_loopback_; }

  friend bool operator==(peer_address const& a, peer_address const& b) noexcept {
    return a.canonical_ == b.canonical_;
  }
  friend std::strong_ordering operator<=>(peer_address const& a, peer_address const& b) noexcept {
    return a.canonical_ <=> b.canonical_;
  }

 private:
  static constexpr std::string_view scheme = "http://";

  peer_address() = default;

  static result<peer_address> read(std::string_view text, unsigned lowest_port) {
    peer_address a;
    if (auto const problem = a.assign(text, lowest_port); !problem.empty())
      return kcache::error{errc::bad_peer_address,
                           "bad peer address " + detail::quoted(text) + ": " + problem};
    return a;
  }

  /// Fills this, or says what is wrong.
  std::string assign(std::string_view text, unsigned lowest_port) {
    auto const scheme_end = text.find("://");
    if (scheme_end == std::string_view::npos) return "write http://host:port";
    if (auto const s = text.substr(0, scheme_end); !is_word(s, "http"))
      return is_word(s, "https") ? "https is not supported yet: write http://host:port"
                                 : "the scheme must be http";
    while (text.size() > scheme.size() && text.back() == '/') text.remove_suffix(1);
    auto rest = text.substr(scheme.size());
    if (rest.find('@') != std::string_view::npos) return "no user name or password may be given";
    if (rest.find_first_of("/?#") != std::string_view::npos)
      return "nothing may follow host:port, no path, query or fragment";

    detail::host_name host;
    if (!rest.empty() && rest.front() == '[') {
      auto const close = rest.find(']');
      if (close == std::string_view::npos) return "'[' without ']'";
      host = detail::canonical_ipv6(rest.substr(1, close - 1));
      rest.remove_prefix(close + 1);
      if (!rest.empty() && rest.front() != ':') return "only :port may follow ']'";
    } else {
      auto const colon = rest.find(':');
      if (colon != rest.rfind(':')) return "an IPv6 address stands in brackets: http://[::1]:8001";
      host = detail::canonical_host(rest.substr(0, colon));
      rest.remove_prefix(colon == std::string_view::npos ? rest.size() : colon);
    }
    if (host.problem) return host.problem;

    unsigned port = 80;
    if (!rest.empty()) {
      rest.remove_prefix(1);
      auto const end = rest.data() + rest.size();
      auto const r = std::from_chars(rest.data(), end, port);
      bool const padded = rest.size() > 1 && rest.front() == '0';
      if (r.ec != std::errc{} || r.ptr != end || padded || port < lowest_port || port > 65'535)
        return "the port is a number from " + std::to_string(lowest_port) +
               " to 65535, without leading zeros";
    }
    spelling_ = text;
    canonical_ = scheme;
    canonical_ += host.is_ipv6 ? '[' + host.text + ']' : host.text;
    canonical_ += ':' + std::to_string(port);
    host_size_ = static_cast<std::uint16_t>(host.text.size());
    port_ = static_cast<std::uint16_t>(port);
    is_ipv6_ = host.is_ipv6;
    is_loopback_ = host.is_loopback;
    return {};
  }

  /// `text` is `word`, in any case.
  static bool is_word(std::string_view text, std::string_view word) noexcept {
    if (text.size() != word.size()) return false;
    for (std::size_t i = 0; i != word.size(); ++i)
      if ((static_cast<unsigned char>(text[i]) | 0x20u) != static_cast<unsigned char>(word[i]))
        return false;
    return true;
  }

  std::string spelling_;
  std::string canonical_;
  std::uint16_t host_size_ = 0;
  std::uint16_t port_ = 0;
  bool is_ipv6_ = false;
  bool is_loopback_ = false;
};

}  // namespace kcache

/// Equal addresses have equal hashes.
template <>
struct std::hash<kcache::peer_address> {
  std::size_t operator()(kcache::peer_address const& a) const noexcept {
    return std::hash<std::string>{}(a.canonical());
  }
};

#endif
