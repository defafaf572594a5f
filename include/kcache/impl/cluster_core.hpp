// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_IMPL_CLUSTER_CORE_HPP
#define KCACHE_IMPL_CLUSTER_CORE_HPP
/// \file
/// Floor 4. The bodies of detail/cluster_core.hpp.

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

// --- the server's half ---------------------------------------------------------------------------

/// Runs `f`, which holds a responder: where there is no memory to answer, the responder goes
/// unused, and the asker sees a connection that closed.
template <class F>
void or_drop(F f) noexcept {
  try {
    f();
  } catch (...) {
  }
}

template <class P>
wire_response cluster_core<P>::text(int status, std::string message) const {
  return {status, media::text, std::move(message), {}};
}

template <class P>
void cluster_core<P>::handle(wire_request_view r, wire_responder respond) noexcept {
  or_drop([&] { answer(r, std::move(respond)); });
}

template <class P>
void cluster_core<P>::answer(wire_request_view r, wire_responder respond) {
  if (!in_cluster()) return respond(text(503, "not serving\n"));
  auto const native = wire::parse_native(r.target);
  switch (native.outcome) {
    case wire::native_outcome::ok:
      if (r.verb != wire_verb::post) break;
      return handle_native(native.op, r.body, std::move(respond));
    case wire::native_outcome::other_version:
      count(counts_.bad_requests);
      return respond(text(426, "this node speaks version 1\n"));
    case wire::native_outcome::unknown_operation:
      count(counts_.bad_requests);
      return respond(text(404, "no such operation\n"));
    case wire::native_outcome::elsewhere: {
      bool groupcache = options_.dialect == dialect::groupcache;
      auto const read = [&](dialect d) {
        auto rules = wire::path_options::of(d);
        rules.plus_is_space = options_.plus_is_space;
        return wire::parse_path(r.target, wire::path_base(d), rules);
      };
      auto path = read(options_.dialect);
      if (path.outcome == wire::path_outcome::elsewhere && groupcache) {
        groupcache = false;
        path = read(dialect::kcache);  // which every node answers
      }
      if (path.outcome == wire::path_outcome::elsewhere) {
        if (options_.other_requests) return options_.other_requests(r, std::move(respond));
        count(counts_.bad_requests);
        return respond(text(404, "not found\n"));
      }
      if (r.verb != wire_verb::get) break;
      return handle_path(path, groupcache, std::move(respond));
    }
  }
  count(counts_.bad_requests);
  respond(text(405, "method not allowed\n"));
}

template <class P>
void cluster_core<P>::handle_native(wire::operation op, byte_view body, wire_responder respond) {
  using wire::operation;
  auto const unsupported = [&](auto m) {
    if (!codec_type::decode(body, m)) return respond(bad_request());
    count(counts_.requests);
    wire::get_reply r;
    r.from = envelope(*members().snapshot());
    r.outcome = wire::status::unsupported;
    respond({200, media::protobuf, codec_type::encode_head(r), {}});
  };
  switch (op) {
    case operation::hello: {
      wire::hello_request m;
      if (!codec_type::decode(body, m)) return respond(bad_request());
      wire::hello_reply r;
      r.from = envelope(*members().snapshot());
      return respond({200, media::protobuf, codec_type::encode(r), {}});
    }
    case operation::get: {
      wire::get_request m;
      if (!codec_type::decode(body, m)) return respond(bad_request());
      return handle_get(m, std::move(respond));
    }
    case operation::get_many: return unsupported(wire::get_many_request{});
    case operation::put: return unsupported(wire::put_request{});
    case operation::invalidate: return unsupported(wire::invalidate_request{});
  }
}

template <class P>
wire_response cluster_core<P>::reply(wire::get_request const& m, ring_view const& view,
                                     result<served_value> r) const {
  wire::get_reply out;
  out.from = envelope(view);
  out.echo = wire::echo_of(m.group, m.key);
  if (r) {
    out.value = r->bytes.view();
    out.ttl_ms = wire::ttl_ms(r->remaining);
    return {200, media::protobuf, codec_type::encode_head(out), std::move(r->bytes)};
  }
  using wire::status;
  auto const& e = r.error();
  switch (e.code()) {
    case errc::not_found: out.outcome = status::not_found; break;
    case errc::deadline: out.outcome = status::deadline; break;
    case errc::overloaded: out.outcome = status::overloaded; break;
    case errc::recursive_load: out.outcome = status::recursive_load; break;
    case errc::wrong_owner: out.outcome = status::wrong_owner; break;
    case errc::cancelled:  // the group is going: this is no word of the owner's
    case errc::unknown_group: out.outcome = status::unknown_group; break;
    default: out.outcome = status::loader_failed;
  }
  out.message = e.message() == name(e.code()) ? byte_view{} : e.message().substr(0, 1'024);
  return {200, media::protobuf, codec_type::encode_head(out), {}};
}

template <class P>
void cluster_core<P>::handle_get(wire::get_request const& m, wire_responder respond) {
  if (m.key.size() > options_.max_key) {
    count(counts_.bad_requests);
    return respond(text(413, "key too long\n"));
  }
  count(counts_.requests);
  auto view = members().snapshot();
  auto const group = find(m.group);
  if (!group) return respond(reply(m, *view, errc::unknown_group));
  if (!view->owns(m.key)) {
    count(counts_.wrong_owner);
    return respond(reply(m, *view, errc::wrong_owner));
  }
  if (auto hit = group->cached(m.key)) return respond(reply(m, *view, std::move(*hit)));
  auto const budget =
      m.budget_ms == 0 ? options_.deadline
                       : std::min<duration>(std::chrono::milliseconds{m.budget_ms},
                                            options_.max_budget);
  // The request's views end with this call: what the reply needs of them is copied.
  struct waiting {
    std::shared_ptr<cluster_core> core;
    std::shared_ptr<ring_view const> view;
    std::string group, key;
    wire_responder respond;
  };
  auto w = std::make_unique<waiting>(waiting{this->shared_from_this(), std::move(view),
                                             std::string{m.group}, std::string{m.key},
                                             std::move(respond)});
  group->serve({m.key, after(executor_.now(), budget), true},
               [w = std::move(w)](result<served_value> r) {
                 or_drop([&] {
                   if (!r && r.error() == errc::bad_message)
                     return w->respond(w->core->bad_request());
                   wire::get_request q;
                   q.group = w->group;
                   q.key = w->key;
                   w->respond(w->core->reply(q, *w->view, std::move(r)));
                 });
               });
}

template <class P>
wire_response cluster_core<P>::path_reply(result<served_value> r, bool groupcache) const {
  if (r) {
    std::string head = codec_type::encode_value_head(r->bytes.size());
    if (groupcache && r->bytes.empty()) head.assign("\x0a\x00", 2);
    return {200, groupcache ? media::x_protobuf : media::octet_stream, std::move(head),
            std::move(r->bytes)};
  }
  int status = 500;
  switch (r.error().code()) {
    case errc::deadline: status = 504; break;
    case errc::overloaded: status = 429; break;
    case errc::cancelled:
    case errc::unknown_group: status = 503; break;  // the group is going, or has gone since
    default: break;
  }
  return text(status, std::string{r.error().message()} + '\n');
}

template <class P>
void cluster_core<P>::handle_path(wire::parsed_path const& path, bool groupcache,
                                  wire_responder respond) {
  using wire::path_outcome;
  if (path.outcome == path_outcome::no_slash || path.outcome == path_outcome::bad_escape)
    return respond(bad_request());
  count(counts_.requests);
  auto const group = find(path.group.bytes());
  if (!group) {
    count(counts_.bad_requests);
    return respond(text(404, "no such group: " + std::string{path.group.bytes()} + '\n'));
  }
  if (path.outcome == path_outcome::empty_key) return respond(text(500, "key is required\n"));
  byte_view const key = path.key.bytes();
  if (key.size() > options_.max_key) {
    count(counts_.bad_requests);
    return respond(text(414, "key too long\n"));
  }
  if (auto hit = group->cached(key)) return respond(path_reply(std::move(*hit), groupcache));
  // Who asks in this form cannot be told to ask another: answered here, and kept if it is ours.
  bool const ours = members().snapshot()->owns(key);
  if (!ours) count(counts_.wrong_owner);
  group->serve({key, after(executor_.now(), options_.deadline), ours},
               [core = this->shared_from_this(), groupcache,
                respond = std::move(respond)](result<served_value> r) mutable {
                 or_drop([&] {
                   if (!r && r.error() == errc::bad_message) return respond(core->bad_request());
                   respond(core->path_reply(std::move(r), groupcache));
                 });
               });
}

template <class P>
cluster_stats cluster_core<P>::stats() const {
  auto const read = [](counter const& c) { return c.load(std::memory_order_relaxed); };
  return {read(counts_.requests),    read(counts_.bad_requests),  read(counts_.wrong_owner),
          read(counts_.calls),       read(counts_.unreachable),   read(counts_.bad_replies),
          read(counts_.ring_mismatch), read(counts_.probes),      read(counts_.peers_lost)};
}

}  // namespace kcache::detail

#endif
