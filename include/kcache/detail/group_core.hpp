// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_GROUP_CORE_HPP
#define KCACHE_DETAIL_GROUP_CORE_HPP
/// \file
/// Floor 3. What a group is made of: its cache, its flights, its loader, its way to the owners.
///
/// ## The life of one get
/// A hit is answered from the cache. A miss asks what is remembered of absent keys, then who owns
/// the key. Where that is this node, or there is no cluster, the caller joins the key's *load
/// flight*, whose leader looks at the cache once more and, if there is a place for it, has the
/// executor run the loader. Otherwise it joins the key's *fetch flight*, whose leader asks the
/// owner. The two kinds of flight never mix: a peer's question joins load flights only, so that two
/// nodes with different rings cannot wait for each other in a circle. A fetch that finds its owner
/// out of reach goes over to the load flight, which then keeps the value only briefly.
///
/// ## Who wins
/// An invalidation, a put and a clear raise the key's generation, part the flights that are under
/// way from those that begin later, and then change the cache. A load notes the generation just
/// before it calls the loader, and `put_if` compares it under the lock that orders the key's writes
/// and erases. So nothing that was read before is stored after, and no get that begins after joins
/// a load that began before.
///
/// ## Freshness
/// Values lie in the cache until their grace is over (freshness.hpp). A hit compares one number;
/// what is past it, due to be refreshed or stale, is sorted out in a function of its own. A refresh
/// is a flight that nobody waits for: a caller that must wait, after all, joins it.
///
/// ## What keeps what alive
/// The group owns the core. Loads, fetches and waiters on their way share it, so that a loader that
/// hangs while the group goes still finds everything it touches. `close` answers every waiter,
/// waits for running loads within a bound and lets go of the cluster.

#include <kcache/cache.hpp>
#include <kcache/detail/freshness.hpp>
#include <kcache/detail/generations.hpp>
#include <kcache/detail/group_gathering.hpp>
#include <kcache/detail/group_waiters.hpp>
#include <kcache/detail/load_gate.hpp>
#include <kcache/explanation.hpp>
#include <kcache/group_handle.hpp>
#include <kcache/group_options.hpp>
#include <kcache/loader.hpp>
#include <kcache/policies/faults.hpp>
#include <kcache/policies/fifo.hpp>
#include <kcache/policies/hash.hpp>
#include <kcache/remote_origin.hpp>
#include <kcache/single_flight.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace kcache::detail {

/// How a load came about.
enum class load_kind : std::uint8_t {
  own,       ///< this node owns the key
  fallback,  ///< its owner is out of reach: bounded, kept briefly
  foreign,   ///< a peer that cannot know better asked the wrong node: answered, not kept
  refresh,   ///< nobody waits, its value is still being served
};

/// The bundle of a group's cache.
template <class Policies>
struct grouped : Policies {
  using expiry = freshness<typename Policies::expiry>;
};
/// And of what it remembers of keys that have no value.
template <class Policies>
struct absent_policies : default_policies {
  using clock = typename Policies::clock;
  using random = typename Policies::random;
  using hash = typename Policies::hash;
  using eviction = fifo;
  using stats = no_stats;
};

/// Why there is no value. If it does not `answer`, it only says that the source need not be asked
/// again so soon for a value that can still be served.
struct absence {
  error why;
  bool answers;
};

template <class Key, class Value, class Policies>
class group_core final : public std::enable_shared_from_this<group_core<Key, Value, Policies>> {
 public:
  using cache_type = kcache::cache<Key, Value, grouped<Policies>>;
  using handle_type = group_handle<Value>;
  using key_view = typename storage_traits<Key>::view_type;
  using answer = result<handle_type>;
  using handler = unique_function<void(answer)>;
  /// What moves without throwing is kept in the waiter.
  template <class Handler>
  using kept_handler =
      std::conditional_t<std::is_nothrow_move_constructible_v<Handler>, Handler, handler>;
  using options_type = group_options<Policies>;
  using executor_type = typename Policies::executor;
  using origin_type = remote_origin<Key, Value>;
  using put_outcome = put_result<Value>;

  /// \throws failure(invalid_options)
  group_core(options_type o, loader<Key, Value> load);

  /// The answer to a get: nearly always a hit that is not old enough to be looked at twice; else
  /// what else can be served without a wait; else `wait()`.
  template <class Wait>
  [[nodiscard]] KCACHE_INLINE answer get(key_view key, Wait const& wait) {
    answer a = cache_.get_dated(
        key, [](handle<Value>&& entry, entry_dates const& dates, time_point now)
                 KCACHE_INLINE_LAMBDA {
                   if (entry && now < dates.refresh_at) [[likely]]
                     return answer{std::in_place, std::move(entry), now - dates.written_at, false};
                   return answer{errc::not_found};  // for now
                 });
    if (!a) [[unlikely]] a = get_slowly(key, wait);
    return a;
  }
  using sight = typename cache_type::dated_handle_type;
  /// The value, if it can be served without a wait.
  [[nodiscard]] handle_type look(key_view key) { return aged(key, cache_.get_dated(key)); }
  [[nodiscard]] handle_type peek(key_view key) const;
  /// From when on a value of the cache is stale.
  [[nodiscard]] time_point fresh_until(handle_type const& h) const noexcept {
    return freshness_.fresh_until(h.expires_at());
  }

  /// What `get` does after a miss.
  answer wait_get(key_view key, time_point deadline, std::stop_token const* stop = nullptr);
  template <class Handler>
  void async_get(key_view key, std::shared_ptr<load_state> parent, time_point deadline, Handler h);
  template <class Handler>
  void async_get(key_view key, std::shared_ptr<load_state> parent, std::stop_token stop,
                 time_point deadline, Handler h);
  template <class Keys>
  std::vector<answer> get_many(Keys const& keys, time_point deadline);
  template <class Keys, class Handler>
  void async_get_many(Keys const& keys, std::shared_ptr<load_state> parent, std::stop_token stop,
                      time_point deadline, Handler h);
  /// For the cluster: a look at the cache, then this node's own loader.
  [[nodiscard]] handle_type cached(key_view key) {
    counts_.served.fetch_add(1, std::memory_order_relaxed);
    return look(key);
  }
  void serve(Key const& key, load_kind kind, time_point deadline, handler h);

  /// False if the group has joined a cluster already.
  [[nodiscard]] bool attach(std::shared_ptr<origin_type> origin);
  void detach() noexcept;
  [[nodiscard]] bool attached() const noexcept {
    return has_origin_.load(std::memory_order_acquire);
  }

  template <class K, class V>
  put_outcome put(K&& key, V&& value, ttl lives, bool only_if_absent);
  void invalidate(key_view key);
  void clear();
  void close() noexcept;

  [[nodiscard]] cache_type& cache() noexcept { return cache_; }
  [[nodiscard]] cache_type const& cache() const noexcept { return cache_; }
  [[nodiscard]] executor_type const& executor() const noexcept { return executor_; }
  [[nodiscard]] options_type const& options() const noexcept { return options_; }
  [[nodiscard]] time_point default_deadline() const {
    return after(executor_.now(), options_.deadline);
  }
  [[nodiscard]] group_stats stats() const;
  [[nodiscard]] kcache::explanation explain(key_view key) const;
  [[nodiscard]] std::size_t flights() const noexcept { return loads_.size() + fetches_.size(); }

 private:
  using faults = typename Policies::faults;
  static_assert(kcache::faults<faults>, "kcache: Policies::faults must derive from no_faults");
  using absences = kcache::cache<Key, absence, absent_policies<Policies>>;
  using freshness_type = freshness<typename Policies::expiry>;

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
  /// Timers for waiters without a thread.
  struct flight_timers {
    group_core* core;
    bool fetches;
    [[nodiscard]] timer_id arm(std::size_t stripe, time_point at) const;
    void disarm(timer_id id) const noexcept { core->executor_.cancel(id); }
  };

  using flight_table = single_flight<Key, answer, flight_hash, flight_timers>;
  using flight = typename flight_table::flight;
  using flight_ptr = typename flight_table::flight_ptr;
  using waiter = typename flight_table::waiter;
  using blocked = blocked_waiter<flight_table, answer>;
  /// Where a flight's load stands. `hurried`: another load waits for it, so it must not queue.
  static constexpr std::uint8_t opened = 0, queued = 1, hurried = 2, begun = 3;
  /// What waits at the gate: a load, or one of several keys.
  struct pending {
    flight_ptr one;
    std::vector<flight_ptr> many;
  };
  /// A thread hands a task to the executor; `places`: those of loads that have ended meanwhile.
  struct posting {
    group_core* core;
    posting* outer;
    int exceptions = std::uncaught_exceptions();
    bool failed = false;
    unsigned places = 0;
  };
  static inline thread_local posting* posting_ = nullptr;
  /// Of a task that an executor has dropped: one that throws had no thread or no memory for it, one
  /// that does not has stopped.
  [[nodiscard]] static bool refused() noexcept {
    return posting_ &&
           (posting_->failed || std::uncaught_exceptions() > posting_->exceptions);
  }

  static options_type checked(options_type o);
  static cache_options<grouped<Policies>> cache_options_of(options_type const& o);
  static cache_options<absent_policies<Policies>> absence_options_of(options_type const& o);
  static freshness_options freshness_of(options_type const& o);

  class load_task;
  class batch_task;
  class ending;

  [[nodiscard]] static bool is_current(sight const& s) noexcept {
    return s.entry && s.now < s.dates.refresh_at;
  }
  template <class Wait>
  [[gnu::noinline]] answer get_slowly(key_view key, Wait const& wait) {
    // Without another trace: the first look has left one.
    if (auto h = aged(key, cache_.peek_dated(key))) return answer{std::move(h)};
    return wait();
  }
  /// What can be served without a wait of what was seen.
  [[gnu::noinline]] handle_type aged(key_view key, sight&& s);

  // Hits that are due for a refresh, or stale.
  [[nodiscard]] handle_type stale_of(key_view key);
  [[nodiscard]] bool fresh(sight const& s) const noexcept;
  bool refresh(key_view key) noexcept;

  // Misses.
  [[nodiscard]] std::optional<answer> known_absent(key_view key);
  [[nodiscard]] answer settled(key_view key, answer&& a) noexcept;
  [[nodiscard]] bool may_be_stale() const noexcept {
    return options_.stale_if_error > duration::zero();
  }
  std::shared_ptr<origin_type> origin_for(key_view key);
  template <class K, class Handler, class Lead>
  void wait_async(flight_table& table, K&& key, std::shared_ptr<load_state> parent,
                  time_point deadline, Handler h, Lead lead);
  template <class K, class Waiter, class Lead>
  bool join_async(flight_table& table, K&& key, std::uint64_t hash, Waiter& w, bool nested,
                  Lead lead) noexcept;
  template <class Handler>
  [[nodiscard]] auto settling(Key const& key, Handler h);
  template <class Gathering, class Keys>
  void gather(Gathering& all, Keys const& keys, std::size_t n, load_node* parent,
              time_point deadline, bool timed);
  template <class Gathering>
  void gather_one(Gathering& all, std::size_t index, key_view key, load_node* parent,
                  time_point deadline, bool timed, std::vector<flight_ptr>& batch) noexcept;

  // Loads.
  void lead_load(flight_ptr const& f, load_kind kind, bool nested) noexcept;
  [[nodiscard]] bool finish_if_known(flight_ptr const& f) noexcept;
  [[nodiscard]] bool finish_if_seen(flight_ptr const& f);
  void enter_gate(flight_ptr const& f, bool nested) noexcept;
  [[nodiscard]] gate_answer enter_or_displace(pending& p) noexcept;
  void refuse(flight_ptr const& f) noexcept;
  void put_off(flight const& f) noexcept;
  void overtake(flight_ptr const& f) noexcept;
  [[nodiscard]] bool start_load(flight_ptr const& f) noexcept;
  template <class Task>
  [[nodiscard]] bool post(Task&& t) noexcept;
  void load_many(std::vector<flight_ptr>&& fs, bool nested) noexcept;
  void enter_gate(std::vector<flight_ptr>&& fs, bool nested) noexcept;
  [[nodiscard]] bool start_many(std::vector<flight_ptr>&& fs) noexcept;
  void give_back() noexcept;
  void leave_gate() noexcept;
  [[nodiscard]] bool start(pending&& p) noexcept;
  [[nodiscard]] std::optional<answer> settle_load(flight_ptr const& f, result<loaded<Value>>&& r,
                                                  duration took) noexcept;
  [[nodiscard]] answer settle_failed(flight const& f, error&& e) noexcept;
  answer store(flight const& f, loaded<Value> v, duration took);
  void remember(flight const& f, error const& e);
  [[nodiscard]] bool may_store(flight const& f) const noexcept;

  // Fetches.
  void lead_fetch(flight_ptr const& f, std::shared_ptr<origin_type> const& origin) noexcept;
  void ask_owner(flight_ptr const& f, std::shared_ptr<origin_type> const& origin) noexcept;
  void end_fetch(flight_ptr const& f, std::shared_ptr<origin_type> const& origin,
                 time_point asked, fetch_outcome<Value>&& outcome) noexcept;
  void fall_back(flight_ptr const& f) noexcept;

  std::uint64_t supersede(Key const& key);
  void load_gone() noexcept;
  static bool advance(flight& f, std::uint8_t from, std::uint8_t to) noexcept {
    return f.stage.compare_exchange_strong(from, to);
  }

  static load_kind kind_of(flight const& f) noexcept { return static_cast<load_kind>(f.kind); }
  static void count(std::atomic<std::uint64_t>& n, std::uint64_t by = 1) noexcept {
    n.fetch_add(by, std::memory_order_relaxed);
  }

  options_type options_;
  executor_type executor_;
  cache_type cache_;
  absences absences_;
  freshness_type freshness_;
  generations generations_;
  flight_table loads_;
  flight_table fetches_;
  loader<Key, Value> loader_;
  load_gate<pending> gate_;

  std::mutex origin_mutex_;
  std::shared_ptr<origin_type> origin_;
  std::atomic<bool> has_origin_{false};

  std::atomic<bool> closed_{false};
  std::atomic<std::size_t> running_{0};  // load tasks posted and not yet gone
  one_shot_event drained_;               // set when they are, after closed_
  std::atomic<unsigned> fallbacks_{0};

  struct counters {
    std::atomic<std::uint64_t> loads{0}, load_failures{0}, not_found{0}, fallback_loads{0},
        refreshes{0}, batches{0}, shed{0}, absent{0}, stale{0}, fetches{0}, fetch_failures{0},
        served{0};
  };
  mutable counters counts_;
};

}  // namespace kcache::detail

#include <kcache/impl/group_core.hpp>
#include <kcache/impl/group_core_fetching.hpp>
#include <kcache/impl/group_core_gate.hpp>
#include <kcache/impl/group_core_loading.hpp>
#include <kcache/impl/group_core_waiting.hpp>

#endif
