// SPDX-License-Identifier: BSL-1.0
#include <kcache/peer.hpp>

#include "support/catch.hpp"

#include <cstddef>
#include <functional>
#include <random>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

using kcache::errc;
using kcache::peer_address;

namespace {

std::string canonical(std::string_view text) {
  auto const p = peer_address::parse(text);
  return p ? p->canonical() : "refused: " + std::string{p.error().message()};
}

std::string refusal(std::string_view text) {
  auto const p = peer_address::parse(text);
  if (p) return "taken as " + p->canonical();
  CHECK(p.error() == errc::bad_peer_address);
  return std::string{p.error().message()};
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace

static_assert(!std::is_default_constructible_v<peer_address>);
static_assert(std::is_nothrow_move_constructible_v<peer_address>);

TEST_CASE("an address has one canonical form", "[peer]") {
  CHECK(canonical("http://127.0.0.1:8001") == "http://127.0.0.1:8001");
  CHECK(canonical("http://10.0.0.1") == "http://10.0.0.1:80");
  CHECK(canonical("http://10.0.0.1:80") == "http://10.0.0.1:80");
  CHECK(canonical("HTTP://Cache-1.Example.COM.:8001//") == "http://cache-1.example.com:8001");
  CHECK(canonical("http://a_b.svc") == "http://a_b.svc:80");
  CHECK(canonical("http://localhost:8001") == "http://127.0.0.1:8001");
  CHECK(canonical("http://LocalHost.:8001") == "http://127.0.0.1:8001");
  CHECK(canonical("http://127.0.0.1.:8001") == "http://127.0.0.1:8001");
  CHECK(canonical("http://0.0.0.0:8001") == "http://0.0.0.0:8001");
  CHECK(canonical("http://255.255.255.255:65535") == "http://255.255.255.255:65535");
  CHECK(canonical("http://1a.2b:1") == "http://1a.2b:1");
  CHECK(canonical("http://node1:1") == "http://node1:1");
  CHECK(canonical("http://" + std::string(63, 'a') + ":1") ==
        "http://" + std::string(63, 'a') + ":1");
}

TEST_CASE("IPv6 is written as RFC 5952 says", "[peer]") {
  CHECK(canonical("http://[::1]:8001") == "http://[::1]:8001");
  CHECK(canonical("http://[::]") == "http://[::]:80");
  CHECK(canonical("http://[0:0:0:0:0:0:0:1]:8001") == "http://[::1]:8001");
  CHECK(canonical("http://[2001:DB8:0:0::0001]:8001") == "http://[2001:db8::1]:8001");
  CHECK(canonical("http://[2001:0db8:0000:0000:0001:0000:0000:0001]:1") ==
        "http://[2001:db8::1:0:0:1]:1");                                            // first of two
  CHECK(canonical("http://[2001:0:0:1:0:0:0:1]:1") == "http://[2001:0:0:1::1]:1");  // the longer
  CHECK(canonical("http://[2001:db8::1:1:1:1:1]:1") == "http://[2001:db8:0:1:1:1:1:1]:1");
  CHECK(canonical("http://[1:2:3:4:5:6:7::]:1") == "http://[1:2:3:4:5:6:7:0]:1");
  CHECK(canonical("http://[1::]:1") == "http://[1::]:1");
  CHECK(canonical("http://[fe80::a:0:0:0]:1") == "http://[fe80::a:0:0:0]:1");
  CHECK(canonical("http://[::ffff:10.0.0.1]:1") == "http://10.0.0.1:1");
  CHECK(canonical("http://[::FFFF:0a00:0001]:1") == "http://10.0.0.1:1");
  CHECK(canonical("http://[64:ff9b::192.0.2.33]:1") == "http://[64:ff9b::c000:221]:1");
  CHECK(canonical("http://[::10.0.0.1]:1") == "http://[::a00:1]:1");

  for (auto const text :
       {"http://[]:1", "http://[:]:1", "http://[:::]:1", "http://[1::2::3]:1", "http://[1:2:3]:1",
        "http://[1:2:3:4:5:6:7:8:9]:1", "http://[1:2:3:4:5:6:7:8::]:1", "http://[::12345]:1",
        "http://[1:2:3:4:5:6:7:]:1", "http://[:1:2:3:4:5:6:7]:1", "http://[::g]:1",
        "http://[::-1]:1", "http://[::0x1]:1", "http://[::1.2.3]:1", "http://[::1.2.3.4:1]:1",
        "http://[1:2:3:4:5:6:7:1.2.3.4]:1", "http://[::ffff:010.0.0.1]:1", "http://[10.0.0.1]:1",
        "http://[ ::1]:1", "http://[::1:1"}) {
    CAPTURE(text);
    CHECK_FALSE(peer_address::parse(text));
  }
  CHECK(contains(refusal("http://[fe80::1%eth0]:1"), "zone"));
  CHECK(contains(refusal("http://::1:8001"), "in brackets"));
  CHECK(contains(refusal("http://[::1]8001"), "only :port"));
}

TEST_CASE("what is no address is refused with the reason", "[peer]") {
  CHECK(contains(refusal("127.0.0.1:8001"), "write http://host:port"));
  CHECK(contains(refusal(""), "\"\""));
  CHECK(contains(refusal("https://h:1"), "https is not supported yet"));
  CHECK(contains(refusal("ftp://h:1"), "scheme must be http"));
  CHECK(contains(refusal("http://u:p@h:1"), "user name"));
  CHECK(contains(refusal("http://h:1/x"), "nothing may follow"));
  CHECK(contains(refusal("http://h:1?x"), "nothing may follow"));
  CHECK(contains(refusal("http://h:1#x"), "nothing may follow"));
  CHECK(contains(refusal("http://h:1/?/"), "nothing may follow"));
  CHECK(contains(refusal("http://"), "no host"));
  CHECK(contains(refusal("http:///"), "no host"));
  CHECK(contains(refusal("http://:8001"), "no host"));
  for (auto const port : {"", "0", "65536", "99999999999999999999", "-1", "+1", " 1", "1 ", "0x1",
                          "08001", "1.0", "80\n"}) {
    CAPTURE(port);
    CHECK(contains(refusal("http://h:" + std::string{port}), "number from 1 to 65535"));
  }
  for (auto const host :
       {"127.1", "127.0.0.01", "127.0.0.256", "127.0.0", "1.2.3.4.5", "0177.0.0.1", "2130706433",
        "0x7f.0.0.1", "0x7f000001", "0x", "127.0.0.0x1", "a.1"}) {
    CAPTURE(host);
    CHECK(contains(refusal("http://" + std::string{host} + ":1"), "four decimal parts"));
  }
  for (auto const& host :
       {std::string{"a b"}, std::string{"a..b"}, std::string{".a"}, std::string{"a.."},
        std::string{"-a"}, std::string{"a-"}, std::string{"a-.b"}, std::string{"a%41"},
        std::string{"b\xc3\xbc"}, std::string{"a\0b", 3}, std::string(64, 'a'),
        std::string(63, 'a') + '.' + std::string(63, 'a') + '.' + std::string(63, 'a') + '.' +
            std::string(62, 'a')}) {
    CAPTURE(host);
    CHECK(contains(refusal("http://" + host + ":1"), "a host name has"));
  }
}

TEST_CASE("a refusal quotes the input on one line, escaped and cut", "[peer]") {
  CHECK(refusal("http://a\r\n\x1b\"\\\xff") ==
        R"(bad peer address "http://a\x0d\x0a\x1b\"\\\xff": a host name has parts of 1 to 63 )"
        R"(letters, digits, '-' and '_', with dots between them, 253 characters in all)");
  auto const message = refusal("http://" + std::string(10'000, '!'));
  CHECK(message.size() < 300);
  CHECK(contains(message, "!\"...: "));
  CHECK(kcache::detail::quoted("abc", 3) == "\"abc\"");
  CHECK(kcache::detail::quoted("abcd", 3) == "\"abc\"...");
}

TEST_CASE("an address knows its parts", "[peer]") {
  auto const name = peer_address::parse("http://Node-1:8001///").value();
  CHECK(name.spelling() == "http://Node-1:8001");
  CHECK(name.host() == "node-1");
  CHECK(name.port() == 8001);
  CHECK(name.authority() == "node-1:8001");
  CHECK_FALSE(name.is_loopback());

  auto const v6 = peer_address::parse("http://[0:0::1]:8001").value();
  CHECK(v6.host() == "::1");
  CHECK(v6.authority() == "[::1]:8001");
  CHECK(v6.is_loopback());

  auto const loopback = [](std::string_view text) {
    return peer_address::parse(text).value().is_loopback();
  };
  CHECK(loopback("http://127.0.0.1:1"));
  CHECK(loopback("http://127.9.9.9:1"));
  CHECK(loopback("http://localhost:1"));
  CHECK(loopback("http://[::ffff:127.0.0.1]:1"));
  CHECK_FALSE(loopback("http://128.0.0.1:1"));
  CHECK_FALSE(loopback("http://0.0.0.0:1"));
  CHECK_FALSE(loopback("http://[::]:1"));
  CHECK_FALSE(loopback("http://[::2]:1"));
  CHECK_FALSE(loopback("http://[1::1]:1"));
  CHECK_FALSE(loopback("http://localhost.example.com:1"));
}

TEST_CASE("port 0 is for listening only", "[peer]") {
  auto const p = peer_address::parse_listen("http://127.0.0.1:0");
  REQUIRE(p);
  CHECK(p->port() == 0);
  CHECK(p->canonical() == "http://127.0.0.1:0");
  CHECK(peer_address::parse_listen("http://127.0.0.1:8001").value().port() == 8001);
  CHECK_FALSE(peer_address::parse_listen("http://127.0.0.1:00"));
  CHECK_FALSE(peer_address::parse_listen("http://127.0.0.1:65536"));
  CHECK_FALSE(peer_address::parse("http://127.0.0.1:0"));
}

TEST_CASE("addresses compare and hash by their canonical form", "[peer]") {
  auto const a = peer_address::parse("http://localhost:8001/").value();
  auto const b = peer_address::parse("HTTP://127.0.0.1.:8001").value();
  auto const c = peer_address::parse("http://127.0.0.1:8002").value();
  CHECK(a == b);
  CHECK(a.spelling() != b.spelling());
  CHECK(std::hash<peer_address>{}(a) == std::hash<peer_address>{}(b));
  CHECK(a != c);
  CHECK(a < c);
  CHECK(c > b);
}

TEST_CASE("no input breaks the parser, and the canonical form is a fixed point", "[peer]") {
  std::vector<std::string> const seeds{
      "http://127.0.0.1:8001", "http://localhost:1/", "HTTP://Cache-1.Example.com.:8001",
      "http://[2001:db8::1:0:0:1]:80", "http://[::ffff:10.0.0.1]:65535", "http://a_b", "[::]", ""};
  std::string_view const alphabet{"0123456789abcdefxABCDEFX:./[]%@?#-_ht\0\n\xff", 40};
  std::mt19937_64 random{20'240'607};
  std::size_t taken = 0;
  for (int i = 0; i != 200'000; ++i) {
    std::string text = seeds[random() % seeds.size()];
    for (auto changes = random() % 5; changes != 0; --changes) {
      auto const at = random() % (text.size() + 1);
      auto const c = alphabet[random() % alphabet.size()];
      switch (random() % 4) {
        case 0: text.insert(at, 1, c); break;
        case 1: text.erase(at, random() % 3); break;
        case 2: if (at < text.size()) text[at] = c; break;
        default: text.insert(at, text.substr(random() % (text.size() + 1), random() % 8));
      }
    }
    auto const p = peer_address::parse(text);
    if (!p) {
      if (p.error() != errc::bad_peer_address || p.error().message().size() > 500) FAIL(text);
      continue;
    }
    ++taken;
    auto const again = peer_address::parse(p->canonical());
    auto const spelled = peer_address::parse(p->spelling());
    bool const fixed = again && again->canonical() == p->canonical() &&
                       again->spelling() == p->canonical() && again->host() == p->host() &&
                       again->port() == p->port() && again->is_loopback() == p->is_loopback() &&
                       spelled && *spelled == *p && p->port() != 0;
    if (!fixed) FAIL(text << " -> " << p->canonical());
  }
  CHECK(taken > 20'000);  // the mutations leave enough addresses whole
}
