// SPDX-License-Identifier: BSL-1.0
#include <kcache/cluster/wire_traits.hpp>

#include "support/catch.hpp"

#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <string_view>

using kcache::errc;
using kcache::wire_traits;

namespace {

struct point {
  std::int32_t x = 0;
  std::int32_t y = 0;
  friend bool operator==(point const&, point const&) = default;
};

/// A user's own type: a name, carried as "name/number".
struct badge {
  std::string name;
  int number = 0;
};

struct stranger {};

}  // namespace

template <>
struct kcache::wire_traits<point> : kcache::trivially_copied<point> {};
template <>
struct kcache::wire_traits<double> : kcache::trivially_copied<double> {};

template <>
struct kcache::wire_traits<badge> {
  static std::string encode(badge const& b) { return b.name + '/' + std::to_string(b.number); }
  static result<badge> decode(byte_view bytes) {
    auto const slash = bytes.rfind('/');
    if (slash == byte_view::npos) return kcache::error{errc::bad_message, "no slash"};
    auto number = wire_traits<int>::decode(bytes.substr(slash + 1));
    if (!number) return number.error();
    return badge{std::string{bytes.substr(0, slash)}, *number};
  }
};

TEST_CASE("what can travel is known at compile time", "[wire_traits]") {
  STATIC_REQUIRE(kcache::wire_type<std::string>);
  STATIC_REQUIRE(kcache::wire_type<int>);
  STATIC_REQUIRE(kcache::wire_type<std::uint64_t>);
  STATIC_REQUIRE(kcache::wire_type<char>);
  STATIC_REQUIRE(kcache::wire_type<point>);
  STATIC_REQUIRE(kcache::wire_type<badge>);
  STATIC_REQUIRE_FALSE(kcache::wire_type<bool>);
  STATIC_REQUIRE_FALSE(kcache::wire_type<float>);
  STATIC_REQUIRE_FALSE(kcache::wire_type<char const*>);
  STATIC_REQUIRE_FALSE(kcache::wire_type<stranger>);
}

TEST_CASE("a string is its bytes, in place", "[wire_traits]") {
  std::string const text{"a\0b\xff", 4};
  auto const view = wire_traits<std::string>::view(text);
  CHECK(view.data() == text.data());
  CHECK(view == text);
  CHECK(wire_traits<std::string>::decode(view).value() == text);
  CHECK(wire_traits<std::string>::decode("").value().empty());
}

TEMPLATE_TEST_CASE("an integer is its decimal text", "[wire_traits]", signed char, unsigned char,
                   char, short, unsigned short, int, unsigned, long, unsigned long, long long,
                   unsigned long long) {
  using traits = wire_traits<TestType>;
  using limits = std::numeric_limits<TestType>;
  CHECK(traits::encode(TestType{42}) == "42");
  CHECK(traits::encode(TestType{0}) == "0");
  for (auto const v : {limits::min(), TestType{0}, TestType{1}, TestType{42}, limits::max()}) {
    CHECK(traits::encode(v) == std::to_string(v));
    CHECK(traits::decode(traits::encode(v)).value() == v);
  }
  for (auto const text : {"", " 1", "1 ", "+1", "01", "00", "-0", "-", "1.0", "1e3", "0x1", "a",
                          "99999999999999999999", "-9223372036854775809"}) {
    CAPTURE(text);
    auto const r = traits::decode(text);
    REQUIRE_FALSE(r);
    CHECK(r.error() == errc::bad_message);
  }
  CHECK_FALSE(traits::decode(std::string_view{"1\0", 2}));
  // One past either end is refused, never wrapped.
  if constexpr (sizeof(TestType) < sizeof(long long)) {
    CHECK_FALSE(traits::decode(std::to_string(static_cast<long long>(limits::max()) + 1)));
    CHECK_FALSE(traits::decode(std::to_string(static_cast<long long>(limits::min()) - 1)));
    CHECK_FALSE(traits::decode(std::to_string((1LL << (8 * sizeof(TestType))) + 42)));
  }
}

TEST_CASE("an opted-in type is its object representation", "[wire_traits]") {
  point const p{1, -2};
  auto const view = wire_traits<point>::view(p);
  CHECK(view.data() == reinterpret_cast<char const*>(&p));
  REQUIRE(view.size() == sizeof p);
  std::string const bytes{view};
  CHECK(wire_traits<point>::decode(bytes).value() == p);
  std::string const shifted = 'x' + bytes;  // bytes on a socket are not aligned
  CHECK(wire_traits<point>::decode(std::string_view{shifted}.substr(1)).value() == p);
  for (auto const& wrong : {std::string{}, bytes.substr(1), bytes + 'x'}) {
    auto const r = wire_traits<point>::decode(wrong);
    REQUIRE_FALSE(r);
    CHECK(r.error() == errc::bad_message);
  }
  CHECK(wire_traits<double>::decode(wire_traits<double>::view(0.5)).value() == 0.5);
}

TEST_CASE("a user's own type travels by its specialisation", "[wire_traits]") {
  auto const bytes = wire_traits<badge>::encode({"a/b", 7});
  auto const back = wire_traits<badge>::decode(bytes).value();
  CHECK(back.name == "a/b");
  CHECK(back.number == 7);
  CHECK(wire_traits<badge>::decode("a/07").error() == errc::bad_message);
  CHECK(wire_traits<badge>::decode("a").error() == errc::bad_message);
}

TEST_CASE("no bytes break a decoder", "[wire_traits]") {
  std::mt19937_64 random{6};
  std::string_view const alphabet{"0123456789-+ ./x\0\xff", 18};
  for (int i = 0; i != 20'000; ++i) {
    std::string bytes;
    for (auto n = random() % 24; n != 0; --n) bytes += alphabet[random() % alphabet.size()];
    // Whatever is taken is written back as the same bytes: equal keys have equal bytes.
    if (auto const r = wire_traits<std::int16_t>::decode(bytes))
      if (wire_traits<std::int16_t>::encode(*r) != bytes) FAIL(bytes);
    if (auto const r = wire_traits<std::uint64_t>::decode(bytes))
      if (wire_traits<std::uint64_t>::encode(*r) != bytes) FAIL(bytes);
    if (auto const r = wire_traits<point>::decode(bytes))
      if (wire_traits<point>::view(*r) != bytes) FAIL(bytes);
  }
}
