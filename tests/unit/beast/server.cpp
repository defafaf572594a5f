// SPDX-License-Identifier: BSL-1.0
#include <kcache/beast/server.hpp>

#include "support/catch.hpp"
#include "support/http_corpus.hpp"
#include "support/raw_http.hpp"

#include <boost/asio/io_context.hpp>

#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
// Asio counts the references to a large executor (a strand over any_io_executor) with a fence
// before the deletion, which the thread sanitizer does not model. One definition for all the tests
// that are linked together.
extern "C" char const* __tsan_default_suppressions();
extern "C" char const* __tsan_default_suppressions() {
  return "race:boost::asio::execution::detail::shared_target_executor\n";
}
#endif
#endif

using namespace std::chrono_literals;
using kcache::beast::http_server;
using kcache::beast::options;
using kcache_tests::port_of;
using kcache_tests::raw_message;
using kcache_tests::raw_reader;
using kcache_tests::raw_socket;

namespace {

kcache::wire_response text(std::string body, int status = 200) {
  return {status, kcache::media::text, std::move(body), {}};
}
std::string get(std::string const& target) {
  return "GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n";
}
std::string post(std::string const& target, std::string const& body) {
  return "POST " + target + " HTTP/1.1\r\nHost: x\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

/// Answers with what it was asked; remembers the targets.
struct echo {
  std::mutex mutex;
  std::multiset<std::string> seen;

  kcache::wire_server handler() {
    return [this](kcache::wire_request_view request, kcache::wire_responder reply) {
      {
        std::lock_guard lock{mutex};
        seen.insert(std::string{request.target});
      }
      reply(text(std::string{request.target} + '|' + std::string{request.body}));
    };
  }
  std::size_t count(std::string const& target) {
    std::lock_guard lock{mutex};
    return seen.count(target);
  }
};

/// Keeps the responders for the test to answer.
struct keeper {
  std::mutex mutex;
  std::condition_variable came;
  std::deque<std::pair<std::string, kcache::wire_responder>> kept;

  kcache::wire_server handler() {
    return [this](kcache::wire_request_view request, kcache::wire_responder reply) {
      std::lock_guard lock{mutex};
      kept.emplace_back(std::string{request.target}, std::move(reply));
      came.notify_all();
    };
  }
  std::pair<std::string, kcache::wire_responder> take() {
    std::unique_lock lock{mutex};
    if (!came.wait_for(lock, 10s, [&] { return !kept.empty(); }))
      throw std::runtime_error{"no request came"};
    auto first = std::move(kept.front());
    kept.pop_front();
    return first;
  }
  std::size_t size() {
    std::lock_guard lock{mutex};
    return kept.size();
  }
};

/// Limits of time made small; those of size as they are.
options quick() {
  options o;
  o.tick = 5ms;
  o.io_threads = 2;  // whatever the machine
  o.linger = 5'000ms;
  return o;
}

struct server {
  explicit server(kcache::wire_server handler, options o = quick()) : http{std::move(o)} {
    auto const outcome = http.listen(std::move(handler));
    if (!outcome) throw std::runtime_error{std::string{outcome.error().message()}};
  }
  raw_socket connect() const { return raw_socket::connect(port_of(http.address())); }

  /// One request on a connection of its own.
  raw_message ask(std::string const& bytes) const {
    auto socket = connect();
    socket.send(bytes);
    return raw_reader{socket}.next();
  }
  http_server http;
};

template <class F>
bool eventually(F const& f) {
  for (auto const limit = std::chrono::steady_clock::now() + 10s; !f(); std::this_thread::yield())
    if (std::chrono::steady_clock::now() > limit) return false;
  return true;
}

std::size_t occurrences(std::string const& where, std::string const& what) {
  std::size_t n = 0;
  for (auto at = where.find(what); at != std::string::npos; at = where.find(what, at + 1)) ++n;
  return n;
}

}  // namespace

TEST_CASE("a bad request is answered once, then the connection is closed") {
  echo e;
  server s{e.handler()};
  for (auto const& bad : kcache_tests::bad_requests()) {
    INFO(bad.what);
    auto socket = s.connect();
    socket.send(bad.bytes);
    auto const answer = socket.receive_all();
    CHECK(answer.rfind("HTTP/1.1 " + std::to_string(bad.status) + ' ', 0) == 0);
    CHECK(occurrences(answer, "HTTP/1.1 ") == 1);
    CHECK(answer.find("\r\nConnection: close\r\n") != std::string::npos);
    CHECK(answer.find("\r\nX-Content-Type-Options: nosniff\r\n") != std::string::npos);
    CHECK(answer.back() == '\n');
    CHECK(socket.was_closed());
    CHECK(s.ask(get("/next")).body == "/next|");
  }
  CHECK(e.count("/hidden") == 0);
  CHECK(e.count("/a") == 0);
  CHECK(kcache_tests::bad_requests().size() >= 60);
}

TEST_CASE("a refused client can read why, though it goes on sending") {
  echo e;
  server s{e.handler()};
  auto socket = s.connect();
  std::string const body(20'000'000, 'x');
  CHECK(socket.send(post("/a", body)));  // a reset would end it
  auto const answer = socket.receive_all();
  CHECK(answer.rfind("HTTP/1.1 413 ", 0) == 0);
  CHECK(answer.find("request body too large\n") != std::string::npos);
}

TEST_CASE("what is sent ahead is served in order, one request at a time") {
  SECTION("answered at once") {
    echo e;
    server s{e.handler()};
    auto socket = s.connect();
    std::string all;
    for (int i = 0; i != 300; ++i) all += post("/" + std::to_string(i), std::to_string(i * i));
    socket.send(all);
    raw_reader in{socket};
    for (int i = 0; i != 300; ++i)
      REQUIRE(in.next().body == "/" + std::to_string(i) + '|' + std::to_string(i * i));
    CHECK(socket.is_quiet());
  }
  SECTION("answered later") {
    keeper k;
    server s{k.handler()};
    auto socket = s.connect();
    socket.send(get("/1") + get("/2"));
    auto first = k.take();
    CHECK(first.first == "/1");
    // Another connection is served meanwhile, and this one's second request is not.
    auto other = s.connect();
    other.send(get("/other"));
    auto others = k.take();
    CHECK(others.first == "/other");
    others.second(text("o"));
    CHECK(raw_reader{other}.next().body == "o");
    CHECK(k.size() == 0);
    std::thread{[&] { first.second(text("one")); }}.join();
    raw_reader in{socket};
    CHECK(in.next().body == "one");
    auto second = k.take();
    CHECK(second.first == "/2");
    second.second(text("two"));
    CHECK(in.next().body == "two");
  }
}

TEST_CASE("a request may come in any pieces") {
  echo e;
  server s{e.handler()};
  auto socket = s.connect();
  raw_reader in{socket};
  for (char const c : post("/bytes", "body")) socket.send({&c, 1});
  CHECK(in.next().body == "/bytes|body");
  std::string const large(64 * 1'024, 'x');
  auto const message = post("/large", large);
  for (std::size_t at = 0; at < message.size(); at += 1'000) socket.send(message.substr(at, 1'000));
  CHECK(in.next().body == "/large|" + large);
  socket.send(get("/again"));
  CHECK(in.next().body == "/again|");
  CHECK(s.http.connections() == 1);
}

TEST_CASE("a client that leaves in the middle of a request disturbs nobody") {
  echo e;
  server s{e.handler()};
  for (std::string const part : {"", "GET", "GET /a HTTP/1.1\r\nHo",
                                 "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhell"}) {
    {
      auto closing = s.connect();
      closing.send(part);
      auto resetting = s.connect();
      resetting.send(part);
      resetting.reset();
      auto finishing = s.connect();
      finishing.send(part);
      finishing.finish();
      CHECK(finishing.receive_all().empty());
      CHECK(finishing.was_closed());
    }
    CHECK(s.ask(get("/next")).body == "/next|");
  }
  CHECK(e.count("/a") == 0);
  CHECK(eventually([&] { return s.http.connections() == 0; }));
}

TEST_CASE("a slow request ends the connection") {
  auto o = quick();
  o.head_timeout = o.body_timeout = 20ms;
  o.idle_timeout = 20ms;
  echo e;
  server s{e.handler(), o};
  for (std::string const part : {"G", "GET /a HTTP/1.1\r\nHost: x\r\n",
                                 "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nhel"}) {
    auto socket = s.connect();
    socket.send(part);
    CHECK(socket.receive_all().rfind("HTTP/1.1 408 Request Timeout\r\n", 0) == 0);
    CHECK(socket.was_closed());
  }
  auto idle = s.connect();
  CHECK(idle.receive_all().empty());
  CHECK(idle.was_closed());
  CHECK(e.seen.empty());
  CHECK(eventually([&] { return s.http.connections() == 0; }));
}

TEST_CASE("the deadline of a head is absolute: a byte now and then does not move it") {
  auto o = quick();
  o.head_timeout = 30ms;
  echo e;
  server s{e.handler(), o};
  auto slow = s.connect();
  auto other = s.connect();
  raw_reader in{other};
  // The pace is that of another client's requests: far from the bytes that are too many.
  for (int i = 0; i != 40'000 && slow.is_quiet(); ++i) {
    if (i % 10 == 0) slow.send("a");
    other.send(get("/other"));
    REQUIRE(in.next().body == "/other|");
  }
  CHECK_FALSE(slow.is_quiet());
  CHECK(slow.receive_all().rfind("HTTP/1.1 408 ", 0) == 0);
}

TEST_CASE("many slow clients are all let go, and hold nobody up") {
  auto o = quick();
  o.head_timeout = 20ms;
  echo e;
  server s{e.handler(), o};
  std::vector<raw_socket> slow;
  for (int i = 0; i != 300; ++i) {
    slow.push_back(s.connect());
    slow.back().send("GET /slow HTTP/1.1\r\nHo");
  }
  CHECK(s.ask(get("/quick")).body == "/quick|");
  CHECK(eventually([&] { return s.http.connections() == 0; }));
  CHECK(e.count("/slow") == 0);
}

TEST_CASE("connections over the limit are told so") {
  auto o = quick();
  o.max_connections = 2;
  echo e;
  server s{e.handler(), o};
  auto a = s.connect();
  auto b = s.connect();
  a.send(get("/a"));
  b.send(get("/b"));
  CHECK(raw_reader{a}.next().body == "/a|");
  CHECK(raw_reader{b}.next().body == "/b|");
  auto c = s.connect();
  auto const answer = c.receive_all();
  CHECK(answer.rfind("HTTP/1.1 503 Service Unavailable\r\n", 0) == 0);
  CHECK(c.was_closed());
  a.close();
  CHECK(eventually([&] { return s.http.connections() < 2; }));
  CHECK(s.ask(get("/d")).body == "/d|");
  b.send(get("/b"));
  CHECK(raw_reader{b}.next().body == "/b|");
}

TEST_CASE("a connection is closed when either side wants it") {
  echo e;
  SECTION("the client") {
    server s{e.handler()};
    auto socket = s.connect();
    socket.send("GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" + get("/hidden"));
    auto const answer = socket.receive_all();
    CHECK(answer.find("\r\nConnection: close\r\n") != std::string::npos);
    CHECK(answer.substr(answer.size() - 3) == "/a|");
    CHECK(socket.was_closed());
    CHECK(e.count("/hidden") == 0);
  }
  SECTION("the server, after a while") {
    auto o = quick();
    o.max_age = 0ms;
    server s{e.handler(), o};
    auto socket = s.connect();
    socket.send(get("/a"));
    CHECK(socket.receive_all().find("\r\nConnection: close\r\n") != std::string::npos);
  }
  SECTION("neither") {
    server s{e.handler()};
    auto socket = s.connect();
    socket.send(get("/a"));
    CHECK_FALSE(raw_reader{socket}.next().has("Connection: close"));
    CHECK(socket.is_quiet());
  }
}

TEST_CASE("replies are labelled") {
  struct {
    kcache::media type;
    std::string label;
  } const all[] = {{kcache::media::octet_stream, "application/octet-stream"},
                   {kcache::media::protobuf, "application/protobuf"},
                   {kcache::media::x_protobuf, "application/x-protobuf"},
                   {kcache::media::text, "text/plain; charset=utf-8"},
                   {kcache::media::json, "application/json"}};
  for (auto const& one : all) {
    server s{[&](kcache::wire_request_view, kcache::wire_responder reply) {
      reply({201, one.type, "head ", kcache::shared_bytes::of("tail")});
    }};
    auto const m = s.ask(get("/"));
    CHECK(m.status == 201);
    CHECK(m.has("Content-Type: " + one.label));
    CHECK(m.has("Content-Length: 9"));
    CHECK(m.has("X-Content-Type-Options: nosniff") == (one.type == kcache::media::text));
    CHECK(m.body == "head tail");
  }
}

TEST_CASE("verbs, and the bodies that they and statuses do not have") {
  int status = 200;
  server s{[&](kcache::wire_request_view r, kcache::wire_responder reply) {
    std::string const names[] = {"get", "post", "put", "del", "other"};
    reply(text(names[static_cast<std::size_t>(r.verb)], status));
  }};
  auto const ask = [&](std::string const& verb) {
    return s.ask(verb + " / HTTP/1.1\r\nHost: x\r\n\r\n").body;
  };
  CHECK(ask("GET") == "get");
  CHECK(ask("POST") == "post");
  CHECK(ask("PUT") == "put");
  CHECK(ask("DELETE") == "del");
  CHECK(ask("PATCH") == "other");
  CHECK(ask("get") == "other");
  CHECK(ask("FROB") == "other");

  auto socket = s.connect();
  raw_reader in{socket};
  socket.send("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
  auto const head = in.next(false);
  CHECK(head.status == 200);
  CHECK(head.has("Content-Length: 5"));
  socket.send(get("/"));
  auto const next = in.next();
  CHECK(next.status == 200);  // nothing stood between the two
  CHECK(next.body == "get");
  status = 204;
  socket.send(get("/"));
  auto const empty = in.next();
  CHECK(empty.status == 204);
  CHECK(empty.head.find("Content-") == std::string::npos);
  status = 200;
  socket.send(get("/"));
  CHECK(in.next().status == 200);
}

TEST_CASE("a client that waits for 100 Continue gets it") {
  echo e;
  server s{e.handler()};
  auto socket = s.connect();
  raw_reader in{socket};
  socket.send("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
  CHECK(in.next().status == 100);
  socket.send("body");
  CHECK(in.next().body == "/a|body");
}

TEST_CASE("a request that nobody answers is a closed connection, not a hang") {
  SECTION("given up in the call") {
    server s{[](kcache::wire_request_view, kcache::wire_responder) {}};
    auto socket = s.connect();
    socket.send(get("/a"));
    CHECK(socket.receive_all().empty());
    CHECK(socket.was_closed());
  }
  SECTION("given up later") {
    keeper k;
    server s{k.handler()};
    auto socket = s.connect();
    socket.send(get("/a"));
    { auto const given_up = k.take(); }
    CHECK(socket.receive_all().empty());
    CHECK(socket.was_closed());
  }
  SECTION("kept too long") {
    keeper k;
    auto o = quick();
    o.service_timeout = 20ms;
    server s{k.handler(), o};
    auto socket = s.connect();
    socket.send(get("/a"));
    auto late = k.take();
    CHECK(socket.receive_all().empty());
    CHECK(socket.was_closed());
    late.second(text("too late"));
    CHECK(eventually([&] { return s.http.connections() == 0; }));
  }
  SECTION("the handler throws") {
    server s{[](kcache::wire_request_view, kcache::wire_responder) { throw 1; }};
    auto socket = s.connect();
    socket.send(get("/a"));
    CHECK(socket.receive_all().rfind("HTTP/1.1 500 ", 0) == 0);
    CHECK(socket.was_closed());
  }
}

TEST_CASE("a large reply goes out in parts") {
  std::string large(8 * 1'024 * 1'024, '\0');
  for (std::size_t i = 0; i != large.size(); ++i) large[i] = static_cast<char>(i * i >> 7);
  auto const bytes = kcache::shared_bytes::of(large);
  server s{[&](kcache::wire_request_view, kcache::wire_responder reply) {
    reply({200, kcache::media::octet_stream, "head", bytes});
  }};
  auto socket = s.connect();
  socket.send(get("/1") + get("/2"));
  raw_reader in{socket};
  CHECK((in.next().body == "head" + large));
  CHECK((in.next().body == "head" + large));
}

TEST_CASE("a client that does not read its reply is let go") {
  auto o = quick();
  o.write_timeout = 20ms;
  std::string const large(64 * 1'024 * 1'024, 'x');
  auto const bytes = kcache::shared_bytes::of(large);
  server s{[&](kcache::wire_request_view, kcache::wire_responder reply) {
             reply({200, kcache::media::octet_stream, {}, bytes});
           },
           o};
  auto socket = s.connect();
  socket.send(get("/a"));
  CHECK(eventually([&] { return s.http.connections() == 0; }));
  CHECK(socket.receive_all().size() < large.size());
}

TEST_CASE("a handler runs where blocking is refused") {
  server s{[](kcache::wire_request_view, kcache::wire_responder reply) {
    reply(text(kcache::no_blocking_scope::active() ? "refused" : "allowed"));
  }};
  CHECK(s.ask(get("/")).body == "refused");
  CHECK_FALSE(kcache::no_blocking_scope::active());
}

TEST_CASE("an address that cannot be had is a clear error") {
  echo e;
  SECTION("a busy port") {
    server s{e.handler()};
    auto const port = port_of(s.http.address());
    http_server second{{.port = port}};
    auto const outcome = second.listen(e.handler());
    REQUIRE_FALSE(outcome);
    CHECK(outcome.error() == kcache::errc::cannot_listen);
    CHECK(outcome.error().message() == "cannot listen on 127.0.0.1:" + std::to_string(port) +
                                           ": address already in use");
    CHECK(second.address().empty());
    second.stop(0ms);
  }
  SECTION("not loopback") {
    for (std::string const host : {"0.0.0.0", "::", "192.0.2.1"}) {
      http_server s{{.listen = host}};
      auto const outcome = s.listen(e.handler());
      REQUIRE_FALSE(outcome);
      CHECK(outcome.error() == kcache::errc::cannot_listen);
      CHECK(outcome.error().message().find("insecure_ok") != std::string_view::npos);
    }
    http_server said{{.listen = "0.0.0.0", .insecure_ok = true}};
    CHECK(said.listen(e.handler()));
    auto socket = raw_socket::connect(port_of(said.address()));
    socket.send(get("/a"));
    CHECK(raw_reader{socket}.next().body == "/a|");
  }
  SECTION("nobody's") {
    http_server s{{.listen = "192.0.2.1", .insecure_ok = true}};
    CHECK_FALSE(s.listen(e.handler()));
  }
  SECTION("twice") {
    server s{e.handler()};
    CHECK_FALSE(s.http.listen(e.handler()));
    CHECK(s.ask(get("/a")).body == "/a|");
  }
}

TEST_CASE("stop lets requests in service finish and says goodbye") {
  keeper k;
  server s{k.handler()};
  auto idle = s.connect();
  auto half = s.connect();
  half.send("GET /half");
  auto busy = s.connect();
  busy.send(get("/busy"));
  auto request = k.take();
  CHECK(eventually([&] { return s.http.connections() == 3; }));

  std::thread stopper{[&] { s.http.stop(10s); }};
  CHECK(idle.receive_all().empty());
  CHECK(idle.was_closed());
  CHECK(half.receive_all().empty());
  CHECK(half.was_closed());
  CHECK(busy.is_quiet());
  request.second(text("done"));
  auto const answer = busy.receive_all();
  busy.close();
  stopper.join();
  CHECK(answer.find("\r\nConnection: close\r\n") != std::string::npos);
  CHECK(answer.substr(answer.size() - 4) == "done");
  CHECK(s.http.connections() == 0);
  s.http.stop(10s);  // again: nothing happens
  CHECK_THROWS(s.connect());
}

TEST_CASE("stop does not wait for ever, and what is answered after it harms nobody") {
  keeper k;
  std::pair<std::string, kcache::wire_responder> late;
  {
    server s{k.handler()};
    auto socket = s.connect();
    socket.send(get("/a"));
    late = k.take();
    s.http.stop(10ms);
    CHECK(socket.receive_all().empty());
    CHECK(socket.was_closed());
  }
  late.second(text("too late"));
}

TEST_CASE("running out of descriptors is waited out") {
  echo e;
  server s{e.handler()};
  auto const port = port_of(s.http.address());
  auto client = s.connect();
  raw_reader in{client};
  client.send(get("/before"));
  CHECK(in.next().body == "/before|");
  auto waiting = raw_socket::unconnected();
  {
    struct limited {
      rlimit usual{};
      limited() {
        ::getrlimit(RLIMIT_NOFILE, &usual);
        rlimit none = usual;
        none.rlim_cur = 3;
        ::setrlimit(RLIMIT_NOFILE, &none);
      }
      ~limited() { ::setrlimit(RLIMIT_NOFILE, &usual); }
    } const guard;
    waiting.connect_to(port);
    waiting.send(get("/after"));
    for (int i = 0; i != 100; ++i) {
      client.send(get("/meanwhile"));
      CHECK(in.next().body == "/meanwhile|");
    }
    CHECK(e.count("/after") == 0);
  }
  CHECK(raw_reader{waiting}.next().body == "/after|");
}

TEST_CASE("many clients at once", "[concurrent]") {
  echo e;
  auto o = quick();
  o.io_threads = 3;
  server s{e.handler(), o};
  std::atomic<int> wrong{0};
  std::vector<std::thread> clients;
  for (int c = 0; c != 8; ++c)
    clients.emplace_back([&, c] {
      std::vector<raw_socket> sockets;
      for (int i = 0; i != 25; ++i) sockets.push_back(s.connect());
      for (int round = 0; round != 10; ++round) {
        auto const name = "/" + std::to_string(c) + '/' + std::to_string(round);
        for (auto& socket : sockets) socket.send(post(name, "b"));
        for (auto& socket : sockets)
          if (raw_reader{socket}.next().body != name + "|b") ++wrong;
      }
    });
  for (auto& c : clients) c.join();
  CHECK(wrong == 0);
  CHECK(e.seen.size() == 8 * 25 * 10);
}

TEST_CASE("answers from other threads, and a stop under load", "[concurrent]") {
  for (int round = 0; round != 5; ++round) {
    std::atomic<bool> stopped{false};
    std::atomic<int> after{0};
    keeper k;
    auto o = quick();
    o.tick = 1ms;
    auto s = std::make_unique<server>(
        [&, keep = k.handler()](kcache::wire_request_view r, kcache::wire_responder reply) mutable {
          if (stopped) ++after;
          if (r.target == "/now") return reply(text("now"));
          keep(r, std::move(reply));
        },
        o);
    auto const port = port_of(s->http.address());
    std::atomic<bool> done{false};
    std::thread answering{[&] {
      while (!done) {
        std::unique_lock lock{k.mutex};
        k.came.wait_for(lock, 1ms, [&] { return !k.kept.empty(); });
        auto batch = std::exchange(k.kept, {});
        lock.unlock();
        for (std::size_t i = 0; i != batch.size(); ++i)
          if (i % 7 != 6) batch[i].second(text("later"));  // the others are given up
      }
    }};
    std::atomic<int> served{0};
    std::vector<std::thread> clients;
    for (int c = 0; c != 6; ++c)
      clients.emplace_back([&, c] {
        try {
          while (!done) {
            auto socket = raw_socket::connect(port);
            raw_reader in{socket};
            for (int i = 0; i != 5; ++i) {
              socket.send(get(c % 2 == 0 ? "/now" : "/later"));
              if (in.next().status == 0) break;
              ++served;
            }
          }
        } catch (std::runtime_error const&) {
          // Nobody listens any more.
        }
      });
    CHECK(eventually([&] { return served > 50; }));
    s->http.stop(std::chrono::milliseconds{round * 5});
    stopped = true;
    done = true;
    for (auto& c : clients) c.join();
    if (round % 2 == 0) s.reset();  // before the last responders go
    answering.join();
    CHECK(after == 0);
  }
}

TEST_CASE("a server on the user's executor starts no thread", "[concurrent]") {
  boost::asio::io_context context;
  auto work = boost::asio::make_work_guard(context);
  std::set<std::thread::id> users;
  std::vector<std::thread> threads;
  for (int i = 0; i != 2; ++i) {
    threads.emplace_back([&] { context.run(); });
    users.insert(threads.back().get_id());
  }
  {
    auto o = quick();
    o.executor = context.get_executor();
    std::atomic<int> strangers{0};
    server s{[&](kcache::wire_request_view r, kcache::wire_responder reply) {
               if (users.count(std::this_thread::get_id()) == 0) ++strangers;
               if (!kcache::no_blocking_scope::active()) ++strangers;
               reply(text(std::string{r.target}));
             },
             o};
    std::vector<std::thread> clients;
    std::atomic<int> wrong{0};
    for (int c = 0; c != 4; ++c)
      clients.emplace_back([&] {
        auto socket = s.connect();
        raw_reader in{socket};
        for (int i = 0; i != 200; ++i) {
          socket.send(get("/" + std::to_string(i)));
          if (in.next().body != "/" + std::to_string(i)) ++wrong;
        }
      });
    for (auto& c : clients) c.join();
    CHECK(wrong == 0);
    CHECK(strangers == 0);
    auto idle = s.connect();
    CHECK(eventually([&] { return s.http.connections() >= 1; }));
    s.http.stop(1s);
    CHECK(idle.receive_all().empty());
    CHECK(s.http.connections() == 0);
  }
  work.reset();
  for (auto& t : threads) t.join();  // nothing of ours keeps the context busy
}

namespace {

struct entry final : kcache::beast::timed {
  entry() = default;
  void expire(kcache::time_point now) override {
    CHECK(now >= due_at());
    on_expire();
  }
  using timed::due_at;
  using timed::link;
  using timed::unlink;
  std::function<void()> on_expire;
};

}  // namespace

TEST_CASE("a deadline may end others of its lane while they are looked at") {
  kcache::beast::io_threads threads{quick()};
  auto& lane = threads.at(0);
  entry all[5];
  std::promise<int> done;
  int expired = 0;
  lane->submit([&] {
    for (auto& one : all) {
      one.on_expire = [&] {
        ++expired;
        for (auto& other : all) other.unlink();
        // Behind what was looked at just now: on the next tick nothing is left.
        lane->submit([&] { done.set_value(expired); });
      };
      one.link(*lane);
      one.due_at(kcache::beast::lane::now());
    }
  });
  CHECK(done.get_future().get() == 1);
}

TEST_CASE("two servers can share threads") {
  auto const threads = std::make_shared<kcache::beast::io_threads>(quick());
  echo e;
  http_server a{quick(), threads};
  {
    http_server b{quick(), threads};
    REQUIRE(a.listen(e.handler()));
    REQUIRE(b.listen(e.handler()));
    for (auto const* s : {&a, &b}) {
      auto socket = raw_socket::connect(port_of(s->address()));
      socket.send(get("/a"));
      CHECK(raw_reader{socket}.next().body == "/a|");
    }
  }
  auto socket = raw_socket::connect(port_of(a.address()));
  socket.send(get("/still"));
  CHECK(raw_reader{socket}.next().body == "/still|");
}
