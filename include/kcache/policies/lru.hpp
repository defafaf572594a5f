// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_POLICIES_LRU_HPP
#define KCACHE_POLICIES_LRU_HPP
/// \file
/// Floor 1. `lru`: the entry that was not read or written for the longest time goes first.

#include <kcache/detail/intrusive_list.hpp>
#include <kcache/policies/eviction.hpp>

#include <cstdint>

namespace kcache {

/// Least recently used, exactly so within a shard: a put and a hit make an entry the youngest,
/// in the order in which the calls took the shard's lock. The default. Every operation is O(1);
/// the hook is two pointers.
struct lru {
  using hook = detail::list_hook;

  template <class Node>
  class queue {
   public:
    explicit queue(std::uint64_t /*capacity*/) noexcept {}

    void insert(Node& n) noexcept { recency_.push_front(n); }
    void touch(Node& n) noexcept { recency_.move_to_front(n); }
    void erase(Node& n) noexcept { recency_.erase(n); }
    [[nodiscard]] Node* victim() noexcept { return recency_.back(); }

   private:
    detail::intrusive_list<Node> recency_;
  };
};

static_assert(eviction<lru>);

}  // namespace kcache

#endif
