// SPDX-License-Identifier: BSL-1.0
// The parts of the transport that need no socket: both parsers, the buffer, the texts, the mount.
#include <kcache/beast/detail/request_parser.hpp>

#include <kcache/beast/detail/http_text.hpp>
#include <kcache/beast/detail/input_buffer.hpp>
#include <kcache/beast/mount.hpp>
#include <kcache/beast/detail/response_parser.hpp>

#include "support/catch.hpp"
#include "support/http_corpus.hpp"

#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using kcache::beast::input_buffer;
using kcache::beast::options;
using kcache::beast::request_parser;
using kcache::beast::response_parser;
using kcache::wire_verb;

namespace {

using progress = request_parser::progress;

/// Feeds `bytes` in steps, each time from a fresh copy of exactly what has come, so that a
/// sanitizer sees every read past the end and every view of a buffer that is gone.
progress feed(request_parser& p, std::string const& bytes, std::size_t step) {
  p.reset();
  for (std::size_t n = std::min(step, bytes.size());; n = std::min(n + step, bytes.size())) {
    std::vector<char> const exact(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n));
    auto const state = p.feed({exact.data(), exact.size()});
    if (state == progress::ready || state == progress::refused || n == bytes.size()) return state;
  }
}

}  // namespace

TEST_CASE("every bad request is refused, in whatever pieces it comes") {
  options const o;
  request_parser p{o};
  for (auto const& bad : kcache_tests::bad_requests())
    for (std::size_t const step : {bad.bytes.size(), std::size_t{1}, std::size_t{7}}) {
      INFO(bad.what << " by " << step);
      REQUIRE(feed(p, bad.bytes, step) == progress::refused);
      CHECK(p.refusal() == bad.status);
      CHECK(p.why().back() == '\n');
    }
}

TEST_CASE("a good request is read where it lies") {
  options const o;
  request_parser p{o};
  std::string const head =
      "POST /_kcache/g/%00+?q#f HTTP/1.1\r\nhOsT:\t[::1]:80 \r\nX: \xff\r\nY:\r\n"
      "Connection: keep-alive\r\nEXPECT: 100-Continue\r\ncontent-length: 0004\r\n\r\n";
  std::string const bytes = head + "b\r\n\0";
  auto const whole = head + std::string{"b\r\n\0", 4};
  for (std::size_t const step : {whole.size(), std::size_t{1}}) {
    REQUIRE(feed(p, whole, step) == progress::ready);
    auto const v = p.view(whole);
    CHECK(v.verb == wire_verb::post);
    CHECK(v.target == "/_kcache/g/%00+?q#f");
    CHECK((v.body == std::string_view{"b\r\n\0", 4}));
    CHECK(p.size() == whole.size());
    CHECK(p.keep_alive());
    CHECK(p.expects_continue());
    CHECK_FALSE(p.is_head());
  }
  CHECK(feed(p, head, head.size()) == progress::body);
  CHECK(p.body_size() == 4);
  CHECK(feed(p, head.substr(0, head.size() - 1), 5) == progress::head);
  // What follows is the next request.
  auto const two = whole + "GET / HTTP/1.1\r\nHost:\r\n\r\n";
  REQUIRE(feed(p, two, two.size()) == progress::ready);
  CHECK(p.size() == whole.size());
  auto const second = two.substr(p.size());
  REQUIRE(feed(p, second, second.size()) == progress::ready);
  CHECK(p.view(second).verb == wire_verb::get);
  CHECK(p.body_size() == 0);
}

TEST_CASE("the limits of a request are exact") {
  options o;
  o.max_head = 200;
  o.max_fields = 3;
  o.max_target = 50;
  o.max_request = 10;
  request_parser p{o};
  auto const state = [&](std::string const& bytes) {
    auto const whole = feed(p, bytes, bytes.size());
    int const refusal = whole == progress::refused ? p.refusal() : 0;
    auto const pieces = feed(p, bytes, 1);
    CHECK(whole == pieces);
    if (pieces == progress::refused) CHECK(p.refusal() == refusal);
    return whole == progress::ready ? 200 : refusal;
  };
  auto const target = [](std::size_t n) {
    return "GET /" + std::string(n - 1, 'k') + " HTTP/1.1\r\nHost: x\r\n\r\n";
  };
  CHECK(state(target(50)) == 200);
  CHECK(state(target(51)) == 414);
  auto const head = [](std::size_t n) {
    std::string const rest = "GET / HTTP/1.1\r\nHost: x\r\nA: \r\n\r\n";
    return "GET / HTTP/1.1\r\nHost: x\r\nA: " + std::string(n - rest.size(), 'b') + "\r\n\r\n";
  };
  CHECK(state(head(200)) == 200);
  CHECK(state(head(201)) == 431);
  CHECK(state("GET / HTTP/1.1\r\nHost: x\r\nA: b\r\nA: b\r\n\r\n") == 200);
  CHECK(state("GET / HTTP/1.1\r\nHost: x\r\nA: b\r\nA: b\r\nA: b\r\n\r\n") == 431);
  CHECK(state("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n0123456789") == 200);
  CHECK(state("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n") == 413);
}

TEST_CASE("a reply is read in any pieces, its body straight into place") {
  options const o;
  response_parser p{o};
  std::string const body(5'000, 'v');
  std::string const bytes =
      "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\nX: y\r\n\r\n" + body + "next";
  for (std::size_t const step : {bytes.size(), std::size_t{1}, std::size_t{100}}) {
    p.reset();
    std::string held;
    std::size_t at = 0;
    auto state = response_parser::progress::more;
    while (state == response_parser::progress::more) {
      REQUIRE(at < bytes.size());
      if (auto const room = p.direct(); !room.empty()) {
        auto const n = std::min({room.size(), step, bytes.size() - at});
        std::memcpy(room.data(), bytes.data() + at, n);
        at += n;
        state = p.filled(n);
      } else {
        auto const n = std::min(step, bytes.size() - at);
        held.append(bytes, at, n);
        at += n;
        std::vector<char> const exact(held.begin(), held.end());
        auto const fed = p.feed({exact.data(), exact.size()});
        held.erase(0, fed.consumed);
        state = fed.state;
      }
    }
    REQUIRE(state == response_parser::progress::ready);
    CHECK(p.status() == 200);
    CHECK(p.keep_alive());
    CHECK((p.take_body() == body));
    if (step == bytes.size()) CHECK(held == "next");
  }
}

TEST_CASE("a chunked reply is read in any pieces") {
  options const o;
  response_parser p{o};
  std::string const head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (std::string const chunks :
       {"0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", "1\r\nx\r\n0\r\nA: b\r\n\r\n"}) {
    auto const bytes = head + chunks;
    for (std::size_t step = 1; step <= bytes.size(); ++step) {
      p.reset();
      std::string held;
      auto state = response_parser::progress::more;
      for (std::size_t at = 0; at < bytes.size(); at += step) {
        REQUIRE(state == response_parser::progress::more);
        held.append(bytes, at, step);
        std::vector<char> const exact(held.begin(), held.end());
        auto const fed = p.feed({exact.data(), exact.size()});
        held.erase(0, fed.consumed);
        state = fed.state;
      }
      REQUIRE(state == response_parser::progress::ready);
      CHECK(held.empty());
      auto const body = p.take_body();
      CHECK((body == (chunks[0] == '0' ? "" : chunks[0] == '1' ? "x" : "hello")));
    }
  }
}

TEST_CASE("the buffer keeps what is not consumed, contiguous, across every move") {
  input_buffer b{16};
  std::string expected;
  unsigned seed = 1;
  auto const draw = [&](std::size_t n) {
    seed = seed * 1'664'525 + 1'013'904'223;
    return (seed >> 8) % n;
  };
  for (int i = 0; i != 20'000; ++i) {
    std::size_t const message = draw(4) == 0 ? draw(200) : 0;
    auto const room = b.prepare(message);
    REQUIRE_FALSE(room.empty());
    REQUIRE(b.size() + room.size() >= message);
    std::size_t const n = draw(std::min<std::size_t>(room.size(), 40) + 1);
    for (std::size_t k = 0; k != n; ++k) room[k] = static_cast<char>(draw(256));
    expected.append(room.data(), n);
    b.commit(n);
    REQUIRE((b.data() == expected));
    std::size_t const gone = draw(expected.size() + 1);
    b.consume(gone);
    expected.erase(0, gone);
    if (draw(10) == 0) b.shrink();
    REQUIRE((b.data() == expected));
  }
}

TEST_CASE("heads of replies and requests") {
  std::string out = "before";
  kcache::beast::write_reply_head(out, 200, kcache::media::x_protobuf, 107, true);
  CHECK(out == "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\n"
               "Content-Length: 107\r\n\r\n");
  kcache::beast::write_reply_head(out, 404, kcache::media::text, 0, false);
  CHECK(out == "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\n"
               "X-Content-Type-Options: nosniff\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  kcache::beast::write_reply_head(out, 304, kcache::media::text, 5, true);
  CHECK(out == "HTTP/1.1 304 Not Modified\r\n\r\n");
  kcache::beast::write_reply_head(out, 7, kcache::media::json, 5, true);
  CHECK(out.rfind("HTTP/1.1 500 Internal Server Error\r\n", 0) == 0);
  kcache::beast::write_request_head(out, {wire_verb::del, "/x", "ab"}, "[::1]:80");
  CHECK(out == "DELETE /x HTTP/1.1\r\nHost: [::1]:80\r\nContent-Type: application/x-protobuf\r\n"
               "Content-Length: 2\r\n\r\n");
}

namespace http = boost::beast::http;

TEST_CASE("a handler mounts in a Beast server") {
  using kcache::beast::mounted_response;
  http::request<http::string_body> request{http::verb::post, "/_kcache/g/k?q", 11};
  request.body() = "body";
  request.prepare_payload();

  auto const v = kcache::beast::view_of(request);
  CHECK(v.verb == wire_verb::post);
  CHECK(v.target == "/_kcache/g/k?q");
  CHECK(v.body == "body");
  http::request<http::empty_body> const empty{http::verb::delete_, "/", 11};
  CHECK(kcache::beast::view_of(empty).verb == wire_verb::del);
  CHECK(kcache::beast::view_of(empty).body.empty());

  std::optional<mounted_response> got;
  auto const done = [&](mounted_response r) {
    CHECK_FALSE(got);
    got = std::move(r);
  };
  struct cluster {
    kcache::wire_responder kept;
    void handle(kcache::wire_request_view request_view, kcache::wire_responder reply) {
      if (request_view.target == "/later") {
        kept = std::move(reply);
      } else if (request_view.target != "/never") {
        reply({404, kcache::media::text, "no ", kcache::shared_bytes::of_static("group\n")});
      }
    }
  } c;

  SECTION("and answers in the call") {
    kcache::beast::handle(c, request, done);
    REQUIRE(got);
    CHECK(got->result_int() == 404);
    CHECK(got->body() == "no group\n");
    CHECK((*got)[http::field::content_type] == "text/plain; charset=utf-8");
    CHECK((*got)["X-Content-Type-Options"] == "nosniff");
    CHECK((*got)[http::field::content_length] == "9");
    CHECK(got->keep_alive());
  }
  SECTION("or later") {
    request.target("/later");
    request.keep_alive(false);
    kcache::beast::handle(c, request, done);
    CHECK_FALSE(got);
    c.kept({200, kcache::media::octet_stream, "x", {}});
    REQUIRE(got);
    CHECK(got->body() == "x");
    CHECK_FALSE(got->keep_alive());
  }
  SECTION("or not at all") {
    request.target("/never");
    kcache::beast::handle(c, request, done);
    REQUIRE(got);
    CHECK(got->result_int() == 503);
  }
  SECTION("as a function, to a HEAD") {
    request.method(http::verb::head);
    auto serve = [](kcache::wire_request_view, kcache::wire_responder reply) {
      reply({200, kcache::media::json, "{}", {}});
    };
    kcache::beast::handle(serve, request, done);
    REQUIRE(got);
    CHECK(got->body().empty());
    CHECK((*got)[http::field::content_length] == "2");
  }
}
