// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_GROUP_CORE_HPP
#define KCACHE_DETAIL_GROUP_CORE_HPP
/// \file
/// Floor 3. What a group is made of: its cache, its flights, its loader, its way to the owners.
///
/// ## The life of one get
/// A hit is answered from the cache. A miss asks who owns the key. Where that is this node, or
/// there is no cluster, the caller joins the key's *load flight*, whose leader looks at the cache
/// once more and has the executor run the loader. Otherwise it joins the key's *fetch flight*,
/// whose leader asks the owner. The two kinds of flight never mix: a peer's question joins load
/// flights only, so that two nodes with different rings cannot wait for each other in a circle. A
/// fetch that finds its owner out of reach goes over to the load flight, which then keeps the value
/// only briefly.
///
/// ## What keeps what alive
/// The group owns the core. Loads, fetches and waiters on their way share it, so that a loader that
/// hangs while the group goes still finds everything it touches. `close` answers every waiter,
/// waits for running loads within a bound and lets go of the cluster.

#include <kcache/cache.hpp>
#include <kcache/detail/group_waiters.hpp>
#include <kcache/group_options.hpp>
#include <kcache/loader.hpp>
#include <kcache/policies/hash.hpp>
#include <kcache/remote_origin.hpp>
#include <kcache/single_flight.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <variant>

namespace kcache::detail {

/// How a load came about.
enum class load_kind : unsigned char {
  own,       ///< this node owns the key
  fallback,  ///< its owner is out of reach: bounded, kept briefly
  foreign,   ///< a peer that cannot know better asked the wrong node: answered, not kept
};

template <class Key, class Value, class Policies>
class group_core final : public std::enable_shared_from_this<group_core<Key, Value, Policies>> {
 public:
  using cache_type = kcache::cache<Key, Value, Policies>;
  using handle_type = typename cache_type::handle_type;
  using key_view = typename storage_traits<Key>::view_type;
  using answer = result<handle_type>;
  using handler = unique_function<void(answer)>;
  using options_type = group_options<Policies>;
  using executor_type = typename Policies::executor;
  using origin_type = remote_origin<Key, Value>;

  group_core(options_type o, loader<Key, Value> load)
      : executor_{o.executor},
        cache_{cache_options_of(o)},
        loads_{flight_hash{o}, o.max_waiters},
        fetches_{flight_hash{o}, o.max_waiters},
        loader_{std::move(load)},
        options_{std::move(o)} {}

  /// What `get` does after a miss.
  answer wait_get(key_view key, time_point deadline);
  void async_get(key_view key, std::shared_ptr<load_state> parent, time_point deadline, handler h);
  /// For the cluster: a look at the cache, then this node's own loader.
  [[nodiscard]] handle_type cached(key_view key) {
    counts_.served.fetch_add(1, std::memory_order_relaxed);
    return cache_.get(key);
  }
  void serve(Key const& key, load_kind kind, time_point deadline, handler h);

  /// False if the group has joined a cluster already.
  [[nodiscard]] bool attach(std::shared_ptr<origin_type> origin) {
    std::lock_guard lock{origin_mutex_};
    if (has_origin_.load(std::memory_order_relaxed)) return false;
    origin_ = std::move(origin);
    has_origin_.store(true, std::memory_order_release);
    return true;
  }
  void detach() noexcept {
    std::shared_ptr<origin_type> gone;
    std::lock_guard lock{origin_mutex_};
    has_origin_.store(false, std::memory_order_release);
    gone.swap(origin_);
  }
  [[nodiscard]] bool attached() const noexcept {
    return has_origin_.load(std::memory_order_acquire);
  }

  void invalidate(Key const& key) {
    loads_.detach(key);
    cache_.erase(key);
  }
  void clear() {
    loads_.detach_all();
    cache_.clear();
  }
  void close() noexcept;

  [[nodiscard]] cache_type& cache() noexcept { return cache_; }
  [[nodiscard]] cache_type const& cache() const noexcept { return cache_; }
  [[nodiscard]] executor_type const& executor() const noexcept { return executor_; }
  [[nodiscard]] options_type const& options() const noexcept { return options_; }
  [[nodiscard]] time_point default_deadline() const {
    return after(executor_.now(), options_.deadline);
  }
  [[nodiscard]] group_stats stats() const;
  [[nodiscard]] std::size_t flights() const noexcept { return loads_.size() + fetches_.size(); }

 private:
  /// The hash of the policies, with a key of its own, over whole keys.
  struct flight_hash {
    typename Policies::hash hash;

    explicit flight_hash(options_type const& o) : hash{o.hash} {
      auto random = o.random;
      if constexpr (requires { hash.seed(random); }) hash.seed(random);
    }
    [[nodiscard]] std::uint64_t operator()(Key const& key) const {
      return hash_of(hash, storage_traits<Key>::view(key));
    }
  };

  using flight_table = single_flight<Key, answer, flight_hash>;
  using flight = typename flight_table::flight;
  using flight_ptr = typename flight_table::flight_ptr;
  using waiter = typename flight_table::waiter;
  using blocked = blocked_waiter<flight_table, answer>;
  using asynchronous = async_waiter<flight_table, answer, executor_type>;

  static cache_options<Policies> cache_options_of(options_type const& o);

  class load_task;

  std::shared_ptr<origin_type> origin_for(key_view key);
  void lead_load(flight_ptr const& f, load_kind kind) noexcept;
  void end_load(flight_ptr const& f, load_kind kind, result<loaded<Value>>&& r) noexcept;
  answer store(flight const& f, load_kind kind, loaded<Value> v);
  void lead_fetch(flight_ptr const& f, std::shared_ptr<origin_type> const& origin) noexcept;
  void ask_owner(flight_ptr const& f, std::shared_ptr<origin_type> const& origin) noexcept;
  void end_fetch(flight_ptr const& f, std::shared_ptr<origin_type> const& origin,
                 time_point asked, fetch_outcome<Value>&& outcome) noexcept;
  void fall_back(flight_ptr const& f) noexcept;
  template <class Lead>
  void wait_async(flight_table& table, Key const& key, std::shared_ptr<load_state> parent,
                  time_point deadline, handler h, Lead lead);
  void load_gone() noexcept;

  executor_type executor_;
  cache_type cache_;
  flight_table loads_;
  flight_table fetches_;
  loader<Key, Value> loader_;
  options_type options_;

  std::mutex origin_mutex_;
  std::shared_ptr<origin_type> origin_;
  std::atomic<bool> has_origin_{false};

  std::atomic<bool> closed_{false};
  std::atomic<std::size_t> running_{0};  // load tasks posted and not yet gone
  one_shot_event drained_;               // set when they are, after closed_
  std::atomic<unsigned> fallbacks_{0};

  struct counters {
    std::atomic<std::uint64_t> loads{0}, load_failures{0}, not_found{0}, fallback_loads{0},
        fetches{0}, fetch_failures{0}, served{0};
  } counts_;
};

}  // namespace kcache::detail

#include <kcache/impl/group_core.hpp>

#endif
