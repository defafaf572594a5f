// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_CLUSTER_CORE_HPP
#define KCACHE_DETAIL_CLUSTER_CORE_HPP
/// \file
/// Floor 4. What a node is made of: its membership, its transport, its links to the others and the
/// groups it serves.
///
/// The core outlives the cluster object while requests or fetches on their way share it; after
/// `stop` it answers whatever still comes with `cancelled` or "load it yourself".

#include <kcache/cluster/cluster_options.hpp>
#include <kcache/cluster/fetch_fsm.hpp>
#include <kcache/cluster/hash_ring.hpp>
#include <kcache/cluster/membership.hpp>
#include <kcache/cluster/served_group.hpp>
#include <kcache/cluster/wire_path.hpp>
#include <kcache/detail/group_binding.hpp>
#include <kcache/detail/peer_link.hpp>
#include <kcache/peer.hpp>
#include <kcache/result.hpp>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace kcache::detail {

template <class Policies>
class cluster_core final : public cluster_side,
                           public std::enable_shared_from_this<cluster_core<Policies>> {
 public:
  using options_type = cluster_options<Policies>;
  using codec_type = typename Policies::codec;
  using executor_type = typename Policies::executor;
  using transport_type = typename Policies::transport::template bind<Policies>;

  /// \throws failure on options that cannot be.
  explicit cluster_core(options_type o);

  result<void> start();
  void stop(duration drain) noexcept;

  result<void> add(std::shared_ptr<served_group> group);
  [[nodiscard]] std::shared_ptr<served_group> find(byte_view name) const;

  /// Serves one request; `respond` may be called before it returns. Does not throw: where there is
  /// no memory for an answer, `respond` is dropped.
  void handle(wire_request_view r, wire_responder respond) noexcept;

  [[nodiscard]] bool owns(byte_view key) override {
    return !in_cluster() || members().snapshot()->owns(key);
  }
  void fetch(std::string const& group, byte_view key, time_point deadline,
             unique_function<void(byte_outcome)> done) override;
  void count_bad_reply() noexcept override { count(counts_.bad_replies); }
  void remove(served_group const& group) noexcept override;

  /// \throws failure (invalid_options) before `start` on a node of port 0.
  [[nodiscard]] membership& members() const;
  /// Lets go of the links to peers that have left.
  void forget_links();
  [[nodiscard]] transport_type& transport() noexcept { return transport_; }
  [[nodiscard]] cluster_stats stats() const;

 private:
  using link = peer_link<transport_type, executor_type>;
  using fsm = fetch_fsm<codec_type>;
  using counter = std::atomic<std::uint64_t>;
  struct fetching;

  static void count(counter& c) noexcept { c.fetch_add(1, std::memory_order_relaxed); }

  [[nodiscard]] wire::envelope envelope(ring_view const& view) const noexcept {
    return {incarnation_, view.ring.digest(), view.epoch};
  }
  [[nodiscard]] wire_request probe_request() const;
  [[nodiscard]] std::shared_ptr<link> link_to(peer_address const& peer);

  /// Not before a node of port 0 has started, and not after it was stopped.
  [[nodiscard]] bool in_cluster() const noexcept {
    return has_members_.load(std::memory_order_acquire) &&
           !stopped_.load(std::memory_order_acquire);
  }

  void ask(std::shared_ptr<fetching> const& f) noexcept;
  void replied(std::shared_ptr<fetching> const& f, result<wire_reply> r) noexcept;
  void finish(fetching& f);

  void answer(wire_request_view r, wire_responder respond);
  void handle_native(wire::operation op, byte_view body, wire_responder respond);
  void handle_get(wire::get_request const& m, wire_responder respond);
  void handle_path(wire::parsed_path const& path, bool protobuf_label, wire_responder respond);
  [[nodiscard]] wire_response reply(wire::get_request const& m, ring_view const& view,
                                    result<served_value> r) const;
  [[nodiscard]] wire_response path_reply(result<served_value> r, bool groupcache) const;
  [[nodiscard]] wire_response text(int status, std::string message) const;
  [[nodiscard]] wire_response bad_request() {
    count(counts_.bad_requests);
    return text(400, "bad request\n");
  }

  options_type options_;
  std::uint64_t incarnation_ = 0;
  executor_type executor_;
  peer_address self_;
  // Made at `start` where the port is chosen there; never changed once set.
  std::unique_ptr<membership> members_;
  std::atomic<bool> has_members_{false};
  transport_type transport_;
  std::atomic<bool> started_{false};
  std::atomic<bool> stopped_{false};

  mutable std::mutex groups_mutex_;
  std::map<std::string, std::shared_ptr<served_group>, std::less<>> groups_;

  std::mutex links_mutex_;
  std::map<std::string, std::shared_ptr<link>, std::less<>> links_;

  struct counters {
    counter requests{0}, bad_requests{0}, wrong_owner{0}, calls{0}, unreachable{0},
        bad_replies{0}, ring_mismatch{0}, probes{0}, peers_lost{0};
  } counts_;
};

}  // namespace kcache::detail

#include <kcache/impl/cluster_core.hpp>
#include <kcache/impl/cluster_core_serving.hpp>

#endif
