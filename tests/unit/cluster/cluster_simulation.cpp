// SPDX-License-Identifier: BSL-1.0
// Three nodes of the production templates in one thread under virtual time, and what befalls them.
#include <kcache/cluster/cluster.hpp>

#include "support/catch.hpp"
#include "support/simulated_cluster.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using kcache::dialect;
using kcache::duration;
using kcache::errc;
using kcache::result;
using kcache::wire_responder;
using test::listener;
using test::simulated_cluster;
using test::told;
namespace wire = kcache::wire;

namespace {

constexpr duration round_trip = 2ms;
/// Until a frozen peer is known to be: a call's patience, then a probe's.
constexpr duration detection = 300ms + round_trip;

/// Reads a key; how long it took is `took`.
struct reader {
  simulated_cluster& c;
  duration took{};
  std::string operator()(std::size_t node, std::string const& key) {
    auto const start = c.clock.now();
    auto text = c.nodes[node]->get(key);
    took = c.clock.now() - start;
    return text;
  }
};

}  // namespace

TEST_CASE("a frozen peer delays its first readers only, and comes back when it thaws") {
  simulated_cluster c;
  reader get{c};
  std::vector<std::string> keys;
  for (int i = 0; i != 8; ++i) keys.push_back(c.key_of(1, i));
  CHECK(get(0, keys[0]) == "value v:" + keys[0]);
  CHECK(get.took == round_trip);

  c.net.freeze("http://n1:1");
  CHECK(get(0, keys[1]) == "value v:" + keys[1]);
  CHECK(get.took <= detection);
  CHECK(get.took >= 250ms);
  for (int i = 2; i != 5; ++i) {
    CHECK(get(0, keys[static_cast<std::size_t>(i)]).starts_with("value"));
    CHECK(get.took == 0ms);  // known to be down
  }
  CHECK(get(0, keys[0]).starts_with("value"));
  CHECK(get.took == 0ms);
  // What is owned by others is not touched.
  CHECK(get(0, c.key_of(2)) == "value v:" + c.key_of(2));
  CHECK(get.took == round_trip);
  CHECK(c.nodes[0]->cluster.stats().peers_lost == 1);
  CHECK(c.nodes[1]->loads == 1);

  c.net.thaw("http://n1:1");
  c.work.run_for(3s);  // longer than any wait for the next probe, and than a copy is kept
  int const before = c.nodes[0]->loads;
  CHECK(get(0, keys[5]) == "value v:" + keys[5]);
  CHECK(get.took == round_trip);
  CHECK(get(0, keys[2]) == "value v:" + keys[2]);
  CHECK(c.nodes[0]->loads == before);
  CHECK(c.nodes[0]->cluster.stats().peers_lost == 1);
}

TEST_CASE("all who wait for a frozen peer are answered at once, by one load each key") {
  simulated_cluster c;
  std::string const one = c.key_of(1, 0), two = c.key_of(1, 1);
  c.net.freeze("http://n1:1");
  listener l;
  for (int i = 0; i != 50; ++i) c.nodes[0]->get(i % 2 ? one : two, l);
  c.work.run_for(detection);
  CHECK(l.heard.size() == 50);
  for (auto const& h : l.heard) CHECK(h.starts_with("value v:key-"));
  CHECK(c.loads() == 2);
}

TEST_CASE("a peer that freezes while it is busy is noticed, too") {
  simulated_cluster c;
  c.load_time = 700ms;
  std::string const key = c.key_of(1), other = c.key_of(1, 1);
  listener l;
  c.nodes[0]->get(key, l);
  c.work.run_for(400ms);
  CHECK(l.heard.empty());  // slow is not frozen
  c.net.freeze("http://n1:1");
  c.nodes[0]->get(other, l);
  c.work.run_for(599ms);
  CHECK(l.heard.empty());  // both are being loaded here by now, or the first is past its deadline
  c.work.run_for(2s);
  CHECK(l.heard.size() == 2);
}

TEST_CASE("a crashed peer costs its readers no error and next to no time") {
  simulated_cluster c;
  reader get{c};
  std::string const key = c.key_of(1), other = c.key_of(1, 1);
  CHECK(get(0, key).starts_with("value"));
  c.net.crash("http://n1:1");
  CHECK(get(0, key) == "value v:" + key);
  CHECK(get.took <= 2 * round_trip);
  c.work.run_for(round_trip);
  CHECK(get(0, other) == "value v:" + other);
  CHECK(get.took == 0ms);
  c.net.restart("http://n1:1");
  c.work.run_for(3s);
  int const loads = c.nodes[0]->loads;
  CHECK(get(0, key) == "value v:" + key);
  CHECK(get.took == round_trip);
  CHECK(c.nodes[0]->loads == loads);
}

TEST_CASE("a crash with calls under way") {
  simulated_cluster c;
  c.load_time = 100ms;
  listener l;
  c.nodes[0]->get(c.key_of(1), l);
  c.work.run_for(20ms);
  c.net.crash("http://n1:1");  // its answer never leaves
  c.work.run_for(detection + 100ms);
  CHECK(l.only() == "value v:" + c.key_of(1));
}

TEST_CASE("a slow load is waited for, not made a second time") {
  simulated_cluster c;
  reader get{c};
  std::string const key = c.key_of(1), other = c.key_of(1, 1);
  c.load_time = 900ms;
  CHECK(get(0, key) == "value v:" + key);
  CHECK(get.took == 900ms + round_trip);
  CHECK(c.loads() == 1);
  CHECK(c.nodes[0]->cluster.stats().probes >= 3);
  CHECK(c.nodes[0]->cluster.stats().peers_lost == 0);

  c.load_time = 1500ms;
  CHECK(get(0, other) == "deadline");
  CHECK(get.took == 1s);
  CHECK(get(2, other) == "value v:" + other);  // the load went on, and this one waits for its rest
  CHECK(c.loads() == 2);
  CHECK(c.nodes[1]->loads == 2);
}

TEST_CASE("a reader with more time than those before it has it") {
  simulated_cluster c;
  std::string const key = c.key_of(1);
  c.load_time = 2s;
  listener brief, patient;
  auto& g = c.nodes[0]->scores;
  g.async_get(key, g.now() + 100ms, brief.handler());
  c.work.run_for(50ms);
  g.async_get(key, g.now() + 5s, patient.handler());
  c.work.run_for(6s);
  CHECK(brief.only() == "deadline");
  CHECK(patient.only() == "value v:" + key);
  CHECK(c.loads() == 1);
}

TEST_CASE("a copy loaded in an emergency is gone soon after its owner is back") {
  simulated_cluster c{{.ttl = 1h}};
  std::string const key = c.key_of(1);
  c.net.freeze("http://n1:1");
  CHECK(c.nodes[0]->get(key).starts_with("value"));
  CHECK(c.nodes[0]->scores.contains(key));
  c.net.thaw("http://n1:1");
  c.source = [](std::string const&) { return std::string{"newer"}; };
  c.work.run_for(1s);
  CHECK_FALSE(c.nodes[0]->scores.contains(key));
  c.work.run_for(2s);
  CHECK(c.nodes[0]->get(key) == "value newer");
  CHECK(c.nodes[1]->loads == 1);
}

TEST_CASE("a dead owner does not turn its keys loose on the source") {
  simulated_cluster c{{.max_fallback_loads = 3}};
  c.net.crash("http://n1:1");
  c.load_time = 200ms;
  listener l;
  for (int i = 0; i != 10; ++i) c.nodes[0]->get(c.key_of(1, i), l);
  c.work.run_for(1s);
  REQUIRE(l.heard.size() == 10);
  CHECK(std::count(l.heard.begin(), l.heard.end(), "overloaded") == 7);
  CHECK(c.nodes[0]->loads == 3);
}

TEST_CASE("nodes whose rings differ neither hang nor pass questions on") {
  simulated_cluster c{{.nodes = 2, .rings_differ = true}};
  int crossing = 0;
  for (int k = 0; k != 100; ++k) {
    std::string const key = "key-" + std::to_string(k);
    bool const zero_says_one = c.nodes[0]->cluster.owner_of(key) != c.nodes[0]->cluster.self();
    bool const one_says_zero = c.nodes[1]->cluster.owner_of(key) != c.nodes[1]->cluster.self();
    if (zero_says_one && one_says_zero) ++crossing;
    auto const start = c.clock.now();
    listener l;
    for (auto& n : c.nodes) n->get(key, l);
    c.work.run_until(start + 10ms);  // no probe, no deadline was needed
    CHECK(l.heard == std::vector<std::string>(2, "value v:" + key));
  }
  CHECK(crossing > 10);
  CHECK(c.loads() <= 200);
  auto const s = c.nodes[0]->cluster.stats();
  CHECK(s.ring_mismatch > 0);
  CHECK(s.wrong_owner > 0);
  CHECK(s.calls + c.nodes[1]->cluster.stats().calls == c.net.calls());  // each question once
}

TEST_CASE("nor in the Go dialect, which cannot say that rings differ") {
  // Spelled otherwise, the same two nodes form another ring.
  simulated_cluster c{{.nodes = 2, .dialect = dialect::kcache}};
  c.nodes[1]->cluster.set_peers({"http://N0:1", "http://N1:1"}).value();
  int crossing = 0;
  for (int k = 0; k != 100; ++k) {
    std::string const key = "key-" + std::to_string(k);
    if (c.nodes[0]->cluster.owner_of(key) != c.nodes[0]->cluster.self() &&
        c.nodes[1]->cluster.owner_of(key) != c.nodes[1]->cluster.self())
      ++crossing;
    auto const start = c.clock.now();
    listener l;
    for (auto& n : c.nodes) n->get(key, l);
    c.work.run_until(start + 10ms);
    CHECK(l.heard == std::vector<std::string>(2, "value v:" + key));
  }
  CHECK(crossing > 5);
  CHECK(c.net.calls() <= 200);
  // What a node served for a ring it does not share, it has not kept.
  for (auto& n : c.nodes)
    for (int k = 0; k != 100; ++k) {
      std::string const key = "key-" + std::to_string(k);
      if (n->scores.contains(key)) CHECK(n->cluster.owner_of(key) == n->cluster.self());
    }
}

TEST_CASE("a server that answers anything never makes a wrong value") {
  simulated_cluster c{{.nodes = 1}};
  using codec = kcache::testing::plain_codec;
  kcache::testing::simulated_network::bind<test::simulated_policies> evil{{c.net}, c.work};
  std::function<void(wire::get_request const&, wire_responder)> behave;
  evil.listen(kcache::peer_address::parse("http://evil:1").value(),
              [&](kcache::wire_request_view r, wire_responder respond) {
                wire::get_request m;
                if (!codec::decode(r.body, m)) {  // a probe
                  respond({200, kcache::media::protobuf, codec::encode(wire::hello_reply{}), {}});
                  return;
                }
                behave(m, std::move(respond));
              })
      .value();
  c.nodes[0]->cluster.set_peers({"http://n0:1", "http://evil:1"}).value();
  auto const answer = [](int status, std::string body) {
    return [=](wire::get_request const&, wire_responder respond) {
      respond({status, kcache::media::protobuf, body, {}});
    };
  };
  auto const reply = [](std::function<void(wire::get_request const&, wire::get_reply&)> make) {
    return [=](wire::get_request const& q, wire_responder respond) {
      wire::get_reply r;
      r.value = "evil";
      make(q, r);
      std::string body = codec::encode_head(r);
      body += r.value;
      respond({200, kcache::media::protobuf, std::move(body), {}});
    };
  };
  std::vector<wire_responder> held;
  std::vector<std::pair<std::string, std::function<void(wire::get_request const&, wire_responder)>>>
      const ways{
          {"nothing", answer(200, "")},
          {"garbage", answer(200, "\xff\xff\xff\xff\x7f evil")},
          {"a page", answer(200, "<html>evil</html>")},
          {"a failure", answer(500, "evil")},
          {"a redirect", answer(302, "evil")},
          {"an impossible status", answer(-7, "evil")},
          {"no echo", reply([](auto&, auto& r) { r.echo = 0; })},
          {"another key's value",
           reply([](auto& q, auto& r) { r.echo = wire::echo_of(q.group, "other"); })},
          {"another group's value",
           reply([](auto& q, auto& r) { r.echo = wire::echo_of("other", q.key); })},
          {"wrong owner", reply([](auto&, auto& r) { r.outcome = wire::status::wrong_owner; })},
          {"unknown group", reply([](auto&, auto& r) { r.outcome = wire::status::unknown_group; })},
          {"not modified", reply([](auto&, auto& r) { r.outcome = wire::status::not_modified; })},
          {"absent, but for another key", reply([](auto&, auto& r) {
             r.outcome = wire::status::not_found;
             r.echo = 1;
           })},
          {"a closed connection", [](auto&, wire_responder) {}},
          {"silence", [&](auto&, wire_responder r) { held.push_back(std::move(r)); }},
      };
  int n = 0;
  auto const evils = [&] {  // the next key that is evil's
    for (;; ++n)
      if (std::string key = "key-" + std::to_string(n);
          c.nodes[0]->cluster.owner_of(key) != c.nodes[0]->cluster.self()) {
        ++n;
        return key;
      }
  };
  for (auto const& [way, how] : ways) {
    behave = how;
    std::string const key = evils();
    CAPTURE(way);
    auto const text = c.nodes[0]->get(key);
    CHECK(text == (way == "silence" ? "deadline" : "value v:" + key));
  }
  CHECK(c.nodes[0]->cluster.stats().bad_replies >= 6);
  // And once it behaves, it is believed.
  behave = reply([](auto& q, auto& r) { r.echo = wire::echo_of(q.group, q.key); });
  c.work.run_for(5s);
  CHECK(c.nodes[0]->get(evils()) == "value evil");
}

namespace {

/// One run of a seed: nodes, faults and readers all drawn from it. Returns a hash of all that
/// happened, and checks what must hold.
std::uint64_t run(std::uint64_t seed) {
  kcache::seeded_random random{seed * 2'654'435'761u};
  auto const draw = [&](std::uint64_t n) { return random.next() % n; };
  std::uint64_t hash = 0xcbf29ce484222325;
  simulated_cluster c{{.seed = seed + 1, .ttl = 2s, .rings_differ = draw(8) == 0}};
  auto const note = [&](std::string const& what) {
    std::string const line = std::to_string(c.clock.now().time_since_epoch().count()) + ' ' + what;
    for (char const ch : line) hash = (hash ^ static_cast<unsigned char>(ch)) * 0x100000001b3;
  };
  c.net.set_latency(1ms, std::chrono::milliseconds{draw(30)});
  c.net.set_loss(static_cast<unsigned>(draw(3)) * 100);
  std::map<std::pair<std::size_t, std::string>, int> running;
  int twice = 0;
  c.on_load = [&](std::size_t node, std::string const& key) {
    note("load " + std::to_string(node) + key);
    // Loads of a key at one node do not overlap.
    if (running[{node, key}]++ != 0) ++twice;
  };
  c.on_load_end = [&](std::size_t node, std::string const& key) { --running[{node, key}]; };
  c.source = [&](std::string const& key) -> result<std::string> {
    if (draw(10) == 0) return errc::not_found;
    return "v:" + key;
  };

  int asked = 0, answered = 0, late = 0, wrong = 0;
  auto const read = [&](std::size_t node, bool healed) {
    std::string const key = "k" + std::to_string(draw(12));
    auto const start = c.clock.now();
    ++asked;
    c.nodes[node]->scores.async_get(key, [&, key, start, healed](test::answer a) {
      ++answered;
      note(told(a));
      if (c.clock.now() > start + 1s) ++late;
      if (a ? **a != "v:" + key : healed && !(a.error() == errc::not_found)) ++wrong;
    });
  };
  for (int step = 0; step != 120; ++step) {
    std::size_t const node = draw(3);
    switch (draw(14)) {
      case 0: c.net.freeze(simulated_cluster::address(node)); break;
      case 1: c.net.thaw(simulated_cluster::address(node)); break;
      case 2: c.net.crash(simulated_cluster::address(node)); break;
      case 3: c.net.restart(simulated_cluster::address(node)); break;
      case 4: c.load_time = std::chrono::milliseconds{1 + draw(draw(4) == 0 ? 1'500 : 40)}; break;
      default: read(node, false);
    }
    c.work.run_for(std::chrono::milliseconds{draw(60)});
  }
  // All is well again: after a while every read is answered, and by a value.
  c.net.set_loss(0);
  c.net.set_latency(1ms);
  c.load_time = 1ms;
  for (std::size_t i = 0; i != 3; ++i) {
    c.net.thaw(simulated_cluster::address(i));
    c.net.restart(simulated_cluster::address(i));
  }
  c.work.run_for(5s);
  CHECK(answered == asked);
  for (std::size_t i = 0; i != 30; ++i) read(i % 3, true);
  c.work.run_for(5s);
  CHECK(answered == asked);
  CHECK(late == 0);
  CHECK(wrong == 0);
  CHECK(twice == 0);
  for (auto const& n : c.nodes) CHECK(n->scores.flights() == 0);
  return hash;
}

}  // namespace

TEST_CASE("whatever befalls them, every read ends in time, rightly, and the same way each time") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    auto const first = run(seed);
    REQUIRE(run(seed) == first);
  }
}
