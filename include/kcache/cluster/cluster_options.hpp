// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_CLUSTER_CLUSTER_OPTIONS_HPP
#define KCACHE_CLUSTER_CLUSTER_OPTIONS_HPP
/// \file
/// Floor 4. The policies of a cluster, what a node is told at run time, and what it counts.

#include <kcache/cluster/codec.hpp>
#include <kcache/cluster/dialect.hpp>
#include <kcache/cluster/transport.hpp>
#include <kcache/fwd.hpp>
#include <kcache/policies/executor.hpp>
#include <kcache/policies/random.hpp>
#include <kcache/time.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace kcache {

/// What every bundle of cluster policies derives from. It names no transport and no codec: those
/// need libraries, and `default_cluster_policies` (defaults.hpp) plugs them in. A bundle without
/// them derives from this and names its own:
///
///     struct edge : kcache::core_cluster_policies {
///       using transport = my_rdma;
///       using codec = my_codec;
///     };
///     kcache::basic_cluster<edge> node{{.self = "http://10.0.0.1:8080"}};
struct core_cluster_policies {
  /// Timers and waits (policies/executor.hpp).
  using executor = thread_pool;
  /// Where the node's incarnation comes from (policies/random.hpp).
  using random = system_random;
};

template <class P>
concept cluster_policies =
    std::derived_from<P, core_cluster_policies> && executor<typename P::executor> &&
    random_source<typename P::random> && codec<typename P::codec> &&
    transport_for<typename P::transport, P>;

template <class Transport, class Base>
struct with_transport : Base {
  using transport = Transport;
};

template <class Codec, class Base>
struct with_codec : Base {
  static_assert(codec<Codec>, "kcache: with_codec<X>: X is no codec, see cluster/codec.hpp");
  using codec = Codec;
};

/// What a node is told. Only `self` has no default.
template <class Policies>
struct cluster_options {
  /// The address the other nodes reach this one at: `http://host:port`. Port 0 listens on any free
  /// port; the address is then known once the node has started.
  std::string self;
  /// The language of the whole cluster; all nodes must agree on it.
  kcache::dialect dialect = kcache::dialect::native;
  /// Native only: keys the ring, so that nobody outside can choose keys that share an owner. All
  /// nodes must agree on it.
  std::uint64_t ring_seed = 0;
  /// Points per node on the ring; 0: what the dialect says (native 1,024; the Go dialects 50).
  std::uint32_t ring_points = 0;

  /// How long a question that brings no budget of its own (Go peers, curl) may take.
  duration deadline = std::chrono::seconds{1};
  /// A peer's own budget counts for no more than this.
  duration max_budget = std::chrono::seconds{60};
  /// The longest key, in bytes, that peers are asked for, and answered. A get of a longer one that
  /// another node owns is `unsupported`.
  std::size_t max_key = 1'024;
  /// A call unanswered for this long makes the node probe its peer ...
  duration probe_after = std::chrono::milliseconds{50};
  /// ... and a peer that has not answered a probe by then counts as unreachable: calls to it end,
  /// and their keys are loaded here.
  duration probe_timeout = std::chrono::milliseconds{250};
  /// An unreachable peer is probed again after this long, doubled up to `probe_again_max`.
  duration probe_again = std::chrono::milliseconds{250};
  duration probe_again_max = std::chrono::seconds{2};
  /// How long `stop` and the destructor let requests being served finish.
  duration drain = std::chrono::seconds{1};
  /// Reads `+` in the path form as a space, as Go requesters write one (Go owners do not).
  bool plus_is_space = false;

  /// Serves what is not kcache's (`/stats`, for instance); none: 404.
  std::function<void(wire_request_view, wire_responder)> other_requests = nullptr;

  typename Policies::transport::options transport{};
  typename Policies::executor executor{};
  typename Policies::random random{};
};

/// Counts since the node was made; a snapshot.
struct cluster_stats {
  std::uint64_t requests = 0;       ///< questions from peers and path-form clients
  std::uint64_t bad_requests = 0;   ///< of them: answered 4xx
  std::uint64_t wrong_owner = 0;    ///< of them: refused, by this node's ring another owns the key
  std::uint64_t calls = 0;          ///< questions to peers
  std::uint64_t unreachable = 0;    ///< of them: not answered; the key was loaded here
  std::uint64_t bad_replies = 0;    ///< of them: answered by something else than an answer
  std::uint64_t ring_mismatch = 0;  ///< of them: refused, the peer's ring says another owns the key
  std::uint64_t probes = 0;         ///< liveness probes sent
  std::uint64_t peers_lost = 0;     ///< times a peer was found unreachable
};

}  // namespace kcache

#endif
