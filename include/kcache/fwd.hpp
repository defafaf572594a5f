// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_FWD_HPP
#define KCACHE_FWD_HPP
/// \file
/// Floor 0. Forward declarations; default template arguments stand here and nowhere else.

namespace kcache {

struct default_policies;
class thread_pool;

template <class T>
struct storage_traits;

template <class Value>
class handle;

template <class Policies = default_policies>
struct cache_options;

template <class Key, class Value, class Policies = default_policies>
class cache;

template <class Policies = default_policies>
struct group_options;

template <class Key, class Value, class Policies = default_policies>
class group;

}  // namespace kcache

#endif
