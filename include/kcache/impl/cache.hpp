// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_IMPL_CACHE_HPP
#define KCACHE_IMPL_CACHE_HPP
/// \file
/// Floor 2. The bodies of `cache`; included by cache.hpp.

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
template <bool Trace>
handle<Value> cache<Key, Value, Policies>::read_handle(key_view key, std::uint64_t hash) const {
  if constexpr (storage::inline_pairs) {
    using words = typename shard_type::slot_type::value_words;
    auto const found = shard_of(hash).template find_pair<Trace>(key, hash, clock_, stats_);
    if (!found.hit) return {};
    return detail::handle_access::copy<Value>(words::object(found.value), found.expires_at);
  } else {
    handle_type found;
    shard_of(hash).template read_cell<Trace>(
        key, hash, clock_, stats_, [&found](detail::cell<Value>& c) {
          if constexpr (detail::is_small<Value>) {
            found = detail::handle_access::copy<Value>(c.value(), c.expires_at());
          } else {
            if constexpr (detail::is_flat<Value> || std::is_trivially_destructible_v<Value>) {
              c.count().retain();
            } else if (!c.count().try_retain()) {
              return false;
            }
            found = detail::handle_access::adopt<Value>(c);
          }
          return true;
        });
    return found;
  }
}

template <class Key, class Value, class Policies>
handle<Value> cache<Key, Value, Policies>::get(key_view key) {
  return read_handle<true>(key, hash_of(key));
}

template <class Key, class Value, class Policies>
handle<Value> cache<Key, Value, Policies>::peek(key_view key) const {
  return read_handle<false>(key, hash_of(key));
}

template <class Key, class Value, class Policies>
template <std::invocable<typename storage_traits<Value>::view_type> F>
bool cache<Key, Value, Policies>::visit(key_view key, F&& f) {
  std::uint64_t const hash = hash_of(key);
  if constexpr (storage::inline_pairs) {
    using words = typename shard_type::slot_type::value_words;
    auto const found = shard_of(hash).template find_pair<true>(key, hash, clock_, stats_);
    if (found.hit) std::forward<F>(f)(static_cast<Value const&>(words::object(found.value)));
    return found.hit;
  } else if constexpr (detail::is_flat<Value> && storage::lock_free) {
    detail::flat_cell* held = nullptr;
    auto const seen = shard_of(hash).template read_cell<true>(
        key, hash, clock_, stats_, [&held](detail::flat_cell& c) {
          held = &c;
          return detail::own_reader && detail::own_reader->hold(&c);
        });
    if (seen == detail::sight::miss) return false;
    if (seen == detail::sight::hit) [[likely]] {
      detail::held_last const holding{*detail::own_reader};
      std::forward<F>(f)(detail::cell_kind<Value>::view(*held));
      return true;
    }
  }
  if constexpr (!storage::inline_pairs) {
    // Kept as an object, or too many visitors within each other.
    handle_type const found = read_handle<true>(key, hash);
    if (found) std::forward<F>(f)(*found);
    return static_cast<bool>(found);
  }
}

template <class Key, class Value, class Policies>
std::optional<Value> cache<Key, Value, Policies>::get_copy(key_view key)
  requires std::copy_constructible<Value>
{
  std::optional<Value> copy;
  visit(key, [&](typename handle_type::view_type v) { copy.emplace(v); });
  return copy;
}

template <class Key, class Value, class Policies>
template <class Keys>
auto cache<Key, Value, Policies>::get_many(Keys const& keys) -> std::vector<handle_type> {
  constexpr std::size_t at_once = 16;
  std::vector<handle_type> found;
  if constexpr (requires { keys.size(); }) found.reserve(keys.size());
  auto next = std::begin(keys);
  auto const end = std::end(keys);
  while (next != end) {
    std::uint64_t hashes[at_once];
    std::size_t n = 0;
    for (auto ahead = next; n != at_once && ahead != end; ++ahead) {
      hashes[n++] = hash_of(static_cast<key_view>(*ahead));
    }
    if constexpr (storage::lock_free) {
      if (detail::reader* const r = detail::this_reader()) {
        detail::read_section const in{*r};
        for (int step = 0; step != 3; ++step) {
          for (std::size_t i = 0; i != n; ++i) shard_of(hashes[i]).prefetch(hashes[i], step);
        }
      }
    }
    for (std::size_t i = 0; i != n; ++i, ++next) {
      found.push_back(read_handle<true>(static_cast<key_view>(*next), hashes[i]));
    }
  }
  return found;
}

template <class Key, class Value, class Policies>
template <storable_as<Key> K, storable_as<Value> V>
put_result<Value> cache<Key, Value, Policies>::put(K&& key, V&& value, kcache::ttl time_to_live) {
  return put_if(std::forward<K>(key), std::forward<V>(value), [] { return true; }, time_to_live);
}

template <class Key, class Value, class Policies>
template <storable_as<Key> K, storable_as<Value> V, std::predicate Guard>
put_result<Value> cache<Key, Value, Policies>::put_if(K&& key, V&& value, Guard guard,
                                                      kcache::ttl time_to_live) {
  auto&& k = as_stored<Key>(std::forward<K>(key));
  auto&& v = as_stored<Value>(std::forward<V>(value));
  key_view const kv = view_of<Key>(k);
  typename handle_type::view_type const vv = view_of<Value>(v);

  time_point const now = clock_.now();
  std::uint64_t const weight = weigher_(kv, vv);
  std::uint64_t const hash = hash_of(kv);
  write_time write{now, time_to_live, default_ttl_};
  if constexpr (!std::same_as<expiry_type, expire_after_write>) {
    auto const instant = static_cast<std::uint64_t>(now.time_since_epoch().count());
    write.draw = detail::mix({draw_key_, instant}, hash);
  }
  detail::entry_facts const facts{
      .hash = hash,
      .weight = weight == 0 ? 1 : weight,
      .expires_at = expiry_.expires_at(kv, vv, write)};

  removed_type removed{on_removal_};
  put_result_type result;
  if constexpr (storage::inline_pairs) {
    using slot_type = typename shard_type::slot_type;
    typename slot_type::fresh const fresh{slot_type::key_words::words_of(k),
                                          slot_type::value_words::words_of(v), facts.expires_at};
    result.entry = detail::handle_access::copy<Value>(v, facts.expires_at);
    result.stored = shard_of(hash).put(fresh, kv, facts, now, guard, removed);
  } else {
    using node = typename shard_type::node;
    auto* const c = node::make(std::move(k), std::move(v), storage::lock_free, facts.expires_at);
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
    offer.stored = shard_of(hash).put(c, node::key(*c), facts, now, guard, removed);
    result.stored = offer.stored;
  }
  return result;
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
  std::uint64_t const hash = hash_of(key);
  removed_type removed{on_removal_};
  return shard_of(hash).erase(key, hash, clock_.now(), removed);
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
std::size_t cache<Key, Value, Policies>::remove_expired() {
  constexpr std::size_t batch = 64;
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
