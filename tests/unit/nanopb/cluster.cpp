// SPDX-License-Identifier: BSL-1.0
// A node with the protobuf codec: the bytes that Go peers and curl see.
#include <kcache/nanopb/codec.hpp>

#include "support/asked_node.hpp"
#include "support/catch.hpp"

#include <kcache/cluster/cluster.hpp>
#include <kcache/cluster/loopback_transport.hpp>
#include <kcache/testing/manual_executor.hpp>

#include <string>

using kcache::dialect;
using kcache::media;
using kcache::wire_verb;
using test::answered;

namespace {

struct policies : kcache::core_cluster_policies {
  using executor = kcache::testing::manual_executor;
  using transport = kcache::loopback_transport;
  using codec = kcache::nanopb_codec;
};
struct group_policies : kcache::default_policies {
  using executor = kcache::testing::manual_executor;
};
using strings = kcache::group<std::string, std::string, group_policies>;

std::string hex(std::string const& bytes) {
  std::string out;
  for (char const c : bytes) {
    constexpr char const* digits = "0123456789abcdef";
    out += digits[static_cast<unsigned char>(c) >> 4];
    out += digits[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

struct world {
  explicit world(dialect d)
      : node{{.self = "http://n0:1", .dialect = d, .executor = work}},
        scores{{.name = "scores", .capacity = 100, .executor = work},
               [](std::string const& key) { return key == "empty" ? "" : "v:" + key; }} {
    node.add(scores).value();
    node.start().value();
  }
  answered get(std::string target) {
    return *test::ask(node, work, wire_verb::get, std::move(target));
  }
  kcache::testing::manual_executor work;
  kcache::basic_cluster<policies> node;
  strings scores;
};

}  // namespace

TEST_CASE("a value in the kcache dialect, byte for byte") {
  auto const speaks = GENERATE(dialect::kcache, dialect::native);  // curl reads both
  world w{speaks};
  auto const tom = w.get("/_kcache/scores/Tom");
  CHECK(tom.status == 200);
  CHECK(tom.type == media::octet_stream);
  CHECK(hex(tom.body) == "0a05763a546f6d");
  CHECK(w.get("/_kcache/scores/empty") == answered{200, media::octet_stream, ""});
  std::string const long_key(300, 'k');
  CHECK(hex(w.get("/_kcache/scores/" + long_key).body).substr(0, 10) == "0aae02763a");
}

TEST_CASE("a value in the groupcache dialect, byte for byte") {
  world w{dialect::groupcache};
  auto const tom = w.get("/_groupcache/scores/Tom");
  CHECK(tom.type == media::x_protobuf);
  CHECK(hex(tom.body) == "0a05763a546f6d");
  CHECK(hex(w.get("/_groupcache/scores/empty").body) == "0a00");
}

TEST_CASE("garbage for protobuf is refused, and the next request served") {
  world w{dialect::native};
  auto const post = [&](std::string op, std::string body) {
    return *test::ask(w.node, w.work, wire_verb::post, "/_kcache.native/1/" + op, std::move(body));
  };
  for (char const* op : {"hello", "get", "get_many", "put", "invalidate"}) {
    for (std::string const& body :
         {std::string{"garbage"}, std::string{"\x0a\xff\xff\xff\xff\x0f"}, std::string(100, '\xff'),
          std::string{"\x12\x7fshort"}})
      CHECK(post(op, body) == test::text(400, "bad request\n"));
    CHECK(hex(w.get("/_kcache/scores/Tom").body) == "0a05763a546f6d");
  }
  // An empty body is a message of defaults, and there is no group of no name.
  CHECK(post("get", "").status == 200);
}

TEST_CASE("two nodes that speak protobuf read each other's keys") {
  for (auto const d : {dialect::native, dialect::kcache, dialect::groupcache}) {
    kcache::testing::manual_executor const work;
    kcache::loopback_transport::options const wire;
    int loads = 0;
    auto const load = [&](std::string const& key) {
      ++loads;
      return key.size() % 7 == 0 ? std::string{} : "v:" + key;
    };
    strings first{{.name = "scores", .capacity = 1'000, .executor = work}, load};
    strings second{{.name = "scores", .capacity = 1'000, .executor = work}, load};
    kcache::basic_cluster<policies> a{
        {.self = "http://n0:1", .dialect = d, .transport = wire, .executor = work}};
    kcache::basic_cluster<policies> b{
        {.self = "http://n1:1", .dialect = d, .transport = wire, .executor = work}};
    a.add(first).value();
    b.add(second).value();
    for (auto* n : {&a, &b}) {
      n->start().value();
      n->set_peers({"http://n0:1", "http://n1:1"}).value();
    }
    std::string key;
    for (int k = 0; k != 60; ++k) {
      key += static_cast<char>(37 * k);
      for (auto* g : {&first, &second}) {
        auto const r = g->get(key);
        REQUIRE(r);
        CHECK(**r == (key.size() % 7 == 0 ? std::string{} : "v:" + key));
      }
    }
    CHECK(loads == 60);
    CHECK(a.stats().bad_replies + b.stats().bad_replies == 0);
  }
}
