// SPDX-License-Identifier: BSL-1.0
#include <kcache/cluster/cluster_options.hpp>

#include "support/catch.hpp"

#include <kcache/cluster/loopback_transport.hpp>
#include <kcache/policies/thread_pool.hpp>
#include <kcache/testing/plain_codec.hpp>

#include <chrono>
#include <concepts>
#include <type_traits>

using namespace std::chrono_literals;
using kcache::core_cluster_policies;
using kcache::loopback_transport;
using kcache::with_codec;
using kcache::with_transport;
using kcache::testing::plain_codec;

namespace {

struct whole : core_cluster_policies {
  using transport = loopback_transport;
  using codec = plain_codec;
};
struct stranger {  // has everything, and derives from nothing
  using executor = kcache::thread_pool;
  using random = kcache::system_random;
  using transport = loopback_transport;
  using codec = plain_codec;
};
struct without_transport : core_cluster_policies {
  using codec = plain_codec;
};
struct without_codec : core_cluster_policies {
  using transport = loopback_transport;
};
struct bad_executor : whole {
  using executor = int;
};
struct bad_random : whole {
  using random = int;
};

}  // namespace

TEST_CASE("a bundle derives from the core one and names a transport and a codec") {
  STATIC_REQUIRE(kcache::cluster_policies<whole>);
  STATIC_REQUIRE_FALSE(kcache::cluster_policies<core_cluster_policies>);
  STATIC_REQUIRE_FALSE(kcache::cluster_policies<stranger>);
  STATIC_REQUIRE_FALSE(kcache::cluster_policies<without_transport>);
  STATIC_REQUIRE_FALSE(kcache::cluster_policies<without_codec>);
  STATIC_REQUIRE_FALSE(kcache::cluster_policies<bad_executor>);
  STATIC_REQUIRE_FALSE(kcache::cluster_policies<bad_random>);
}

TEST_CASE("modifiers change one thing") {
  using made = with_transport<loopback_transport, with_codec<plain_codec, core_cluster_policies>>;
  STATIC_REQUIRE(kcache::cluster_policies<made>);
  STATIC_REQUIRE(std::same_as<typename made::executor, kcache::thread_pool>);
}

TEST_CASE("the defaults of a node are those that its header names") {
  STATIC_REQUIRE(std::is_aggregate_v<kcache::cluster_options<whole>>);
  kcache::cluster_options<whole> const o{.self = "http://n0:1"};
  CHECK(o.dialect == kcache::dialect::native);
  CHECK(o.ring_seed == 0);
  CHECK(o.ring_points == 0);
  CHECK(o.deadline == 1s);
  CHECK(o.probe_after == 50ms);
  CHECK(o.probe_timeout == 250ms);
  CHECK(o.probe_again == 250ms);
  CHECK(o.probe_again_max == 2s);
  CHECK(o.drain == 1s);
  CHECK_FALSE(o.plus_is_space);
  CHECK_FALSE(o.other_requests);
}
