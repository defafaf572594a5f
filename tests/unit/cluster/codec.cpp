// SPDX-License-Identifier: BSL-1.0
#include <kcache/cluster/codec.hpp>

#include "support/catch.hpp"

#include <cstddef>
#include <string>

using namespace kcache;

namespace {

enum class lacks {
  nothing,
  hello_request,
  hello_reply,
  get_request,
  get_many_request,
  put_request,
  invalidate_request,
  encode_head,
  decode_reply,
  encode_value_head,
  decode_value,
  encode_of_one,
  string_result,
  bool_result,
};

/// The least that a codec is, or all of it but one thing.
template <lacks Missing>
struct archetype {
  archetype() = delete;

  // clang-format off
  static std::string encode(wire::hello_request const&) requires(Missing != lacks::hello_request);
  static std::string encode(wire::hello_reply const&) requires(Missing != lacks::hello_reply);
  static std::string encode(wire::get_request const&) requires(Missing != lacks::get_request);
  static std::string encode(wire::get_many_request const&)
      requires(Missing != lacks::get_many_request);
  static std::string encode(wire::invalidate_request const&)
      requires(Missing != lacks::invalidate_request);
  static std::string encode(wire::put_request const&)
      requires(Missing != lacks::put_request && Missing != lacks::encode_of_one);
  static std::string encode_head(wire::get_reply const&)
      requires(Missing != lacks::encode_head && Missing != lacks::string_result);
  static char const* encode_head(wire::get_reply const&) requires(Missing == lacks::string_result);

  static bool decode(byte_view, wire::hello_request&) requires(Missing != lacks::hello_request);
  static bool decode(byte_view, wire::hello_reply&) requires(Missing != lacks::hello_reply);
  static bool decode(byte_view, wire::get_request&) requires(Missing != lacks::get_request);
  static bool decode(byte_view, wire::get_many_request&)
      requires(Missing != lacks::get_many_request);
  static bool decode(byte_view, wire::put_request&) requires(Missing != lacks::put_request);
  static bool decode(byte_view, wire::invalidate_request&)
      requires(Missing != lacks::invalidate_request);
  static bool decode(byte_view, wire::get_reply&)
      requires(Missing != lacks::decode_reply && Missing != lacks::bool_result);
  static int decode(byte_view, wire::get_reply&) requires(Missing == lacks::bool_result);

  static std::string encode_value_head(std::size_t) requires(Missing != lacks::encode_value_head);
  static bool decode_value(byte_view, byte_view&) requires(Missing != lacks::decode_value);
  // clang-format on
};

}  // namespace

TEST_CASE("codec: the archetype has all that the concept asks for") {
  STATIC_REQUIRE(codec<archetype<lacks::nothing>>);
}

TEST_CASE("codec: nothing of it can be left out") {
  STATIC_REQUIRE_FALSE(codec<archetype<lacks::hello_request>>);
  STATIC_REQUIRE_FALSE(codec<archetype<lacks::hello_reply>>);
  STATIC_REQUIRE_FALSE(codec<archetype<lacks::get_request>>);
  STATIC_REQUIRE_FALSE(codec<archetype<lacks::get_many_request>>);
  STATIC_REQUIRE_FALSE(codec<archetype<lacks::put_request>>);
  STATIC_REQUIRE_FALSE(codec<archetype<lacks::invalidate_request>>);
  STATIC_REQUIRE_FALSE(codec<archetype<lacks::encode_head>>);
  STATIC_REQUIRE_FALSE(codec<archetype<lacks::decode_reply>>);
  STATIC_REQUIRE_FALSE(codec<archetype<lacks::encode_value_head>>);
  STATIC_REQUIRE_FALSE(codec<archetype<lacks::decode_value>>);
  STATIC_REQUIRE_FALSE(codec<archetype<lacks::encode_of_one>>);
}

TEST_CASE("codec: results have the types of the table") {
  STATIC_REQUIRE_FALSE(codec<archetype<lacks::string_result>>);
  STATIC_REQUIRE_FALSE(codec<archetype<lacks::bool_result>>);
}

TEST_CASE("codec: other types are none") {
  STATIC_REQUIRE_FALSE(codec<int>);
  STATIC_REQUIRE_FALSE(codec<std::string>);
}
