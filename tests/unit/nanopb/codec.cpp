// SPDX-License-Identifier: BSL-1.0
#include <kcache/nanopb/codec.hpp>

#include <kcache/testing/codec_laws.hpp>

#include "support/catch.hpp"

#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace {

using namespace kcache;
using codec_t = nanopb_codec;
using testing::same;

std::string hex(byte_view bytes) {
  std::string text;
  for (char const c : bytes) {
    text += "0123456789abcdef"[static_cast<unsigned char>(c) >> 4U];
    text += "0123456789abcdef"[static_cast<unsigned char>(c) & 15U];
  }
  return text;
}

/// Bytes of a text in hexadecimal; spaces are for the reader.
std::string bytes_of(std::string_view text) {
  std::string bytes;
  int high = -1;
  for (char const c : text) {
    if (c == ' ') continue;
    int const digit = c <= '9' ? c - '0' : c - 'a' + 10;
    if (high >= 0) bytes += static_cast<char>(high * 16 + digit);
    high = high >= 0 ? -1 : digit;
  }
  return bytes;
}

/// Inputs lie alone in their allocations, so that a sanitizer sees a step outside.
template <class M>
bool decode(byte_view bytes, M& m) {
  std::vector<char> const input(bytes.begin(), bytes.end());
  M inner;
  bool const taken = codec_t::decode(byte_view{input.data(), input.size()}, inner);
  if constexpr (requires { inner.value; }) inner.value = {};
  if constexpr (requires { inner.group; }) inner.group = {};
  if constexpr (requires { inner.key; }) inner.key = {};
  if constexpr (requires { inner.keys; }) inner.keys.clear();
  if constexpr (requires { inner.message; }) inner.message = {};
  m = inner;
  return taken;
}
template <class M>
bool taken(std::string_view text) {
  M m;
  return decode(bytes_of(text), m);
}

std::string varint(std::uint64_t n) {
  std::string out;
  for (; n >= 128; n >>= 7U) out += static_cast<char>(static_cast<unsigned char>(n | 128U));
  return out += static_cast<char>(n);
}
/// The number of a field and its wire type.
std::string tag(std::uint32_t number, unsigned wire_type) {
  return varint(number << 3U | wire_type);
}
/// So many bytes, of which none may be read.
byte_view unreadable(std::size_t size) {
  static char const edge = 0;
  return {&edge, size};
}

wire::envelope const speaker{0x0807060504030201, 0x1817161514131211, 300};
std::string const speaker_bytes = "09 0102030405060708 11 1112131415161718 18 ac02";

}  // namespace

TEST_CASE("nanopb_codec models codec") {
  STATIC_REQUIRE(codec<nanopb_codec>);
  STATIC_REQUIRE(std::is_empty_v<nanopb_codec>);
}

TEST_CASE("nanopb_codec keeps the laws of codec") {
  for (std::uint64_t seed = 0; seed != 60; ++seed) {
    testing::check_codec_laws<nanopb_codec>(seed, [seed](bool held, char const* law) {
      if (held) return;
      INFO(law << ", seed " << seed);
      CHECK(held);
    });
  }
  SUCCEED();
}

// The bytes of version 1, worked out by hand from native.proto: numbers cannot change unseen.

TEST_CASE("a hello_request's bytes") {
  wire::hello_request m{speaker, 1, 258};
  CHECK(hex(codec_t::encode(m)) == hex(bytes_of(speaker_bytes + "20 01 28 8202")));
  CHECK(hex(codec_t::encode(wire::hello_request{})) == "20012801");
}

TEST_CASE("a hello_reply's bytes") {
  wire::hello_reply m{speaker, wire::status::unsupported, 1, 2};
  CHECK(hex(codec_t::encode(m)) == hex(bytes_of(speaker_bytes + "20 01 28 02 40 09")));
}

TEST_CASE("a get_request's bytes") {
  wire::get_request m{speaker, "scores", "Tom", 950, 3, wire::hop::deputy};
  CHECK(hex(codec_t::encode(m)) ==
        hex(bytes_of(speaker_bytes + "22 06 73636f726573 2a 03 546f6d 30 b607 38 02 48 03")));
  CHECK(codec_t::encode(wire::get_request{}).empty());
}

TEST_CASE("a get_reply's bytes: the value last, and only its size is read") {
  wire::get_reply m;
  m.from = speaker;
  m.outcome = wire::status::not_modified;
  m.version = 7;
  m.ttl_ms = 5'000;
  m.lease_ms = 2'000;
  m.message = "why";
  m.echo = 0x2827262524232221;
  m.value = unreadable(200);
  CHECK(hex(codec_t::encode_head(m)) ==
        hex(bytes_of(speaker_bytes + "40 01 48 07 50 8827 58 d00f 62 03 776879"
                                     "69 2122232425262728 7a c801")));
  CHECK(hex(codec_t::encode_head(wire::get_reply{})) == "7a00");
}

TEST_CASE("a get_many_request's bytes") {
  wire::get_many_request m{speaker, "g", {"a", "", "bc"}, 1, wire::hop::mirror};
  CHECK(hex(codec_t::encode(m)) ==
        hex(bytes_of(speaker_bytes + "22 01 67 2a 01 61 2a 00 2a 02 6263 30 01 38 01")));
}

TEST_CASE("a put_request's bytes") {
  wire::put_request m{speaker, "g", "k", "vv", 0, 128};
  CHECK(hex(codec_t::encode(m)) ==
        hex(bytes_of(speaker_bytes + "22 01 67 2a 01 6b 30 8001 50 00 7a 02 7676")));
}

TEST_CASE("an invalidate_request's bytes") {
  wire::invalidate_request m{speaker, "g", {"k"}, 16'384, 9};
  CHECK(hex(codec_t::encode(m)) ==
        hex(bytes_of(speaker_bytes + "22 01 67 2a 01 6b 30 09 48 808001")));
}

TEST_CASE("the longest numbers") {
  wire::get_reply m;
  m.from = {~std::uint64_t{0}, ~std::uint64_t{0}, ~std::uint64_t{0}};
  m.outcome = static_cast<wire::status>(~std::uint32_t{0});
  m.version = m.echo = ~std::uint64_t{0};
  m.ttl_ms = wire::get_reply::no_expiry - 1;
  m.lease_ms = ~std::uint32_t{0};
  m.value = unreadable(std::numeric_limits<std::uint32_t>::max());
  m.message = "m";
  // Fits into the room that is made for a message's numbers, whatever the length of its bytes.
  CHECK(codec_t::encode_head(m).size() <= 128);
  m.value = {};
  std::string const bytes = codec_t::encode_head(m);
  wire::get_reply back;
  REQUIRE(codec_t::decode(bytes, back));
  m.outcome = wire::status::unsupported;
  CHECK(same(m, back));
  // Nor does it depend on where the message is written.
  std::string const message(500, 'm');
  m.message = message;
  std::string const longer = codec_t::encode_head(m);
  REQUIRE(codec_t::decode(longer, back));
  CHECK(same(m, back));
}

TEST_CASE("messages over the size of the stack's buffer are the same bytes") {
  // 384 bytes of views and 128 for the rest are the last that fit.
  for (std::size_t size = 370; size != 400; ++size) {
    std::string const key(size, 'k');
    wire::get_request m;
    m.key = key;
    CHECK(codec_t::encode(m) == tag(5, 2) + varint(size) + key);
  }
}

TEST_CASE("large keys and values") {
  std::string const value(3 << 20U, 'v');
  std::string const key(70'000, 'k');
  wire::put_request m;
  m.key = key;
  m.value = value;
  std::string const bytes = codec_t::encode(m);
  wire::put_request back;
  REQUIRE(codec_t::decode(bytes, back));
  CHECK(same(m, back));
  wire::get_many_request many;
  many.keys.assign(wire::max_keys, key);
  std::string const list = codec_t::encode(many);
  wire::get_many_request many_back;
  REQUIRE(codec_t::decode(list, many_back));
  CHECK(same(many, many_back));
}

TEST_CASE("no time to live is not a time to live of nothing") {
  wire::put_request m;
  std::string bytes = codec_t::encode(m);
  CHECK(hex(bytes) == "7a00");
  m.ttl_ms = 0;
  bytes = codec_t::encode(m);
  CHECK(hex(bytes) == "50007a00");
  wire::put_request back;
  REQUIRE(codec_t::decode(bytes, back));
  CHECK(back.ttl_ms == 0);
  REQUIRE(codec_t::decode(bytes_of("7a00"), back));
  CHECK(back.ttl_ms == wire::get_reply::no_expiry);
}

TEST_CASE("what a hello leaves out is zero, not this version's default") {
  wire::hello_request m;
  REQUIRE(codec_t::decode("", m));
  CHECK(m.min_version == 0);
  CHECK(m.max_version == 0);
}

TEST_CASE("unknown fields of every wire type are skipped") {
  wire::get_request m{speaker, "g", "k", 1, 2, wire::hop::mirror};
  std::string const known = codec_t::encode(m);
  for (std::uint32_t const number :
       {8U, 10U, 14U, 15U, 16U, 63U, 64U, 1'000U, 70'000U, 536'870'911U}) {
    for (std::string const& unknown :
         {tag(number, 0) + bytes_of("00"), tag(number, 0) + bytes_of("ffffffffffffffffff01"),
          tag(number, 1) + "12345678", tag(number, 2) + bytes_of("00"),
          tag(number, 2) + bytes_of("28") + std::string(40, 'x'), tag(number, 5) + "1234"}) {
      INFO(number << ": " << hex(unknown));
      wire::get_request before;
      wire::get_request behind;
      std::string const a = unknown + known;
      std::string const b = known + unknown;
      CHECK((codec_t::decode(a, before) && same(before, m)));
      CHECK((codec_t::decode(b, behind) && same(behind, m)));
    }
  }
}

TEST_CASE("groups and unassigned wire types are refused") {
  for (unsigned const wire_type : {3U, 4U, 6U, 7U}) {
    wire::get_request m;
    CHECK_FALSE(decode(tag(16, wire_type), m));
    CHECK_FALSE(decode(tag(16, wire_type) + tag(16, 4), m));
    CHECK_FALSE(decode(tag(5, wire_type), m));
  }
  wire::get_request m;
  CHECK_FALSE(decode(tag(0, 0) + '\0', m));  // there is no field 0
}

TEST_CASE("a known number with another wire type than its own is refused") {
  using wire::get_request;
  CHECK(taken<get_request>("09 0000000000000000"));
  CHECK_FALSE(taken<get_request>("08 01"));                   // incarnation as a varint
  CHECK_FALSE(taken<get_request>("0a 08 0000000000000000"));  // as bytes
  CHECK_FALSE(taken<get_request>("1a 01 01"));                // ring_epoch as bytes
  CHECK_FALSE(taken<get_request>("19 0000000000000000"));     // as a fixed64
  // nanopb copies a scalar aside before it asks for a view: none may point there.
  CHECK_FALSE(taken<get_request>("28 05"));                // key as a varint
  CHECK_FALSE(taken<get_request>("29 0102030405060708"));  // as a fixed64
  CHECK_FALSE(taken<get_request>("2d 01020304"));          // as a fixed32
  CHECK_FALSE(taken<wire::get_many_request>("28 05"));
  CHECK_FALSE(taken<wire::put_request>("78 05"));
  CHECK(taken<wire::put_request>("50 05 7a 00"));
  CHECK_FALSE(taken<wire::put_request>("52 01 05 7a 00"));  // ttl_ms as bytes
  CHECK_FALSE(taken<wire::put_request>("52 00 7a 00"));
  CHECK_FALSE(taken<wire::put_request>("51 0102030405060708 7a 00"));
  byte_view value;
  CHECK_FALSE(codec_t::decode_value(bytes_of("08 05"), value));
  CHECK_FALSE(codec_t::decode_value(bytes_of("09 0102030405060708"), value));
}

TEST_CASE("numbers too large for their field are refused") {
  CHECK(taken<wire::get_request>("30 ffffffff0f"));  // budget_ms
  CHECK_FALSE(taken<wire::get_request>("30 ffffffff1f"));
  CHECK(taken<wire::get_request>("18 ffffffffffffffffff01"));  // ring_epoch
  CHECK_FALSE(taken<wire::get_request>("18 ffffffffffffffffffff01"));
}

TEST_CASE("cut varints, lengths past the end and negative sizes are refused") {
  using wire::get_request;
  CHECK_FALSE(taken<get_request>("80"));  // a tag
  CHECK_FALSE(taken<get_request>("80 80 80"));
  CHECK_FALSE(taken<get_request>("18"));  // no varint
  CHECK_FALSE(taken<get_request>("18 ff"));
  CHECK_FALSE(taken<get_request>("09 01020304050607"));
  CHECK_FALSE(taken<get_request>("2a"));  // no length
  CHECK_FALSE(taken<get_request>("2a 80"));
  CHECK_FALSE(taken<get_request>("2a 03 6161"));
  CHECK_FALSE(taken<get_request>("2a ffffffff0f 61"));            // 4 GiB - 1
  CHECK_FALSE(taken<get_request>("2a ffffffffffffffffff01 61"));  // -1
  CHECK_FALSE(taken<get_request>("2a 80808080f8ffffffff01 61"));  // -2^31
  CHECK_FALSE(taken<get_request>("8201 ffffffff0f 61"));          // of an unknown field
  CHECK_FALSE(taken<get_request>("8201 ffffffffffffffffff01 61"));
  CHECK_FALSE(taken<get_request>("8101 00"));
  CHECK_FALSE(taken<get_request>("8501 000000"));
  CHECK_FALSE(taken<get_request>("8001 8080"));
}

TEST_CASE("of a field that comes twice, the last one counts; keys add up") {
  wire::get_request m;
  std::string bytes = bytes_of("2a 01 61 30 05 50 07 2a 02 6262 30 06 38 02 38 01");
  REQUIRE(codec_t::decode(bytes, m));
  CHECK(m.key == "bb");
  CHECK(m.budget_ms == 6);
  CHECK(m.kind == wire::hop::mirror);
  wire::put_request put;
  bytes = bytes_of("50 05 7a 01 61 50 06 7a 00");
  REQUIRE(codec_t::decode(bytes, put));
  CHECK(put.ttl_ms == 6);
  CHECK(put.value.empty());
  wire::get_many_request many;
  bytes = bytes_of("2a 01 61 22 01 67 2a 00 2a 01 62");
  REQUIRE(codec_t::decode(bytes, many));
  CHECK(many.keys == std::vector<byte_view>{"a", "", "b"});
}

TEST_CASE("an ok reply and a put without a value were cut short") {
  CHECK_FALSE(taken<wire::get_reply>(""));
  CHECK_FALSE(taken<wire::get_reply>("69 2122232425262728"));
  CHECK(taken<wire::get_reply>("40 02 69 2122232425262728"));
  CHECK(taken<wire::get_reply>("40 63"));
  CHECK(taken<wire::get_reply>("7a 00"));
  CHECK_FALSE(taken<wire::put_request>("22 01 67 2a 01 6b"));
  CHECK(taken<wire::put_request>("7a 00"));
}

TEST_CASE("statuses and hops: those of today, and those to come") {
  for (std::uint32_t n = 0; n != 20; ++n) {
    wire::hello_reply m;
    m.outcome = static_cast<wire::status>(n);
    std::string const bytes = codec_t::encode(m);
    wire::hello_reply back;
    REQUIRE(codec_t::decode(bytes, back));
    CHECK(back.outcome == (n < 10 ? m.outcome : wire::status::unsupported));

    wire::get_many_request q;
    q.kind = static_cast<wire::hop>(n);
    std::string const question = codec_t::encode(q);
    wire::get_many_request q_back;
    REQUIRE(codec_t::decode(question, q_back));
    CHECK(q_back.kind == (n < 3 ? q.kind : wire::hop::client));
  }
}

TEST_CASE("the work on a list of keys is bounded by its input and by max_keys") {
  std::string bytes;
  for (std::size_t i = 0; i != wire::max_keys; ++i) bytes += bytes_of("2a00");
  wire::invalidate_request m;
  REQUIRE(codec_t::decode(bytes, m));
  CHECK(m.keys.size() == wire::max_keys);
  CHECK_FALSE(codec_t::decode(bytes + bytes_of("2a00"), m));
  wire::invalidate_request few;
  REQUIRE(codec_t::decode(bytes_of("2a00 2a00"), few));
  CHECK(few.keys.capacity() <= 2);
  wire::invalidate_request roomy;  // whose list has room for more from before
  roomy.keys.reserve(2 * wire::max_keys);
  CHECK_FALSE(codec_t::decode(bytes + bytes_of("2a00"), roomy));
}

TEST_CASE("a hundred thousand garbled messages are refused or read inside their bounds") {
  testing::message_source source{2026};
  wire::get_reply const reply = source.draw<wire::get_reply>();
  wire::get_many_request const many = source.draw<wire::get_many_request>();
  std::array<std::string, 2> const whole{codec_t::encode_head(reply).append(reply.value),
                                         codec_t::encode(many)};
  std::size_t refused = 0;
  for (int i = 0; i != 100'000; ++i) {
    std::string bytes = whole[static_cast<std::size_t>(i % 2)];
    for (auto n = 1 + source.below(6); n != 0; --n)
      bytes[source.below(bytes.size())] =
          static_cast<char>(static_cast<unsigned char>(source.below(256)));
    bytes.resize(bytes.size() - source.below(1 + bytes.size() / 4));
    bool const held = testing::detail::harmless<codec_t, wire::get_reply>(bytes) &&
                      testing::detail::harmless<codec_t, wire::get_many_request>(bytes) &&
                      testing::detail::harmless<codec_t, wire::put_request>(bytes);
    if (!held) FAIL("mutant " << i << ": " << hex(bytes));
    wire::get_reply m;
    refused += !codec_t::decode(bytes, m);
  }
  CHECK(refused > 1'000);
  CHECK(refused < 99'000);
}

TEST_CASE("the kcache dialect: the bytes that Go sends and takes") {
  CHECK(hex(codec_t::encode_value_head(5) + "v:Tom") == "0a05763a546f6d");
  CHECK(codec_t::encode_value_head(0).empty());
  CHECK(hex(codec_t::encode_value_head(128)) == "0a8001");
  CHECK(hex(codec_t::encode_value_head(std::size_t{1} << 20U)) == "0a808040");

  auto const value_of = [](std::string const& bytes) {
    byte_view value = "untouched";
    return codec_t::decode_value(bytes, value) ? std::string{value} : std::string{"refused"};
  };
  CHECK(value_of(bytes_of("0a05763a546f6d")) == "v:Tom");
  CHECK(value_of("").empty());
  CHECK(value_of(bytes_of("0a00")).empty());
  // groupcache: minute_qps = 2, a double; mailgun: expire = 3.
  CHECK(value_of(bytes_of("0a05763a546f6d 11 0000000000002440")) == "v:Tom");
  CHECK(value_of(bytes_of("11 0000000000002440 0a05763a546f6d")) == "v:Tom");
  CHECK(value_of(bytes_of("11 0000000000002440")).empty());
  CHECK(value_of(bytes_of("0a05763a546f6d1800")) == "v:Tom");
  CHECK(value_of(bytes_of("0a05763a546f6d188580f889effd89af1a")) == "v:Tom");
  CHECK(value_of(bytes_of("0a0161 0a0162")) == "b");
  CHECK(value_of(bytes_of("0a05763a546f")) == "refused");
  CHECK(value_of(bytes_of("0a")) == "refused");
  CHECK(value_of("<html>") == "refused");
}
