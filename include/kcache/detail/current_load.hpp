// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_CURRENT_LOAD_HPP
#define KCACHE_DETAIL_CURRENT_LOAD_HPP
/// \file
/// Floor 1. Which load the current thread works for, so that a blocking get inside a loader is
/// known to be that load's wait (see wait_graph.hpp).

#include <utility>

namespace kcache::detail {

class load_node;

/// The load this thread runs at the moment; null outside of loads.
inline thread_local load_node* current_load = nullptr;

/// Sets `current_load` for a scope. An executor that runs tasks while a task waits puts one of
/// these, with null, around each: a foreign task is not part of the load that waits below it.
class load_scope {
 public:
  explicit load_scope(load_node* load) noexcept : outer_{std::exchange(current_load, load)} {}
  ~load_scope() { current_load = outer_; }
  load_scope(load_scope const&) = delete;
  load_scope& operator=(load_scope const&) = delete;

 private:
  load_node* outer_;
};

}  // namespace kcache::detail

#endif
