// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_GROUP_HPP
#define KCACHE_GROUP_HPP
/// \file
/// Floor 3. `group`: a named read-through cache over a loader, with single-flight loading; alone,
/// or as part of a cluster.

#include <kcache/detail/group_core.hpp>
#include <kcache/fwd.hpp>
#include <kcache/group_options.hpp>
#include <kcache/loader.hpp>
#include <kcache/policies/thread_pool.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

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
/// executor, so that a caller can leave at its deadline while the load goes on (and is cached).
/// Whatever happens, loader that throws, hangs or asks for its own key, caller that gives up, group
/// that is destroyed, every caller gets an answer or its own deadline.
///
/// Errors of `get`: `not_found`, `loader_failed` (with the loader's words), `deadline`,
/// `recursive_load`, `overloaded`, `cancelled` (the group is going), `would_block`; in a cluster
/// also what the owner answers. Thread safe; handlers run on whatever thread ends the work, under
/// no lock. A hit costs what a hit in the cache costs. May throw `bad_alloc`, and what copying a
/// key throws.
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
  using answer = result<handle_type>;

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
  /// or `deadline` (of `now()`'s timeline) at most. On an I/O thread a hit is answered and a miss
  /// is refused with `would_block`. In a loader it is a nested load.
  [[nodiscard]] answer get(key_view key) {
    // the deadline is worked out only for a miss: a hit reads no clock but the cache's
    if (auto h = core_->cache().get(key)) return h;
    return core_->wait_get(key, core_->default_deadline());
  }
  [[nodiscard]] answer get(key_view key, duration timeout) {
    if (auto h = core_->cache().get(key)) return h;
    return core_->wait_get(key, after(now(), timeout));
  }
  [[nodiscard]] answer get(key_view key, time_point deadline) {
    if (auto h = core_->cache().get(key)) return h;
    return core_->wait_get(key, deadline);
  }

  /// Calls `h(answer)` exactly once: before `async_get` returns on a hit, else later, on a thread
  /// of the executor or the transport; `h` must not throw. In an asynchronous loader pass its
  /// context on, so that a circle of loads is found.
  template <class Handler>
  void async_get(key_view key, Handler&& h) {
    async_get(key, core_->default_deadline(), std::forward<Handler>(h));
  }
  template <class Handler>
  void async_get(key_view key, time_point deadline, Handler&& h) {
    core_->async_get(key, nullptr, deadline, std::forward<Handler>(h));
  }
  template <class Handler>
  void async_get(key_view key, load_context const& context, time_point deadline, Handler&& h) {
    core_->async_get(key, context.state(), deadline, std::forward<Handler>(h));
  }

  /// The value if this node has it, without loading, counting or touching.
  [[nodiscard]] handle_type peek(key_view key) const { return core_->cache().peek(key); }
  [[nodiscard]] bool contains(key_view key) const { return core_->cache().contains(key); }

  /// Drops a key: once this returns, no get returns a value whose load began before. Only for a
  /// group that is not in a cluster; in one it does nothing and answers `unsupported` (the other
  /// nodes are not told yet).
  result<void> invalidate(Key const& key) {
    if (core_->attached())
      return error{errc::unsupported,
                   "invalidate reaches one node only; this group is in a cluster"};
    core_->invalidate(key);
    return {};
  }

  /// Drops what this node has cached, and keeps loads that run from being stored on it.
  void clear() { core_->clear(); }

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
