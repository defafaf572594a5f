// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_GROUP_HPP
#define KCACHE_GROUP_HPP
/// \file
/// Floor 3. `group`: a named read-through cache over a loader, with single-flight loading; alone,
/// or as part of a cluster.

#include <kcache/completion_token.hpp>
#include <kcache/detail/group_core.hpp>
#include <kcache/fwd.hpp>
#include <kcache/group_options.hpp>
#include <kcache/loader.hpp>
#include <kcache/policies/thread_pool.hpp>

#include <concepts>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace kcache {

/// A read-through cache.
///
///     kcache::group<std::string, user> users{
///         {.name = "users", .capacity = 10'000, .ttl = 5s},
///         [&](std::string const& id) { return db.find_user(id); }};   // std::optional<user>
///     if (auto u = users.get("tom")) greet(**u);
///     else if (u.error() == kcache::errc::not_found) ...
///
/// `get` answers from the cache; a miss is loaded by one caller for all. The loader runs on the
/// executor, so that a caller can leave at its deadline, or when its stop token says so, while the
/// load goes on for the others, or to be cached. Whatever happens, loader that throws, hangs or
/// asks for its own key, caller that gives up, group that is destroyed, every caller gets an answer
/// or its own deadline.
///
/// # Answers
/// A `group_handle`, which also tells the value's age and whether it is stale, or an error:
/// `not_found`, `loader_failed` (with the loader's words), `deadline`, `recursive_load`,
/// `overloaded` (too many loads or waiters), `cancelled` (by the caller's token, or the group is
/// going), `would_block`; in a cluster also what the owner answers. That a key is not found is
/// remembered for `negative_ttl`; failures are not, unless `error_ttl` says so.
///
/// # Changes
/// Once `invalidate`, `put` or `clear` returned, no get that begins returns a value whose load
/// began before, whatever loads are under way; those answer the callers that they have, and store
/// nothing.
///
/// # Freshness
/// Times to live are spread by `jitter`. What is read often is loaded anew before it expires,
/// behind its readers (`refresh_ahead`). Under `stale_while_revalidate` and `stale_if_error` a
/// value is served for some time after it expired.
///
/// # Cost
/// A hit costs a hit in the cache and a look at two dates, and at the clock even if nothing
/// expires: some 3 ns where the processor's caches hold it all, more where they hold less of the
/// larger entries (benchmarks/README.md). A load that a `get` waits for takes one allocation
/// besides the stored entry, an `async_get` two; under way it is some 290 bytes (`async_get_many`:
/// 335). An entry takes 8 bytes more than in a `cache`, a group some 60 KiB, 32 of them for
/// detail/generations.hpp.
///
/// Thread safe; handlers run on whatever thread ends the work, under no lock. May throw
/// `bad_alloc`, and what copying a key throws.
///
/// Destruction answers every waiter with `cancelled`, waits up to `options.drain` for running loads
/// (what a hung one touches of the group's stays alive), and leaves the cluster. Group, cluster and
/// executor may be destroyed in any order.
template <class Key, class Value, class Policies>
class group {
  using core_type = detail::group_core<Key, Value, Policies>;

 public:
  using key_type = Key;
  using mapped_type = Value;
  using policies_type = Policies;
  using key_view = typename core_type::key_view;
  using handle_type = typename core_type::handle_type;
  using options_type = group_options<Policies>;
  using executor_type = typename Policies::executor;
  using cache_type = typename core_type::cache_type;
  using answer = result<handle_type>;  ///< `handle_type`: group_handle<Value>

  static_assert(
      executor<executor_type>,
      "kcache: Policies::executor is not an executor; see <kcache/policies/executor.hpp>");

  /// \throws failure(invalid_options) with a message, as the cache does.
  group(options_type options, loader<Key, Value> load)
      : core_{std::make_shared<core_type>(std::move(options), std::move(load))} {}

  /// The original's `NewGroup(name, capacity, ttl, getter)`.
  group(std::string name, std::uint64_t capacity, ttl lifetime, loader<Key, Value> getter)
      : group{named(std::move(name), capacity, lifetime), std::move(getter)} {}

  group(group const&) = delete;
  group& operator=(group const&) = delete;
  ~group() { core_->close(); }

  /// The value, from the cache or loaded. Blocks until `options.deadline` from now, or `timeout`,
  /// or `deadline` (of `now()`'s timeline) at most, or until `stop` is asked to stop. On an I/O
  /// thread a hit is answered and a miss is refused with `would_block`. In a loader it is a nested
  /// load.
  [[nodiscard]] answer get(key_view key) {
    // The deadline is worked out only for a miss: a hit reads no clock but the cache's.
    return core_->get(key, [&] { return core_->wait_get(key, core_->default_deadline()); });
  }
  [[nodiscard]] answer get(key_view key, duration timeout) {
    return core_->get(key, [&] { return core_->wait_get(key, after(now(), timeout)); });
  }
  [[nodiscard]] answer get(key_view key, time_point deadline) {
    return core_->get(key, [&] { return core_->wait_get(key, deadline); });
  }
  [[nodiscard]] answer get(key_view key, std::stop_token const& stop) {
    return core_->get(key, [&] { return core_->wait_get(key, core_->default_deadline(), &stop); });
  }
  [[nodiscard]] answer get(key_view key, std::stop_token const& stop, time_point deadline) {
    return core_->get(key, [&] { return core_->wait_get(key, deadline, &stop); });
  }

  /// Calls `h(answer)` exactly once: perhaps before `async_get` returns (a hit, a known absence, a
  /// refusal), else later, on whatever thread ends the wait: one of the executor or the transport,
  /// the one that calls a loader's `done`, that asks `stop` to stop, or that destroys the group.
  /// `h` must not throw, nor block for long: others may wait for their answers behind it. In an
  /// asynchronous loader pass its context on, so that a circle of loads is found.
  template <std::invocable<answer> Handler>
    requires(!completion_token<Handler>)
  void async_get(key_view key, Handler h) {
    core_->async_get(key, std::shared_ptr<detail::load_state>{}, core_->default_deadline(),
                     std::move(h));
  }
  template <std::invocable<answer> Handler>
    requires(!completion_token<Handler>)
  void async_get(key_view key, time_point deadline, Handler h) {
    core_->async_get(key, std::shared_ptr<detail::load_state>{}, deadline, std::move(h));
  }
  template <std::invocable<answer> Handler>
    requires(!completion_token<Handler>)
  void async_get(key_view key, load_context const& context, time_point deadline, Handler h) {
    core_->async_get(key, context.state(), deadline, std::move(h));
  }
  template <std::invocable<answer> Handler>
    requires(!completion_token<Handler>)
  void async_get(key_view key, std::stop_token stop, time_point deadline, Handler h) {
    core_->async_get(key, std::shared_ptr<detail::load_state>{}, std::move(stop), deadline,
                     std::move(h));
  }
  template <std::invocable<answer> Handler>
    requires(!completion_token<Handler>)
  void async_get(key_view key, load_context const& context, std::stop_token stop,
                 time_point deadline, Handler h) {
    core_->async_get(key, context.state(), std::move(stop), deadline, std::move(h));
  }

  /// The same with a completion token, where its adapter is included (beast/async_get.hpp):
  /// `co_await users.async_get("tom", boost::asio::use_awaitable)`.
  template <completion_token Token>
  auto async_get(key_view key, Token&& token) {
    return token_traits<Token>::async_get(*this, key, std::forward<Token>(token));
  }
  template <completion_token Token>
  auto async_get(key_view key, time_point deadline, Token&& token) {
    return token_traits<Token>::async_get(*this, key, deadline, std::forward<Token>(token));
  }
  template <completion_token Token>
  auto async_get(key_view key, load_context const& context, time_point deadline, Token&& token) {
    return token_traits<Token>::async_get(*this, key, context, deadline,
                                          std::forward<Token>(token));
  }

  /// The answers to a range of keys (of what converts to `key_view`), in its order. What is missing
  /// is shared with every other caller, key by key; a loader with `load_many` is called once for
  /// all of it (see `max_batch`), and the loads of another begin together. One deadline for all:
  /// keys that have no answer by then get `deadline`, the others theirs.
  template <class Keys>
  [[nodiscard]] std::vector<answer> get_many(Keys const& keys) {
    return core_->get_many(keys, core_->default_deadline());
  }
  template <class Keys>
  [[nodiscard]] std::vector<answer> get_many(Keys const& keys, time_point deadline) {
    return core_->get_many(keys, deadline);
  }
  /// Calls `h(answers)` once, when the last is there or the deadline has come, or `stop` was asked
  /// to stop (then what has no answer gets `cancelled`); perhaps before this returns.
  template <class Keys, std::invocable<std::vector<answer>> Handler>
    requires(!completion_token<Handler>)
  void async_get_many(Keys const& keys, Handler h) {
    core_->async_get_many(keys, nullptr, {}, core_->default_deadline(), std::move(h));
  }
  template <class Keys, std::invocable<std::vector<answer>> Handler>
    requires(!completion_token<Handler>)
  void async_get_many(Keys const& keys, time_point deadline, Handler h) {
    core_->async_get_many(keys, nullptr, {}, deadline, std::move(h));
  }
  template <class Keys, std::invocable<std::vector<answer>> Handler>
    requires(!completion_token<Handler>)
  void async_get_many(Keys const& keys, load_context const& context, time_point deadline,
                      Handler h) {
    core_->async_get_many(keys, context.state(), {}, deadline, std::move(h));
  }
  template <class Keys, std::invocable<std::vector<answer>> Handler>
    requires(!completion_token<Handler>)
  void async_get_many(Keys const& keys, std::stop_token stop, time_point deadline, Handler h) {
    core_->async_get_many(keys, nullptr, std::move(stop), deadline, std::move(h));
  }
  template <class Keys, std::invocable<std::vector<answer>> Handler>
    requires(!completion_token<Handler>)
  void async_get_many(Keys const& keys, load_context const& context, std::stop_token stop,
                      time_point deadline, Handler h) {
    core_->async_get_many(keys, context.state(), std::move(stop), deadline, std::move(h));
  }

  template <class Keys, completion_token Token>
  auto async_get_many(Keys const& keys, Token&& token) {
    return token_traits<Token>::async_get_many(*this, keys, std::forward<Token>(token));
  }
  template <class Keys, completion_token Token>
  auto async_get_many(Keys const& keys, time_point deadline, Token&& token) {
    return token_traits<Token>::async_get_many(*this, keys, deadline, std::forward<Token>(token));
  }

  /// The value if this node has it to serve, without loading, counting, touching or refreshing.
  [[nodiscard]] handle_type peek(key_view key) const { return core_->peek(key); }
  [[nodiscard]] bool contains(key_view key) const { return static_cast<bool>(peek(key)); }

  /// Stores a value as if it had been loaded, in place of any other: of what the caller has just
  /// written to the source, say; what it cost to load is not known, so it is not refreshed ahead. A
  /// load of the key that is under way is not stored. The value is not stored, and told so, if it
  /// is too heavy. As below, only for a group that is not in a cluster: in one it does nothing and
  /// answers `unsupported` (the other nodes are not told yet).
  template <storable_as<Key> K = Key, storable_as<Value> V = Value>
  result<put_result<Value>> put(K&& key, V&& value, ttl lives = {}) {
    if (core_->attached()) return in_cluster("put");
    return core_->put(std::forward<K>(key), std::forward<V>(value), lives, false);
  }
  /// The same if there is none; else the one that is there. A stale value that is kept under a
  /// grace is one. In either case a load of the key that is under way is not stored.
  template <storable_as<Key> K = Key, storable_as<Value> V = Value>
  result<put_result<Value>> put_if_absent(K&& key, V&& value, ttl lives = {}) {
    if (core_->attached()) return in_cluster("put_if_absent");
    return core_->put(std::forward<K>(key), std::forward<V>(value), lives, true);
  }

  /// Drops a key, and what is remembered of its absence: no get that begins after this has returned
  /// returns a value whose load began before.
  result<void> invalidate(key_view key) {
    if (core_->attached()) return in_cluster("invalidate");
    core_->invalidate(key);
    return {};
  }

  /// Drops what this node has cached, and keeps loads that run from being stored on it. O(shards).
  void clear() { core_->clear(); }

  /// What is known of a key, for people; `explain(key).text()` is one line.
  [[nodiscard]] explanation explain(key_view key) const { return core_->explain(key); }

  [[nodiscard]] std::string_view name() const noexcept { return core_->options().name; }
  [[nodiscard]] std::size_t size() const { return core_->cache().size(); }
  [[nodiscard]] std::uint64_t weight() const { return core_->cache().weight(); }
  [[nodiscard]] group_stats stats() const { return core_->stats(); }
  /// Keys being loaded or fetched at the moment.
  [[nodiscard]] std::size_t flights() const noexcept { return core_->flights(); }
  /// The executor's time, which deadlines are compared with.
  [[nodiscard]] time_point now() const { return core_->executor().now(); }
  [[nodiscard]] executor_type const& executor() const noexcept { return core_->executor(); }

  /// For the cluster that the group joins.
  [[nodiscard]] std::shared_ptr<core_type> const& core() const noexcept { return core_; }

 private:
  template <class Token>
  using token_traits = completion_token_traits<std::decay_t<Token>>;

  static error in_cluster(char const* what) {
    return {errc::unsupported,
            std::string{what} + " reaches one node only; this group is in a cluster"};
  }
  static options_type named(std::string name, std::uint64_t capacity, ttl lifetime) {
    options_type o;
    o.name = std::move(name);
    o.capacity = capacity;
    o.ttl = lifetime;
    return o;
  }

  std::shared_ptr<core_type> core_;
};

}  // namespace kcache

#endif
