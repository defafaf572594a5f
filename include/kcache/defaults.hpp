// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DEFAULTS_HPP
#define KCACHE_DEFAULTS_HPP
/// \file
/// Floor 6. The one place where Boost.Beast and nanopb are plugged in: `kcache::cluster`.

#include <kcache/beast/transport.hpp>
#include <kcache/cluster/cluster.hpp>
#include <kcache/nanopb/codec.hpp>

namespace kcache {

/// The bundle behind `kcache::cluster`. Derive from it to change a part:
///
///     struct edge : kcache::default_cluster_policies { using codec = my_codec; };
///     kcache::basic_cluster<edge> node{{.self = "http://10.0.0.1:8080"}};
struct default_cluster_policies : core_cluster_policies {
  /// HTTP/1.1 over Boost.Asio (beast/transport.hpp).
  using transport = beast_transport;
  /// Protobuf (nanopb/codec.hpp).
  using codec = nanopb_codec;
};

/// A node with the defaults; see basic_cluster.
using cluster = basic_cluster<default_cluster_policies>;

}  // namespace kcache

#endif
