// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_BEAST_MOUNT_HPP
#define KCACHE_BEAST_MOUNT_HPP
/// \file
/// Floor 5. `mount`: a cluster's HTTP handler inside a Beast server that the user already has.

#include <kcache/beast/detail/http_text.hpp>
#include <kcache/cluster/transport.hpp>

#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include <concepts>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace kcache::beast {

/// What a mounted handler answers with.
using mounted_response = boost::beast::http::response<boost::beast::http::string_body>;

/// A Beast request as the cluster sees it: views into `request`, which must outlive the call. The
/// body is one that is a range of characters (`string_body`, `vector_body<char>`, `span_body`), or
/// `empty_body`.
template <class Body, class Fields>
[[nodiscard]] wire_request_view view_of(
    boost::beast::http::request<Body, Fields> const& request) {
  using boost::beast::http::verb;
  wire_request_view view;
  switch (request.method()) {
    case verb::get: view.verb = wire_verb::get; break;
    case verb::post: view.verb = wire_verb::post; break;
    case verb::put: view.verb = wire_verb::put; break;
    case verb::delete_: view.verb = wire_verb::del; break;
    default: break;
  }
  auto const target = request.target();
  view.target = {target.data(), target.size()};
  if constexpr (!std::is_same_v<Body, boost::beast::http::empty_body>)
    view.body = {request.body().data(), request.body().size()};
  return view;
}

/// Something that serves: a `wire_server`, or an object with `handle(view, responder)`, as a
/// cluster has.
template <class S>
concept mountable = requires(S& s, wire_request_view v, wire_responder r) {
  s.handle(v, std::move(r));
} || std::invocable<S&, wire_request_view, wire_responder>;

/// Gives `request` to `server`, and calls `done(mounted_response)` exactly once: before `handle`
/// returns, or later on any thread (a miss that has to be loaded), so hop to your own strand there.
/// The request need not outlive the call. A server that answers nothing is answered for: 503.
///
///     kcache::beast::handle(cluster, request, [self](kcache::beast::mounted_response r) {
///       self->send_from_any_thread(std::move(r));
///     });
///
/// Your server keeps its own limits and deadlines; those of `options` are not applied here. Give
/// it the targets that begin with `/_kcache`, and refuse Transfer-Encoding in requests for them.
template <mountable Server, class Body, class Fields,
          std::invocable<mounted_response> Done>
void handle(Server& server, boost::beast::http::request<Body, Fields> const& request, Done done) {
  class responder {
   public:
    responder(Done f, unsigned version, bool keep_alive, bool is_head)
        : done_{std::move(f)}, version_{version}, keep_alive_{keep_alive}, is_head_{is_head} {}
    responder(responder&& other) noexcept(std::is_nothrow_move_constructible_v<Done>)
        : done_{std::move(other.done_)},
          version_{other.version_},
          keep_alive_{other.keep_alive_},
          is_head_{other.is_head_},
          open_{std::exchange(other.open_, false)} {}
    responder& operator=(responder&&) = delete;
    ~responder() {
      if (open_) (*this)({.status = 503, .type = media::text, .head = "no answer\n", .tail = {}});
    }
    void operator()(wire_response answer) {
      namespace http = boost::beast::http;
      open_ = false;
      mounted_response out{http::int_to_status(static_cast<unsigned>(answer.status)), version_};
      out.result(static_cast<unsigned>(answer.status));
      auto const type = content_type(answer.type);
      out.set(http::field::content_type, {type.data(), type.size()});
      if (answer.type == media::text) out.set("X-Content-Type-Options", "nosniff");
      out.keep_alive(keep_alive_);
      out.body() = std::move(answer.head);
      out.body() += answer.tail.view();
      if (!has_no_body(answer.status)) out.content_length(out.body().size());
      if (is_head_ || has_no_body(answer.status)) out.body().clear();
      done_(std::move(out));
    }

   private:
    Done done_;
    unsigned version_;
    bool keep_alive_;
    bool is_head_;
    bool open_ = true;
  };

  wire_responder reply{responder{std::move(done), request.version(), request.keep_alive(),
                                 request.method() == boost::beast::http::verb::head}};
  if constexpr (requires { server.handle(view_of(request), std::move(reply)); }) {
    server.handle(view_of(request), std::move(reply));
  } else {
    server(view_of(request), std::move(reply));
  }
}

}  // namespace kcache::beast

#endif
