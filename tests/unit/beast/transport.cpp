// SPDX-License-Identifier: BSL-1.0
#include <kcache/beast/transport.hpp>

#include "support/catch.hpp"
#include "support/raw_http.hpp"

#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <future>
#include <mutex>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using kcache::errc;
using kcache::wire_verb;
using kcache_tests::raw_reader;
using kcache_tests::raw_server;
using kcache_tests::raw_socket;

namespace {

/// All that the transport needs of a bundle.
struct policies {
  struct executor {
    kcache::time_point now() const { return kcache::steady_clock{}.now(); }
  };
};
using transport = kcache::beast_transport::bind<policies>;
using reply = kcache::result<kcache::wire_reply>;

static_assert(kcache::bound_transport<transport>);
static_assert(kcache::transport_for<kcache::beast_transport, policies>);

kcache::time_point in(kcache::duration d) { return kcache::after(kcache::steady_clock{}.now(), d); }

kcache::peer_address peer(std::uint16_t port) {
  return kcache::peer_address::parse("http://127.0.0.1:" + std::to_string(port)).value();
}
kcache::peer_address self() {
  return kcache::peer_address::parse_listen("http://127.0.0.1:0").value();
}

/// Limits of time made small or large, so that each test meets only its own.
kcache::beast::options quick() {
  kcache::beast::options o;
  o.port = std::uint16_t{0};
  o.tick = 5ms;
  o.io_threads = 2;  // whatever the machine
  o.connect_timeout = 10s;
  return o;
}

/// A client half: a transport that does not listen.
struct caller {
  explicit caller(kcache::beast::options o = quick()) : t{std::move(o), {}} {}

  std::future<reply> begin(kcache::peer_address const& to, kcache::wire_request request,
                           kcache::time_point deadline) {
    auto promise = std::make_shared<std::promise<reply>>();
    auto future = promise->get_future();
    t.call(to, std::move(request), deadline, [promise, once = false](reply r) mutable {
      if (std::exchange(once, true)) std::terminate();
      promise->set_value(std::move(r));
    });
    return future;
  }
  reply ask(std::uint16_t port, std::string target = "/", std::string body = {},
            kcache::duration limit = 10s) {
    auto const verb = body.empty() ? wire_verb::get : wire_verb::post;
    return begin(peer(port), {verb, std::move(target), std::move(body)}, in(limit)).get();
  }
  transport t;
};

/// A whole node.
struct node : caller {
  explicit node(kcache::wire_server server, kcache::beast::options o = quick())
      : caller{std::move(o)} {
    t.listen(self(), std::move(server)).value();
    port = kcache_tests::port_of(t.address());
  }
  std::uint16_t port;
};

kcache::wire_server echo() {
  return [](kcache::wire_request_view r, kcache::wire_responder answer) {
    answer({200, kcache::media::x_protobuf, std::string{r.target} + '|',
           kcache::shared_bytes::of(std::string{r.body})});
  };
}

std::string ok(std::string const& body) {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

/// Answers each request on each connection with the same bytes.
raw_server::script always(std::string bytes) {
  return [bytes = std::move(bytes)](raw_socket& s, int) {
    raw_reader in{s};
    while (!in.next().head.empty())
      if (!s.send(bytes)) return;
  };
}
/// Answers one request with these bytes, and closes.
raw_server::script once(std::string bytes) {
  return [bytes = std::move(bytes)](raw_socket& s, int) {
    if (!raw_reader{s}.next().head.empty()) s.send(bytes);
  };
}
/// Reads, and never answers.
void silent(raw_socket& s, int) { s.receive_all(); }

template <class F>
bool eventually(F const& f) {
  for (auto const limit = std::chrono::steady_clock::now() + 10s; !f(); std::this_thread::yield())
    if (std::chrono::steady_clock::now() > limit) return false;
  return true;
}

std::string pattern(std::size_t n) {
  std::string s(n, '\0');
  for (std::size_t i = 0; i != n; ++i) s[i] = static_cast<char>((i * 7 + (i >> 8)) & 0xff);
  return s;
}

}  // namespace

TEST_CASE("values of every size make the round trip") {
  auto o = quick();
  o.max_request = 2 * 1'024 * 1'024;
  node server{echo(), o};
  caller client;
  CHECK(client.t.address().empty());
  for (std::size_t const n : {0u, 1u, 100u, 2'045u, 2'046u, 10u * 1'024, 1'024u * 1'024}) {
    auto const value = pattern(n);
    for (int i = 0; i != 3; ++i) {
      auto const r = client.ask(server.port, "/t%2F", value);
      REQUIRE(r);
      CHECK(r->status == 200);
      CHECK((r->body == "/t%2F|" + value));
    }
  }
}

TEST_CASE("over IPv6") {
  auto o = quick();
  o.listen = "::1";
  transport server{o, {}};
  if (!server.listen(self(), echo())) {
    WARN("no IPv6 loopback here: not tested");
    return;
  }
  CHECK(server.address().rfind("[::1]:", 0) == 0);
  caller client;
  auto const to = kcache::peer_address::parse("http://" + server.address()).value();
  CHECK(client.begin(to, {wire_verb::get, "/x", {}}, in(10s)).get()->body == "/x|");
}

TEST_CASE("a request is written as HTTP/1.1, byte for byte") {
  std::promise<std::string> got;
  raw_server server{[&](raw_socket& s, int) {
    raw_reader in{s};
    auto const a = in.next();
    s.send(ok(""));
    auto const b = in.next();
    s.send(ok(""));
    got.set_value(a.head + b.head + b.body);
  }};
  caller client;
  auto const host = "127.0.0.1:" + std::to_string(server.port());
  REQUIRE(client.ask(server.port(), "/_kcache/g/k%20"));
  std::string const body{"\0\n", 2};
  REQUIRE(client.ask(server.port(), "/p", body));
  CHECK(got.get_future().get() ==
        "GET /_kcache/g/k%20 HTTP/1.1\r\nHost: " + host + "\r\n\r\n" +
            "POST /p HTTP/1.1\r\nHost: " + host +
            "\r\nContent-Type: application/x-protobuf\r\nContent-Length: 2\r\n\r\n" + body);
}

TEST_CASE("chunked replies are read") {
  std::string const head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  auto const value = pattern(300'000);
  std::string pieces = head;
  for (std::size_t at = 0, n = 1; at < value.size(); at += n, n = n * 2 + 1) {
    n = std::min(n, value.size() - at);
    char size[20];
    std::snprintf(size, sizeof size, "%zx", n);
    std::string const extension = at % 2 ? ";ext=\"a;b\"" : "";
    pieces += size + extension + "\r\n" + value.substr(at, n) + "\r\n";
  }
  pieces += "0\r\nTrailer-Field: x\r\n\r\n";
  struct {
    std::string bytes, body;
  } const cases[] = {{head + "5\r\nhello\r\n0\r\n\r\n", "hello"},
                     {head + "0\r\n\r\n", ""},
                     {head + "00005\r\nhello\r\n000\r\n\r\n", "hello"},
                     {pieces, value}};
  for (auto const& c : cases) {
    raw_server whole{always(c.bytes)};
    caller client;
    for (int i = 0; i != 3; ++i) {
      auto const r = client.ask(whole.port());
      REQUIRE(r);
      CHECK((r->body == c.body));
    }
    CHECK(whole.connections() == 1);
    raw_server slow{[&](raw_socket& s, int) {
      raw_reader{s}.next();
      std::size_t const step = c.bytes.size() < 1'000 ? 1 : 1'000;
      for (std::size_t at = 0; at < c.bytes.size(); at += step) s.send(c.bytes.substr(at, step));
    }};
    auto const r = client.ask(slow.port());
    REQUIRE(r);
    CHECK((r->body == c.body));
  }
}

TEST_CASE("other replies that are right") {
  caller client;
  auto const ask = [&](std::string const& bytes) {
    raw_server server{once(bytes)};
    auto r = client.ask(server.port());
    return r ? std::to_string(r->status) + '|' + std::string{r->body.view()}
             : std::string{r.error().message()};
  };
  CHECK(ask("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ok("x")) ==
        "200|x");
  CHECK(ask("HTTP/1.1 204 No Content\r\n\r\n") == "204|");
  CHECK(ask("HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n") == "304|");
  CHECK(ask("HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nnone\n") == "404|none\n");
  CHECK(ask("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi") == "200|hi");
  CHECK(ask("HTTP/1.1 503 \r\ncontent-length: 0\r\n\r\n") == "503|");
}

TEST_CASE("a connection is used again, last in, first out") {
  node server{echo()};
  caller client;
  for (int i = 0; i != 50; ++i) REQUIRE(client.ask(server.port));
  raw_server counting{always(ok("x"))};
  for (int i = 0; i != 50; ++i) REQUIRE(client.ask(counting.port()));
  CHECK(counting.connections() == 1);
}

TEST_CASE("a connection is not used again after") {
  caller client;
  auto const connections = [&](std::string const& bytes, std::string const& body = "x") {
    raw_server server{always(bytes)};
    for (int i = 0; i != 5; ++i) {
      auto const r = client.ask(server.port());
      if (!r || !(r->body == body)) return -1;
    }
    return server.connections();
  };
  CHECK(connections(ok("x")) == 1);
  // Connection: close, HTTP/1.0
  CHECK(connections("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx") == 5);
  CHECK(connections("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx") == 5);
  // More than Content-Length says: the reply is good, what follows it is not the next one.
  CHECK(connections(ok("x") + "y") == 5);
  CHECK(connections(ok("x") + ok("evil")) == 5);
}

TEST_CASE("bytes on an idle connection close it") {
  std::promise<void> answered;
  std::promise<bool> closed;
  raw_server server{[&](raw_socket& s, int number) {
    raw_reader in{s};
    in.next();
    s.send(ok("first"));
    if (number != 0) return;
    answered.get_future().wait();
    s.send(ok("evil"));
    s.receive_all();
    closed.set_value(s.was_closed());
  }};
  caller client;
  CHECK(client.ask(server.port())->body == "first");
  answered.set_value();
  CHECK(closed.get_future().get());
  CHECK(client.ask(server.port())->body == "first");
}

TEST_CASE("a stale connection costs one repetition, on a fresh connection, and no more") {
  std::atomic<int> requests{0};
  SECTION("which succeeds") {
    raw_server server{[&](raw_socket& s, int number) {
      raw_reader in{s};
      in.next();
      ++requests;
      s.send(ok("first"));
      if (in.next().head.empty()) return;  // the second request is read, and not answered:
      ++requests;
      if (number == 0) s.reset();
    }};
    caller client;
    REQUIRE(client.ask(server.port()));
    auto const r = client.ask(server.port(), "/", "body");
    REQUIRE(r);
    CHECK(r->body == "first");
    CHECK(requests == 3);
    CHECK(server.connections() == 2);
  }
  SECTION("which fails") {
    raw_server server{[&](raw_socket& s, int number) {
      raw_reader in{s};
      in.next();
      ++requests;
      if (number != 0) return s.reset();
      s.send(ok("first"));
      in.next();
      ++requests;
    }};
    caller client;
    REQUIRE(client.ask(server.port()));
    auto const r = client.ask(server.port());
    REQUIRE_FALSE(r);
    CHECK(r.error() == errc::unreachable);
    CHECK(requests == 3);
  }
  SECTION("but none once the reply has begun") {
    raw_server server{[&](raw_socket& s, int) {
      raw_reader in{s};
      in.next();
      ++requests;
      s.send(ok("first"));
      in.next();
      ++requests;
      s.send("H");
    }};
    caller client;
    REQUIRE(client.ask(server.port()));
    auto const r = client.ask(server.port());
    REQUIRE_FALSE(r);
    CHECK(r.error() == errc::unreachable);
    CHECK(requests == 2);
  }
  SECTION("and none on a connection that was fresh") {
    raw_server server{[&](raw_socket& s, int) {
      raw_reader{s}.next();
      ++requests;
    }};
    caller client;
    CHECK(client.ask(server.port()).error() == errc::unreachable);
    CHECK(requests == 1);
  }
}

TEST_CASE("a connection that the peer closes while it is idle is noticed") {
  std::promise<void> first_closed;
  raw_server server{[&](raw_socket& s, int number) {
    raw_reader{s}.next();
    s.send(ok("x"));
    if (number != 0) return;
    s.close();
    first_closed.set_value();
  }};
  caller client;
  REQUIRE(client.ask(server.port()));
  first_closed.get_future().wait();
  CHECK(client.ask(server.port()));  // whether it was noticed in time, or repeated
}

TEST_CASE("a reply cut short is a failure, never a short value") {
  caller client;
  auto const full = ok(pattern(5'000));
  auto const chunked =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n";
  for (std::string const& whole : {full, std::string{chunked}}) {
    for (std::size_t cut = 0; cut < whole.size(); cut += whole.size() < 200 ? 1u : 97u) {
      INFO(cut);
      raw_server server{once(whole.substr(0, cut))};
      auto const r = client.ask(server.port());
      REQUIRE_FALSE(r);
      CHECK(r.error() == errc::unreachable);
    }
  }
  raw_server resetting{[&](raw_socket& s, int) {
    raw_reader{s}.next();
    s.send(full.substr(0, 1'000));
    s.reset();
  }};
  CHECK(client.ask(resetting.port()).error() == errc::unreachable);
  raw_server longer{once("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello")};
  CHECK(client.ask(longer.port()).error() == errc::unreachable);
  raw_server shorter{once("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhello")};
  CHECK(client.ask(shorter.port())->body == "hell");
}

TEST_CASE("what is no reply, or has no certain end, is a bad message") {
  std::string const head = "HTTP/1.1 200 OK\r\n";
  std::string const chunked = head + "Transfer-Encoding: chunked\r\n";
  std::string many;
  for (int i = 0; i != 9; ++i) many += "HTTP/1.1 100 Continue\r\n\r\n";
  std::string const all[] = {
      "garbage\r\n\r\n",
      "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 099 No\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 101 Switching Protocols\r\n\r\n",
      many + ok("x"),
      head + "\r\nuntil the end",
      head + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi",
      head + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi!",
      head + "Content-Length: 2, 2\r\n\r\nhi",
      head + "Content-Length: -2\r\n\r\nhi",
      head + "Content-Length: 2\r\n 2\r\n\r\nhi",
      head + "Content-Length:\r\n 2\r\n\r\nhi",
      head + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
      chunked + "Content-Length: 2\r\n\r\nhi",
      head + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nhi",
      head + "Transfer-Encoding: xchunked\r\n\r\nhi",
      head + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
      chunked + "\r\nhello\r\n",
      chunked + "\r\n-5\r\nhello\r\n0\r\n\r\n",
      chunked + "\r\n5\r\nhelloworld\r\n0\r\n\r\n",
      chunked + "\r\nfffffffffffffffff\r\nx",
      head + "A: " + std::string(9'000, 'x') + "\r\nContent-Length: 0\r\n\r\n",
      chunked + "\r\n1;" + std::string(20'000, 'x') + "\r\na\r\n0\r\n\r\n",
      chunked + "\r\n0\r\n" + std::string(20'000, 'x') + "\r\n\r\n",
      std::string(100, '\0'),
  };
  caller client;
  for (auto const& bytes : all) {
    INFO(bytes.substr(0, 120));
    raw_server server{always(bytes)};
    auto const r = client.ask(server.port());
    REQUIRE_FALSE(r);
    CHECK(r.error() == errc::bad_message);
  }
}

TEST_CASE("a value over the limit is refused before memory is spent on it") {
  auto o = quick();
  o.max_value = 100'000;
  caller client{o};
  std::size_t const most = o.max_value + kcache::beast::response_parser::framing;
  auto const announce = [](std::string const& n) {
    return "HTTP/1.1 200 OK\r\nContent-Length: " + n + "\r\n\r\nx";
  };
  std::string const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (std::string const& bytes :
       {announce(std::to_string(most + 1)), announce("1000000000000"),
        announce("18446744073709551615"), chunked + "19741\r\nx",
        chunked + "ffffffffffffffff\r\nx"}) {
    INFO(bytes);
    raw_server server{always(bytes)};  // no more comes: it is the announcement that is refused
    CHECK(client.ask(server.port()).error() == errc::bad_message);
  }
  raw_server fits{once(ok(std::string(most, 'x')))};
  CHECK(client.ask(fits.port())->body.size() == most);
}

TEST_CASE("a silent peer is a deadline, and not before it") {
  caller client;
  raw_server server{silent};
  auto const deadline = in(40ms);
  auto const r = client.begin(peer(server.port()), {wire_verb::get, "/", {}}, deadline).get();
  CHECK(kcache::steady_clock{}.now() >= deadline);
  REQUIRE_FALSE(r);
  CHECK(r.error() == errc::deadline);
  // The connection that may still bring the reply is not used for another question.
  CHECK(client.ask(server.port(), "/", {}, 10ms).error() == errc::deadline);
  CHECK(server.connections() == 2);
  CHECK(client.ask(server.port(), "/", {}, 0ms).error() == errc::deadline);
  CHECK(server.connections() == 2);
}

TEST_CASE("calls without a deadline have one all the same") {
  auto o = quick();
  o.call_timeout = 20ms;
  caller client{o};
  raw_server server{silent};
  CHECK(client.begin(peer(server.port()), {wire_verb::get, "/", {}}, kcache::never).get().error() ==
        errc::deadline);
}

TEST_CASE("a peer that cannot be connected to is unreachable") {
  caller client;
  SECTION("nobody listens") {
    std::uint16_t const port = raw_server{silent}.port();
    auto const r = client.ask(port);
    REQUIRE_FALSE(r);
    CHECK(r.error() == errc::unreachable);
    CHECK(r.error().message().find("127.0.0.1:" + std::to_string(port)) != std::string_view::npos);
  }
  SECTION("no answer to the connect") {
    // A full backlog: Linux drops what does not fit.
    auto const listening = raw_socket::unconnected();
    auto const port = listening.listen(0);
    std::vector<raw_socket> filling;
    auto o = quick();
    o.connect_timeout = 20ms;
    caller impatient{o};
    for (int i = 0; i != 4; ++i) {
      filling.push_back(raw_socket::unconnected());
      filling.back().begin_connect(port);
    }
    CHECK(impatient.ask(port).error() == errc::unreachable);
  }
  SECTION("no such name") {
    auto const nowhere = kcache::peer_address::parse("http://no-such-host.invalid:80").value();
    auto o = quick();
    o.connect_timeout = 100ms;
    caller impatient{o};
    auto const r = impatient.begin(nowhere, {wire_verb::get, "/", {}}, in(10s)).get();
    CHECK(r.error() == errc::unreachable);
  }
}

TEST_CASE("names are looked up on another thread") {
  kcache::beast::io_threads threads{quick()};
  std::promise<std::vector<kcache::beast::tcp::endpoint>> found;
  // A literal, which the system's resolver knows also where there is no /etc/hosts.
  kcache::beast::look_up(threads.at(0), "127.0.0.1", 80, [&](auto const& ec, auto endpoints) {
    CHECK(!ec);
    found.set_value(std::move(endpoints));
  });
  auto const endpoints = found.get_future().get();
  REQUIRE_FALSE(endpoints.empty());
  for (auto const& e : endpoints) {
    CHECK(e.address().is_loopback());
    CHECK(e.port() == 80);
  }
}

TEST_CASE("what HTTP cannot carry is not sent") {
  caller client;
  for (std::string const& target :
       {std::string{}, std::string{"x"}, std::string{"/a b"}, std::string{"/a\r\nX: y"},
        std::string{"/a\nb"}, std::string{"/\0", 2}, std::string{"/\x7f"}})
    CHECK(client.ask(1, target).error() == errc::unsupported);
  CHECK(client.begin(peer(1), {wire_verb::other, "/", {}}, in(1s)).get().error() ==
        errc::unsupported);
}

TEST_CASE("a peer that refuses a large body early is heard") {
  node server{echo()};  // takes 64 KiB
  caller client;
  auto const r = client.ask(server.port, "/", std::string(8 * 1'024 * 1'024, 'x'));
  // The refusal, if the peer's system did not reset the connection before it could be read.
  if (r) CHECK(r->status == 413);
  if (!r) CHECK(r.error() == errc::unreachable);
  CHECK(client.ask(server.port)->status == 200);
}

namespace {

/// Answers when told to.
struct gate {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<kcache::wire_responder> waiting;
  std::deque<std::string> order;

  kcache::wire_server handler() {
    return [this](kcache::wire_request_view r, kcache::wire_responder answer) {
      std::lock_guard lock{mutex};
      order.emplace_back(r.target);
      waiting.push_back(std::move(answer));
      changed.notify_all();
    };
  }
  void wait_for(std::size_t n) {
    std::unique_lock lock{mutex};
    if (!changed.wait_for(lock, 10s, [&] { return waiting.size() >= n; }))
      throw std::runtime_error{"too few requests came"};
  }
  void wait_for_request(std::size_t n) {
    std::unique_lock lock{mutex};
    if (!changed.wait_for(lock, 10s, [&] { return order.size() >= n; }))
      throw std::runtime_error{"a request did not come"};
  }
  bool open_one() {
    std::unique_lock lock{mutex};
    if (waiting.empty()) return false;
    auto answer = std::move(waiting.front());
    waiting.pop_front();
    lock.unlock();
    answer({200, kcache::media::text, "x", {}});
    return true;
  }
};

}  // namespace

TEST_CASE("connections to a peer are bounded; calls wait for one in order, and for so many") {
  gate g;
  node server{g.handler()};
  auto o = quick();
  o.max_peer_connections = 2;
  o.max_waiting = 3;
  caller client{o};
  std::vector<std::future<reply>> calls;
  auto const begin = [&](std::string target, kcache::duration limit, bool probe = false) {
    calls.push_back(client.begin(
        peer(server.port), {wire_verb::get, std::move(target), {}, probe}, in(limit)));
  };
  begin("/0", 10s);
  begin("/1", 10s);
  g.wait_for(2);
  begin("/2", 10s);
  begin("/3", 10ms);  // gives up in the queue
  CHECK(calls[3].get().error() == errc::deadline);
  begin("/4", 10s);
  begin("/5", 10s);
  begin("/6", 10s);
  CHECK(calls[6].get().error() == errc::overloaded);
  // A probe neither waits nor is refused.
  begin("/probe", 10s, true);
  g.wait_for(3);
  {
    std::lock_guard lock{g.mutex};
    CHECK(g.order.back() == "/probe");
  }
  begin("/probe2", 10s, true);  // but a second one waits, before all others
  // One by one: what becomes free takes the next; the probe's connection only another probe.
  std::size_t seen = 3;
  for (std::string const next : {"/probe2", "", "/2", "/4", "/5"}) {
    g.open_one();
    if (next.empty()) continue;
    g.wait_for_request(++seen);
    std::lock_guard lock{g.mutex};
    CHECK(g.order.back() == next);
  }
  while (g.open_one()) {}
  for (std::size_t const i : {0u, 1u, 2u, 4u, 5u, 7u, 8u}) CHECK(calls[i].get()->status == 200);
  CHECK(g.order.size() == 7);
}

TEST_CASE("who waits behind a failed connect hears of it") {
  // One connect at a time, each without an answer: one after the other they would take longer than
  // anybody's deadline.
  auto const listening = raw_socket::unconnected();
  auto const port = listening.listen(0);
  std::vector<raw_socket> filling;
  for (int i = 0; i != 4; ++i) {
    filling.push_back(raw_socket::unconnected());
    filling.back().begin_connect(port);
  }
  auto o = quick();
  o.max_peer_connections = 1;
  o.connect_timeout = 100ms;
  caller client{o};
  std::vector<std::future<reply>> calls;
  for (int i = 0; i != 100; ++i)
    calls.push_back(client.begin(peer(port), {wire_verb::get, "/", {}}, in(5s)));
  for (auto& c : calls) CHECK(c.get().error() == errc::unreachable);
}

TEST_CASE("a frozen peer holds no one up but its own callers") {
  raw_server frozen{silent};
  node good{echo()};
  auto o = quick();
  o.io_threads = 1;
  o.max_peer_connections = 2;
  caller client{o};
  std::vector<std::future<reply>> stuck;
  for (int i = 0; i != 50; ++i)
    stuck.push_back(client.begin(peer(frozen.port()), {wire_verb::get, "/", {}}, in(200ms)));
  for (int i = 0; i != 50; ++i) CHECK(client.ask(good.port)->status == 200);
  for (auto& c : stuck) CHECK(c.get().error() == errc::deadline);
}

TEST_CASE("stop cancels what is pending, once, and refuses what comes after") {
  raw_server server{silent};
  auto o = quick();
  o.max_peer_connections = 2;
  caller client{o};
  std::vector<std::future<reply>> calls;
  for (int i = 0; i != 10; ++i)
    calls.push_back(client.begin(peer(server.port()), {wire_verb::get, "/", {}}, in(1h)));
  client.t.stop(in(0s));
  for (auto& c : calls) {
    REQUIRE(c.wait_for(0s) == std::future_status::ready);
    CHECK(c.get().error() == errc::cancelled);
  }
  CHECK(client.ask(server.port()).error() == errc::cancelled);
  client.t.stop(in(0s));
  CHECK_FALSE(client.t.listen(self(), echo()));
}

TEST_CASE("stop under load: every call is answered", "[concurrent]") {
  for (int round = 0; round != 5; ++round) {
    auto server = std::make_unique<node>(echo());
    caller client;
    std::atomic<bool> done{false};
    std::atomic<int> good{0}, bad{0}, wrong{0};
    std::vector<std::thread> threads;
    for (int t = 0; t != 4; ++t)
      threads.emplace_back([&, t] {
        for (int i = 0; !done; ++i) {
          auto const body = std::to_string(t) + '.' + std::to_string(i);
          auto const r = client.ask(server->port, "/b", body);
          if (!r) {
            ++bad;
            if (r.error() == errc::deadline) ++wrong;
          } else if (r->body == "/b|" + body) {
            ++good;
          } else {
            ++wrong;
          }
        }
      });
    CHECK(eventually([&] { return good > 100; }));
    if (round % 2 == 0) {
      server->t.stop(in(10s));
      CHECK(eventually([&] { return bad > 10; }));
    }
    client.t.stop(in(10s));
    done = true;
    for (auto& t : threads) t.join();
    CHECK(wrong == 0);
  }
}

TEST_CASE("many threads, many calls in flight", "[concurrent]") {
  node server{echo()};
  caller client;
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t != 4; ++t)
    threads.emplace_back([&, t] {
      for (int round = 0; round != 10; ++round) {
        std::vector<std::future<reply>> calls;
        for (int i = 0; i != 50; ++i)
          calls.push_back(client.begin(peer(server.port),
                                       {wire_verb::post, "/", std::to_string(t * 1'000 + i)},
                                       in(10s)));
        for (int i = 0; i != 50; ++i) {
          auto const r = calls[static_cast<std::size_t>(i)].get();
          if (!r || !(r->body == "/|" + std::to_string(t * 1'000 + i))) ++wrong;
        }
      }
    });
  for (auto& t : threads) t.join();
  CHECK(wrong == 0);
}

TEST_CASE("a completion may call again, and a server may call others", "[concurrent]") {
  node last{echo()};
  std::unique_ptr<caller> between = std::make_unique<caller>();
  node first{[&](kcache::wire_request_view r, kcache::wire_responder answer) {
    between->t.call(peer(last.port), {wire_verb::get, std::string{r.target}, {}}, in(10s),
                    [answer = std::move(answer)](reply got) mutable {
                      answer({200, kcache::media::text, std::string{got->body.view()}, {}});
                    });
  }};
  caller client;
  std::promise<std::string> end;
  struct loop {
    caller& c;
    std::uint16_t port;
    std::promise<std::string>& end;
    int left;
    void operator()(reply r) {
      if (!r) return end.set_value(std::string{r.error().message()});
      if (left-- == 0) return end.set_value(std::string{r->body.view()});
      c.t.call(peer(port), {wire_verb::get, "/" + std::to_string(left), {}}, in(10s), loop{*this});
    }
  };
  loop{client, first.port, end, 100}(kcache::wire_reply{});
  CHECK(end.get_future().get() == "/0|");
  first.t.stop(in(10s));
}

TEST_CASE("a transport on the user's executor", "[concurrent]") {
  boost::asio::io_context context;
  auto work = boost::asio::make_work_guard(context);
  std::vector<std::thread> threads;
  for (int i = 0; i != 2; ++i) threads.emplace_back([&] { context.run(); });
  {
    auto o = quick();
    o.executor = context.get_executor();
    node server{echo(), o};
    caller client{o};
    std::vector<std::future<reply>> calls;
    for (int i = 0; i != 200; ++i)
      calls.push_back(client.begin(peer(server.port),
                                   {wire_verb::post, "/", std::to_string(i)}, in(10s)));
    for (int i = 0; i != 200; ++i)
      CHECK(calls[static_cast<std::size_t>(i)].get()->body == "/|" + std::to_string(i));
    raw_server mute{silent};
    auto pending = client.begin(peer(mute.port()), {wire_verb::get, "/", {}}, in(1h));
    client.t.stop(in(1s));
    CHECK(pending.get().error() == errc::cancelled);
    server.t.stop(in(1s));
  }
  work.reset();
  for (auto& t : threads) t.join();
}

TEST_CASE("over a user's context that never runs, stop is bounded and nothing is lost") {
  std::future<reply> pending;
  {
    boost::asio::io_context context;
    auto o = quick();
    o.executor = context.get_executor();
    {
      caller client{o};
      pending = client.begin(peer(1), {wire_verb::get, "/", {}}, in(1h));
    }
  }
  REQUIRE(pending.wait_for(0s) == std::future_status::ready);
  CHECK(pending.get().error() == errc::cancelled);
}

TEST_CASE("peers that are asked no more are forgotten") {
  auto o = quick();
  auto const threads = std::make_shared<kcache::beast::io_threads>(o);
  kcache::beast::http_client client{o, threads};
  for (int i = 0; i != 1'000; ++i) {
    std::promise<void> done;
    client.call(kcache::peer_address::parse("http://127.1.0." + std::to_string(i % 250) + ":" +
                                            std::to_string(1 + i / 250))
                    .value(),
                {wire_verb::get, "/", {}}, in(10s), [&](reply) { done.set_value(); });
    done.get_future().wait();
  }
  CHECK(client.peers() < 200);
  client.stop();
}
