// SPDX-License-Identifier: BSL-1.0
// The examples in the headers of floor 4 and above that need a transport; built, and run where they
// do not ask for a fixed port or for another machine.
#include <kcache/beast/async_get.hpp>
#include <kcache/beast/coroutine_loader.hpp>
#include <kcache/beast/mount.hpp>
#include <kcache/beast/server.hpp>
#include <kcache/cluster/loopback_transport.hpp>
#include <kcache/defaults.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

using namespace std::chrono_literals;

// Not in the unnamed namespace: the example below is an included file, and g++ takes a coroutine's
// frame that holds one of them for a header's.
struct user {};
struct database {
  boost::asio::awaitable<user> find_user(std::string const&) { co_return user{}; }
};

namespace {

using my_rdma = kcache::beast_transport;
using my_codec = kcache::nanopb_codec;

std::string load_score(std::string const&) { return "630"; }

[[maybe_unused]] void cluster() {
#include "examples/cluster/cluster.hpp/1"
}

void bundles() {
  {
#include "examples/cluster/cluster_options.hpp/1"
    static_assert(std::is_same_v<decltype(node)::policies_type::transport, my_rdma>);
  }
  {
#include "examples/defaults.hpp/1"
    static_assert(std::is_same_v<decltype(node)::policies_type::codec, my_codec>);
  }
}

void loopback() {
  using node = kcache::basic_cluster<
      kcache::with_transport<kcache::loopback_transport, kcache::default_cluster_policies>>;
#include "examples/cluster/loopback_transport.hpp/1"
}

void options() {
#include "examples/beast/options.hpp/1"
}

[[maybe_unused]] void server() {
#include "examples/beast/server.hpp/1"
}

using strings = kcache::group<std::string, std::string>;

namespace net = boost::asio;
namespace http = boost::beast::http;

/// A session of a server of the user's own.
struct session : std::enable_shared_from_this<session> {
  template <class Cluster>
  void serve(Cluster& cluster, http::request<http::string_body> request) {
    auto const self = shared_from_this();
#include "examples/beast/mount.hpp/1"
  }
  void send_from_any_thread(kcache::beast::mounted_response r) {
    net::post(context, [this, r = std::move(r)]() mutable { answered = std::move(r); });
  }

  net::io_context context;
  kcache::beast::mounted_response answered;
};

void mount() {
  kcache::cluster node{{.self = "http://127.0.0.1:0"}};
  node.start().value();
  auto const user = std::make_shared<session>();
  user->serve(node, {http::verb::get, "/_kcache/nobody/Tom", 11});
  user->context.run();
  if (user->answered.result_int() != 404) std::exit(1);
}

[[maybe_unused]] net::awaitable<void> tokens(strings& scores) {
#include "examples/beast/async_get.hpp/1"
}

void coroutines() {
  net::io_context io;
  database db;
#include "examples/beast/coroutine_loader.hpp/1"
}

}  // namespace

int main() {
  coroutines();
  bundles();
  loopback();
  options();
  mount();
}
