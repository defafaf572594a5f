// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_POLICIES_FIFO_HPP
#define KCACHE_POLICIES_FIFO_HPP
/// \file
/// Floor 1. `fifo`: the entry that was written first goes first.

#include <kcache/detail/slot_list.hpp>
#include <kcache/policies/eviction.hpp>

#include <cstdint>

namespace kcache {

/// First in, first out; reads change nothing, so hits cost the least. A put of a key that is there
/// makes a new entry: it goes to the back of the line. Every operation is O(1); the hook is two
/// links of 4 bytes.
struct fifo {
  using hook = detail::slot_links;

  template <class Entries>
  class queue {
   public:
    queue(Entries const& entries, std::uint64_t /*capacity*/) noexcept : entries_{entries} {}

    void insert(slot s) noexcept { order_.push_front(s, links()); }
    void erase(slot s) noexcept { order_.erase(s, links()); }
    void clear() noexcept { order_ = {}; }
    [[nodiscard]] slot evict() noexcept {
      slot const victim = order_.back();
      if (victim != no_slot) erase(victim);
      return victim;
    }
    [[nodiscard]] slot soon() const noexcept {
      slot const next = order_.back();
      return next == no_slot ? no_slot : entries_.hook(next).newer;
    }

   private:
    [[nodiscard]] auto links() const noexcept {
      return [this](slot s) -> hook& { return entries_.hook(s); };
    }

    [[no_unique_address]] Entries entries_;
    detail::slot_list order_;
  };
};

static_assert(eviction<fifo>);

}  // namespace kcache

#endif
