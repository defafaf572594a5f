// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_TESTING_SIMULATED_NETWORK_HPP
#define KCACHE_TESTING_SIMULATED_NETWORK_HPP
/// \file
/// Floor 4. `testing::simulated_network`: a transport whose messages take virtual time, and whose
/// nodes crash and freeze when a test says so.

#include <kcache/cluster/transport.hpp>
#include <kcache/detail/reply_slot.hpp>
#include <kcache/peer.hpp>
#include <kcache/policies/random.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace kcache::testing {

/// A network of nodes in one thread. Copies share it; each node's transport takes one:
///
///     kcache::testing::simulated_network net{42};
///     struct policies : kcache::core_cluster_policies {
///       using executor = kcache::testing::manual_executor;
///       using transport = kcache::testing::simulated_network;
///       using codec = kcache::testing::plain_codec;
///     };
///     kcache::basic_cluster<policies> a{{.self = "http://a:1", .transport = {net}, .executor = e}};
///
/// Not thread safe: a simulation has one thread.
class simulated_network {
 public:
  struct options;
  template <class Policies>
  class bind;

  explicit simulated_network(std::uint64_t seed = 1) : state_{std::make_shared<state>(seed)} {}

  /// How long a message takes one way (default 1 ms); up to `jitter` more, drawn.
  void set_latency(duration latency, duration jitter = duration::zero()) {
    state_->latency = latency;
    state_->jitter = jitter;
  }
  /// The share of messages that get lost, in 1/1000; a lost one is never answered.
  void set_loss(unsigned per_mille) { state_->loss = per_mille; }

  /// The node stops answering; what is sent to it waits, as in the buffers of a stopped process.
  void freeze(std::string const& self) { at(self).frozen = true; }
  /// It goes on where it stopped.
  void thaw(std::string const& self) {
    endpoint& e = at(self);
    e.frozen = false;
    auto const held = std::exchange(e.held, {});
    for (auto const& deliver : held) deliver();
  }
  /// Nobody listens there any more: calls are refused, and answers under way are lost.
  void crash(std::string const& self) {
    endpoint& e = at(self);
    e.down = true;
    e.held.clear();
  }
  void restart(std::string const& self) { at(self).down = false; }

  [[nodiscard]] std::uint64_t calls() const noexcept { return state_->calls; }

 private:
  struct endpoint {
    std::shared_ptr<wire_server> server;
    bool frozen = false;
    bool down = false;
    std::vector<std::function<void()>> held;
  };
  struct state {
    explicit state(std::uint64_t seed) : random{seed} {}
    std::map<std::string, endpoint> nodes;
    duration latency = std::chrono::milliseconds{1};
    duration jitter = duration::zero();
    unsigned loss = 0;
    seeded_random random;
    std::uint64_t calls = 0;

    [[nodiscard]] bool loses() { return loss != 0 && random.next() % 1'000 < loss; }
    [[nodiscard]] duration travel() {
      if (jitter <= duration::zero()) return latency;
      auto const extra = random.next() % (static_cast<std::uint64_t>(jitter.count()) + 1);
      return latency + duration{static_cast<std::int64_t>(extra)};
    }
  };

  endpoint& at(std::string const& self) {
    return state_->nodes[peer_address::parse(self).value().canonical()];
  }

  std::shared_ptr<state> state_;
};

struct simulated_network::options {
  simulated_network network{};
};

template <class Policies>
class simulated_network::bind {
 public:
  using executor_type = typename Policies::executor;

  bind(options o, executor_type executor)
      : net_{std::move(o.network.state_)}, executor_{std::move(executor)} {}
  bind(bind const&) = delete;
  bind& operator=(bind const&) = delete;
  ~bind() { stop(time_point::min()); }

  result<void> listen(peer_address const& self, wire_server server) {
    auto at = kcache::detail::with_free_port(
        self, [this](peer_address const& a) { return net_->nodes.contains(a.canonical()); });
    endpoint& e = net_->nodes[at.canonical()];
    if (e.server)
      return error{errc::cannot_listen,
                   "cannot listen on " + std::string{self.authority()} + ": in use"};
    e.server = std::make_shared<wire_server>(std::move(server));
    e.down = false;
    self_ = std::move(at);
    return {};
  }

  void call(peer_address const& peer, wire_request request, time_point deadline,
            wire_completion done) {
    auto const waiting = calls_.open(executor_, deadline, std::move(done));
    if (!waiting) return;
    ++net_->calls;
    auto const sent = std::make_shared<wire_request>(std::move(request));
    deliver([net = net_, executor = executor_, to = peer.canonical(), waiting, sent] {
      receive(net, executor, to, waiting, sent);
    });
  }

  [[nodiscard]] std::string address() const {
    return self_ ? std::string{self_->authority()} : std::string{};
  }

  void stop(time_point) {
    if (self_) net_->nodes.erase(self_->canonical());
    self_.reset();
    calls_.stop();
  }

 private:
  using slot_type = kcache::detail::reply_slot<executor_type>;
  using state_ptr = std::shared_ptr<state>;

  template <class F>
  void deliver(F f) {
    send(net_, executor_, std::move(f));
  }
  template <class F>
  static void send(state_ptr const& net, executor_type const& executor, F f) {
    if (net->loses()) return;
    executor.schedule_at(after(executor.now(), net->travel()), std::move(f));
  }

  /// At the peer, when the request has arrived.
  static void receive(state_ptr const& net, executor_type const& executor, std::string const& to,
                      std::shared_ptr<slot_type> const& waiting,
                      std::shared_ptr<wire_request> const& sent) {
    endpoint& e = net->nodes[to];
    if (e.frozen && !e.down) {
      e.held.push_back([=] { receive(net, executor, to, waiting, sent); });
      return;
    }
    if (e.down || !e.server)
      return send(net, executor, [waiting] { waiting->answer(errc::unreachable); });
    auto const server = e.server;  // it may stop while it serves
    (*server)({sent->verb, sent->target, sent->body},
              kcache::detail::responder_for([=](result<wire_reply> r) {
                leave(net, executor, to, waiting, std::move(r));
              }));
  }

  /// At the peer, when it has answered.
  static void leave(state_ptr const& net, executor_type const& executor, std::string const& from,
                    std::shared_ptr<slot_type> const& waiting, result<wire_reply> r) {
    endpoint& e = net->nodes[from];
    if (e.down) return;
    if (e.frozen) {
      e.held.push_back([=] { leave(net, executor, from, waiting, r); });
      return;
    }
    send(net, executor, [waiting, r = std::move(r)] { waiting->answer(r); });
  }

  state_ptr net_;
  executor_type executor_;
  std::optional<peer_address> self_;
  kcache::detail::open_calls<executor_type> calls_;
};

}  // namespace kcache::testing

#endif
