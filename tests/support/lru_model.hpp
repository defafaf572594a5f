// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_TESTS_SUPPORT_LRU_MODEL_HPP
#define KCACHE_TESTS_SUPPORT_LRU_MODEL_HPP
/// \file
/// The textbook's LRU: a list and a map, for caches whose keys and values are numbered.

#include <cstddef>
#include <list>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

namespace test {

class lru_model {
 public:
  explicit lru_model(std::size_t capacity) : capacity_{capacity} {}

  [[nodiscard]] std::optional<int> get(int key) {
    auto const at = places_.find(key);
    if (at == places_.end()) return {};
    entries_.splice(entries_.begin(), entries_, at->second);
    return at->second->second;
  }
  [[nodiscard]] std::optional<int> peek(int key) const {
    auto const at = places_.find(key);
    return at == places_.end() ? std::optional<int>{} : at->second->second;
  }
  /// Returns who was evicted.
  std::vector<int> put(int key, int value) {
    if (get(key)) {
      entries_.front().second = value;
      return {};
    }
    auto const victims = shrink_to(capacity_ - 1);
    entries_.emplace_front(key, value);
    places_[key] = entries_.begin();
    return victims;
  }
  bool erase(int key) {
    auto const at = places_.find(key);
    if (at == places_.end()) return false;
    entries_.erase(at->second);
    places_.erase(at);
    return true;
  }
  void clear() {
    entries_.clear();
    places_.clear();
  }
  std::vector<int> set_capacity(std::size_t capacity) {
    capacity_ = capacity;
    return shrink_to(capacity);
  }
  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  std::vector<int> shrink_to(std::size_t size) {
    std::vector<int> victims;
    for (; entries_.size() > size; entries_.pop_back()) {
      victims.push_back(entries_.back().first);
      places_.erase(entries_.back().first);
    }
    return victims;
  }

  std::size_t capacity_;
  std::list<std::pair<int, int>> entries_;
  std::unordered_map<int, std::list<std::pair<int, int>>::iterator> places_;
};

}  // namespace test

#endif
