// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_PEER_LINK_HPP
#define KCACHE_DETAIL_PEER_LINK_HPP
/// \file
/// Floor 4. `peer_link`: the calls of one node to one peer, watched over by a `peer_health`.

#include <kcache/cluster/peer_health.hpp>
#include <kcache/cluster/transport.hpp>
#include <kcache/peer.hpp>
#include <kcache/policies/executor.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

namespace kcache::detail {

/// What a link needs of its node.
template <class Transport, class Executor>
struct link_services {
  Transport& transport;
  Executor executor;
  wire_request probe;  ///< what to ask; copied for each probe
  std::atomic<std::uint64_t>& probes;
  std::atomic<std::uint64_t>& peers_lost;
  std::weak_ptr<void> node;  ///< the owner of what is referred to here, for timers that outlive it
};

/// Thread safe. Performs what its `peer_health` says; completions run under no lock.
template <class Transport, class Executor>
class peer_link : public std::enable_shared_from_this<peer_link<Transport, Executor>> {
 public:
  using services = link_services<Transport, Executor>;

  peer_link(peer_address peer, services s, peer_health::limits limits)
      : peer_{std::move(peer)}, services_{std::move(s)}, health_{limits} {}

  [[nodiscard]] peer_address const& peer() const noexcept { return peer_; }
  [[nodiscard]] bool usable() const {
    std::lock_guard lock{mutex_};
    return health_.usable();
  }

  /// Calls the peer; `done` is called once. A peer found unreachable meanwhile ends the call.
  /// If it throws, for want of memory, `done` was not called.
  void call(wire_request request, time_point deadline, wire_completion done) {
    auto const c = std::make_shared<pending>(std::move(done));
    {
      std::unique_lock lock{mutex_};
      if (!health_.usable()) {  // found since the caller looked
        lock.unlock();
        return c->done(errc::unreachable);
      }
      c->sent = services_.executor.now();
      c->at = calls_.insert(calls_.end(), c);
      set_timer(health_.on_call(c->sent).wake);
    }
    try {
      services_.transport.call(peer_, std::move(request), deadline,
                               [self = this->shared_from_this(), c](result<wire_reply> r) {
                                 self->replied(*c, std::move(r));
                               });
    } catch (...) {
      std::lock_guard lock{mutex_};
      if (!std::exchange(c->ended, true)) calls_.erase(c->at);
      throw;
    }
  }

  /// No more timers and probes. The transport, when it stops, ends the calls.
  void stop() noexcept {
    timer_id timer;
    {
      std::lock_guard lock{mutex_};
      stopped_ = true;
      timer = std::exchange(timer_, 0);
    }
    if (timer != 0) services_.executor.cancel(timer);
  }

 private:
  struct pending {
    explicit pending(wire_completion d) : done{std::move(d)} {}
    wire_completion done;
    time_point sent;
    typename std::list<std::shared_ptr<pending>>::iterator at;
    bool ended = false;
  };

  void replied(pending& c, result<wire_reply> r) {
    health_action next;
    wire_completion done;  // stays empty if the caller has had its answer
    {
      std::lock_guard lock{mutex_};
      time_point const now = services_.executor.now();
      if (r) next = health_.on_answer(now);
      else if (r.error() == errc::unreachable) next = health_.on_failure(now);
      if (!std::exchange(c.ended, true)) {
        calls_.erase(c.at);
        done = std::move(c.done);
      }
      set_timer(next.wake);
    }
    if (done) done(std::move(r));
    perform(next);
  }

  [[nodiscard]] std::optional<time_point> oldest() const {
    if (calls_.empty()) return std::nullopt;
    return calls_.front()->sent;
  }

  /// Under no lock; what there is of `a` but its timer.
  void perform(health_action const& a) {
    if (!a.probe && !a.fail_calls) return;
    auto const node = services_.node.lock();
    if (!node) return;  // it has ended all calls
    if (a.probe) send_probe(*a.probe);
    if (a.fail_calls) fail_calls();
  }

  /// Under the lock, in which the health asked for it: the timer set last is the one it knows of.
  /// One that was replaced may still fire; the health ignores it.
  void set_timer(time_point t) noexcept {
    if (t == never || stopped_) return;
    try {
      timer_id const id =
          services_.executor.schedule_at(t, [weak = this->weak_from_this()] {
            if (auto const self = weak.lock()) self->wake();
          });
      if (timer_id const replaced = std::exchange(timer_, id)) services_.executor.cancel(replaced);
    } catch (...) {
      health_.on_no_timer();
    }
  }

  void wake() {
    health_action next;
    {
      std::lock_guard lock{mutex_};
      if (stopped_) return;
      next = health_.on_wake(services_.executor.now(), oldest());
      set_timer(next.wake);
    }
    perform(next);
  }

  void send_probe(std::uint64_t number) {
    services_.probes.fetch_add(1, std::memory_order_relaxed);
    {
      std::lock_guard lock{mutex_};
      if (stopped_) return;
    }
    // Longer than the health waits: it is the judge of that.
    time_point const deadline = after(services_.executor.now(), std::chrono::seconds{1});
    try {
      services_.transport.call(peer_, services_.probe, deadline,
                               [self = this->shared_from_this(), number](result<wire_reply> r) {
                                 self->probed(number, r.has_value());
                               });
    } catch (...) {  // no memory to ask: no answer either
      probed(number, false);
    }
  }

  void probed(std::uint64_t number, bool answered) {
    health_action next;
    {
      std::lock_guard lock{mutex_};
      if (stopped_) return;
      next = health_.on_probe(services_.executor.now(), number, answered, oldest());
      set_timer(next.wake);
    }
    perform(next);
  }

  void fail_calls() {
    services_.peers_lost.fetch_add(1, std::memory_order_relaxed);
    std::list<std::shared_ptr<pending>> lost;
    {
      std::lock_guard lock{mutex_};
      lost.swap(calls_);
      for (auto const& c : lost) c->ended = true;  // theirs to complete is ours now
    }
    for (auto const& c : lost) c->done(errc::unreachable);
  }

  peer_address const peer_;
  services services_;
  mutable std::mutex mutex_;
  peer_health health_;
  std::list<std::shared_ptr<pending>> calls_;  // oldest first
  timer_id timer_ = 0;
  bool stopped_ = false;
};

}  // namespace kcache::detail

#endif
