// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_BEAST_DETAIL_CLIENT_HPP
#define KCACHE_BEAST_DETAIL_CLIENT_HPP
/// \file
/// Floor 5. `http_client`: calls to peers, over a pool of kept connections for each.

#include <kcache/beast/detail/client_pool.hpp>
#include <kcache/beast/io_threads.hpp>
#include <kcache/beast/options.hpp>
#include <kcache/cluster/transport.hpp>
#include <kcache/peer.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <utility>

namespace kcache::beast {

/// The client half of the transport. Each peer's pool lives on one lane, given in turn; one lane
/// carries some 100,000 calls a second, which bounds what this node can ask of one peer.
///
/// Thread safety: all but destruction.
class http_client {
 public:
  http_client(options const& o, std::shared_ptr<io_threads> threads)
      : threads_{std::move(threads)}, o_{std::make_shared<options const>(o)} {}
  http_client(http_client const&) = delete;
  http_client& operator=(http_client const&) = delete;
  ~http_client() { stop(); }

  /// As `transport.call`; the deadline is on std's steady timeline.
  void call(peer_address const& peer, wire_request request, time_point deadline,
            wire_completion done) {
    if (!is_target(request.target) || verb_text(request.verb).empty())
      return done(kcache::error{errc::unsupported, "not a request that HTTP can carry"});
    if (auto const pool = find(peer))
      return pool->call(std::move(request), deadline, std::move(done));
    done(errc::cancelled);
  }

  /// Answers every pending call `cancelled` and closes all connections. Never on an I/O thread.
  void stop() {
    pools all;
    {
      std::unique_lock lock{mutex_};
      if (std::exchange(stopped_, true)) return;
      all.swap(pools_);
    }
    threads_->on_each(
        [all = std::make_shared<pools const>(std::move(all)), threads = lanes()](std::size_t i) {
          for (auto const& [name, pool] : *all)
            if (&pool->home() == threads[i].get()) pool->close();
        },
        std::chrono::seconds{1});
  }

  /// Peers that this node has asked something lately.
  [[nodiscard]] std::size_t peers() const {
    std::shared_lock lock{mutex_};
    return pools_.size();
  }

 private:
  using pools = std::unordered_map<std::string, std::shared_ptr<client_pool>>;
  static constexpr std::size_t many = 64;

  std::shared_ptr<client_pool> find(peer_address const& peer) {
    {
      std::shared_lock lock{mutex_};
      if (stopped_) return nullptr;
      if (auto const it = pools_.find(peer.canonical()); it != pools_.end()) return it->second;
    }
    std::unique_lock lock{mutex_};
    if (stopped_) return nullptr;
    // Peers come and go under new addresses; what is left of them is cleared away now and then.
    if (pools_.size() >= clear_at_) {
      std::erase_if(pools_, [](auto const& entry) { return entry.second->is_unused(); });
      clear_at_ = std::max(many, 2 * pools_.size());
    }
    auto& pool = pools_[peer.canonical()];
    if (!pool) pool = std::make_shared<client_pool>(threads_->next(), o_, peer);
    return pool;
  }

  std::vector<std::shared_ptr<lane>> lanes() const {
    std::vector<std::shared_ptr<lane>> all;
    for (std::size_t i = 0; i != threads_->size(); ++i) all.push_back(threads_->at(i));
    return all;
  }

  std::shared_ptr<io_threads> threads_;
  std::shared_ptr<options const> o_;
  mutable std::shared_mutex mutex_;
  pools pools_;
  std::size_t clear_at_ = many;
  bool stopped_ = false;
};

}  // namespace kcache::beast

#endif
