// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_POLICIES_FIFO_HPP
#define KCACHE_POLICIES_FIFO_HPP
/// \file
/// Floor 1. `fifo`: the entry that was written first goes first.

#include <kcache/detail/intrusive_list.hpp>
#include <kcache/policies/eviction.hpp>

#include <cstdint>

namespace kcache {

/// First in, first out: hits change nothing, a put makes the entry the youngest. For caches whose
/// reads must not write, and as the plainest example of a policy.
struct fifo {
  using hook = detail::list_hook;

  template <class Node>
  class queue {
   public:
    explicit queue(std::uint64_t /*capacity*/) noexcept {}

    void insert(Node& n) noexcept { order_.push_front(n); }
    void touch(Node&) noexcept {}
    void erase(Node& n) noexcept { order_.erase(n); }
    [[nodiscard]] Node* victim() noexcept { return order_.back(); }

   private:
    detail::intrusive_list<Node> order_;
  };
};

static_assert(eviction<fifo>);

}  // namespace kcache

#endif
