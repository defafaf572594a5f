// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_CLUSTER_WIRE_PATH_HPP
#define KCACHE_CLUSTER_WIRE_PATH_HPP
/// \file
/// Floor 4. Targets of requests: group and key in a path, and the native operations.
///
/// Two kinds of target exist. The *path form*, `/_kcache/<group>/<key>`, carries group and key
/// itself; curl and the Go dialects use it. Native peers post to `/_kcache.native/1/<operation>`
/// and carry everything in the body.
///
/// A key is bytes, and must come back as itself. So the writer escapes every byte outside
/// `A-Za-z0-9-_~`, the dot too (no server then takes a key `..` for a step up), and the reader
/// splits the *raw* path first and decodes each part once: a group `g/x` is `g%2Fx`, and its slash
/// never parts anything. The Go servers split after decoding and serve that group from `g`.
///
/// All functions here are pure and thread safe. Reading allocates only for a part that has escapes.

#include <kcache/bytes.hpp>
#include <kcache/cluster/dialect.hpp>
#include <kcache/cluster/message.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace kcache::wire {

/// Where the path form lives. A native node answers under Kcache's base, for curl and Go clients.
[[nodiscard]] constexpr std::string_view path_base(dialect d) noexcept {
  return d == dialect::groupcache ? "/_groupcache/" : "/_kcache/";
}

/// Appends `bytes`, with `%XX` for every byte outside `A-Za-z0-9-_~`.
inline void append_escaped(std::string& out, byte_view bytes) {
  constexpr char const* digits = "0123456789ABCDEF";
  for (char const c : bytes) {
    bool const plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '~';
    if (plain) {
      out += c;
      continue;
    }
    auto const byte = static_cast<unsigned char>(c);
    out += '%';
    out += digits[byte >> 4];
    out += digits[byte & 15];
  }
}

[[nodiscard]] inline std::string percent_encode(byte_view bytes) {
  std::string out;
  append_escaped(out, bytes);
  return out;
}

/// The target that asks for `key` of `group`: `base` as it is, the rest escaped.
[[nodiscard]] inline std::string path_target(byte_view base, byte_view group, byte_view key) {
  std::string out;
  out.reserve(base.size() + group.size() + 1 + 3 * key.size());
  out += base;
  append_escaped(out, group);
  out += '/';
  append_escaped(out, key);
  return out;
}

/// The bytes of one part of a path: a view of the target where nothing was escaped, so valid as
/// long as that, else a copy.
class path_part {
 public:
  path_part() noexcept = default;
  explicit path_part(byte_view raw) noexcept : raw_{raw} {}
  explicit path_part(std::string decoded) noexcept : text_{std::move(decoded)}, decoded_{true} {}

  [[nodiscard]] byte_view bytes() const noexcept { return decoded_ ? byte_view{text_} : raw_; }

 private:
  byte_view raw_;
  std::string text_;
  bool decoded_ = false;
};

/// `raw` with each `%XX` (either case) replaced by its byte, once, and `+` by a space if asked.
/// None if a `%` lacks its two digits.
[[nodiscard]] inline std::optional<path_part> percent_decode(byte_view raw,
                                                             bool plus_is_space = false) {
  auto const value = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  auto const first = raw.find_first_of(plus_is_space ? "%+" : "%");
  if (first == byte_view::npos) return path_part{raw};
  std::string out;
  out.reserve(raw.size());
  out = raw.substr(0, first);
  for (std::size_t i = first; i != raw.size(); ++i) {
    if (raw[i] == '%') {
      if (raw.size() - i < 3) return std::nullopt;
      int const high = value(raw[i + 1]);
      int const low = value(raw[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      out += static_cast<char>(static_cast<unsigned char>(high * 16 + low));
      i += 2;
    } else {
      out += plus_is_space && raw[i] == '+' ? ' ' : raw[i];
    }
  }
  return path_part{std::move(out)};
}

/// How a server reads the path form.
struct path_options {
  /// Reads `+` as a space, as Go requesters write one. Off: a plus is a plus, as Go owners read it.
  bool plus_is_space = false;
  /// An empty key is a key (groupcache loads it) and no fault (Kcache refuses it).
  bool empty_key = false;

  [[nodiscard]] static constexpr path_options of(dialect d) noexcept {
    return {.plus_is_space = false, .empty_key = d == dialect::groupcache};
  }
};

/// What came of reading a target of the path form, and what it is answered with.
enum class path_outcome : unsigned char {
  ok,
  elsewhere,   ///< not under the base: not for us
  no_slash,    ///< no `/` after the group: 400, `bad request\n`
  bad_escape,  ///< a `%` without two digits: 400, `bad request\n`
  /// 500, `key is required\n`; but an unknown group comes first: 404, `no such group: NAME\n`.
  empty_key,
};

struct parsed_path {
  path_outcome outcome = path_outcome::elsewhere;
  path_part group;  ///< filled for `ok` and `empty_key`
  path_part key;    ///< filled for `ok`
};

/// Reads `target`, raw as it came: cuts the query, takes off `base`, splits at the first `/` and
/// decodes each part once. The key may hold slashes of its own, escaped or not. O(size).
[[nodiscard]] inline parsed_path parse_path(byte_view target, byte_view base,
                                            path_options options = {}) {
  target = target.substr(0, target.find('?'));
  if (!target.starts_with(base)) return {};
  target.remove_prefix(base.size());
  auto const slash = target.find('/');
  if (slash == byte_view::npos) return {path_outcome::no_slash, {}, {}};
  auto group = percent_decode(target.substr(0, slash), options.plus_is_space);
  auto key = percent_decode(target.substr(slash + 1), options.plus_is_space);
  if (!group || !key) return {path_outcome::bad_escape, {}, {}};
  bool const no_key = key->bytes().empty() && !options.empty_key;
  return {no_key ? path_outcome::empty_key : path_outcome::ok, std::move(*group), std::move(*key)};
}

/// The operations of the native dialect.
enum class operation : unsigned char { hello, get, get_many, put, invalidate };

inline constexpr std::string_view native_base = "/_kcache.native/";

/// The target of an operation, in the version this node speaks.
[[nodiscard]] constexpr std::string_view native_target(operation o) noexcept {
  static_assert(native_version == 1, "the version stands in the targets below");
  switch (o) {
    case operation::hello: return "/_kcache.native/1/hello";
    case operation::get: return "/_kcache.native/1/get";
    case operation::get_many: return "/_kcache.native/1/get_many";
    case operation::put: return "/_kcache.native/1/put";
    case operation::invalidate: return "/_kcache.native/1/invalidate";
  }
  return {};
}

enum class native_outcome : unsigned char {
  ok,
  elsewhere,          ///< not under `/_kcache.native/`: not for us
  other_version,      ///< a version that this node does not speak: 426
  unknown_operation,  ///< anything else under the base, a query included: 404
};

struct parsed_native {
  native_outcome outcome = native_outcome::elsewhere;
  operation op = operation::hello;  ///< for `ok`
};

/// Reads a target of the native dialect; only the exact targets above are `ok`. Never throws.
[[nodiscard]] constexpr parsed_native parse_native(byte_view target) noexcept {
  if (!target.starts_with(native_base)) return {};
  for (auto const o : {operation::hello, operation::get, operation::get_many, operation::put,
                       operation::invalidate})
    if (target == native_target(o)) return {native_outcome::ok, o};
  auto const rest = target.substr(native_base.size());
  auto const digits = rest.find_first_not_of("0123456789");
  bool const version = digits != byte_view::npos && digits != 0 && rest[digits] == '/' &&
                       rest.front() != '0' && rest.substr(0, digits) != "1";
  return {version ? native_outcome::other_version : native_outcome::unknown_operation, {}};
}

}  // namespace kcache::wire

#endif
