// SPDX-License-Identifier: BSL-1.0
#include <kcache/testing/plain_codec.hpp>

#include <kcache/testing/codec_laws.hpp>

#include "support/catch.hpp"

#include <cstddef>
#include <cstdint>
#include <string>

using namespace kcache;
using testing::plain_codec;

TEST_CASE("plain_codec models codec") { STATIC_REQUIRE(codec<plain_codec>); }

TEST_CASE("plain_codec keeps the laws of codec") {
  for (std::uint64_t seed = 0; seed != 60; ++seed) {
    testing::check_codec_laws<plain_codec>(seed, [seed](bool held, char const* law) {
      if (held) return;
      INFO(law << ", seed " << seed);
      CHECK(held);
    });
  }
  SUCCEED();
}

TEST_CASE("plain_codec's layout") {
  wire::get_request m{{1, 2, 3}, "gr", "k", 0x0a0b0c0d, 5, wire::hop::mirror};
  std::string const expected{
      "Kg"
      "\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0"  // who speaks
      "\2\0\0\0gr\1\0\0\0k"
      "\x0d\x0c\x0b\x0a"  // what is left of the deadline
      "\5\0\0\0\0\0\0\0"  // the version known
      "\1\0\0\0",         // the hop
      53};
  CHECK(plain_codec::encode(m) == expected);
  CHECK(plain_codec::encode_value_head(3) == std::string{"Kv\3\0\0\0", 6});
  CHECK(plain_codec::encode_value_head(0).empty());
}

TEST_CASE("plain_codec takes a message whole or not at all") {
  wire::get_many_request const m{{1, 2, 3}, "g", {"a", "", "bc"}, 4, wire::hop::client};
  std::string const bytes = plain_codec::encode(m);
  wire::get_many_request back;
  REQUIRE(plain_codec::decode(bytes, back));
  for (std::size_t n = 0; n != bytes.size(); ++n) {
    INFO(n << " of " << bytes.size());
    CHECK_FALSE(plain_codec::decode(byte_view{bytes}.substr(0, n), back));
  }
  CHECK_FALSE(plain_codec::decode(bytes + '\0', back));
  for (std::size_t const n : {std::size_t{0}, std::size_t{1}}) {
    std::string relabelled = bytes;
    relabelled[n] = 'x';
    CHECK_FALSE(plain_codec::decode(relabelled, back));
  }
  wire::invalidate_request other;
  CHECK_FALSE(plain_codec::decode(bytes, other));  // the letter of another message
  byte_view value;
  CHECK_FALSE(plain_codec::decode_value(bytes, value));
}

TEST_CASE("plain_codec makes no room for keys that cannot be there") {
  wire::get_many_request m;
  std::string bytes = plain_codec::encode(m);
  // The count of keys stands before the last two numbers; the empty group before it.
  bytes[bytes.size() - 12] = static_cast<char>(100);
  wire::get_many_request back;
  CHECK_FALSE(plain_codec::decode(bytes, back));
  CHECK(back.keys.capacity() == 0);
}
