// SPDX-License-Identifier: BSL-1.0
#include <kcache/policies/hash.hpp>

#include "support/catch.hpp"

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using kcache::key_hash;
using kcache::keyed_hash;
using kcache::seeded_random;
using kcache::detail::hash_key;
using kcache::detail::siphash;

namespace {

struct point {
  int x;
  int y;
};
enum class colour : std::int8_t { red = -1, green };

struct archetype {
  std::uint64_t operator()(point const& p) const { return static_cast<std::uint64_t>(p.x); }
};
struct narrow {
  std::uint32_t operator()(point const&) const { return 0; }
};
struct is_signed {
  std::int64_t operator()(point const&) const { return 0; }
};
struct not_const {
  std::uint64_t operator()(point const&) { return 0; }
};
struct not_copyable : archetype {
  not_copyable() = default;
  not_copyable(not_copyable const&) = delete;
};

keyed_hash keyed(std::uint64_t seed) {
  seeded_random r{seed};
  keyed_hash h;
  h.seed(r);
  return h;
}

struct hashed_throwing {};

}  // namespace

template <>
struct std::hash<hashed_throwing> {
  std::size_t operator()(hashed_throwing) const { return 1; }
};
template <>
struct std::hash<point> {
  std::size_t operator()(point const& p) const noexcept {
    return static_cast<std::size_t>(p.x * 31 + p.y);
  }
};

TEST_CASE("hashes model their concept", "[hash]") {
  STATIC_REQUIRE(key_hash<keyed_hash, int>);
  STATIC_REQUIRE(key_hash<keyed_hash, colour>);
  STATIC_REQUIRE(key_hash<keyed_hash, std::string>);
  STATIC_REQUIRE(key_hash<keyed_hash, std::u32string>);
  STATIC_REQUIRE(key_hash<keyed_hash, double>);
  STATIC_REQUIRE(key_hash<keyed_hash, point>);
  STATIC_REQUIRE(key_hash<std::hash<int>, int>);
  STATIC_REQUIRE(key_hash<archetype, point>);
  STATIC_REQUIRE_FALSE(key_hash<keyed_hash, std::vector<int>>);
  STATIC_REQUIRE_FALSE(key_hash<archetype, std::string>);
  STATIC_REQUIRE_FALSE(key_hash<narrow, point>);
  STATIC_REQUIRE_FALSE(key_hash<is_signed, point>);
  STATIC_REQUIRE_FALSE(key_hash<not_const, point>);
  STATIC_REQUIRE_FALSE(key_hash<not_copyable, point>);
}

TEST_CASE("SipHash yields the published values", "[hash]") {
  // Key 00..0f and messages 00, 0001, ... : the paper's test vectors, for 2-4.
  std::array<unsigned char, 64> bytes{};
  for (std::size_t i = 0; i != bytes.size(); ++i) bytes[i] = static_cast<unsigned char>(i);
  hash_key const key{0x0706050403020100U, 0x0f0e0d0c0b0a0908U};
  CHECK(siphash<2, 4>(key, bytes.data(), 0) == 0x726fdb47dd0e0e31U);
  CHECK(siphash<2, 4>(key, bytes.data(), 1) == 0x74f839c593dc67fdU);
  CHECK(siphash<2, 4>(key, bytes.data(), 8) == 0x93f5f5799a932462U);
  CHECK(siphash<2, 4>(key, bytes.data(), 15) == 0xa129ca6149be45e5U);
  CHECK(siphash<1, 3>(key, bytes.data(), 0) == 0xabac0158050fc4dcU);
  CHECK(siphash<1, 3>(key, bytes.data(), 15) == 0xd320d86d2a519956U);

  // As CPython 3.11 computes with PYTHONHASHSEED=0.
  auto const python = [](std::string_view s) { return kcache::sip_hash{}(s); };
  CHECK(python("a") == 0x407448d2b89b1813U);
  CHECK(python("abcdefg") == 0x6db12aae9070f506U);
  CHECK(python("abcdefgh") == 0x3f7b849c0b8e35eaU);
  CHECK(python("the quick brown fox jumps") == 0x00c98b97e4f70042U);
}

TEST_CASE("one key, one function; another key, another", "[hash]") {
  CHECK(keyed(1)(5) == keyed(1)(5));
  CHECK(keyed(1)(5) != keyed(2)(5));
  CHECK(keyed(1)(std::string_view{"Tom"}) == keyed(1)(std::string_view{"Tom"}));
  CHECK(keyed(1)(std::string_view{"Tom"}) != keyed(2)(std::string_view{"Tom"}));
  CHECK(keyed(1)(point{1, 2}) != keyed(2)(point{1, 2}));
  // A copy keeps the key.
  auto const h = keyed(3);
  auto const copy = h;
  CHECK(copy(5) == h(5));
}

TEST_CASE("every byte of a string counts, zero bytes too", "[hash]") {
  std::set<std::uint64_t> seen;
  std::string const zeros(40, '\0');
  for (std::size_t n = 0; n != 40; ++n) seen.insert(keyed(1)(std::string_view{zeros}.substr(0, n)));
  CHECK(seen.size() == 40);
  CHECK(keyed(1)(std::u16string_view{u"a"}) != keyed(1)(std::u16string_view{u"\x0161"}));
}

TEST_CASE("every bit of a word changes about half of the bits", "[hash]") {
  auto const h = keyed(7);
  seeded_random r{99};
  for (unsigned bit = 0; bit != 64; ++bit) {
    int changed = 0;
    for (int i = 0; i != 200; ++i) {
      auto const word = r.next();
      changed += std::popcount(h(word) ^ h(word ^ (std::uint64_t{1} << bit)));
    }
    CHECK(std::abs(changed / 200.0 - 32) < 2);
  }
}

TEST_CASE("every bit of a string changes about half of the bits", "[hash]") {
  auto const h = keyed(7);
  seeded_random r{98};
  for (std::size_t const size : {1U, 3U, 7U, 8U, 9U, 15U, 16U, 17U, 24U, 31U, 32U, 33U, 48U}) {
    for (std::size_t bit = 0; bit != 8 * size; ++bit) {
      int changed = 0;
      for (int i = 0; i != 200; ++i) {
        std::string text(size, '\0');
        for (char& c : text) c = static_cast<char>(r.next());
        auto const before = h(std::string_view{text});
        text[bit / 8] = static_cast<char>(text[bit / 8] ^ (1 << (bit % 8)));
        changed += std::popcount(before ^ h(std::string_view{text}));
      }
      CHECK(std::abs(changed / 200.0 - 32) < 2.5);
    }
  }
}

TEST_CASE("numbered texts fill high and low bits evenly", "[hash]") {
  for (auto const* const prefix : {"", "k", "user:", "a prefix of more than sixteen bytes:"}) {
    for (unsigned const shift : {0U, 20U, 58U}) {
      std::array<int, 64> count{};
      for (int i = 0; i != 64'000; ++i) {
        std::string const text = prefix + std::to_string(i);
        ++count[static_cast<std::size_t>((keyed(5)(std::string_view{text}) >> shift) % 64)];
      }
      for (int const c : count) CHECK(std::abs(c - 1000) < 200);
    }
  }
}

TEST_CASE("sip_hash hashes strings by SipHash and the rest as keyed_hash", "[hash]") {
  STATIC_REQUIRE(key_hash<kcache::sip_hash, std::string>);
  STATIC_REQUIRE(key_hash<kcache::sip_hash, int>);
  seeded_random r{5};
  seeded_random same = r;
  kcache::sip_hash sip;
  sip.seed(r);
  keyed_hash quick;
  quick.seed(same);
  CHECK(sip(5) == quick(5));
  CHECK(sip(std::string_view{"Tom"}) != quick(std::string_view{"Tom"}));
}

TEST_CASE("sequential and strided numbers fill high and low bits evenly", "[hash]") {
  for (std::uint64_t const stride : {1ULL, 8ULL, 4096ULL, 1ULL << 40U}) {
    for (unsigned const shift : {0U, 58U}) {
      std::array<int, 64> count{};
      for (std::uint64_t i = 0; i != 64'000; ++i) {
        ++count[static_cast<std::size_t>((keyed(5)(i * stride) >> shift) % 64)];
      }
      for (int const c : count) CHECK(std::abs(c - 1000) < 200);  // six deviations
    }
  }
  CHECK(keyed(5)(colour::red) != keyed(5)(colour::green));
}

TEST_CASE("a hash that does not say it is avalanching is mixed", "[hash]") {
  std::set<std::uint64_t> high;
  for (int i = 0; i != 64; ++i) {
    high.insert(kcache::detail::hash_of(archetype{}, point{i, 0}) >> 56U);
  }
  CHECK(high.size() > 40);
  CHECK(kcache::detail::hash_of(keyed(1), 5) == keyed(1)(5));
}

TEST_CASE("a hash that cannot throw says so: it is not kept with each entry", "[hash]") {
  STATIC_REQUIRE(noexcept(std::declval<keyed_hash const&>()(std::string_view{})));
  STATIC_REQUIRE(noexcept(std::declval<keyed_hash const&>()(5)));
  STATIC_REQUIRE(noexcept(std::declval<keyed_hash const&>()(colour::red)));
  STATIC_REQUIRE(noexcept(std::declval<keyed_hash const&>()(point{})));
  STATIC_REQUIRE_FALSE(noexcept(std::declval<keyed_hash const&>()(hashed_throwing{})));
  STATIC_REQUIRE(noexcept(kcache::detail::hash_of(std::declval<keyed_hash const&>(), 5)));
  STATIC_REQUIRE_FALSE(
      noexcept(kcache::detail::hash_of(std::declval<archetype const&>(), point{})));
}

TEST_CASE("the low byte, the next 32 bits and the highest are each even", "[hash]") {
  // From them the tag, the group and the shard are taken.
  for (auto const& [shift, bits] : {std::pair{0U, 8U}, std::pair{8U, 8U}, std::pair{32U, 8U},
                                    std::pair{56U, 8U}}) {
    std::vector<int> count(std::size_t{1} << bits);
    for (int i = 0; i != 256'000; ++i) {
      ++count[(keyed(9)(std::string_view{std::to_string(i)}) >> shift) % count.size()];
    }
    for (int const c : count) CHECK(std::abs(c - 1000) < 200);  // six deviations
  }
}
