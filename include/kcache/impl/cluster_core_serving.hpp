// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_IMPL_CLUSTER_CORE_SERVING_HPP
#define KCACHE_IMPL_CLUSTER_CORE_SERVING_HPP
/// \file
/// Floor 4. The bodies of detail/cluster_core.hpp that serve: from a request to its response.

#include <kcache/detail/cluster_core.hpp>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <utility>

namespace kcache::detail {

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

}  // namespace kcache::detail

#endif
