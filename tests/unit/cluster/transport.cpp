// SPDX-License-Identifier: BSL-1.0
#include <kcache/cluster/transport.hpp>

#include "support/catch.hpp"

#include <kcache/cluster/cluster.hpp>
#include <kcache/testing/manual_executor.hpp>
#include <kcache/testing/plain_codec.hpp>

#include <string>
#include <utility>

using kcache::peer_address;
using kcache::result;
using kcache::time_point;
using kcache::wire_completion;
using kcache::wire_request;
using kcache::wire_server;

namespace {

/// What the concept asks for, and nothing else.
struct archetype {
  struct options {};
  template <class Policies>
  class bind {
   public:
    bind(options, typename Policies::executor) {}
    bind(bind const&) = delete;
    bind& operator=(bind const&) = delete;
    result<void> listen(peer_address const&, wire_server) { return {}; }
    void call(peer_address const&, wire_request, time_point, wire_completion done) {
      done(kcache::errc::unreachable);
    }
    std::string address() { return "n0:1"; }
    void stop(time_point) {}
  };
};

struct without_options {
  template <class Policies>
  using bind = archetype::bind<Policies>;
};
struct options_without_default : archetype {
  struct options {
    explicit options(int) {}
  };
};
struct without_bind {
  struct options {};
};
template <class Broken>
struct broken {
  using options = archetype::options;
  template <class Policies>
  struct bind : archetype::bind<Policies> {
    using archetype::bind<Policies>::bind;
    Broken stop(time_point);
  };
};
struct not_for_executors {
  struct options {};
  template <class Policies>
  struct bind : archetype::bind<Policies> {
    explicit bind(options);
  };
};

struct policies : kcache::core_cluster_policies {
  using executor = kcache::testing::manual_executor;
  using transport = archetype;
  using codec = kcache::testing::plain_codec;
};

}  // namespace

// A cluster asks its transport for nothing else.
template class kcache::basic_cluster<policies>;

TEST_CASE("the concept asks for what its table says") {
  STATIC_REQUIRE(kcache::transport_for<archetype, policies>);
  STATIC_REQUIRE(kcache::transport_for<broken<void>, policies>);
  STATIC_REQUIRE_FALSE(kcache::transport_for<broken<int>, policies>);
  STATIC_REQUIRE_FALSE(kcache::transport_for<without_options, policies>);
  STATIC_REQUIRE_FALSE(kcache::transport_for<options_without_default, policies>);
  STATIC_REQUIRE_FALSE(kcache::transport_for<without_bind, policies>);
  STATIC_REQUIRE_FALSE(kcache::transport_for<not_for_executors, policies>);
  STATIC_REQUIRE_FALSE(kcache::transport_for<int, policies>);
}

TEST_CASE("a cluster runs over a transport that reaches nobody") {
  struct group_policies : kcache::default_policies {
    using executor = kcache::testing::manual_executor;
  };
  kcache::testing::manual_executor const work;
  kcache::group<std::string, std::string, group_policies> g{
      {.name = "scores", .capacity = 100, .executor = work},
      [](std::string const& key) { return key; }};
  kcache::basic_cluster<policies> node{{.self = "http://n0:1", .executor = work}};
  node.add(g).value();
  node.start().value();
  node.set_peers({"http://n0:1", "http://n1:1"}).value();
  for (int k = 0; k != 50; ++k) CHECK(**g.get(std::to_string(k)) == std::to_string(k));
  CHECK(node.stats().unreachable > 0);
}

TEST_CASE("a request is a get without a body unless it says otherwise") {
  wire_request const r;
  CHECK(r.verb == kcache::wire_verb::get);
  CHECK(r.body.empty());
  CHECK_FALSE(r.probe);
  CHECK(kcache::wire_response{}.status == 200);
}
