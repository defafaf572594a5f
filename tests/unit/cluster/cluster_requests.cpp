// SPDX-License-Identifier: BSL-1.0
// What a node answers to requests, good and bad, put to it by hand.
#include <kcache/cluster/cluster.hpp>

#include "support/asked_node.hpp"
#include "support/catch.hpp"
#include "support/simulated_cluster.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using codec = kcache::testing::plain_codec;
using kcache::dialect;
using kcache::errc;
using kcache::media;
using kcache::result;
using kcache::wire_verb;
using test::answered;
using test::simulated_cluster;
using test::text;
namespace wire = kcache::wire;

namespace {

struct world : simulated_cluster {
  explicit world(settings s = {.nodes = 1}) : simulated_cluster{s} {}

  auto send(wire_verb verb, std::string target, std::string body = {}) {
    return test::ask(nodes[0]->cluster, work, verb, std::move(target), std::move(body));
  }
  auto get(std::string target) { return send(wire_verb::get, std::move(target)); }
  auto post(std::string target, std::string body) {
    return send(wire_verb::post, std::move(target), std::move(body));
  }
  /// A native get, decoded; `value` and `message` copied.
  struct reply : wire::get_reply {
    std::string said;
  };
  reply native(std::string const& group, std::string const& key, std::uint32_t budget_ms = 0) {
    wire::get_request m;
    m.group = group;
    m.key = key;
    m.budget_ms = budget_ms;
    auto const a = post("/_kcache.native/1/get", codec::encode(m));
    REQUIRE(a);
    REQUIRE(a->status == 200);
    REQUIRE(a->type == media::protobuf);
    reply r;
    REQUIRE(codec::decode(a->body, static_cast<wire::get_reply&>(r)));
    r.said = r.outcome == wire::status::ok ? r.value : r.message;
    r.value = r.message = {};
    return r;
  }
};

std::string framed(std::string const& value) {
  return codec::encode_value_head(value.size()) + value;
}

}  // namespace

TEST_CASE("the path form answers what WIRE.md says, byte for byte") {
  world w;
  w.source = [](std::string const& key) -> result<std::string> {
    if (key == "nobody") return errc::not_found;
    if (key == "broken") return kcache::error{errc::loader_failed, "no such table"};
    if (key == "busy") return errc::overloaded;
    if (key == "empty") return std::string{};
    return "v:" + key;
  };
  auto const value = [](std::string const& v) {
    return answered{200, media::octet_stream, framed(v)};
  };
  for (int i = 0; i != 2; ++i) {  // loaded, then cached
    CHECK(w.get("/_kcache/scores/Tom") == value("v:Tom"));
    CHECK(w.get("/_kcache/scores/Tom?debug=1") == value("v:Tom"));
    CHECK(w.get("/_kcache/scores/a%20b%2Fc") == value("v:a b/c"));
    CHECK(w.get("/_kcache/scores/a/b") == value("v:a/b"));
    CHECK(w.get("/_kcache/scores/a+b") == value("v:a+b"));
    CHECK(w.get("/_kcache/scores/empty") == answered{200, media::octet_stream, ""});
  }
  CHECK(w.get("/_kcache/none/Tom") == text(404, "no such group: none\n"));
  CHECK(w.get("/_kcache/sc%6Fres/Tom") == value("v:Tom"));
  CHECK(w.get("/_kcache/scores%2FTom") == text(400, "bad request\n"));
  CHECK(w.get("/_kcache/a%2Fb/Tom") == text(404, "no such group: a/b\n"));
  CHECK(w.get("/_kcache/scores") == text(400, "bad request\n"));
  CHECK(w.get("/_kcache/") == text(400, "bad request\n"));
  CHECK(w.get("/_kcache/scores/%") == text(400, "bad request\n"));
  CHECK(w.get("/_kcache/scores/%zz") == text(400, "bad request\n"));
  CHECK(w.get("/_kcache/%4/Tom") == text(400, "bad request\n"));
  CHECK(w.get("/_kcache/scores/") == text(500, "key is required\n"));
  CHECK(w.get("/_kcache/none/") == text(404, "no such group: none\n"));
  CHECK(w.get("/_kcache/scores/broken") == text(500, "no such table\n"));
  CHECK(w.get("/_kcache/scores/nobody") == text(500, "not_found\n"));
  CHECK(w.get("/_kcache/scores/busy") == text(429, "overloaded\n"));
  for (auto const verb : {wire_verb::post, wire_verb::put, wire_verb::del, wire_verb::other})
    CHECK(w.send(verb, "/_kcache/scores/Tom") == text(405, "method not allowed\n"));
  for (char const* elsewhere : {"/", "", "/favicon.ico", "/_kcache", "/_KCACHE/scores/Tom",
                                "/_groupcache/scores/Tom", "*", "http://n0:1/_kcache/scores/Tom"})
    CHECK(w.get(elsewhere) == text(404, "not found\n"));
  CHECK(w.get("/_kcache/scores/Tom") == value("v:Tom"));  // after all that
  CHECK(w.nodes[0]->cluster.stats().bad_requests == 3 + 6 + 4 + 8);
}

TEST_CASE("a load that takes too long for the path form") {
  world w;
  w.load_time = 2s;
  auto const start = w.clock.now();
  CHECK(w.get("/_kcache/scores/Tom") == text(504, "deadline\n"));
  CHECK(w.clock.now() == start + 1s);
}

TEST_CASE("the path form for a key of another's is answered, and not kept") {
  world w{{.nodes = 2}};
  std::string const theirs = w.key_of(1), own = w.key_of(0);
  CHECK(w.get("/_kcache/scores/" + theirs)->body == framed("v:" + theirs));
  CHECK_FALSE(w.nodes[0]->scores.contains(theirs));
  CHECK(w.nodes[0]->loads == 1);
  CHECK(w.nodes[1]->loads == 0);  // not passed on
  CHECK(w.nodes[0]->cluster.stats().wrong_owner == 1);
  CHECK(w.get("/_kcache/scores/" + own)->body == framed("v:" + own));
  CHECK(w.nodes[0]->scores.contains(own));
}

TEST_CASE("the groupcache dialect has its own base, label and empty value") {
  world w{{.nodes = 1, .dialect = dialect::groupcache}};
  w.source = [](std::string const& key) { return key; };
  CHECK(w.get("/_groupcache/scores/Tom") == answered{200, media::x_protobuf, framed("Tom")});
  // It loads an empty key, and says an empty value in two bytes.
  CHECK(w.get("/_groupcache/scores/") ==
        answered{200, media::x_protobuf, std::string("\x0a\x00", 2)});
  CHECK(w.get("/_groupcache/scores/") ==
        answered{200, media::x_protobuf, std::string("\x0a\x00", 2)});
  // And, as every node, the path form of Kcache.
  CHECK(w.get("/_kcache/scores/Tom") == answered{200, media::octet_stream, framed("Tom")});
  CHECK(w.get("/_kcache/scores/") == text(500, "key is required\n"));
  CHECK(w.get("/elsewhere/scores/Tom") == text(404, "not found\n"));
}

TEST_CASE("keys over the limit are refused on both sides, and cost no load") {
  world w{{.nodes = 2}};
  std::string longest(1'024, 'k'), own = longest;
  while (w.nodes[0]->cluster.owner_of(longest) != w.nodes[1]->cluster.self()) ++longest[0];
  while (w.nodes[0]->cluster.owner_of(own) != w.nodes[0]->cluster.self()) ++own[1];
  CHECK(w.nodes[0]->get(longest) == "value v:" + longest);
  CHECK(w.native("scores", own).said == "v:" + own);
  CHECK(w.get("/_kcache/scores/" + own)->status == 200);
  int const loads = w.loads();

  std::string const key(1'025, 'k');
  wire::get_request m;
  m.group = "scores";
  m.key = key;
  CHECK(w.post("/_kcache.native/1/get", codec::encode(m)) == text(413, "key too long\n"));
  CHECK(w.get("/_kcache/scores/" + key) == text(414, "key too long\n"));
  // This node's own keys may be of any length; of those it would have to ask for it says why not.
  std::string asked = key;
  while (w.nodes[0]->cluster.owner_of(asked) != w.nodes[1]->cluster.self()) ++asked[0];
  auto const refused = w.nodes[0]->scores.get(asked);
  CHECK(refused.error() == errc::unsupported);
  CHECK(std::string{refused.error().message()}.find("1025 bytes") != std::string::npos);
  CHECK(w.loads() == loads);
}

TEST_CASE("a peer's budget counts for no more than the node allows") {
  world w;
  w.load_time = 200s;
  auto const start = w.clock.now();
  CHECK(w.native("scores", "Tom", 4'000'000'000).outcome == wire::status::deadline);
  CHECK(w.clock.now() == start + 60s);
}

TEST_CASE("keys and values of other types in the path form") {
  kcache::testing::manual_executor const work;
  test::simulated_node n{{.self = "http://n0:1", .executor = work}};
  kcache::group<int, int, test::manual_policies> squares{
      {.name = "squares", .capacity = 10, .executor = work}, [](int k) { return k * k; }};
  n.add(squares).value();
  n.start().value();
  auto const get = [&](std::string target) {
    return *test::ask(n, work, wire_verb::get, std::move(target));
  };
  CHECK(get("/_kcache/squares/12").body == framed("144"));
  CHECK(get("/_kcache/squares/-3").body == framed("9"));
  for (char const* bad : {"abc", "+3", "03", "1.5", "99999999999999999999", "%00", "1%202"})
    CHECK(get(std::string{"/_kcache/squares/"} + bad) == text(400, "bad request\n"));
  wire::get_request m;
  m.group = "squares";
  m.key = "abc";
  CHECK(*test::ask(n, work, wire_verb::post, "/_kcache.native/1/get", codec::encode(m)) ==
        text(400, "bad request\n"));
}

TEST_CASE("what is not kcache's goes to the user's own server") {
  kcache::testing::manual_executor const work;
  std::vector<std::string> seen;
  kcache::cluster_options<test::simulated_policies> o{.self = "http://n0:1", .executor = work};
  o.other_requests = [&](kcache::wire_request_view r, kcache::wire_responder respond) {
    seen.emplace_back(r.target);
    if (r.target == "/throws") throw std::runtime_error{"boo"};
    respond({200, media::json, "{}", {}});
  };
  test::simulated_node n{o};
  n.start().value();
  CHECK(test::ask(n, work, wire_verb::get, "/stats") == answered{200, media::json, "{}"});
  CHECK(test::ask(n, work, wire_verb::del, "/stats") == answered{200, media::json, "{}"});
  CHECK(test::ask(n, work, wire_verb::get, "/throws") == std::nullopt);
  CHECK(test::ask(n, work, wire_verb::get, "/_kcache/g/k") == text(404, "no such group: g\n"));
  CHECK(test::ask(n, work, wire_verb::get, "/_kcache.native/1/x")->status == 404);
  CHECK(seen == std::vector<std::string>{"/stats", "/stats", "/throws"});
}

TEST_CASE("native requests that are none") {
  world w;
  std::string const get = "/_kcache.native/1/get";
  CHECK(w.get(get) == text(405, "method not allowed\n"));
  CHECK(w.send(wire_verb::put, get) == text(405, "method not allowed\n"));
  for (char const* op : {"hello", "get", "get_many", "put", "invalidate"}) {
    std::string const target = "/_kcache.native/1/" + std::string{op};
    for (std::string const& body : {std::string{"garbage"}, std::string{"\xff\xff\xff\xff\x0f"},
                                    std::string(10'000, '\x0a'), std::string(1, '\0')})
      CHECK(w.post(target, body) == text(400, "bad request\n"));
    CHECK(w.native("scores", "Tom").said == "v:Tom");  // the next one is served
  }
  CHECK(w.post("/_kcache.native/2/get", "") == text(426, "this node speaks version 1\n"));
  CHECK(w.get("/_kcache.native/17/hello") == text(426, "this node speaks version 1\n"));
  CHECK(w.post("/_kcache.native/1/drop_all", "")->status == 404);
  CHECK(w.post("/_kcache.native/1/get?x", "")->status == 404);
  CHECK(w.post("/_kcache.native/", "")->status == 404);
}

TEST_CASE("operations to come are answered as unsupported") {
  world w;
  wire::get_many_request many;
  many.group = "scores";
  many.keys = {"a", "b"};
  wire::put_request put;
  put.group = "scores";
  put.key = put.value = "k";
  wire::invalidate_request drop;
  drop.group = "scores";
  drop.keys = {"k"};
  for (auto const& [op, body] :
       {std::pair{"get_many", codec::encode(many)}, std::pair{"put", codec::encode(put)},
        std::pair{"invalidate", codec::encode(drop)}}) {
    auto const a = w.post("/_kcache.native/1/" + std::string{op}, body);
    REQUIRE(a);
    CHECK(a->status == 200);
    wire::get_reply r;
    REQUIRE(codec::decode(a->body, r));
    CHECK(r.outcome == wire::status::unsupported);
    CHECK(r.from.ring_digest != 0);
  }
  CHECK(w.nodes[0]->scores.size() == 0);
  CHECK(w.loads() == 0);
}

TEST_CASE("hello says who speaks, and which versions") {
  world w;
  auto const a = w.post("/_kcache.native/1/hello", codec::encode(wire::hello_request{}));
  REQUIRE(a);
  wire::hello_reply r;
  REQUIRE(codec::decode(a->body, r));
  CHECK(r.outcome == wire::status::ok);
  CHECK(r.min_version == 1);
  CHECK(r.max_version == 1);
  CHECK(r.from.incarnation != 0);
  CHECK(r.from.ring_digest != 0);
  CHECK(r.from.ring_epoch >= 1);
}

TEST_CASE("what a native get is answered") {
  world w{{.nodes = 2, .ttl = 5s}};
  w.source = [](std::string const& key) -> result<std::string> {
    if (key.size() > 40) return kcache::error{errc::loader_failed, std::string(5'000, 'w')};
    return "v:" + key;
  };
  using s = wire::status;
  std::string const own = w.key_of(0), theirs = w.key_of(1);
  auto const fresh = w.native("scores", own);
  CHECK(fresh.outcome == s::ok);
  CHECK(fresh.said == "v:" + own);
  CHECK(fresh.ttl_ms == 5'000);
  CHECK(fresh.echo == wire::echo_of("scores", own));
  w.clock.advance(1500ms);
  CHECK(w.native("scores", own).ttl_ms == 3'500);

  auto const refused = w.native("scores", theirs);
  CHECK(refused.outcome == s::wrong_owner);
  CHECK(refused.echo == wire::echo_of("scores", theirs));
  CHECK(w.native("none", own).outcome == s::unknown_group);

  // A loader's words are cut, not refused.
  std::string wordy(50, 'w');
  while (w.nodes[0]->cluster.owner_of(wordy) != w.nodes[0]->cluster.self()) wordy += 'w';
  auto const failed = w.native("scores", wordy);
  CHECK(failed.outcome == s::loader_failed);
  CHECK(failed.said.size() == 1'024);

  w.source = [](std::string const&) -> result<std::string> { return errc::not_found; };
  w.nodes[0]->scores.clear();
  CHECK(w.native("scores", own).outcome == s::not_found);
  CHECK(w.native("scores", own).said.empty());
  w.source = [](std::string const&) -> result<std::string> { return errc::recursive_load; };
  CHECK(w.native("scores", own).outcome == s::recursive_load);
  CHECK(w.nodes[1]->loads == 0);

  w.load_time = 10s;
  auto const start = w.clock.now();
  CHECK(w.native("scores", own, 250).outcome == s::deadline);
  CHECK(w.clock.now() == start + 250ms);
  CHECK(w.native("scores", own).outcome == s::deadline);
  CHECK(w.clock.now() == start + 250ms + 1s);
}

TEST_CASE("a node that does not serve says so") {
  kcache::testing::manual_executor const work;
  test::simulated_node n{{.self = "http://127.0.0.1:0", .executor = work}};
  CHECK(test::ask(n, work, wire_verb::get, "/_kcache/g/k") == text(503, "not serving\n"));
  n.start().value();
  CHECK(test::ask(n, work, wire_verb::get, "/_kcache/g/k")->status == 404);
  n.stop();
  CHECK(test::ask(n, work, wire_verb::get, "/_kcache/g/k") == text(503, "not serving\n"));
}

TEST_CASE("bytes of any kind are answered by a status") {
  world w;
  kcache::seeded_random random{1};
  auto const bytes = [&](std::size_t most) {
    std::string s(random.next() % (most + 1), '\0');
    for (char& c : s) c = static_cast<char>(random.next());
    return s;
  };
  std::vector<std::string> const heads{"/_kcache/",        "/_kcache/scores/", "/_kcache.native/1/",
                                       "/_kcache.native/", "/",                "",
                                       "/_kcache.native/1/get"};
  wire::get_request good;
  good.group = "scores";
  good.key = "Tom";
  std::string const body = codec::encode(good);
  for (int i = 0; i != 5'000; ++i) {
    auto target = heads[random.next() % heads.size()];
    if (random.next() % 2 == 0) target += bytes(20);
    auto content = body;
    if (random.next() % 2 == 0) content = bytes(60);
    else if (!content.empty())
      content[random.next() % content.size()] ^= static_cast<char>(random.next());
    auto const verb = static_cast<wire_verb>(random.next() % 5);
    auto const a = w.send(verb, target, content);
    REQUIRE(a);
    bool const known = a->status == 200 || a->status == 400 || a->status == 404 ||
                       a->status == 405 || a->status == 426 || a->status == 500;
    REQUIRE(known);
  }
  CHECK(w.native("scores", "Tom").said == "v:Tom");
}
