// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_BENCHMARKS_SHARDED_CACHE_HPP
#define KCACHE_BENCHMARKS_SHARDED_CACHE_HPP
/// \file
/// The base line: the sharded LRU that one writes with Boost at hand and some care. 64 shards, each
/// with a mutex, a flat hash set of nodes and an intrusive list of them.

#include <kcache/policies/clock.hpp>
#include <kcache/policies/hash.hpp>
#include <kcache/storage_traits.hpp>
#include <kcache/time.hpp>

#include <boost/intrusive/list.hpp>
#include <boost/unordered/unordered_flat_set.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <utility>

/// What it does well: one hash per call, kept in the node and fit for both the shard and the table;
/// no write to the list if the entry is in front already; tables that never grow; the hash of
/// kcache, keyed too, and its clock. `visit` shows the value under the lock. With `Reuse`, as few
/// would write it: a victim's node, and what its strings have allocated, serve the next entry.
template <class Key, class Value, bool Reuse = false>
class sharded_cache {
 public:
  using key_view = typename kcache::storage_traits<Key>::view_type;

  sharded_cache(std::size_t capacity, kcache::duration ttl) : ttl_{ttl} {
    kcache::system_random random;
    hash_.seed(random);
    for (std::size_t i = 0; i != shards_.size(); ++i) {
      shards_[i].capacity = capacity / shards_.size() + (i < capacity % shards_.size() ? 1 : 0);
      shards_[i].table.reserve(shards_[i].capacity);
    }
  }
  ~sharded_cache() {
    for (auto& s : shards_) s.recency.clear_and_dispose([](node* n) { delete n; });
  }
  sharded_cache(sharded_cache const&) = delete;
  sharded_cache& operator=(sharded_cache const&) = delete;

  /// Calls `f(value)` if there is a live entry, and tells whether there was.
  template <class F>
  bool visit(key_view key, F f) {
    probe const p{key, hash_(key)};
    auto const now = clock_.now();
    shard& s = shard_of(p.hash);
    std::lock_guard lock{s.mutex};
    auto const at = s.table.find(p);
    if (at == s.table.end()) return false;
    node& n = **at;
    if (n.expires_at <= now) {
      s.table.erase(at);
      s.recency.erase_and_dispose(s.recency.iterator_to(n), [](node* old) { delete old; });
      return false;
    }
    s.to_front(n);
    f(std::as_const(n.value));
    return true;
  }

  template <class V>
  void put(key_view key, V&& value) {
    probe const p{key, hash_(key)};
    auto const expires_at = clock_.now() + ttl_;
    shard& s = shard_of(p.hash);
    std::lock_guard lock{s.mutex};
    if (auto const at = s.table.find(p); at != s.table.end()) {
      (*at)->value = std::forward<V>(value);
      (*at)->expires_at = expires_at;
      s.to_front(**at);
      return;
    }
    if (!Reuse && s.table.size() == s.capacity) {
      s.table.erase(&s.recency.back());
      s.recency.pop_back_and_dispose([](node* old) { delete old; });
    }
    if (s.table.size() < s.capacity) {
      auto* const n = new node{p.hash, expires_at, Key(key), Value(std::forward<V>(value))};
      s.table.insert(n);
      s.recency.push_front(*n);
      return;
    }
    node& n = s.recency.back();
    s.table.erase(&n);
    n.hash = p.hash;
    n.expires_at = expires_at;
    n.key = key;
    n.value = std::forward<V>(value);
    s.table.insert(&n);
    s.to_front(n);
  }

  [[nodiscard]] std::size_t size() const {
    std::size_t sum = 0;
    for (auto& s : shards_) {
      std::lock_guard lock{s.mutex};
      sum += s.table.size();
    }
    return sum;
  }

 private:
  struct node : boost::intrusive::list_base_hook<
                    boost::intrusive::link_mode<boost::intrusive::normal_link>> {
    node(std::uint64_t h, kcache::time_point e, Key k, Value v)
        : hash{h}, expires_at{e}, key(std::move(k)), value(std::move(v)) {}
    std::uint64_t hash;
    kcache::time_point expires_at;
    Key key;
    Value value;
  };
  struct probe {
    key_view key;
    std::uint64_t hash;
  };
  // The set takes its group from the high bits and its tag from the low ones. The high ones are
  // the same all over a shard.
  struct node_hash {
    using is_transparent = void;
    using is_avalanching = void;
    std::size_t operator()(node const* n) const noexcept { return std::rotl(n->hash, 32); }
    std::size_t operator()(probe const& p) const noexcept { return std::rotl(p.hash, 32); }
  };
  struct node_equal {
    using is_transparent = void;
    bool operator()(node const* a, node const* b) const noexcept { return a == b; }
    bool operator()(probe const& p, node const* n) const noexcept { return p.key == n->key; }
    bool operator()(node const* n, probe const& p) const noexcept { return p.key == n->key; }
  };
  struct alignas(64) shard {
    mutable std::mutex mutex;
    boost::unordered_flat_set<node*, node_hash, node_equal> table;
    boost::intrusive::list<node> recency;
    std::size_t capacity = 0;

    void to_front(node& n) {
      if (&n != &recency.front()) recency.splice(recency.begin(), recency, recency.iterator_to(n));
    }
  };

  shard& shard_of(std::uint64_t hash) { return shards_[hash >> 58U]; }

  kcache::coarse_clock clock_;
  kcache::duration ttl_;
  kcache::keyed_hash hash_;
  std::array<shard, 64> shards_;
};

#endif
