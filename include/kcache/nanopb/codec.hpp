// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_NANOPB_CODEC_HPP
#define KCACHE_NANOPB_CODEC_HPP
/// \file
/// Floor 5. `nanopb_codec`: the codec policy in protobuf, and the default. Needs nanopb 0.4, from
/// 0.4.7 on; link with `-lprotobuf-nanopb`.

#include <kcache/bytes.hpp>
#include <kcache/cluster/codec.hpp>
#include <kcache/cluster/message.hpp>
#include <kcache/config.hpp>
#include <kcache/nanopb/detail/descriptors.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace kcache {

/// Models `codec` with the messages of nanopb/native.proto and nanopb/kcache.proto.
///
/// Decoded views point into the input; nothing is copied. What a decoder meets:
///
/// - unknown fields are skipped, whatever their wire type; groups (wire types 3 and 4) are refused;
/// - a scalar or a view that comes twice: the last one counts; keys add up;
/// - a known number with another wire type than its own, a number too large for its field, a length
///   past the end, a cut varint: refused;
/// - an outcome it does not know reads as `status::unsupported`, a hop as `hop::client`;
/// - a put, or a reply that is `ok`, without a value field was cut short and is refused (an empty
///   value is a field of length 0); other cuts between two fields read as a shorter message, as
///   always in protobuf: whoever brings the bytes has to know that they are all there.
///
/// One field may have up to 4 GiB - 1 bytes. Thread safe; no state.
struct nanopb_codec {
  [[nodiscard]] static std::string encode(wire::hello_request const& m) { return write(m, 0); }
  [[nodiscard]] static std::string encode(wire::hello_reply const& m) { return write(m, 0); }
  [[nodiscard]] static std::string encode(wire::get_request const& m) {
    return write(m, m.group.size() + m.key.size());
  }
  [[nodiscard]] static std::string encode(wire::get_many_request const& m) {
    return write(m, m.group.size() + size_of(m.keys));
  }
  [[nodiscard]] static std::string encode(wire::put_request const& m) {
    return write(m, m.group.size() + m.key.size(), m.value);
  }
  [[nodiscard]] static std::string encode(wire::invalidate_request const& m) {
    return write(m, m.group.size() + size_of(m.keys));
  }

  /// The reply up to and with the tag and the length of its value.
  [[nodiscard]] static std::string encode_head(wire::get_reply const& m) {
    return write(m, m.message.size());
  }

  [[nodiscard]] static bool decode(byte_view bytes, wire::hello_request& m) noexcept {
    m = {.from = {}, .min_version = 0, .max_version = 0};
    return read(bytes, m);
  }
  [[nodiscard]] static bool decode(byte_view bytes, wire::hello_reply& m) noexcept {
    m = {.from = {}, .outcome = wire::status::ok, .min_version = 0, .max_version = 0};
    if (!read(bytes, m)) return false;
    m.outcome = known(m.outcome);
    return true;
  }
  [[nodiscard]] static bool decode(byte_view bytes, wire::get_request& m) noexcept {
    m = {};
    if (!read(bytes, m)) return false;
    m.kind = known(m.kind);
    return true;
  }
  [[nodiscard]] static bool decode(byte_view bytes, wire::get_reply& m) noexcept {
    m = {};
    if (!read(bytes, m)) return false;
    m.outcome = known(m.outcome);
    return m.outcome != wire::status::ok || m.value.data();
  }
  [[nodiscard]] static bool decode(byte_view bytes, wire::get_many_request& m) {
    if (!read_keys(bytes, m)) return false;
    m.kind = known(m.kind);
    return true;
  }
  [[nodiscard]] static bool decode(byte_view bytes, wire::put_request& m) noexcept {
    m = {};
    return read(bytes, m) && m.value.data();
  }
  [[nodiscard]] static bool decode(byte_view bytes, wire::invalidate_request& m) {
    return read_keys(bytes, m);
  }

  /// What stands before `size` bytes of value in the kcache dialect; nothing before an empty one.
  [[nodiscard]] static std::string encode_value_head(std::size_t size) {
    if (size == 0) return {};
    pb_byte_t head[16];
    pb_ostream_t out = pb_ostream_from_buffer(head, sizeof head);
    bool const fits = pb_encode_tag(&out, PB_WT_STRING, 1) && pb_encode_varint(&out, size);
    KCACHE_ASSERT(fits);
    static_cast<void>(fits);
    return {reinterpret_cast<char const*>(head), out.bytes_written};
  }
  [[nodiscard]] static bool decode_value(byte_view bytes, byte_view& value) noexcept {
    detail::pb::response m;
    if (!read(bytes, m)) return false;
    value = m.value;
    return true;
  }

 private:
  /// Everything of the largest message that is not bytes, with the tags and lengths of those that
  /// are; keys aside.
  static constexpr std::size_t most_scalars = 128;
  /// A tag and the longest length.
  static constexpr std::size_t most_prefix = 11;

  static std::size_t size_of(std::vector<byte_view> const& keys) noexcept {
    std::size_t size = 0;
    for (byte_view const key : keys) size += key.size() + most_prefix;
    return size;
  }

  /// `m`, whose views (but `tail`) have `views` bytes, then `tail`. One allocation; a small message
  /// is written beside it and copied, which costs less than to measure it first.
  template <class M>
  static std::string write(M const& m, std::size_t views, byte_view tail = {}) {
    std::size_t const bound = most_scalars + views;
    std::string bytes;
    if (pb_byte_t small[512]; bound <= sizeof small) {
      pb_ostream_t out = pb_ostream_from_buffer(small, sizeof small);
      fill(out, m);
      bytes.reserve(out.bytes_written + tail.size());
      bytes.append(reinterpret_cast<char const*>(small), out.bytes_written);
    } else {
      // Reserved beforehand: no exception may cross nanopb.
      bytes.reserve(bound + tail.size());
      pb_ostream_t out{&append, &bytes, bound, 0, nullptr};
      fill(out, m);
    }
    bytes.append(tail);
    return bytes;
  }
  template <class M>
  static void fill(pb_ostream_t& out, M const& m) noexcept {
    bool const fits = detail::pb::descriptor<M>::encode(&out, m);
    KCACHE_ASSERT(fits);
    static_cast<void>(fits);
  }
  static bool append(pb_ostream_t* out, pb_byte_t const* from, std::size_t count) noexcept {
    static_cast<std::string*>(out->state)->append(reinterpret_cast<char const*>(from), count);
    return true;
  }

  /// Fills what `bytes` has; the caller has set the rest.
  template <class M>
  static bool read(byte_view bytes, M& m) noexcept {
    pb_istream_t in{&detail::pb::advance, const_cast<char*>(bytes.data()), bytes.size(), nullptr};
    return pb_decode_ex(&in, &detail::pb::descriptor<M>::message, &m, PB_DECODE_NOINIT);
  }
  template <class M>
  static bool read_keys(byte_view bytes, M& m) {
    auto keys = std::move(m.keys);
    keys.clear();
    // A key takes two bytes at least.
    keys.reserve(std::min(wire::max_keys, bytes.size() / 2));
    m = {};
    m.keys = std::move(keys);
    return read(bytes, m);
  }

  static constexpr wire::status known(wire::status s) noexcept {
    return s <= wire::status::unsupported ? s : wire::status::unsupported;
  }
  static constexpr wire::hop known(wire::hop h) noexcept {
    return h <= wire::hop::deputy ? h : wire::hop::client;
  }
};

static_assert(codec<nanopb_codec>);

}  // namespace kcache

#endif
