// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_BENCHMARKS_LIST_MAP_CACHE_HPP
#define KCACHE_BENCHMARKS_LIST_MAP_CACHE_HPP
/// \file
/// The seed: the LRU that one writes by hand, a list, a map into it and one mutex.

#include <kcache/policies/clock.hpp>
#include <kcache/storage_traits.hpp>
#include <kcache/time.hpp>

#include <cstddef>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <type_traits>
#include <unordered_map>
#include <utility>

/// Expires entries when they are met. Knows no weights, no figures and no protection against chosen
/// keys: its hash of a number is the number. `get` yields a copy, since the entry may go at any
/// time. It is helped where that is easy: it has kcache's clock, since reading another would cost
/// more than the rest of a hit, and looks strings up by `std::string_view`, without an allocation.
template <class Key, class Value>
class list_map_cache {
 public:
  using key_view = typename kcache::storage_traits<Key>::view_type;

  list_map_cache(std::size_t capacity, kcache::duration ttl) : capacity_{capacity}, ttl_{ttl} {}

  std::optional<Value> get(key_view key) {
    std::lock_guard lock{mutex_};
    auto const at = map_.find(key);
    if (at == map_.end()) return std::nullopt;
    if (at->second->expires_at <= clock_.now()) {
      list_.erase(at->second);
      map_.erase(at);
      return std::nullopt;
    }
    list_.splice(list_.begin(), list_, at->second);
    return at->second->value;
  }

  template <class V>
  void put(key_view key, V&& value) {
    std::lock_guard lock{mutex_};
    auto const expires_at = clock_.now() + ttl_;
    if (auto const at = map_.find(key); at != map_.end()) {
      at->second->value = std::forward<V>(value);
      at->second->expires_at = expires_at;
      list_.splice(list_.begin(), list_, at->second);
      return;
    }
    list_.push_front(entry{Key(key), Value(std::forward<V>(value)), expires_at});
    map_.emplace(list_.front().key, list_.begin());
    if (map_.size() > capacity_) {
      map_.erase(list_.back().key);
      list_.pop_back();
    }
  }

  [[nodiscard]] std::size_t size() const {
    std::lock_guard lock{mutex_};
    return map_.size();
  }

 private:
  struct entry {
    Key key;
    Value value;
    kcache::time_point expires_at;
  };
  struct view_hash : std::hash<std::remove_cvref_t<key_view>> {
    using is_transparent = void;
  };

  std::size_t capacity_;
  kcache::duration ttl_;
  kcache::coarse_clock clock_;
  mutable std::mutex mutex_;
  std::list<entry> list_;
  std::unordered_map<Key, typename std::list<entry>::iterator, view_hash, std::equal_to<>> map_;
};

#endif
