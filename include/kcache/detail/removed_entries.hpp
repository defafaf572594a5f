// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_REMOVED_ENTRIES_HPP
#define KCACHE_DETAIL_REMOVED_ENTRIES_HPP
/// \file
/// Floor 2. What one call took out of a shard, until the lock is released.

#include <kcache/detail/cell.hpp>
#include <kcache/policies/removal.hpp>

#include <concepts>
#include <cstddef>

namespace kcache::detail {

/// Collects cells through their links. When it goes, it tells the listener of each, in the order
/// of their removal, destroys its key and gives up the cache's share of it. So it is made before
/// the lock is taken, and goes after.
template <class Node, class Listener>
class removed_entries {
 public:
  using cell_type = typename Node::cell_type;

  explicit removed_entries(Listener const& listener) noexcept : listener_{listener} {}
  removed_entries(removed_entries const&) = delete;
  removed_entries& operator=(removed_entries const&) = delete;
  ~removed_entries() {
    while (first_) {
      cell_type& c = *first_;
      first_ = Node::links(c).next;
      tell(c);
      Node::destroy_key(c);
      Node::heap::release(c);
    }
  }

  void add(cell_type& c, removal_cause cause) noexcept {
    Node::links(c) = {nullptr, cause};
    (last_ ? Node::links(*last_).next : first_) = &c;
    last_ = &c;
  }

 private:
  void tell(cell_type& c) const {
    if constexpr (std::constructible_from<bool, Listener const&>) {
      if (!static_cast<bool>(listener_)) return;
    }
    listener_(Node::key(c), cell_kind<typename Node::value_type>::view(c), Node::links(c).cause);
  }

  Listener const& listener_;
  cell_type* first_ = nullptr;
  cell_type* last_ = nullptr;
};

/// Where nobody is told and nothing destroyed: at most some memory is freed after the lock.
template <class Value>
class freed_cells {
 public:
  template <class Listener>
  explicit freed_cells(Listener const&) noexcept {}
  freed_cells(freed_cells const&) = delete;
  freed_cells& operator=(freed_cells const&) = delete;
  ~freed_cells() {
    for (std::size_t i = 0; i != count_; ++i) cell_heap<Value>::free(*cells_[i]);
  }

  void add(cell<Value>& c) noexcept {
    if (count_ == most) return cell_heap<Value>::free(c);
    cells_[count_++] = &c;
  }

 private:
  static constexpr std::size_t most = 4;
  cell<Value>* cells_[most];
  std::size_t count_ = 0;
};

/// Where there is nothing at all to do after the lock.
struct nothing_removed {
  template <class Listener>
  explicit nothing_removed(Listener const&) noexcept {}
};

}  // namespace kcache::detail

#endif
