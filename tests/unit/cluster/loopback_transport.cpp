// SPDX-License-Identifier: BSL-1.0
#include <kcache/cluster/loopback_transport.hpp>

#include "support/catch.hpp"
#include "support/manual_policies.hpp"

#include <kcache/cluster/cluster.hpp>
#include <kcache/testing/manual_executor.hpp>
#include <kcache/testing/plain_codec.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using kcache::errc;
using kcache::loopback_transport;
using kcache::peer_address;
using kcache::result;
using kcache::wire_reply;
using kcache::wire_request_view;
using kcache::wire_responder;
using kcache::testing::manual_executor;

namespace {

struct policies : kcache::core_cluster_policies {
  using executor = manual_executor;
  using random = kcache::seeded_random;
  using transport = loopback_transport;
  using codec = kcache::testing::plain_codec;
};
using bound = loopback_transport::bind<policies>;

peer_address address(char const* text) { return peer_address::parse_listen(text).value(); }

/// `STATUS BODY`, or the error.
struct heard {
  std::vector<std::string> all;
  auto done() {
    return [this](result<wire_reply> r) {
      all.push_back(r ? std::to_string(r->status) + ' ' + std::string{r->body.view()}
                      : std::string{name(r.error().code())});
    };
  }
  [[nodiscard]] std::string only() const {
    return all.size() == 1 ? all.front() : std::to_string(all.size()) + " replies";
  }
};

void echo(wire_request_view r, wire_responder respond) {
  respond({200, kcache::media::text, std::string{r.target} + '|' + std::string{r.body},
           kcache::shared_bytes::of_static("|tail")});
}

kcache::wire_request request(std::string target, std::string body = {}) {
  return {kcache::wire_verb::post, std::move(target), std::move(body)};
}

}  // namespace

TEST_CASE("the loopback transport models the policy") {
  STATIC_REQUIRE(kcache::transport_for<loopback_transport, policies>);
}

TEST_CASE("a call runs the peer's server and brings its reply") {
  manual_executor const work;
  loopback_transport::options const wire;
  bound a{wire, work}, b{wire, work};
  heard h;
  a.call(address("http://b:1"), request("/x"), work.now() + 1s, h.done());
  CHECK(h.only() == "unreachable");
  CHECK(b.listen(address("http://b:1"), echo));
  CHECK(b.address() == "b:1");
  CHECK(a.address().empty());
  h = {};
  a.call(address("http://B:1/"), request("/x", "body"), work.now() + 1s, h.done());
  CHECK(h.only() == "200 /x|body|tail");
  CHECK(work.pending() == 0);  // its timer is gone
  CHECK(wire.hub->calls() == 2);
}

TEST_CASE("two hubs are two networks") {
  manual_executor const work;
  bound a{{}, work}, b{{}, work};
  b.listen(address("http://b:1"), echo).value();
  heard h;
  a.call(address("http://b:1"), request("/"), kcache::never, h.done());
  CHECK(h.only() == "unreachable");
}

TEST_CASE("an address is had once, and any free port on request") {
  manual_executor const work;
  loopback_transport::options const wire;
  bound a{wire, work}, b{wire, work}, c{wire, work}, d{wire, work};
  CHECK(a.listen(address("http://n:1"), echo));
  auto const refused = b.listen(address("http://N:1"), echo);
  REQUIRE_FALSE(refused);
  CHECK(refused.error() == errc::cannot_listen);
  CHECK(refused.error().message().find("n:1") != std::string::npos);
  CHECK(c.listen(address("http://n:0"), echo));
  CHECK(d.listen(address("http://n:0"), echo));
  CHECK(c.address() != d.address());
  CHECK_FALSE(c.address().ends_with(":0"));
  a.stop(kcache::time_point::min());
  CHECK(a.address().empty());
  CHECK(b.listen(address("http://n:1"), echo));
}

TEST_CASE("a server may answer later, at the deadline at the latest, or not at all") {
  manual_executor const work;
  loopback_transport::options const wire;
  bound a{wire, work}, b{wire, work};
  std::optional<wire_responder> held;
  b.listen(address("http://b:1"),
           [&](wire_request_view, wire_responder r) { held.emplace(std::move(r)); })
      .value();
  heard h;
  a.call(address("http://b:1"), request("/"), work.now() + 100ms, h.done());
  CHECK(h.all.empty());
  SECTION("later") {
    (*held)({204, kcache::media::text, {}, {}});
    CHECK(h.only() == "204 ");
  }
  SECTION("too late") {
    work.run_for(100ms);
    CHECK(h.only() == "deadline");
    (*held)({200, kcache::media::text, "late", {}});
  }
  SECTION("never") {
    held.reset();
    CHECK(h.only() == "unreachable");
  }
  SECTION("not before the asker stops") {
    a.stop(kcache::time_point::min());
    CHECK(h.only() == "cancelled");
    heard later;
    a.call(address("http://b:1"), request("/"), work.now() + 100ms, later.done());
    CHECK(later.only() == "cancelled");
    a.stop(kcache::time_point::min());
  }
  work.run_for(1s);
  held.reset();
  CHECK(h.all.size() == 1);
}

TEST_CASE("the n-th call fails as told") {
  manual_executor const work;
  loopback_transport::options const wire;
  bound a{wire, work}, b{wire, work};
  b.listen(address("http://b:1"), echo).value();
  wire.hub->fail_call(2);
  heard h;
  for (int i = 0; i != 3; ++i) a.call(address("http://b:1"), request("/"), kcache::never, h.done());
  CHECK(h.all == std::vector<std::string>{"200 /||tail", "unreachable", "200 /||tail"});
  wire.hub->fail_call(1, errc::bad_message);
  a.call(address("http://b:1"), request("/"), kcache::never, h.done());
  CHECK(h.all.back() == "bad_message");
}

TEST_CASE("many calls under way are all answered") {
  manual_executor const work;
  loopback_transport::options const wire;
  bound a{wire, work}, b{wire, work};
  std::vector<wire_responder> held;
  b.listen(address("http://b:1"),
           [&](wire_request_view, wire_responder r) { held.push_back(std::move(r)); })
      .value();
  heard h;
  for (int i = 0; i != 500; ++i) {
    a.call(address("http://b:1"), request("/"), work.now() + 1s, h.done());
    if (i % 2 == 0) held.back()({200, kcache::media::text, {}, {}});
  }
  CHECK(h.all.size() == 250);
  a.stop(kcache::time_point::min());
  CHECK(h.all.size() == 500);
  CHECK(work.pending() == 0);
}

TEST_CASE("whichever call fails, no read hangs or is wrong") {
  // Three nodes read every key while the n-th call fails, for n = 1, 2, … until none does.
  for (errc const code : {errc::unreachable, errc::deadline, errc::bad_message, errc::overloaded,
                          errc::cancelled}) {
    bool failed = true;
    for (std::uint64_t n = 1; failed; ++n) {
      manual_executor const work;
      loopback_transport::options const wire;
      int loads = 0;
      struct node {
        kcache::basic_cluster<policies> cluster;
        test::manual_strings scores;
      };
      std::vector<std::unique_ptr<node>> nodes;
      std::vector<std::string> const all{"http://n0:1", "http://n1:1", "http://n2:1"};
      for (auto const& self : all) {
        nodes.push_back(std::unique_ptr<node>{new node{
            kcache::basic_cluster<policies>{
                {.self = self, .ring_points = 64, .transport = wire, .executor = work}},
            test::manual_strings{{.name = "scores", .capacity = 100, .executor = work},
                                 [&](std::string const& key) {
                                   ++loads;
                                   return "v:" + key;
                                 }}}});
        nodes.back()->cluster.add(nodes.back()->scores).value();
        nodes.back()->cluster.start().value();
      }
      for (auto& one : nodes) one->cluster.set_peers(all).value();
      wire.hub->fail_call(n, code);
      int right = 0, told = 0;
      auto const start = work.now();
      for (int k = 0; k != 8; ++k)
        for (auto& one : nodes) {
          std::string const key = "k" + std::to_string(k);
          auto const r = one->scores.get(key);
          if (r) right += **r == "v:" + key;
          else told += r.error() == code;
        }
      CAPTURE(n, name(code));
      failed = wire.hub->calls() >= n;
      REQUIRE(right + told == 24);
      // The deadline and a full queue are the caller's to know; what was no word of the owner's is
      // made good here.
      bool const passed_on = code == errc::deadline || code == errc::overloaded;
      REQUIRE(told == (failed && passed_on ? 1 : 0));
      REQUIRE(loads <= 9);
      REQUIRE(work.now() == start);
      for (auto& one : nodes) REQUIRE(one->scores.flights() == 0);
    }
  }
}
