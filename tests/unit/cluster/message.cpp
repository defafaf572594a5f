// SPDX-License-Identifier: BSL-1.0
#include <kcache/cluster/message.hpp>

#include "support/catch.hpp"

#include <cstdint>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace wire = kcache::wire;
using namespace std::string_view_literals;

TEST_CASE("an echo tells every pair of group and key from every other", "[message]") {
  using wire::echo_of;
  CHECK(echo_of("ab", "c") != echo_of("a", "bc"));
  CHECK(echo_of("", "abc") != echo_of("abc", ""));
  CHECK(echo_of("a", "b") != echo_of("b", "a"));
  CHECK(echo_of("g", "") != echo_of("g", "\0"sv));
  CHECK(echo_of("g", "k") != echo_of("g", "k\0"sv));
  CHECK(echo_of("g\0"sv, "") != echo_of("g", "\0"sv));
  CHECK(echo_of("g", "\x7f") != echo_of("g", "\xff"));

  // Every way to cut one text in two, and the length's own bytes moved into the key.
  std::string const text(40, 'x');
  std::set<std::uint64_t> echoes;
  for (std::size_t i = 0; i <= text.size(); ++i)
    echoes.insert(echo_of(text.substr(0, i), text.substr(i)));
  CHECK(echoes.size() == text.size() + 1);
  CHECK(echo_of("", "\1\0\0\0x"sv) != echo_of("\1\0\0\0"sv, "x"));

  std::mt19937_64 random{5};
  std::set<std::pair<std::string, std::string>> pairs;
  echoes.clear();
  for (int i = 0; i != 20'000; ++i) {
    auto const piece = [&] {
      std::string out;
      for (auto n = random() % 6; n != 0; --n) out += static_cast<char>(random() % 3);
      return out;
    };
    auto p = std::pair{piece(), piece()};
    echoes.insert(echo_of(p.first, p.second));
    pairs.insert(std::move(p));
  }
  CHECK(echoes.size() == pairs.size());
}

TEST_CASE("an echo is part of the protocol", "[message]") {
  // Computed by an independent implementation: nodes of two builds must agree.
  CHECK(wire::echo_of("scores", "Tom") == 0x66802bed8b50cbdf);
  CHECK(wire::echo_of("", "") == 0x4d33a93727192487);
  CHECK(wire::echo_of("g", "\xff") == 0x300cd0567dc6f7ce);
}

TEST_CASE("a message begins as the one that says least", "[message]") {
  wire::get_request const q;
  CHECK(q.from.incarnation == 0);
  CHECK(q.budget_ms == 0);
  CHECK(q.kind == wire::hop::client);
  wire::get_reply const r;
  CHECK(r.outcome == wire::status::ok);
  CHECK(r.ttl_ms == wire::get_reply::no_expiry);
  wire::hello_request const h;
  CHECK(h.min_version <= wire::native_version);
  CHECK(h.max_version == wire::native_version);
}
