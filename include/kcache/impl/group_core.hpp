// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_IMPL_GROUP_CORE_HPP
#define KCACHE_IMPL_GROUP_CORE_HPP
/// \file
/// Floor 3. The bodies of detail/group_core.hpp.

#include <kcache/detail/group_core.hpp>

#include <algorithm>
#include <optional>

namespace kcache::detail {

/// One call of the loader: posted to the executor, then kept by the loader's completion. However it
/// ends, run, dropped by an executor that stopped, or dropped by the loader, its flight is
/// finished.
template <class K, class V, class P>
class group_core<K, V, P>::load_task {
 public:
  load_task(std::shared_ptr<group_core> core, flight_ptr f, load_kind kind) noexcept
      : core_{std::move(core)}, flight_{std::move(f)}, kind_{kind} {
    core_->running_.fetch_add(1);
  }
  load_task(load_task&&) noexcept = default;
  load_task& operator=(load_task&&) = delete;
  ~load_task() {
    if (core_) end(errc::cancelled);
  }

  void operator()() {
    if (core_->closed_.load()) return end(errc::cancelled);
    core_->counts_.loads.fetch_add(1, std::memory_order_relaxed);
    auto const core = core_;
    auto const f = flight_;
    core->loader_(f->key(), load_context{f},
                  load_completion<V>{[self = std::move(*this)](result<loaded<V>> r) mutable {
                    self.end(std::move(r));
                  }});
  }

 private:
  void end(result<loaded<V>>&& r) noexcept {
    auto const core = std::move(core_);
    core->end_load(std::move(flight_), kind_, std::move(r));
    core->load_gone();
  }

  std::shared_ptr<group_core> core_;
  flight_ptr flight_;
  load_kind kind_;
};

template <class K, class V, class P>
cache_options<P> group_core<K, V, P>::cache_options_of(options_type const& o) {
  return {.capacity = o.capacity,
          .ttl = o.ttl,
          .shards = o.shards,
          .max_entry_weight = o.max_entry_weight,
          .clock = o.clock,
          .random = o.random,
          .hash = o.hash,
          .weigher = o.weigher,
          .expiry = o.expiry,
          .stats = o.stats,
          .on_removal = o.on_removal};
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
auto group_core<K, V, P>::wait_get(key_view key, time_point deadline) -> answer {
  if (no_blocking_scope::active())
    return error{errc::would_block,
                 "a blocking get that has to wait, on a thread that must not (an I/O thread): "
                 "use async_get there"};
  auto const self = this->shared_from_this();  // the group may go while we wait
  K const owned(key);
  auto const origin = origin_for(key);
  flight_table& table = origin ? fetches_ : loads_;
  std::uint64_t const hash = table.hash_of(owned);
  blocked w{deadline};
  auto const joined = table.join(owned, hash, w);
  if (!joined) return joined.error();
  if (joined->leader) {
    if (origin) lead_fetch(joined->flight, origin);
    else lead_load(joined->flight, load_kind::own);
  }
  if (!executor_.wait_until(w.event(), deadline)) {
    if (table.leave(hash, w)) return errc::deadline;
    w.event().block_until(never);  // the answer is being handed over at this moment
  }
  return w.take();
}

template <class K, class V, class P>
void group_core<K, V, P>::async_get(key_view key, std::shared_ptr<load_state> parent,
                                    time_point deadline, handler h) {
  if (auto hit = cache_.get(key)) return h(std::move(hit));
  K const owned(key);
  if (auto const origin = origin_for(key))
    wait_async(fetches_, owned, std::move(parent), deadline, std::move(h),
               [this, &origin](flight_ptr const& f) { lead_fetch(f, origin); });
  else
    wait_async(loads_, owned, std::move(parent), deadline, std::move(h),
               [this](flight_ptr const& f) { lead_load(f, load_kind::own); });
}

template <class K, class V, class P>
void group_core<K, V, P>::serve(K const& key, load_kind kind, time_point deadline, handler h) {
  wait_async(loads_, key, nullptr, deadline, std::move(h),
             [this, kind](flight_ptr const& f) { lead_load(f, kind); });
}

template <class K, class V, class P>
template <class Lead>
void group_core<K, V, P>::wait_async(flight_table& table, K const& key,
                                     std::shared_ptr<load_state> parent, time_point deadline,
                                     handler h, Lead lead) {
  auto const core = this->shared_from_this();  // the group may go in a handler
  auto const w =
      std::make_shared<asynchronous>(executor_, std::move(parent), deadline, std::move(h));
  auto const refuse = [&w](error e) {
    w->release();
    if (!w->claim()) return;
    w->cancel_timer();
    w->answer(std::move(e));
  };
  try {
    std::uint64_t const hash = table.hash_of(key);
    if (deadline != never)
      w->set_timer(executor_.schedule_at(
          deadline, [w, hash, &table, core] {
            if (!w->claim()) return;
            if (table.leave(hash, *w)) w->release();
            w->answer(errc::deadline);
          }));
    w->keep();
    auto const joined = table.join(key, hash, *w);
    if (!joined) return refuse(joined.error());
    if (joined->leader) lead(joined->flight);
  } catch (...) {
    refuse(current_failure());
  }
}

template <class K, class V, class P>
void group_core<K, V, P>::lead_load(flight_ptr const& f, load_kind kind) noexcept {
  // The flight that was here before may have stored between our miss and our join.
  if (auto h = cache_.peek(f->key())) return loads_.finish(f, std::move(h));
  if (kind == load_kind::fallback) {
    if (fallbacks_.fetch_add(1) >= options_.max_fallback_loads) {
      fallbacks_.fetch_sub(1);
      return loads_.finish(f, error{errc::overloaded});
    }
    counts_.fallback_loads.fetch_add(1, std::memory_order_relaxed);
  }
  load_task t{this->shared_from_this(), f, kind};
  try {
    executor_.post(std::move(t));
  } catch (...) {  // no memory or no thread; the task, wherever it got to, has finished the flight
  }
}

template <class K, class V, class P>
void group_core<K, V, P>::end_load(flight_ptr const& f, load_kind kind,
                                   result<loaded<V>>&& r) noexcept {
  if (kind == load_kind::fallback) fallbacks_.fetch_sub(1);
  auto const relaxed = std::memory_order_relaxed;
  auto& recorder = cache_.recorder();
  if (r) {
    recorder.on_load();
    std::optional<answer> a;
    try {
      a.emplace(store(*f, kind, std::move(*r)));
    } catch (...) {
      a.emplace(errc::overloaded);  // no memory for the value
    }
    return loads_.finish(f, *a);
  }
  if (r.error() == errc::cancelled && !closed_.load() && loads_.finish_if_alone(f)) return;
  if (r.error() == errc::cancelled && !closed_.load() && f->revived.exchange(false)) {
    // It gave up when nobody waited; now somebody does again.
    return lead_load(f, kind);
  }
  if (r.error() == errc::not_found) {
    recorder.on_load();
    counts_.not_found.fetch_add(1, relaxed);
  } else if (!(r.error() == errc::cancelled)) {
    recorder.on_load_failure();
    counts_.load_failures.fetch_add(1, relaxed);
  }
  loads_.finish(f, std::move(r).error());
}

template <class K, class V, class P>
auto group_core<K, V, P>::store(flight const& f, load_kind kind, loaded<V> v) -> answer {
  ttl lives = v.expires.value_or(options_.ttl);
  if (kind == load_kind::foreign)
    return cache_type::detached(std::move(v.value), lives.expires_at(cache_.clock().now()));
  if (kind == load_kind::fallback) lives = ttl::shorter(lives, options_.fallback_ttl);
  else lives = v.expires;
  return cache_.put_if(f.key(), std::move(v.value), [&f] { return f.may_store(); }, lives).entry;
}

template <class K, class V, class P>
void group_core<K, V, P>::lead_fetch(flight_ptr const& f,
                                     std::shared_ptr<origin_type> const& origin) noexcept {
  if (auto h = cache_.peek(f->key())) return fetches_.finish(f, std::move(h));
  ask_owner(f, origin);
}

template <class K, class V, class P>
void group_core<K, V, P>::ask_owner(flight_ptr const& f,
                                    std::shared_ptr<origin_type> const& origin) noexcept {
  counts_.fetches.fetch_add(1, std::memory_order_relaxed);
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
      a.emplace(cache_type::detached(std::move(v->value),
                                     v->expires.expires_at(cache_.clock().now())));
    } catch (...) {
      a.emplace(errc::overloaded);
    }
    return fetches_.finish(f, *a);
  }
  counts_.fetch_failures.fetch_add(1, std::memory_order_relaxed);
  if (std::holds_alternative<load_here>(outcome)) return fall_back(f);
  auto& e = std::get<error>(outcome);
  if (e == errc::deadline) {
    // Somebody may have joined since who can wait longer than we asked for.
    time_point const latest = fetches_.latest_deadline(*f);
    if (latest > asked && (latest != never || executor_.now() >= asked))
      return ask_owner(f, origin);
  }
  fetches_.finish(f, std::move(e));
}

template <class K, class V, class P>
void group_core<K, V, P>::fall_back(flight_ptr const& f) noexcept {
  try {
    wait_async(loads_, f->key(), f, never,
               [core = this->shared_from_this(), f](answer a) { core->fetches_.finish(f, a); },
               [this](flight_ptr const& load) { lead_load(load, load_kind::fallback); });
  } catch (...) {
    fetches_.finish(f, errc::overloaded);
  }
}

template <class K, class V, class P>
void group_core<K, V, P>::load_gone() noexcept {
  if (running_.fetch_sub(1) == 1 && closed_.load()) drained_.set();
}

template <class K, class V, class P>
void group_core<K, V, P>::close() noexcept {
  if (closed_.exchange(true)) return;
  std::shared_ptr<origin_type> origin;
  {
    std::lock_guard lock{origin_mutex_};
    has_origin_.store(false, std::memory_order_release);
    origin.swap(origin_);
  }
  if (origin) origin->leave();
  answer const cancelled{errc::cancelled};
  fetches_.close(cancelled);
  loads_.close(cancelled);
  if (running_.load() != 0)
    executor_.wait_until(drained_, after(executor_.now(), options_.drain));
}

template <class K, class V, class P>
group_stats group_core<K, V, P>::stats() const {
  auto const count = [](std::atomic<std::uint64_t> const& n) {
    return n.load(std::memory_order_relaxed);
  };
  group_stats s;
  s.cache = cache_.stats();
  s.loads = count(counts_.loads);
  s.load_failures = count(counts_.load_failures);
  s.not_found = count(counts_.not_found);
  s.fallback_loads = count(counts_.fallback_loads);
  s.fetches = count(counts_.fetches);
  s.fetch_failures = count(counts_.fetch_failures);
  s.served = count(counts_.served);
  return s;
}

}  // namespace kcache::detail

#endif
