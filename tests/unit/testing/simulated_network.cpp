// SPDX-License-Identifier: BSL-1.0
#include <kcache/testing/simulated_network.hpp>

#include "support/catch.hpp"

#include <kcache/cluster/cluster_options.hpp>
#include <kcache/testing/manual_executor.hpp>
#include <kcache/testing/plain_codec.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using kcache::duration;
using kcache::peer_address;
using kcache::result;
using kcache::wire_reply;
using kcache::wire_request_view;
using kcache::wire_responder;
using kcache::testing::manual_executor;
using kcache::testing::simulated_network;

namespace {

struct policies : kcache::core_cluster_policies {
  using executor = manual_executor;
  using random = kcache::seeded_random;
  using transport = simulated_network;
  using codec = kcache::testing::plain_codec;
};
using bound = simulated_network::bind<policies>;

peer_address address(char const* text) { return peer_address::parse_listen(text).value(); }

/// A client, and a server that answers at once.
struct world {
  explicit world(std::uint64_t seed = 1) : net{seed} {
    server
        .listen(address("http://b:1"),
                [this](wire_request_view r, wire_responder respond) {
                  arrived.emplace_back(r.target);
                  respond({200, kcache::media::text, std::string{r.body}, {}});
                })
        .value();
  }
  void call(std::string target, duration timeout = 1s) {
    auto const sent = work.now();
    client.call(address("http://b:1"), {kcache::wire_verb::post, target, "body"},
                work.now() + timeout, [this, target, sent](result<wire_reply> r) {
                  std::string const what =
                      r ? std::string{r->body.view()} : std::string{name(r.error().code())};
                  heard.emplace_back(target + ' ' + what, work.now() - sent);
                });
  }
  manual_executor work;
  simulated_network net;
  bound client{{net}, work}, server{{net}, work};
  std::vector<std::string> arrived;
  std::vector<std::pair<std::string, duration>> heard;
};
using replies = std::vector<std::pair<std::string, duration>>;

}  // namespace

TEST_CASE("the simulated network models the policy") {
  STATIC_REQUIRE(kcache::transport_for<simulated_network, policies>);
}

TEST_CASE("messages take their time, both ways") {
  world w;
  w.call("/1");
  CHECK(w.heard.empty());
  w.work.run_for(1ms);
  CHECK(w.arrived.size() == 1);
  CHECK(w.heard.empty());
  w.work.run_for(1ms);
  CHECK(w.heard == replies{{"/1 body", 2ms}});
  w.net.set_latency(30ms);
  w.call("/2");
  w.work.run_for(1s);
  CHECK(w.heard.back() == std::pair<std::string, duration>{"/2 body", 60ms});
  CHECK(w.work.pending() == 0);
  CHECK(w.net.calls() == 2);
}

TEST_CASE("jitter is drawn, and reorders") {
  world w{3};
  w.net.set_latency(1ms, 20ms);
  for (int i = 0; i != 30; ++i) w.call("/" + std::to_string(i));
  w.work.run_for(1s);
  REQUIRE(w.heard.size() == 30);
  std::set<duration> times;
  for (auto const& [what, took] : w.heard) {
    CHECK(took >= 2ms);
    CHECK(took <= 42ms);
    times.insert(took);
  }
  CHECK(times.size() > 10);
  CHECK_FALSE(std::is_sorted(w.arrived.begin(), w.arrived.end(), [](auto& a, auto& b) {
    return std::stoi(a.substr(1)) < std::stoi(b.substr(1));
  }));
}

TEST_CASE("lost messages are never answered") {
  world w;
  w.net.set_loss(1'000);
  w.call("/", 300ms);
  w.work.run_for(1h);
  CHECK(w.heard == replies{{"/ deadline", 300ms}});
  CHECK(w.arrived.empty());
  w.net.set_loss(200);
  for (int i = 0; i != 200; ++i) w.call("/");
  w.work.run_for(1h);
  auto const answered = static_cast<std::size_t>(
      std::count_if(w.heard.begin(), w.heard.end(), [](auto& h) { return h.second == 2ms; }));
  CHECK(answered > 100);  // 128 of 200 on average
  CHECK(answered < 160);
}

TEST_CASE("one seed is one run") {
  auto const run = [](std::uint64_t seed) {
    world w{seed};
    w.net.set_latency(1ms, 20ms);
    w.net.set_loss(200);
    for (int i = 0; i != 30; ++i) w.call("/" + std::to_string(i));
    w.work.run_for(5s);
    return w.heard;
  };
  CHECK(run(5) == run(5));
  CHECK(run(5) != run(6));
}

TEST_CASE("a frozen node holds what comes, and answers it when it thaws") {
  world w;
  w.net.freeze("http://B:1");  // by whatever spelling
  w.call("/1", 100ms);
  w.call("/2", 10s);
  w.work.run_for(5s);
  CHECK(w.arrived.empty());
  CHECK(w.heard == replies{{"/1 deadline", 100ms}});
  w.net.thaw("http://b:1");
  w.work.run_for(1s);
  CHECK(w.arrived.size() == 2);
  CHECK(w.heard.back() == std::pair<std::string, duration>{"/2 body", 5001ms});
}

TEST_CASE("a frozen node holds what it was about to say") {
  world w;
  w.net.set_latency(10ms);
  std::vector<wire_responder> held;
  bound slow{{w.net}, w.work};
  slow.listen(address("http://s:1"),
              [&](wire_request_view, wire_responder r) { held.push_back(std::move(r)); })
      .value();
  bool answered = false;
  w.client.call(address("http://s:1"), {}, w.work.now() + 10s,
                [&](result<wire_reply> r) { answered = r.has_value(); });
  w.work.run_for(50ms);
  REQUIRE(held.size() == 1);
  w.net.freeze("http://s:1");
  held[0]({200, kcache::media::text, {}, {}});
  w.work.run_for(5s);
  CHECK_FALSE(answered);
  w.net.thaw("http://s:1");
  w.work.run_for(10ms);
  CHECK(answered);
}

TEST_CASE("a crashed node refuses, what was under way is lost, and it comes back") {
  world w;
  w.call("/1", 500ms);
  w.work.run_for(1ms);  // it has arrived, and its answer is on the way
  w.net.freeze("http://b:1");
  w.call("/2", 500ms);
  w.work.run_for(5ms);
  w.net.crash("http://b:1");
  w.call("/3");
  w.work.run_for(1s);
  CHECK(w.heard == replies{{"/1 body", 2ms}, {"/3 unreachable", 2ms}, {"/2 deadline", 500ms}});
  w.net.thaw("http://b:1");
  w.net.restart("http://b:1");
  w.call("/4");
  w.work.run_for(1s);
  CHECK(w.heard.back().first == "/4 body");
}

TEST_CASE("nobody listens at an unknown address, or at one that was stopped") {
  world w;
  w.server.stop(kcache::time_point::min());
  w.call("/");
  w.work.run_for(1s);
  CHECK(w.heard == replies{{"/ unreachable", 2ms}});
  CHECK(w.server.address().empty());
}

TEST_CASE("addresses are had once, and any free port on request") {
  world w;
  bound again{{w.net}, w.work};
  CHECK(again.listen(address("http://b:1"), [](auto, auto) {}).error() ==
        kcache::errc::cannot_listen);
  CHECK(again.listen(address("http://b:0"), [](auto, auto) {}));
  CHECK(again.address().starts_with("b:"));
  CHECK(again.address() != "b:0");
}

TEST_CASE("stopping ends every call, once") {
  world w;
  w.call("/1");
  w.call("/2");
  w.client.stop(kcache::time_point::min());
  CHECK(w.heard == replies{{"/1 cancelled", 0ms}, {"/2 cancelled", 0ms}});
  w.call("/3");
  CHECK(w.heard.size() == 3);
  w.work.run_for(5s);
  CHECK(w.heard.size() == 3);
}
