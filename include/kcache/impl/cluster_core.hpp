// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_IMPL_CLUSTER_CORE_HPP
#define KCACHE_IMPL_CLUSTER_CORE_HPP
/// \file
/// Floor 4. The bodies of detail/cluster_core.hpp: the node as a whole, and its client's half; the
/// server's half is in impl/cluster_core_serving.hpp.

#include <kcache/detail/cluster_core.hpp>

#include <algorithm>

namespace kcache::detail {

template <class P>
cluster_core<P>::cluster_core(options_type o)
    : options_{std::move(o)},
      incarnation_{options_.random.next()},
      executor_{options_.executor},
      self_{peer_address::parse_listen(options_.self).value()},
      transport_{options_.transport, options_.executor} {
  if (options_.probe_timeout <= duration::zero() || options_.probe_again <= duration::zero() ||
      options_.deadline <= duration::zero())
    throw failure{error{errc::invalid_options,
                        "deadline, probe_timeout and probe_again must be longer than nothing"}};
  if (self_.port() == 0) return;
  members_ = std::make_unique<membership>(
      ring_options{options_.dialect, options_.ring_seed, options_.ring_points}, self_);
  has_members_.store(true, std::memory_order_release);
}

template <class P>
result<void> cluster_core<P>::start() {
  if (started_.exchange(true))
    return error{errc::invalid_options, "the node was started before"};
  auto const listening = transport_.listen(
      self_, [weak = this->weak_from_this()](wire_request_view r, wire_responder respond) {
        if (auto const core = weak.lock()) core->handle(r, std::move(respond));
      });
  if (!listening) {
    started_.store(false);
    return listening;
  }
  if (has_members_.load(std::memory_order_acquire)) return {};
  auto const address = transport_.address();
  self_ = peer_address::parse("http://" + address).value();
  members_ = std::make_unique<membership>(
      ring_options{options_.dialect, options_.ring_seed, options_.ring_points}, self_);
  has_members_.store(true, std::memory_order_release);
  return {};
}

template <class P>
void cluster_core<P>::stop(duration drain) noexcept {
  if (stopped_.exchange(true)) return;
  {
    std::lock_guard lock{links_mutex_};
    for (auto const& [peer, l] : links_) l->stop();
  }
  transport_.stop(after(executor_.now(), drain));
  std::lock_guard lock{groups_mutex_};
  groups_.clear();
}

template <class P>
membership& cluster_core<P>::members() const {
  if (!has_members_.load(std::memory_order_acquire))
    throw failure{error{errc::invalid_options,
                        "a node of port 0 has no address, and no peers, before it has started"}};
  return *members_;
}

template <class P>
result<void> cluster_core<P>::add(std::shared_ptr<served_group> group) {
  auto const name = std::string{group->name()};
  if (name.empty() || name.size() > 64)
    return error{errc::invalid_options,
                 "a group in a cluster has a name of 1 to 64 bytes, not of " +
                     std::to_string(name.size())};
  if (stopped_.load()) return error{errc::cancelled, "the node was stopped"};
  std::lock_guard lock{groups_mutex_};
  if (!groups_.emplace(name, std::move(group)).second)
    return error{errc::duplicate_group, "there is a group " + detail::quoted(name, 64) +
                                            " on this node already"};
  return {};
}

template <class P>
std::shared_ptr<served_group> cluster_core<P>::find(byte_view name) const {
  std::lock_guard lock{groups_mutex_};
  auto const at = groups_.find(name);
  return at == groups_.end() ? nullptr : at->second;
}

template <class P>
void cluster_core<P>::remove(served_group const& group) noexcept {
  std::shared_ptr<served_group> gone;
  std::lock_guard lock{groups_mutex_};
  auto const at = groups_.find(group.name());
  if (at == groups_.end() || at->second.get() != &group) return;
  gone = std::move(at->second);
  groups_.erase(at);
}

template <class P>
cluster_stats cluster_core<P>::stats() const {
  auto const read = [](counter const& c) { return c.load(std::memory_order_relaxed); };
  return {read(counts_.requests),    read(counts_.bad_requests),  read(counts_.wrong_owner),
          read(counts_.calls),       read(counts_.unreachable),   read(counts_.bad_replies),
          read(counts_.ring_mismatch), read(counts_.probes),      read(counts_.peers_lost)};
}

// --- the client's half ---------------------------------------------------------------------------

template <class P>
struct cluster_core<P>::fetching {
  fetching(typename fsm::question q, unique_function<void(byte_outcome)> d)
      : machine{std::move(q)}, done{std::move(d)} {}
  fsm machine;
  std::shared_ptr<link> peer;
  unique_function<void(byte_outcome)> done;

  void end(byte_outcome o) {
    if (auto d = std::move(done)) d(std::move(o));
  }
};

template <class P>
wire_request cluster_core<P>::probe_request() const {
  wire_request r;
  if (options_.dialect == dialect::native) {
    wire::hello_request m;
    m.from = envelope(*members().snapshot());
    r = {wire_verb::post, std::string{wire::native_target(wire::operation::hello)},
         codec_type::encode(m)};
  } else {
    // No second slash: every Go server refuses it at once, without a look at any group.
    r = {wire_verb::get, std::string{wire::path_base(options_.dialect)} + "probe", {}};
  }
  r.probe = true;
  return r;
}

template <class P>
auto cluster_core<P>::link_to(peer_address const& peer) -> std::shared_ptr<link> {
  std::lock_guard lock{links_mutex_};
  auto const at = links_.find(peer.canonical());
  if (at != links_.end()) return at->second;
  typename link::services services{transport_, executor_, probe_request(), counts_.probes,
                                   counts_.peers_lost, this->weak_from_this()};
  peer_health::limits const limits{options_.probe_after, options_.probe_timeout,
                                   options_.probe_again, options_.probe_again_max};
  auto l = std::make_shared<link>(peer, std::move(services), limits);
  links_.emplace(peer.canonical(), l);
  return l;
}

template <class P>
void cluster_core<P>::forget_links() {
  auto const view = members().snapshot();
  std::lock_guard lock{links_mutex_};
  std::erase_if(links_, [&](auto const& l) { return !view->ring.find(l.second->peer()); });
}

template <class P>
void cluster_core<P>::fetch(std::string const& group, byte_view key, time_point deadline,
                            unique_function<void(byte_outcome)> done) {
  if (!in_cluster()) return done(load_here{});
  auto const view = members().snapshot();
  std::size_t const owner = view->owner(key);
  if (owner == view->self) return done(load_here{});  // it has become ours meanwhile
  if (key.size() > options_.max_key)
    return done(error{errc::unsupported,
                      "a key of " + std::to_string(key.size()) + " bytes; peers are asked for " +
                          std::to_string(options_.max_key) + " at most (max_key)"});
  count(counts_.calls);
  auto f = std::make_shared<fetching>(
      typename fsm::question{options_.dialect, envelope(*view), group, std::string{key}, deadline},
      std::move(done));
  f->peer = link_to(view->ring.peer(owner));
  if (f->machine.start(f->peer->usable()) == fsm::step::call) ask(f);
  else finish(*f);
}

template <class P>
void cluster_core<P>::ask(std::shared_ptr<fetching> const& f) noexcept {
  try {
    f->peer->call(f->machine.request(executor_.now()), f->machine.deadline(),
                  [core = this->shared_from_this(), f](result<wire_reply> r) {
                    core->replied(f, std::move(r));
                  });
  } catch (...) {  // no memory
    f->end(error{errc::overloaded});
  }
}

template <class P>
void cluster_core<P>::replied(std::shared_ptr<fetching> const& f, result<wire_reply> r) noexcept {
  try {
    bool const usable = in_cluster() && f->peer->usable();
    if (f->machine.on_reply(std::move(r), usable, executor_.now()) == fsm::step::call) ask(f);
    else finish(*f);
  } catch (...) {  // no memory for the answer
    f->end(error{errc::overloaded});
  }
}

template <class P>
void cluster_core<P>::finish(fetching& f) {
  if (f.machine.bad_reply()) count(counts_.bad_replies);
  if (f.machine.ring_mismatch()) count(counts_.ring_mismatch);
  auto outcome = f.machine.outcome();
  if (std::holds_alternative<load_here>(outcome) && !f.machine.answered())
    count(counts_.unreachable);
  f.end(std::move(outcome));
}

}  // namespace kcache::detail

#endif
