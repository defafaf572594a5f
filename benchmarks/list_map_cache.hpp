// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_BENCHMARKS_LIST_MAP_CACHE_HPP
#define KCACHE_BENCHMARKS_LIST_MAP_CACHE_HPP
/// \file
/// The base line: the LRU that one writes by hand, a list, a map into it and one mutex.

#include <cstddef>
#include <list>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>

/// Knows no expiry, no weights and no figures. `get` yields a copy of the value, since the entry
/// may go at any time: for values dear to copy let `Value` be a `shared_ptr`.
template <class Key, class Value>
class list_map_cache {
 public:
  explicit list_map_cache(std::size_t capacity) : capacity_{capacity} {}

  std::optional<Value> get(Key const& key) {
    std::lock_guard lock{mutex_};
    auto const at = map_.find(key);
    if (at == map_.end()) return std::nullopt;
    list_.splice(list_.begin(), list_, at->second);
    return at->second->second;
  }

  void put(Key const& key, Value value) {
    std::lock_guard lock{mutex_};
    if (auto const at = map_.find(key); at != map_.end()) {
      at->second->second = std::move(value);
      list_.splice(list_.begin(), list_, at->second);
      return;
    }
    list_.emplace_front(key, std::move(value));
    map_.emplace(key, list_.begin());
    if (map_.size() > capacity_) {
      map_.erase(list_.back().first);
      list_.pop_back();
    }
  }

 private:
  using entries = std::list<std::pair<Key, Value>>;

  std::size_t capacity_;
  std::mutex mutex_;
  entries list_;
  std::unordered_map<Key, typename entries::iterator> map_;
};

#endif
