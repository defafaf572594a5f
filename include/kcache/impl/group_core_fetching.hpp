// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_IMPL_GROUP_CORE_FETCHING_HPP
#define KCACHE_IMPL_GROUP_CORE_FETCHING_HPP
/// \file
/// Floor 3. The bodies of detail/group_core.hpp that ask other nodes.

#include <kcache/detail/group_core.hpp>

namespace kcache::detail {

template <class K, class V, class P>
bool group_core<K, V, P>::attach(std::shared_ptr<origin_type> origin) {
  std::lock_guard lock{origin_mutex_};
  if (has_origin_.load(std::memory_order_relaxed)) return false;
  origin_ = std::move(origin);
  has_origin_.store(true, std::memory_order_release);
  return true;
}

template <class K, class V, class P>
void group_core<K, V, P>::detach() noexcept {
  std::shared_ptr<origin_type> gone;
  std::lock_guard lock{origin_mutex_};
  has_origin_.store(false, std::memory_order_release);
  gone.swap(origin_);
}

/// The way to the key's owner; null if that is this node.
template <class K, class V, class P>
auto group_core<K, V, P>::origin_for(key_view key) -> std::shared_ptr<origin_type> {
  if (!attached()) return nullptr;
  std::shared_ptr<origin_type> origin;
  {
    std::lock_guard lock{origin_mutex_};
    origin = origin_;
  }
  if (origin && origin->owns(key)) origin.reset();
  return origin;
}

template <class K, class V, class P>
void group_core<K, V, P>::lead_fetch(flight_ptr const& f,
                                     std::shared_ptr<origin_type> const& origin) noexcept {
  try {
    auto found = cache_.peek_dated(storage_traits<K>::view(f->key()));
    if (fresh(found))
      return fetches_.finish(f, handle_type{std::move(found.entry),
                                            found.now - found.dates.written_at, false});
  } catch (...) {  // a hash or a comparison of the user's: then the owner is asked
  }
  ask_owner(f, origin);
}

template <class K, class V, class P>
void group_core<K, V, P>::ask_owner(flight_ptr const& f,
                                    std::shared_ptr<origin_type> const& origin) noexcept {
  count(counts_.fetches);
  try {
    // Long enough for everyone who waits now; whoever comes later and may wait longer makes us ask
    // again (end_fetch), so that no caller fails by another's deadline.
    time_point deadline = fetches_.latest_deadline(*f);
    if (deadline == never || deadline == time_point::min()) deadline = default_deadline();
    origin->fetch(f->key(), deadline,
                  [core = this->shared_from_this(), f, origin, deadline](fetch_outcome<V> outcome) {
                    core->end_fetch(f, origin, deadline, std::move(outcome));
                  });
  } catch (...) {
    end_fetch(f, origin, never, error{errc::overloaded});
  }
}

template <class K, class V, class P>
void group_core<K, V, P>::end_fetch(flight_ptr const& f,
                                    std::shared_ptr<origin_type> const& origin, time_point asked,
                                    fetch_outcome<V>&& outcome) noexcept {
  if (auto* v = std::get_if<loaded<V>>(&outcome)) {
    std::optional<answer> a;
    try {
      a.emplace(handle_type{cache_type::detached(
          std::move(v->value), v->expires.expires_at(cache_.clock().now()))});
    } catch (...) {
      a.emplace(errc::overloaded);
    }
    return fetches_.finish(f, *a);
  }
  count(counts_.fetch_failures);
  if (std::holds_alternative<load_here>(outcome)) return fall_back(f);
  auto& e = std::get<error>(outcome);
  if (e == errc::deadline) {
    // Somebody may have joined since who can wait longer than we asked for.
    time_point const latest = fetches_.latest_deadline(*f);
    if (latest > asked && (latest != never || executor_.now() >= asked))
      return ask_owner(f, origin);
  }
  fetches_.finish(f, answer{std::move(e)});
}

template <class K, class V, class P>
void group_core<K, V, P>::fall_back(flight_ptr const& f) noexcept {
  try {
    wait_async(loads_, f->key(), f, never,
               [core = this->shared_from_this(), f](answer a) { core->fetches_.finish(f, a); },
               [this](flight_ptr const& load, bool) {
                 // Not behind others: a load may wait for this one. They have a bound of their own.
                 lead_load(load, load_kind::fallback, true);
               });
  } catch (...) {
    fetches_.finish(f, errc::overloaded);
  }
}

}  // namespace kcache::detail

#endif
