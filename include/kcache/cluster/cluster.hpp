// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_CLUSTER_CLUSTER_HPP
#define KCACHE_CLUSTER_CLUSTER_HPP
/// \file
/// Floor 4. `basic_cluster`: this process as one node of a cluster.

#include <kcache/cluster/cluster_options.hpp>
#include <kcache/detail/cluster_core.hpp>
#include <kcache/group.hpp>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace kcache {

/// A node. Groups join it; peers are told to it; then it serves.
///
///     kcache::cluster node{{.self = "http://127.0.0.1:8001"}};      // defaults.hpp
///     kcache::group<std::string, std::string> scores{"scores", 10'000, 5s, load_score};
///     node.add(scores).value();
///     node.set_peers({"http://127.0.0.1:8001", "http://127.0.0.1:8002"}).value();
///     node.start().value();
///     auto tom = scores.get("Tom");  // asks the key's owner, this node or the other
///
/// Thread safe. The destructor is `stop(options.drain)`; group and cluster may be destroyed in any
/// order: a group whose cluster is gone loads for itself.
template <class Policies>
class basic_cluster {
  using core_type = detail::cluster_core<Policies>;

 public:
  static_assert(
      cluster_policies<Policies>,
      "kcache: a bundle for basic_cluster derives from core_cluster_policies (or "
      "default_cluster_policies) and names a transport, a codec, an executor and a random "
      "source; see <kcache/cluster/cluster_options.hpp>");

  using policies_type = Policies;
  using options_type = cluster_options<Policies>;
  using transport_type = typename core_type::transport_type;

  /// \throws failure (bad_peer_address, invalid_options) with a message.
  explicit basic_cluster(options_type options)
      : drain_{options.drain}, core_{std::make_shared<core_type>(std::move(options))} {}
  basic_cluster(basic_cluster const&) = delete;
  basic_cluster& operator=(basic_cluster const&) = delete;
  ~basic_cluster() { stop(); }

  /// Listens and serves. `cannot_listen` says why not; the node may then be started again.
  result<void> start() { return core_->start(); }

  /// Accepts nothing new, lets requests being served finish for `drain`, then closes. From then on
  /// its groups load for themselves. Not to be called on a thread of the transport's own.
  void stop() noexcept { stop(drain_); }
  void stop(duration drain) noexcept { core_->stop(drain); }

  /// Lets a group join. `duplicate_group` if there is one of its name here; `invalid_options` if it
  /// is in a cluster already or its name is empty or over 64 bytes. The group leaves when it goes.
  template <class K, class V, class P>
  result<void> add(group<K, V, P>& g) {
    auto const binding =
        std::make_shared<detail::group_binding<K, V, P>>(g.core(), core_->weak_from_this());
    if (!g.core()->attach(binding))
      return error{errc::invalid_options, "the group is in a cluster already"};
    try {
      auto added = core_->add(binding);
      if (!added) g.core()->detach();
      return added;
    } catch (...) {
      g.core()->detach();
      throw;
    }
  }

  /// The original's `NewGroup` on this node. \throws failure as the group's constructor and `add`.
  template <class K, class V, class P = default_policies>
  [[nodiscard]] std::unique_ptr<group<K, V, P>> new_group(std::string name, std::uint64_t capacity,
                                                          ttl lifetime, loader<K, V> getter) {
    auto g = std::make_unique<group<K, V, P>>(std::move(name), capacity, lifetime,
                                              std::move(getter));
    add(*g).value();
    return g;
  }

  /// The group of that name, or null: the original's `GetGroup`, without key and value types.
  [[nodiscard]] std::shared_ptr<served_group> find_group(byte_view name) const {
    return core_->find(name);
  }

  /// Replaces the list of peers, this node among them, at once. See membership.hpp for the errors.
  /// \throws failure (invalid_options), as all below, on a node of port 0 that has not started.
  result<void> set_peers(std::vector<std::string> const& peers) {
    auto done = core_->members().set_peers(peers);
    core_->forget_links();
    return done;
  }
  /// The original's `AddPeers`.
  result<void> add_peers(std::vector<std::string> const& peers) {
    return core_->members().add_peers(peers);
  }
  result<void> remove_peers(std::vector<std::string> const& peers) {
    auto done = core_->members().remove_peers(peers);
    core_->forget_links();
    return done;
  }
  [[nodiscard]] std::vector<peer_address> peers() const { return core_->members().peers(); }
  [[nodiscard]] peer_address self() const { return core_->members().self(); }

  /// Who owns a key, given as bytes (`wire_traits<K>`), by this node's ring.
  [[nodiscard]] peer_address owner_of(byte_view key) const {
    auto const view = core_->members().snapshot();
    return view->ring.peer(view->owner(key));
  }

  /// `host:port` listened on; empty before `start`.
  [[nodiscard]] std::string address() { return core_->transport().address(); }

  /// Serves one request that came by other means, through a server of the user's own. `respond` may
  /// be called before this returns, or later from any thread.
  void handle(wire_request_view request, wire_responder respond) {
    core_->handle(request, std::move(respond));
  }

  [[nodiscard]] cluster_stats stats() const { return core_->stats(); }
  [[nodiscard]] transport_type& transport() noexcept { return core_->transport(); }

 private:
  duration drain_;
  std::shared_ptr<core_type> core_;
};

}  // namespace kcache

#endif
