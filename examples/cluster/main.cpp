// SPDX-License-Identifier: BSL-1.0
// A node of the demo cluster: a cache of scores over an SQLite database. `node --help` tells more.
#include "front_end.hpp"
#include "options.hpp"
#include "source.hpp"
#include "stats.hpp"

#include <kcache/defaults.hpp>

#include <chrono>
#include <csignal>
#include <exception>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <variant>

namespace demo {
namespace {

using namespace std::chrono_literals;

// Together they bound the graceful stop: what is being answered gets this long, twice.
constexpr auto grace = 700ms;

class node {
 public:
  explicit node(options const& o)
      : pool_{{.max_threads = 16, .stop_within = 500ms}},
        cluster_{cluster_options(o)},
        api_{{.listen = o.listen, .port = o.api, .insecure_ok = o.insecure},
             cluster_.transport().threads()} {
    // Whatever the list of peers has against it should be said before anything is made.
    if (!o.peers.empty()) cluster_.set_peers(o.peers).value();
    source_ = std::make_shared<score_source>(o.db, o.loader_delay);
    scores_ = std::make_unique<score_group>(
        score_group::options_type{.name = "scores",
                                  .capacity = o.capacity,
                                  .ttl = o.ttl,
                                  .drain = grace,
                                  .executor = pool_},
        [source = source_](std::string const& name, kcache::load_context const& context) {
          return source->load(name, context);
        });
    front_ = std::make_unique<front_end>(
        *scores_, [this](std::string_view key) { return cluster_.owner_of(key).canonical(); },
        [this, d = std::string{name(o.dialect)}] { return to_json(stats(d)); });
    cluster_.add(*scores_).value();
    cluster_.start().value();
    if (o.api)
      api_.listen(
              [this](auto request, auto respond) { front_->serve(request, std::move(respond)); })
          .value();
  }

  ~node() {
    api_.stop(grace);
    cluster_.stop(grace);
    source_->stop();
  }
  node(node const&) = delete;
  node& operator=(node const&) = delete;

  /// What scripts wait for.
  [[nodiscard]] std::string ready() {
    auto text = "node " + cluster_.self().canonical() + " ready";
    if (auto const api = api_.address(); !api.empty()) text += ", api http://" + api;
    return text;
  }

 private:
  kcache::cluster::options_type cluster_options(options const& o) {
    kcache::cluster::options_type c;
    c.self = o.self;
    c.dialect = o.dialect;
    c.executor = pool_;
    c.transport.listen = o.listen;
    c.transport.port = o.port;
    c.transport.insecure_ok = o.insecure;
    c.other_requests = [this](auto request, auto respond) {
      front_->serve_stats(request, std::move(respond));
    };
    return c;
  }

  [[nodiscard]] node_stats stats(std::string const& dialect) const {
    node_stats s{.node = cluster_.self().canonical(),
                 .dialect = dialect,
                 .peers = {},
                 .group = std::string{scores_->name()},
                 .of_group = scores_->stats(),
                 .of_cluster = cluster_.stats()};
    for (auto const& peer : cluster_.peers()) s.peers.push_back(peer.canonical());
    return s;
  }

  kcache::thread_pool pool_;
  std::shared_ptr<score_source> source_;
  std::unique_ptr<score_group> scores_;
  std::unique_ptr<front_end> front_;
  kcache::cluster cluster_;
  kcache::beast::http_server api_;
};

}  // namespace
}  // namespace demo

int main(int argc, char** argv) {
  auto const parsed = demo::parse(argc, argv);
  if (auto const* status = std::get_if<int>(&parsed)) return *status;

  // Blocked in every thread that is started from here on; taken below.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);

  try {
    demo::node node{std::get<demo::options>(parsed)};
    std::cout << node.ready() << std::endl;
    int taken = 0;
    sigwait(&signals, &taken);
  } catch (kcache::failure const& e) {
    // what() ends with the name of the code, which adds nothing here.
    std::string text = e.what();
    auto const code = ": " + e.code().message();
    if (text.size() > code.size() && text.ends_with(code)) text.resize(text.size() - code.size());
    std::cerr << "node: " << text << '\n';
    return 1;
  } catch (std::exception const& e) {
    std::cerr << "node: " << e.what() << '\n';
    return 1;
  }
}
