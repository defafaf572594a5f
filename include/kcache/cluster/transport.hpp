// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_CLUSTER_TRANSPORT_HPP
#define KCACHE_CLUSTER_TRANSPORT_HPP
/// \file
/// Floor 4. The transport policy: how a request reaches a peer and its reply comes back.
///
/// A transport moves requests and replies; it knows nothing of groups, keys, rings or dialects.
/// Requests have the shape of HTTP's (a verb, a target, a body; a status and a body back) because
/// the dialects are HTTP; a transport over something else carries the three as it likes.
///
/// A policy is a tag that nests `template <class Policies> bind`, the transport itself, because a
/// transport needs the executor (its `now()` is the time of deadlines) of the bundle it is used in,
/// and `options`, an aggregate with a default for everything.
///
/// | expression | result | semantics |
/// |---|---|---|
/// | `typename P::options` | | an aggregate; default constructed it listens on loopback only |
/// | `T t{options, executor}` | | starts nothing; may throw `failure` on bad options |
/// | `t.listen(self, server)` | `result<void>` | serves requests for `self` (a `peer_address`) until `stop`; calls `server` from any of its threads, concurrently; `cannot_listen` with a message if the address cannot be had; at most once |
/// | `t.call(peer, request, deadline, done)` | | sends, and calls `done` exactly once, from any thread, possibly before `call` returns: with the reply, or `unreachable` (no connection, a reset, a reply cut short), `deadline`, `bad_message` (bytes that are no reply, or one over the limits), `overloaded` (a queue is full), `cancelled` (stopped) |
/// | `t.address()` | `std::string` | `host:port` listened on (the port that was chosen, where 0 was asked for); empty before `listen` |
/// | `t.stop(deadline)` | | accepts nothing new, lets requests being served finish until `deadline`, then closes; every pending `done` is called before it returns; idempotent; never called on a thread of the transport's own |
///
/// A request that fails on a connection that had been idle in a pool, before any byte of its reply,
/// is repeated once on a fresh connection by the transport itself; nothing else is repeated. Every
/// wait inside has a deadline. A transport is destroyed only after `stop`; `done` and `server` must
/// not block.
///
/// Models: `beast_transport` (beast/transport.hpp, the default), `loopback_transport`
/// (cluster/loopback_transport.hpp), `testing::simulated_network`.

#include <kcache/bytes.hpp>
#include <kcache/detail/unique_function.hpp>
#include <kcache/peer.hpp>
#include <kcache/result.hpp>
#include <kcache/time.hpp>

#include <concepts>
#include <string>
#include <utility>

namespace kcache {

enum class wire_verb : unsigned char { get, post, put, del, other };

/// A request as the client sends it. A `get` has no body.
struct wire_request {
  wire_verb verb = wire_verb::get;
  std::string target = {};  ///< begins with `/`; already escaped
  std::string body = {};
  /// A liveness probe: it must not queue behind other calls to the peer, and may exceed the
  /// transport's limit of connections to it by one.
  bool probe = false;
};

/// A request as the server sees it; valid only during the call that brings it.
struct wire_request_view {
  wire_verb verb = wire_verb::other;
  byte_view target = {};  ///< raw, as it came, query included
  byte_view body = {};
};

/// How the body of a response is to be labelled.
enum class media : unsigned char { octet_stream, protobuf, x_protobuf, text, json };

/// A response as the server gives it. The body is `head` followed by `tail`: the part that was made
/// for this response, and the value, which goes out from where it lies.
struct wire_response {
  int status = 200;  ///< an HTTP status
  media type = media::octet_stream;
  std::string head = {};
  shared_bytes tail = {};
};

/// A response as the client receives it.
struct wire_reply {
  int status = 0;
  shared_bytes body;
};

/// Answers one request. To be called once, from any thread; destroying it uncalled closes the
/// connection (or whatever tells that transport's client: no answer).
using wire_responder = unique_function<void(wire_response)>;
using wire_server = unique_function<void(wire_request_view, wire_responder)>;
using wire_completion = unique_function<void(result<wire_reply>)>;

template <class T>
concept bound_transport = requires(T& t, peer_address const& peer, wire_request request,
                                   time_point deadline, wire_completion done, wire_server server) {
  { t.listen(peer, std::move(server)) } -> std::same_as<result<void>>;
  { t.call(peer, std::move(request), deadline, std::move(done)) } -> std::same_as<void>;
  { t.address() } -> std::same_as<std::string>;
  { t.stop(deadline) } -> std::same_as<void>;
};

/// A transport policy for the bundle `Policies`.
template <class T, class Policies>
concept transport_for =
    requires { typename T::options; typename T::template bind<Policies>; } &&
    std::default_initializable<typename T::options> &&
    bound_transport<typename T::template bind<Policies>> &&
    std::constructible_from<typename T::template bind<Policies>, typename T::options,
                            typename Policies::executor>;

}  // namespace kcache

#endif
