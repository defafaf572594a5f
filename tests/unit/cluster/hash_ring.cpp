// SPDX-License-Identifier: BSL-1.0
#include <kcache/cluster/hash_ring.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using kcache::dialect;
using kcache::hash_ring;
using kcache::peer_address;
using kcache::ring_options;

namespace {

std::vector<peer_address> addresses(std::vector<std::string> const& list) {
  std::vector<peer_address> out;
  for (auto const& one : list) out.push_back(peer_address::parse(one).value());
  return out;
}

hash_ring ring(dialect d, std::vector<std::string> const& list) {
  return {ring_options{.speaks = d}, addresses(list)};
}

std::string owner(hash_ring const& r, std::string_view key) {
  return r.peer(r.owner(key).value()).spelling();
}

/// `count` peers on 10.0.`net`.x.
std::vector<peer_address> fleet(std::size_t count, int net = 0) {
  std::vector<std::string> list;
  for (std::size_t i = 1; i <= count; ++i)
    list.push_back("http://10.0." + std::to_string(net) + '.' + std::to_string(i) + ":8080");
  return addresses(list);
}

bool near(double x, double y, double margin) { return std::abs(x - y) <= margin; }

/// The vectors shared with the Go programs; empty if they are not at hand.
std::string vectors() {
  std::string at = KCACHE_SOURCE_DIR "/../shared";
  if (auto const set = std::getenv("KCACHE_SHARED")) at = set;
  std::ifstream in{at + "/wire/ring-vectors.json", std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

/// Reads the strings of a JSON text one after another; enough for the file above, which has no
/// values but strings.
class strings_of {
 public:
  explicit strings_of(std::string_view json) : rest_{json} {}

  /// The next string; none at the end. `is_list` says whether `: [` follows it.
  std::optional<std::string> next(bool& is_list) {
    auto const start = rest_.find('"');
    if (start == std::string_view::npos) return std::nullopt;
    std::string out;
    std::size_t i = start + 1;
    for (; rest_.at(i) != '"'; ++i) {
      if (rest_[i] != '\\') {
        out += rest_[i];
        continue;
      }
      switch (char const c = rest_.at(++i)) {
        case 'n': out += '\n'; break;
        case 't': out += '\t'; break;
        case 'r': out += '\r'; break;
        case 'u': {
          auto const code = std::stoul(std::string{rest_.substr(i + 1, 4)}, nullptr, 16);
          if (code >= 0x80) FAIL("an escape this reader does not know: " << code);
          out += static_cast<char>(code);
          i += 4;
          break;
        }
        default: out += c;
      }
    }
    rest_.remove_prefix(i + 1);
    is_list = rest_.substr(0, rest_.find_first_of("\"]}")).find('[') != std::string_view::npos;
    return out;
  }

 private:
  std::string_view rest_;
};

std::vector<std::string> split(std::string const& text) {
  std::vector<std::string> out{""};
  for (char const c : text)
    if (c == ',') out.emplace_back();
    else out.back() += c;
  return out;
}

}  // namespace

TEST_CASE("CRC-32 gives the published values", "[ring]") {
  using kcache::detail::crc32;
  static_assert(crc32("123456789") == 0xcbf43926);
  CHECK(crc32("Tom") == 1'167'209'971);
  CHECK(crc32("0http://0.0.0.0:8001") == 2'974'125'093);
  CHECK(crc32("") == 0);
  CHECK(crc32(std::string_view{"\0", 1}) == 0xd202ef8d);
  CHECK(crc32("\xff\xff\xff\xff") == 0xffffffff);
  CHECK(crc32("6789", crc32("12345")) == crc32("123456789"));
}

TEST_CASE("SipHash gives the published values", "[ring]") {
  auto const siphash = [](std::string_view bytes) {
    return kcache::detail::siphash<1, 3>({0, 0}, bytes.data(), bytes.size());
  };
  // The example of the paper's appendix A.
  constexpr std::string_view input{"\0\1\2\3\4\5\6\7\10\11\12\13\14\15\16", 15};
  CHECK(kcache::detail::siphash<2, 4>({0x0706050403020100, 0x0f0e0d0c0b0a0908}, input.data(),
                                      input.size()) == 0xa129ca6149be45e5);
  // CPython 3.11 hashes bytes with SipHash-1-3; these are its hash() under PYTHONHASHSEED=0.
  CHECK(siphash("a") == 0x407448d2b89b1813);
  CHECK(siphash("Tom") == 0x5b906cbb5bf06757);
  CHECK(siphash("12345678") == 0x3489982430560a87);
  CHECK(siphash("123456789") == 0x0fbc0f0007965fcf);
  CHECK(siphash(input) == 0xf30eb725bb91c9ea);
  std::string all;
  for (int i = 0; i != 256; ++i) all += static_cast<char>(i);
  CHECK(siphash(all) == 0x31ae646afba70308);
}

TEST_CASE("the Go rings are exact", "[ring]") {
  auto const json = vectors();
  if (json.empty()) {
    WARN("SKIPPED: no ../shared/wire/ring-vectors.json beside the sources; set KCACHE_SHARED");
    return;
  }
  strings_of strings{json};
  std::vector<std::string> peers;
  std::string key;
  std::size_t compared = 0;
  bool is_list = false;
  while (auto const name = strings.next(is_list)) {
    if (is_list) {
      peers = split(*name);
      continue;
    }
    auto const value = strings.next(is_list).value();
    if (*name == "key") key = value;
    auto const d = kcache::dialect_named(*name);
    if (!d) continue;
    CAPTURE(*name, key, peers);
    CHECK(owner(ring(*d, peers), key) == value);
    ++compared;
  }
  CHECK(compared == 80);  // 20 keys, 2 sets of peers, 2 dialects
}

TEST_CASE("a tied point belongs to the peer added last", "[ring]") {
  std::string const a = "http://10.0.32.90:8080";
  std::string const b = "http://10.0.60.200:8080";
  REQUIRE(kcache::detail::crc32("1" + a) == 136'000'562);
  REQUIRE(kcache::detail::crc32("38" + b) == 136'000'562);
  for (auto const d : {dialect::kcache, dialect::groupcache}) {
    for (auto const key : {"k21", "k78", "k118"}) {
      CAPTURE(kcache::name(d), key);
      CHECK(owner(ring(d, {a, b}), key) == b);
      CHECK(owner(ring(d, {b, a}), key) == a);
      CHECK(owner(ring(d, {a, b, a}), key) == b);  // a second time changes nothing
      CHECK(owner(ring(d, {b, a, b, a, b}), key) == a);
      CHECK(owner(ring(d, {a}), key) == a);
      CHECK(owner(ring(d, {b}), key) == b);
    }
  }
  std::size_t differ = 0;
  auto const ab = ring(dialect::kcache, {a, b});
  auto const ba = ring(dialect::kcache, {b, a});
  for (int i = 0; i != 1'000; ++i) {
    auto const key = "k" + std::to_string(i);
    differ += owner(ab, key) != owner(ba, key);
  }
  CHECK(differ > 0);
  CHECK(differ < 100);  // order decides the tied point and nothing else
}

TEST_CASE("a native ring does not depend on the order of its list", "[ring]") {
  auto peers = fleet(7);
  hash_ring const first{{}, peers};
  std::mt19937_64 random{1};
  for (int round = 0; round != 20; ++round) {
    std::shuffle(peers.begin(), peers.end(), random);
    auto list = peers;
    list.push_back(list[random() % list.size()]);
    hash_ring const other{{}, list};
    CHECK(other.peers() == first.peers());
    CHECK(other.digest() == first.digest());
    for (int i = 0; i != 200; ++i) {
      auto const key = std::to_string(random());
      if (first.owner(key) != other.owner(key)) FAIL(key);
    }
  }
}

TEST_CASE("the native ring hashes canonical addresses, the Go rings spellings", "[ring]") {
  std::vector<std::string> const plain{"http://127.0.0.1:8001", "http://127.0.0.1:8002"};
  std::vector<std::string> const other{"http://localhost:8001/", "HTTP://127.0.0.1:8002"};
  auto const differing = [&](dialect d) {
    auto const one = ring(d, plain);
    auto const two = ring(d, other);
    CHECK((one.digest() == two.digest()) == (d == dialect::native));
    int n = 0;
    for (int i = 0; i != 500; ++i)
      n += one.owner(std::to_string(i)) != two.owner(std::to_string(i));
    return n;
  };
  CHECK(differing(dialect::native) == 0);
  CHECK(differing(dialect::kcache) > 0);
}

TEST_CASE("the native ring is part of the protocol", "[ring]") {
  // Computed by an independent implementation; a change of these needs a new wire version.
  std::string const keys[] = {
      "Tom", "Jack", "Sam", "", "a b", "\xff", std::string(300, 'x'), "\u65e5\u672c\u8a9e"};
  auto const owners = [&](hash_ring const& r) {
    std::string out;
    for (auto const& key : keys) out += static_cast<char>('1' + r.owner(key).value());
    return out;
  };
  hash_ring const a{{.seed = 0}, fleet(3)};
  CHECK(owners(a) == "23113313");
  CHECK(a.digest() == 0x3764ea3749a2995c);
  hash_ring const b{{.seed = 0x0123456789abcdef}, fleet(3)};
  CHECK(owners(b) == "13131333");
  CHECK(b.digest() == 0x6f25ec23ef255e02);
}

TEST_CASE("a digest names everything that decides a ring", "[ring]") {
  auto const digest = [](ring_options o, std::vector<peer_address> peers) {
    return hash_ring{o, std::move(peers)}.digest();
  };
  auto const base = digest({}, fleet(3));
  CHECK(base != 0);
  CHECK(base == digest({.points = 1'024}, fleet(3)));
  CHECK(base != digest({.points = 1'023}, fleet(3)));
  CHECK(base != digest({.seed = 1}, fleet(3)));
  CHECK(base != digest({}, fleet(2)));
  CHECK(base != digest({}, fleet(3, 1)));
  auto const go = digest({.speaks = dialect::kcache}, fleet(3));
  CHECK(go != digest({.points = 50}, fleet(3)));
  CHECK(go != digest({.speaks = dialect::groupcache}, fleet(3)));
  CHECK(go == digest({.speaks = dialect::kcache, .seed = 9}, fleet(3)));  // no seed in the Go rings
  auto swapped = fleet(3);
  std::swap(swapped[0], swapped[2]);
  CHECK(go == digest({.speaks = dialect::kcache}, swapped));
}

TEST_CASE("a seed makes another native ring", "[ring]") {
  hash_ring const a{{}, fleet(4)};
  hash_ring const b{{.seed = 1}, fleet(4)};
  std::size_t differ = 0;
  for (int i = 0; i != 1'000; ++i)
    differ += a.owner(std::to_string(i)) != b.owner(std::to_string(i));
  CHECK(differ > 650);  // 3 of 4 in the mean
  CHECK(differ < 850);
}

TEST_CASE("rings of none and of one", "[ring]") {
  hash_ring const none;
  CHECK(none.empty());
  CHECK_FALSE(none.owner("Tom"));
  CHECK(hash_ring{{.speaks = dialect::kcache}, {}}.owner("Tom") == std::nullopt);
  for (auto const d : {dialect::native, dialect::kcache}) {
    for (std::uint32_t const points : {0u, 1u}) {
      hash_ring const one{{.speaks = d, .points = points}, fleet(1)};
      CHECK(one.size() == 1);
      CHECK(near(one.share(0), 1, 1e-9));
      for (auto const key : {"", "Tom", "Jack"}) CHECK(one.owner(key) == 0u);
    }
  }
  CHECK(hash_ring{{}, fleet(3)}.find(fleet(2)[1]) == 1u);
  CHECK_FALSE(hash_ring{{}, fleet(3)}.find(fleet(4)[3]));
}

TEST_CASE("a ring has limits", "[ring]") {
  CHECK(hash_ring::check({}, 64));
  CHECK(hash_ring::check({}, 4'096));
  CHECK(hash_ring::check({}, 4'097).error() == kcache::errc::invalid_options);
  CHECK(hash_ring::check({.points = 5'000'000}, 4).error() == kcache::errc::invalid_options);
  CHECK(hash_ring::check({.points = 0xffff'ffff}, 4'096).error() == kcache::errc::invalid_options);
  CHECK_THROWS_AS((hash_ring{{.points = 20'000'000}, fleet(1)}), kcache::failure);
}

TEST_CASE("a key that falls on a point belongs to it", "[ring]") {
  hash_ring const r{{.speaks = dialect::kcache}, fleet(10)};
  for (std::size_t p = 0; p != r.size(); ++p)
    for (int i = 0; i != 50; ++i)
      CHECK(r.owner(std::to_string(i) + r.peer(p).spelling()) == p);
}

TEST_CASE("the past-the-end search wraps to the first point", "[ring]") {
  // With one point each, what lies past the last point is a large part of the circle.
  for (auto const d : {dialect::native, dialect::kcache}) {
    hash_ring const r{{.speaks = d, .seed = 3, .points = 1}, fleet(2)};
    CHECK(near(r.share(0) + r.share(1), 1, 1e-9));
    std::size_t first = 0;
    for (int i = 0; i != 20'000; ++i)
      first += r.owner("key " + std::to_string(i) + " of many") == 0u;
    CHECK(near(static_cast<double>(first) / 20'000, r.share(0), 0.02));
  }
}

TEST_CASE("a native ring of 2 to 64 peers is even to 15 in 100", "[ring]") {
  double smallest = 1;
  double largest = 1;
  auto const measure = [&](ring_options o, std::vector<peer_address> const& peers) {
    hash_ring const r{o, peers};
    for (std::size_t i = 0; i != peers.size(); ++i) {
      auto const of_even = r.share(i) * static_cast<double>(peers.size());
      smallest = std::min(smallest, of_even);
      largest = std::max(largest, of_even);
    }
  };
  for (std::size_t n = 2; n <= 64; ++n) {
    measure({}, fleet(n));
    if (n % 8 == 0) measure({.seed = n}, fleet(n, 7));
  }
  CAPTURE(smallest, largest);
  CHECK(smallest > 0.85);
  CHECK(largest < 1.15);
  measure({.points = 160}, fleet(64));
  CHECK((smallest < 0.85 || largest > 1.15));  // the measure tells: 160 points do not do it
}

TEST_CASE("keys fall evenly on a native ring", "[ring]") {
  for (std::size_t const n : {2u, 3u, 8u, 64u}) {
    hash_ring const r{{}, fleet(n)};
    std::vector<double> count(n);
    auto const total = 5'000 * n;
    for (std::size_t i = 0; i != total; ++i) ++count[r.owner("key-" + std::to_string(i)).value()];
    auto const [low, high] = std::minmax_element(count.begin(), count.end());
    CAPTURE(n, *low, *high);
    CHECK(*low > 5'000 * 0.85);
    CHECK(*high < 5'000 * 1.15);
    for (std::size_t i = 0; i != n; ++i)
      CHECK(near(count[i] / static_cast<double>(total), r.share(i), 0.01));
  }
  // The keys on which groupcache-go's FNV-1 sends 10 of 300 to one of two nodes.
  for (int net = 0; net != 4; ++net) {
    hash_ring const two{{}, fleet(2, net)};
    int first = 0;
    for (int i = 0; i != 300; ++i) first += two.owner("z" + std::to_string(i)) == 0u;
    CAPTURE(net);
    CHECK(first >= 150 * 0.85);
    CHECK(first <= 150 * 1.15);
  }
}

TEST_CASE("a joining peer takes its share and moves nothing else", "[ring]") {
  for (auto const d : {dialect::native, dialect::kcache}) {
    for (std::size_t const n : {2u, 3u, 10u, 64u}) {
      auto const after_list = fleet(n);
      auto const joined = after_list.back();
      hash_ring const before{{.speaks = d}, fleet(n - 1)};
      hash_ring const after{{.speaks = d}, after_list};
      constexpr int keys = 20'000;
      int moved = 0;
      for (int i = 0; i != keys; ++i) {
        auto const key = "user:" + std::to_string(i);
        auto const& was = before.peer(before.owner(key).value());
        auto const& is = after.peer(after.owner(key).value());
        if (was == is) continue;
        ++moved;
        if (is != joined) FAIL("moved between two peers that stayed: " << key);
      }
      CAPTURE(kcache::name(d), n, moved);
      if (d == dialect::native) CHECK(moved <= keys / static_cast<double>(n) + keys * 0.05);
      CHECK(moved > 0);
    }
  }
}
