// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_REMOVED_ENTRIES_HPP
#define KCACHE_DETAIL_REMOVED_ENTRIES_HPP
/// \file
/// Floor 2. What one call took out of a shard, until the lock is released.

#include <kcache/policies/removal.hpp>
#include <kcache/storage_traits.hpp>

#include <concepts>

namespace kcache::detail {

/// Collects entries through their `chain` links. When it goes, it tells the listener of each, in
/// the order of their removal, and gives up the cache's share of it. So it is made before the
/// lock is taken, and goes after.
template <class Entry, class Value, class Listener>
class removed_entries {
 public:
  explicit removed_entries(Listener const& listener) noexcept : listener_{listener} {}
  removed_entries(removed_entries const&) = delete;
  removed_entries& operator=(removed_entries const&) = delete;
  ~removed_entries() {
    while (first_) {
      Entry& e = *first_;
      first_ = e.chain;
      tell(e);
      e.release();
    }
  }

  void add(Entry& e, removal_cause cause) noexcept {
    e.cause = cause;
    e.chain = nullptr;
    *last_ = &e;
    last_ = &e.chain;
  }

 private:
  void tell(Entry const& e) const {
    if constexpr (std::constructible_from<bool, Listener const&>) {
      if (!static_cast<bool>(listener_)) return;
    }
    listener_(e.key(), storage_traits<Value>::view(e.value()), e.cause);
  }

  Listener const& listener_;
  Entry* first_ = nullptr;
  Entry** last_ = &first_;
};

}  // namespace kcache::detail

#endif
