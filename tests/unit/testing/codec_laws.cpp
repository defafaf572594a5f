// SPDX-License-Identifier: BSL-1.0
#include <kcache/testing/codec_laws.hpp>

#include <kcache/testing/plain_codec.hpp>

#include "support/catch.hpp"

#include <cstdint>
#include <set>
#include <string>

// The laws have to catch what they forbid: each codec below breaks one of them.

using namespace kcache;
using testing::plain_codec;

namespace {

template <class X>
std::set<std::string> broken() {
  std::set<std::string> laws;
  for (std::uint64_t seed = 0; seed != 10; ++seed)
    testing::check_codec_laws<X>(seed, [&](bool held, char const* law) {
      if (!held) laws.insert(law);
    });
  return laws;
}

struct forgets_a_field : plain_codec {
  using plain_codec::decode;
  static bool decode(byte_view bytes, wire::get_request& m) {
    bool const taken = plain_codec::decode(bytes, m);
    m.known_version = 0;
    return taken;
  }
};

struct takes_a_cut_value : plain_codec {
  using plain_codec::decode;
  static bool decode(byte_view bytes, wire::get_reply& m) {
    if (plain_codec::decode(bytes, m)) return true;
    // The size of the value that is missing stands before what there is of it.
    wire::get_reply empty;
    std::size_t const head = plain_codec::encode_head(empty).size();
    return bytes.size() > head + 40;
  }
};

struct points_elsewhere : plain_codec {
  using plain_codec::decode;
  static bool decode(byte_view bytes, wire::put_request& m) {
    bool const taken = plain_codec::decode(bytes, m);
    static std::string copy;
    copy = m.key;
    m.key = copy;
    return taken;
  }
};

struct takes_any_number_of_keys : plain_codec {
  using plain_codec::decode;
  static bool decode(byte_view bytes, wire::invalidate_request& m) {
    return plain_codec::decode(bytes, m) || bytes.size() > 5'000;
  }
};

struct knows_too_many_statuses : plain_codec {
  using plain_codec::decode;
  static bool decode(byte_view bytes, wire::get_reply& m) {
    bool const taken = plain_codec::decode(bytes, m);
    if (m.outcome == wire::status::unsupported) m.outcome = wire::status::ok;
    return taken;
  }
};

struct refuses_an_empty_body : plain_codec {
  static bool decode_value(byte_view bytes, byte_view& value) {
    return !bytes.empty() && plain_codec::decode_value(bytes, value);
  }
};

}  // namespace

TEST_CASE("codec_laws: a codec that keeps them breaks none") {
  CHECK(broken<plain_codec>().empty());
}

TEST_CASE("codec_laws: each catches its offender") {
  CHECK(broken<forgets_a_field>().contains("decode(encode(m)) is m"));
  CHECK(broken<takes_a_cut_value>().contains("a value cut short is refused"));
  CHECK(broken<points_elsewhere>().contains("decoded views lie in the input"));
  CHECK(broken<takes_any_number_of_keys>().contains("more keys are refused"));
  CHECK(broken<knows_too_many_statuses>().contains(
      "an outcome from the future reads as unsupported"));
  CHECK(broken<refuses_an_empty_body>().contains("an empty body is an empty value"));
}

TEST_CASE("message_source: one seed, one sequence of messages") {
  testing::message_source a{5};
  testing::message_source b{5};
  testing::message_source c{6};
  bool differs = false;
  for (int i = 0; i != 20; ++i) {
    auto const m = a.draw<wire::get_reply>();
    CHECK(testing::same(m, b.draw<wire::get_reply>()));
    differs = differs || !testing::same(m, c.draw<wire::get_reply>());
  }
  CHECK(differs);
  a.forget();
}
