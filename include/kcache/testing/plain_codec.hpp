// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_TESTING_PLAIN_CODEC_HPP
#define KCACHE_TESTING_PLAIN_CODEC_HPP
/// \file
/// Floor 4. `plain_codec`: the codec policy without protobuf, for simulations and tests.

#include <kcache/bytes.hpp>
#include <kcache/cluster/codec.hpp>
#include <kcache/cluster/message.hpp>
#include <kcache/config.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

namespace kcache::testing {

/// Models `codec` with a layout that can be read in a debugger and needs no library: `K`, a letter
/// for the type, then every field of the struct in order; numbers in four or eight bytes, low byte
/// first; bytes behind their length in four; a list behind its count in four; a `get_reply`'s value
/// last, as the concept has it.
///
/// Strict where protobuf is lenient: a message is taken whole, to its last byte, or refused. It has
/// no unknown fields and so no versions: it is not for nodes that are built at different times.
/// Outcomes and hops that it does not know read as `unsupported` and `client`. Bytes of 4 GiB and
/// more cannot be said (asserted). Thread safe; no state.
class plain_codec {
 public:
  [[nodiscard]] static std::string encode(wire::hello_request const& m) { return write(m); }
  [[nodiscard]] static std::string encode(wire::hello_reply const& m) { return write(m); }
  [[nodiscard]] static std::string encode(wire::get_request const& m) { return write(m); }
  [[nodiscard]] static std::string encode(wire::get_many_request const& m) { return write(m); }
  [[nodiscard]] static std::string encode(wire::put_request const& m) { return write(m); }
  [[nodiscard]] static std::string encode(wire::invalidate_request const& m) { return write(m); }
  [[nodiscard]] static std::string encode_head(wire::get_reply const& m) {
    std::string head = write(m);
    number(head, length(m.value.size()));
    return head;
  }

  [[nodiscard]] static bool decode(byte_view bytes, wire::hello_request& m) {
    return read(bytes, m);
  }
  [[nodiscard]] static bool decode(byte_view bytes, wire::hello_reply& m) { return read(bytes, m); }
  [[nodiscard]] static bool decode(byte_view bytes, wire::get_request& m) { return read(bytes, m); }
  [[nodiscard]] static bool decode(byte_view bytes, wire::get_many_request& m) {
    return read(bytes, m);
  }
  [[nodiscard]] static bool decode(byte_view bytes, wire::put_request& m) { return read(bytes, m); }
  [[nodiscard]] static bool decode(byte_view bytes, wire::invalidate_request& m) {
    return read(bytes, m);
  }
  [[nodiscard]] static bool decode(byte_view bytes, wire::get_reply& m) {
    reader in{bytes};
    return in.type(letter(m)) && each(m, in) && in(m.value) && in.at_end();
  }

  /// As a message of type `v` with one field; nothing before an empty value.
  [[nodiscard]] static std::string encode_value_head(std::size_t size) {
    if (size == 0) return {};
    std::string head{'K', 'v'};
    number(head, length(size));
    return head;
  }
  [[nodiscard]] static bool decode_value(byte_view bytes, byte_view& value) {
    value = {};
    if (bytes.empty()) return true;
    reader in{bytes};
    return in.type('v') && in(value) && in.at_end();
  }

 private:
  static constexpr char letter(wire::hello_request const&) noexcept { return 'h'; }
  static constexpr char letter(wire::hello_reply const&) noexcept { return 'H'; }
  static constexpr char letter(wire::get_request const&) noexcept { return 'g'; }
  static constexpr char letter(wire::get_reply const&) noexcept { return 'G'; }
  static constexpr char letter(wire::get_many_request const&) noexcept { return 'm'; }
  static constexpr char letter(wire::put_request const&) noexcept { return 'p'; }
  static constexpr char letter(wire::invalidate_request const&) noexcept { return 'i'; }

  /// Calls `f` with each field of `m` but a reply's value, in the order of the layout, until one
  /// call yields false.
  template <class M, class F>
  static bool each(M& m, F& f) {
    using message = std::remove_const_t<M>;
    if (!(f(m.from.incarnation) && f(m.from.ring_digest) && f(m.from.ring_epoch))) return false;
    if constexpr (std::same_as<message, wire::hello_request>)
      return f(m.min_version) && f(m.max_version);
    else if constexpr (std::same_as<message, wire::hello_reply>)
      return f(m.outcome) && f(m.min_version) && f(m.max_version);
    else if constexpr (std::same_as<message, wire::get_request>)
      return f(m.group) && f(m.key) && f(m.budget_ms) && f(m.known_version) && f(m.kind);
    else if constexpr (std::same_as<message, wire::get_reply>)
      return f(m.outcome) && f(m.ttl_ms) && f(m.version) && f(m.lease_ms) && f(m.message) &&
             f(m.echo);
    else if constexpr (std::same_as<message, wire::get_many_request>)
      return f(m.group) && f(m.keys) && f(m.budget_ms) && f(m.kind);
    else if constexpr (std::same_as<message, wire::put_request>)
      return f(m.group) && f(m.key) && f(m.value) && f(m.ttl_ms) && f(m.budget_ms);
    else return f(m.group) && f(m.keys) && f(m.version) && f(m.budget_ms);
  }

  static std::uint32_t length(std::size_t size) noexcept {
    KCACHE_ASSERT(size <= std::numeric_limits<std::uint32_t>::max());
    return static_cast<std::uint32_t>(size);
  }
  template <std::unsigned_integral N>
  static void number(std::string& to, N n) {
    std::array<char, sizeof n> bytes;
    for (std::size_t i = 0; i != sizeof n; ++i)
      bytes[i] = static_cast<char>(static_cast<unsigned char>(n >> (8 * i)));
    to.append(bytes.data(), bytes.size());
  }

  struct writer {
    std::string& to;
    bool operator()(std::unsigned_integral auto n) const { return number(to, n), true; }
    bool operator()(wire::status s) const { return (*this)(static_cast<std::uint32_t>(s)); }
    bool operator()(wire::hop h) const { return (*this)(static_cast<std::uint32_t>(h)); }
    bool operator()(byte_view bytes) const {
      number(to, length(bytes.size()));
      to.append(bytes);
      return true;
    }
    bool operator()(std::vector<byte_view> const& keys) const {
      number(to, length(keys.size()));
      for (byte_view const key : keys) (*this)(key);
      return true;
    }
  };

  struct reader {
    byte_view left;

    [[nodiscard]] bool at_end() const noexcept { return left.empty(); }
    bool take(std::size_t count, byte_view& bytes) noexcept {
      if (left.size() < count) return false;
      bytes = left.substr(0, count);
      left.remove_prefix(count);
      return true;
    }
    bool type(char expected) noexcept {
      byte_view head;
      return take(2, head) && head[0] == 'K' && head[1] == expected;
    }
    template <std::unsigned_integral N>
    bool operator()(N& n) noexcept {
      byte_view bytes;
      if (!take(sizeof n, bytes)) return false;
      n = 0;
      for (std::size_t i = sizeof n; i-- != 0;)
        n = static_cast<N>(n << 8 | static_cast<unsigned char>(bytes[i]));
      return true;
    }
    bool operator()(wire::status& s) noexcept {
      std::uint32_t n;
      if (!(*this)(n)) return false;
      s = static_cast<wire::status>(n);
      if (s > wire::status::unsupported) s = wire::status::unsupported;
      return true;
    }
    bool operator()(wire::hop& h) noexcept {
      std::uint32_t n;
      if (!(*this)(n)) return false;
      h = static_cast<wire::hop>(n);
      if (h > wire::hop::deputy) h = wire::hop::client;
      return true;
    }
    bool operator()(byte_view& bytes) noexcept {
      std::uint32_t size;
      return (*this)(size) && take(size, bytes);
    }
    bool operator()(std::vector<byte_view>& keys) {
      std::uint32_t count;
      // A key takes four bytes at least: no room is made for keys that cannot be there.
      if (!(*this)(count) || count > wire::max_keys || count > left.size() / 4) return false;
      keys.resize(count);
      for (byte_view& key : keys)
        if (!(*this)(key)) return false;
      return true;
    }
  };

  template <class M>
  static std::string write(M const& m) {
    std::string bytes{'K', letter(m)};
    writer out{bytes};
    each(m, out);
    return bytes;
  }
  template <class M>
  static bool read(byte_view bytes, M& m) {
    reader in{bytes};
    return in.type(letter(m)) && each(m, in) && in.at_end();
  }
};

static_assert(codec<plain_codec>);

}  // namespace kcache::testing

#endif
