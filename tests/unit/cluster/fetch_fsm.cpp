// SPDX-License-Identifier: BSL-1.0
#include <kcache/cluster/fetch_fsm.hpp>

#include "support/catch.hpp"

#include <kcache/testing/plain_codec.hpp>

#include <chrono>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <variant>
#include <vector>

using namespace std::chrono_literals;
using kcache::dialect;
using kcache::errc;
using kcache::load_here;
using kcache::shared_bytes;
using kcache::time_point;
using kcache::ttl;
using kcache::wire_reply;
using kcache::testing::plain_codec;
namespace wire = kcache::wire;

namespace {

using fsm = kcache::fetch_fsm<plain_codec>;
using step = fsm::step;

constexpr time_point now{1000s};
constexpr time_point deadline = now + 1s;

fsm machine(dialect d = dialect::native) {
  return fsm{{d, {7, 8, 9}, "scores", "Tom", deadline}};
}

wire::get_reply answer(wire::status s, kcache::byte_view text = {}) {
  wire::get_reply r;
  r.outcome = s;
  r.echo = wire::echo_of("scores", "Tom");
  (s == wire::status::ok ? r.value : r.message) = text;
  return r;
}
wire_reply reply(wire::get_reply const& r, int status = 200) {
  return {status, shared_bytes::of(plain_codec::encode_head(r).append(r.value))};
}
wire_reply reply(int status, std::string body) {
  return {status, shared_bytes::of(std::move(body))};
}

/// What came of one reply, in words.
std::string told(fsm& m) {
  auto const o = m.outcome();
  if (std::holds_alternative<load_here>(o)) return "load here";
  if (auto const* e = std::get_if<kcache::error>(&o))
    return std::string{name(e->code())} + ": " + std::string{e->message()};
  return "value " + std::string{std::get<kcache::fetched_bytes>(o).bytes.view()};
}

}  // namespace

TEST_CASE("the budget is rounded up to milliseconds, and told always but for ever") {
  CHECK(wire::budget_ms(now, now + 1s) == 1'000);
  CHECK(wire::budget_ms(now, now + 1us) == 1);
  CHECK(wire::budget_ms(now, now + 1'000'001ns) == 2);
  CHECK(wire::budget_ms(now, now) == 1);
  CHECK(wire::budget_ms(now, now - 5s) == 1);
  CHECK(wire::budget_ms(now, kcache::never) == 0);
  CHECK(wire::budget_ms(now, now + 2000h) == std::numeric_limits<std::uint32_t>::max());
}

TEST_CASE("the rest of a life travels in milliseconds, rounded up") {
  CHECK(wire::ttl_ms(ttl::never()) == wire::get_reply::no_expiry);
  CHECK(wire::ttl_ms(ttl::use_default()) == wire::get_reply::no_expiry);
  CHECK(wire::ttl_ms(1500us) == 2);
  CHECK(wire::ttl_ms(0ns) == 0);
  CHECK(wire::ttl_ms(-5s) == 0);
  CHECK(wire::ttl_from_ms(wire::get_reply::no_expiry) == ttl::never());
  CHECK(wire::ttl_from_ms(2) == ttl{2ms});
  CHECK(wire::ttl_from_ms(0) == ttl{0ms});
  // No number from outside overflows.
  CHECK(wire::ttl_from_ms(wire::get_reply::no_expiry - 1).length() > 24h * 365 * 200);
}

TEST_CASE("a peer known to be down is not called") {
  auto m = machine();
  CHECK(m.start(false) == step::done);
  CHECK(told(m) == "load here");
  CHECK_FALSE(m.answered());
}

TEST_CASE("the request says it all in the native dialect") {
  auto m = machine();
  REQUIRE(m.start(true) == step::call);
  auto const r = m.request(now + 250ms);
  CHECK(r.verb == kcache::wire_verb::post);
  CHECK(r.target == "/_kcache.native/1/get");
  CHECK_FALSE(r.probe);
  wire::get_request q;
  REQUIRE(plain_codec::decode(r.body, q));
  CHECK(q.group == "scores");
  CHECK(q.key == "Tom");
  CHECK(q.budget_ms == 750);
  CHECK(q.from.incarnation == 7);
  CHECK(q.from.ring_digest == 8);
  CHECK(q.from.ring_epoch == 9);
}

TEST_CASE("the request is a path in the Go dialects") {
  fsm m{{dialect::kcache, {}, "sc/ores", "a b", deadline}};
  CHECK(m.request(now).verb == kcache::wire_verb::get);
  CHECK(m.request(now).target == "/_kcache/sc%2Fores/a%20b");
  CHECK(m.request(now).body.empty());
  fsm g{{dialect::groupcache, {}, "scores", "Tom", deadline}};
  CHECK(g.request(now).target == "/_groupcache/scores/Tom");
}

TEST_CASE("what a native reply means") {
  using s = wire::status;
  auto other = answer(s::ok, "v");
  other.echo = wire::echo_of("scores", "Jack");
  auto other_absent = answer(s::not_found);
  other_absent.echo = 0;
  struct row {
    wire_reply reply;
    std::string outcome;
    bool bad, mismatch;
  };
  std::vector<row> const rows{
      {reply(answer(s::ok, "630")), "value 630", false, false},
      {reply(answer(s::ok)), "value ", false, false},
      {reply(answer(s::not_found)), "not_found: not_found", false, false},
      {reply(answer(s::not_found, "nobody")), "not_found: nobody", false, false},
      {reply(answer(s::loader_failed, "no such table")), "loader_failed: no such table", false,
       false},
      {reply(answer(s::deadline)), "deadline: deadline", false, false},
      {reply(answer(s::overloaded)), "overloaded: overloaded", false, false},
      {reply(answer(s::recursive_load)), "recursive_load: recursive_load", false, false},
      {reply(answer(s::wrong_owner)), "load here", false, true},
      {reply(answer(s::unknown_group)), "load here", false, false},
      {reply(answer(s::unsupported)), "load here", false, false},
      {reply(answer(s::not_modified)), "load here", false, false},
      {reply(other), "load here", true, false},
      {reply(other_absent), "load here", true, false},
      {reply(200, "garbage"), "load here", true, false},
      {reply(200, ""), "load here", true, false},
      {reply(answer(s::ok, "630"), 500), "load here", false, false},
      {reply(503, "not serving\n"), "load here", false, false},
      {reply(404, "no such operation\n"), "load here", false, false},
      {reply(426, "this node speaks version 2\n"), "load here", false, false},
  };
  for (auto const& r : rows) {
    auto m = machine();
    REQUIRE(m.start(true) == step::call);
    REQUIRE(m.on_reply(r.reply, true, now) == step::done);
    CAPTURE(r.outcome, r.reply.status);
    CHECK(told(m) == r.outcome);
    CHECK(m.answered());
    CHECK(m.bad_reply() == r.bad);
    CHECK(m.ring_mismatch() == r.mismatch);
  }
}

TEST_CASE("a value brings what is left of its life") {
  auto a = answer(wire::status::ok, "630");
  a.ttl_ms = 1'234;
  auto m = machine();
  (void)m.on_reply(reply(a), true, now);
  auto const o = m.outcome();
  CHECK(std::get<kcache::fetched_bytes>(o).remaining == ttl{1'234ms});
}

TEST_CASE("what a reply in the Go dialects means") {
  struct row {
    int status;
    std::string body, outcome;
    bool bad;
  };
  std::string const value = plain_codec::encode_value_head(3) + "630";
  std::vector<row> const rows{
      {200, value, "value 630", false},
      {200, "", "value ", false},
      {200, "garbage", "load here", true},
      {500, "no such table\n", "loader_failed: no such table", false},
      {500, "", "loader_failed: loader_failed", false},
      {429, "later\n", "overloaded: later", false},
      {503, "not serving\n", "load here", false},
      {504, "deadline\n", "deadline: deadline", false},
      {404, "no such group: scores\n", "load here", false},
      {400, "bad request\n", "load here", false},
      {302, "", "load here", false},
  };
  for (auto const& r : rows) {
    auto m = machine(dialect::kcache);
    REQUIRE(m.on_reply(reply(r.status, r.body), true, now) == step::done);
    CAPTURE(r.status, r.body);
    CHECK(told(m) == r.outcome);
    CHECK(m.bad_reply() == r.bad);
  }
  auto m = machine(dialect::kcache);
  (void)m.on_reply(reply(500, std::string(100'000, 'x')), true, now);
  auto const o = m.outcome();
  CHECK(std::get<kcache::error>(o).message().size() == 1'024);
}

TEST_CASE("what a call without a reply means") {
  struct row {
    errc code;
    std::string outcome;
    bool bad;
  };
  for (auto const& r : {row{errc::deadline, "deadline: deadline", false},
                        row{errc::overloaded, "overloaded: overloaded", false},
                        row{errc::bad_message, "load here", true},
                        row{errc::cancelled, "load here", false}}) {
    auto m = machine();
    REQUIRE(m.on_reply(r.code, true, now) == step::done);
    CHECK(told(m) == r.outcome);
    CHECK(m.bad_reply() == r.bad);
    CHECK_FALSE(m.answered());
  }
}

TEST_CASE("a call that reached nobody is repeated once") {
  auto m = machine();
  REQUIRE(m.start(true) == step::call);
  SECTION("and may be answered then") {
    REQUIRE(m.on_reply(errc::unreachable, true, now) == step::call);
    REQUIRE(m.on_reply(reply(answer(wire::status::ok, "630")), true, now) == step::done);
    CHECK(told(m) == "value 630");
  }
  SECTION("not twice") {
    REQUIRE(m.on_reply(errc::unreachable, true, now) == step::call);
    REQUIRE(m.on_reply(errc::unreachable, true, now) == step::done);
    CHECK(told(m) == "load here");
    CHECK_FALSE(m.answered());
  }
  SECTION("not if the peer is known to be down by then") {
    REQUIRE(m.on_reply(errc::unreachable, false, now) == step::done);
    CHECK(told(m) == "load here");
  }
  SECTION("not after the deadline") {
    REQUIRE(m.on_reply(errc::unreachable, true, deadline) == step::done);
    CHECK(told(m) == "load here");
  }
}
