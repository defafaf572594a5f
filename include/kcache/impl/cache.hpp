// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_IMPL_CACHE_HPP
#define KCACHE_IMPL_CACHE_HPP
/// \file
/// Floor 2. The bodies of `cache`, but for those that read (cache_reading.hpp); included by
/// cache.hpp.

#include <kcache/cache.hpp>

namespace kcache {

template <class Key, class Value, class Policies>
cache<Key, Value, Policies>::cache(options_type options)
    : clock_(std::move(options.clock)),
      hash_(std::move(options.hash)),
      weigher_(std::move(options.weigher)),
      expiry_(std::move(options.expiry)),
      on_removal_(std::move(options.on_removal)),
      default_ttl_{options.ttl.value_or(kcache::ttl::never())},
      draw_key_{options.random.next()},
      plan_{plan(options)},
      capacity_{plan_.capacity()},
      stats_(options.stats),
      shards_{plan_.shards(), [this, idle = idle()](std::size_t i) {
                return shard_type{plan_.share(i), plan_.heaviest(i), idle,
                                  hash_,          on_removal_,       stats_};
              }} {
  if constexpr (requires { hash_.seed(options.random); }) hash_.seed(options.random);
}

template <class Key, class Value, class Policies>
cache<Key, Value, Policies>::~cache() {
  // Here, where a listener may still call the cache.
  if constexpr (storage::told) remove_cleared();
}

template <class Key, class Value, class Policies>
detail::shard_plan cache<Key, Value, Policies>::plan(options_type const& options) {
  auto const& t = options.ttl;
  if (!t.is_default() && !t.is_never() && t.length() <= duration::zero()) {
    throw failure{error{errc::invalid_options, "kcache: cache options: ttl must be positive"}};
  }
  return detail::shard_plan{{.capacity = options.capacity,
                             .shards = options.shards,
                             .max_entry_weight = options.max_entry_weight,
                             .weighed = storage::weighed}};
}

template <class Key, class Value, class Policies>
duration cache<Key, Value, Policies>::idle() const {
  duration d{};
  if constexpr (storage::idle) {
    d = expiry_.idle();
    if (d <= duration::zero()) {
      throw failure{error{errc::invalid_options,
                          "kcache: cache options: the expiry policy's idle time must be positive"}};
    }
  }
  return d;
}

template <class Key, class Value, class Policies>
template <storable_as<Key> K, storable_as<Value> V>
put_result<Value> cache<Key, Value, Policies>::put(K&& key, V&& value, kcache::ttl time_to_live) {
  return put_if(std::forward<K>(key), std::forward<V>(value), [] { return true; }, time_to_live);
}

template <class Key, class Value, class Policies>
template <storable_as<Key> K, storable_as<Value> V, std::predicate Guard>
put_result<Value> cache<Key, Value, Policies>::put_if(K&& key, V&& value, Guard guard,
                                                      kcache::ttl time_to_live,
                                                      duration load_time) {
  put_result_type result;
  put_where(std::forward<K>(key), std::forward<V>(value),
            [&guard](auto const&) -> bool { return guard(); }, time_to_live, load_time, result);
  return result;
}

template <class Key, class Value, class Policies>
template <storable_as<Key> K, storable_as<Value> V>
put_result<Value> cache<Key, Value, Policies>::put_if_absent(K&& key, V&& value,
                                                             kcache::ttl time_to_live) {
  return put_if_absent(std::forward<K>(key), std::forward<V>(value), time_to_live,
                       [] { return true; });
}

template <class Key, class Value, class Policies>
template <storable_as<Key> K, storable_as<Value> V, std::predicate Guard>
put_result<Value> cache<Key, Value, Policies>::put_if_absent(K&& key, V&& value,
                                                             kcache::ttl time_to_live,
                                                             Guard guard) {
  put_result_type result;
  if constexpr (std::convertible_to<K const&, key_view>) {
    // Most calls may find an entry: they need no lock and no cell.
    result.entry = peek(key);
    if (result.entry) return result;
  }
  auto const absent = [&result, &guard](auto const& present) {
    auto const* const e = present();
    if (!e) return static_cast<bool>(guard());
    if constexpr (storage::inline_pairs) {
      using words = typename shard_type::slot_type::value_words;
      result.entry =
          detail::handle_access::copy<Value>(words::object(e->value_copy()), e->expires_at());
    } else if constexpr (detail::is_small<Value>) {
      result.entry = detail::handle_access::copy<Value>(e->get().value(), e->expires_at());
    } else {
      // The cell that was offered stays till after the lock: it has another share.
      e->get().count().retain();
      result.entry = detail::handle_access::adopt<Value>(e->get());
    }
    return false;
  };
  put_where(std::forward<K>(key), std::forward<V>(value), absent, time_to_live, {}, result);
  return result;
}

template <class Key, class Value, class Policies>
template <class K, class V, class Allows>
void cache<Key, Value, Policies>::put_where(K&& key, V&& value, Allows allows,
                                            kcache::ttl time_to_live, duration load_time,
                                            put_result_type& result) {
  auto&& k = as_stored<Key>(std::forward<K>(key));
  auto&& v = as_stored<Value>(std::forward<V>(value));
  key_view const kv = view_of<Key>(k);
  typename handle_type::view_type const vv = view_of<Value>(v);

  time_point const now = clock_.now();
  std::uint64_t const weight = weigher_(kv, vv);
  std::uint64_t const hash = hash_of(kv);
  write_time write{.now = now,
                   .requested = time_to_live,
                   .default_ttl = default_ttl_,
                   .load_time = load_time};
  if constexpr (!std::same_as<expiry_type, expire_after_write>) {
    auto const instant = static_cast<std::uint64_t>(now.time_since_epoch().count());
    write.draw = detail::mix({draw_key_, instant}, hash);
  }
  typename shard_type::facts_type facts{.hash = hash,
                                        .weight = weight == 0 ? 1 : weight,
                                        .expires_at = expiry_.expires_at(kv, vv, write)};
  if constexpr (storage::dated)
    facts.dates.value = {expiry_.dates(write, facts.expires_at), fresh_until(facts.expires_at)};

  removed_type removed{on_removal_};
  if constexpr (storage::inline_pairs) {
    using slot_type = typename shard_type::slot_type;
    typename slot_type::fresh const fresh{slot_type::key_words::words_of(k),
                                          slot_type::value_words::words_of(v), facts.expires_at};
    result.entry = detail::handle_access::copy<Value>(v, facts.expires_at);
    result.stored = shard_of(hash).put(fresh, kv, facts, now, allows, removed);
  } else {
    using node = typename shard_type::node;
    auto* const c = node::make(std::move(k), std::move(v), storage::lock_free, facts.expires_at);
    if constexpr (storage::dated) node::set_dates(*c, facts.dates.value);
    /// Takes the cell back unless it was stored.
    struct offered {
      detail::cell<Value>& c;
      bool stored = false;
      ~offered() {
        if (stored) return;
        node::destroy_key(c);
        // The share that goes next frees the cell.
        if constexpr (storage::lock_free) static_cast<void>(c.count().unpin());
        node::heap::release(c);
      }
    } offer{*c};
    if constexpr (detail::is_small<Value>) {
      result.entry = detail::handle_access::copy<Value>(c->value(), facts.expires_at);
      node::heap::release(*c);
    } else {
      result.entry = detail::handle_access::adopt<Value>(*c);
    }
    offer.stored = shard_of(hash).put(c, node::key(*c), facts, now, allows, removed);
    result.stored = offer.stored;
  }
}

template <class Key, class Value, class Policies>
handle<Value> cache<Key, Value, Policies>::detached(Value value, time_point expires_at) {
  if constexpr (detail::is_small<Value>) {
    return detail::handle_access::copy<Value>(value, expires_at);
  } else {
    return detail::handle_access::adopt<Value>(
        *detail::detached_cell<Value>(as_stored<Value>(std::move(value)), expires_at));
  }
}

template <class Key, class Value, class Policies>
bool cache<Key, Value, Policies>::erase(key_view key) {
  return erase_if(key, [] { return true; });
}

template <class Key, class Value, class Policies>
template <std::predicate Guard>
bool cache<Key, Value, Policies>::erase_if(key_view key, Guard guard) {
  std::uint64_t const hash = hash_of(key);
  removed_type removed{on_removal_};
  return shard_of(hash).erase(key, hash, clock_.now(), guard, removed);
}

template <class Key, class Value, class Policies>
void cache<Key, Value, Policies>::clear() {
  time_point const now = clock_.now();
  for (shard_type& s : shards_) {
    removed_type removed{on_removal_};
    s.clear(now, removed);
  }
}

template <class Key, class Value, class Policies>
void cache<Key, Value, Policies>::remove_cleared() {
  for (shard_type& s : shards_) {
    for (std::size_t n = batch; n == batch;) {
      removed_type removed{on_removal_};
      n = s.remove_cleared(batch, removed);
    }
  }
}

template <class Key, class Value, class Policies>
std::size_t cache<Key, Value, Policies>::remove_expired() {
  remove_cleared();
  time_point const now = clock_.now();
  std::size_t total = 0;
  for (shard_type& s : shards_) {
    for (std::size_t n = batch; n >= batch; total += n) {
      removed_type removed{on_removal_};
      n = s.remove_expired(now, batch, removed);
    }
  }
  return total;
}

template <class Key, class Value, class Policies>
void cache<Key, Value, Policies>::set_capacity(std::uint64_t capacity) {
  auto const resized = plan_.resized(capacity);
  // Told after the lock: a listener may change the capacity too.
  removed_type removed{on_removal_};
  detail::spin_guard const lock{resizing_};
  time_point const now = clock_.now();
  // So that the whole never weighs more than it says that it may.
  if (capacity > this->capacity()) capacity_.store(capacity, std::memory_order_release);
  for (std::size_t i = 0; i != shards_.size(); ++i) {
    shards_[i].set_share(resized.share(i), resized.heaviest(i), now, removed);
  }
  capacity_.store(capacity, std::memory_order_release);
}

template <class Key, class Value, class Policies>
std::size_t cache<Key, Value, Policies>::size() const {
  std::size_t total = 0;
  for (shard_type const& s : shards_) total += s.size();
  return total;
}

template <class Key, class Value, class Policies>
std::uint64_t cache<Key, Value, Policies>::weight() const {
  std::uint64_t total = 0;
  for (shard_type const& s : shards_) total += s.weight();
  return total;
}

template <class Key, class Value, class Policies>
std::size_t cache<Key, Value, Policies>::memory_usage() const {
  std::size_t total = sizeof *this;
  for (shard_type const& s : shards_) total += s.bytes();
  return total;
}

template <class Key, class Value, class Policies>
std::optional<std::uint64_t> cache<Key, Value, Policies>::hits_of(key_view key) const {
  if constexpr (requires(stats_type const& s) { s.key_hits(std::uint64_t{}); }) {
    return static_cast<stats_type const&>(stats_).key_hits(hash_of(key));
  } else {
    return static_cast<void>(key), std::nullopt;
  }
}

template <class Key, class Value, class Policies>
cache_stats cache<Key, Value, Policies>::stats() const {
  cache_stats total;
  stats_.add_to(total);
  total.entries += size();
  total.weight += weight();
  total.bytes += memory_usage();
  return total;
}

}  // namespace kcache

#endif
