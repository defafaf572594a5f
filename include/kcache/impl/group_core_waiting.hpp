// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_IMPL_GROUP_CORE_WAITING_HPP
#define KCACHE_IMPL_GROUP_CORE_WAITING_HPP
/// \file
/// Floor 3. The bodies of detail/group_core.hpp that wait for flights.

#include <kcache/detail/group_core.hpp>

#include <iterator>

namespace kcache::detail {

template <class K, class V, class P>
auto group_core<K, V, P>::wait_get(key_view key, time_point deadline, std::stop_token const* stop)
    -> answer {
  if (auto known = known_absent(key)) return std::move(*known);
  if (stop && stop->stop_requested()) return errc::cancelled;
  if (no_blocking_scope::active())
    return error{errc::would_block,
                 "a blocking get that has to wait, on a thread that must not (an I/O thread): "
                 "use async_get there"};
  auto const self = this->shared_from_this();  // the group may go while we wait
  K owned(key);
  auto const origin = origin_for(key);
  flight_table& table = origin ? fetches_ : loads_;
  std::uint64_t const hash = table.hash_of(owned);
  bool const nested = current_load != nullptr;
  blocked w{deadline};
  {
    auto const joined = table.join(std::move(owned), hash, w);
    if (!joined) return settled(key, joined.error());
    if (!joined->leader) {
      if (nested && !origin) overtake(joined->flight);
    } else if (origin) {
      lead_fetch(joined->flight, origin);
    } else {
      lead_load(joined->flight, load_kind::own, nested);
    }
  }
  auto const leave = [&table, hash, &w](errc why) {
    if (table.leave(hash, w)) w.complete(answer{why});
  };
  auto const wait = [&] {
    if (!executor_.wait_until(w.event(), deadline)) {
      leave(errc::deadline);
      w.event().block_until(never);  // at most until the answer has been handed over
    }
  };
  if (stop) {
    auto const on_stop = [&leave] { leave(errc::cancelled); };
    std::stop_callback const callback{*stop, on_stop};
    wait();
  } else {
    wait();
  }
  return settled(key, w.take());
}

template <class K, class V, class P>
template <class Handler>
void group_core<K, V, P>::async_get(key_view key, std::shared_ptr<load_state> parent,
                                    time_point deadline, Handler h) {
  if (auto hit = look(key)) return h(answer{std::move(hit)});
  if (auto known = known_absent(key)) return h(std::move(*known));
  K owned(key);
  auto const origin = origin_for(key);
  auto const wait = [&](auto&& then) {
    if (origin)
      wait_async(fetches_, std::move(owned), std::move(parent), deadline, std::move(then),
                 [this, &origin](flight_ptr const& f, bool) { lead_fetch(f, origin); });
    else
      wait_async(loads_, std::move(owned), std::move(parent), deadline, std::move(then),
                 [this](flight_ptr const& f, bool nested) {
                   lead_load(f, load_kind::own, nested);
                 });
  };
  if (may_be_stale()) wait(settling(owned, std::move(h)));
  else wait(std::move(h));
}

template <class K, class V, class P>
template <class Handler>
void group_core<K, V, P>::async_get(key_view key, std::shared_ptr<load_state> parent,
                                    std::stop_token stop, time_point deadline, Handler h) {
  if (auto hit = look(key)) return h(answer{std::move(hit)});
  if (auto known = known_absent(key)) return h(std::move(*known));
  if (stop.stop_requested()) return h(answer{errc::cancelled});
  auto const core = this->shared_from_this();  // the group may go in a handler
  K owned(key);
  auto const origin = origin_for(key);
  flight_table& table = origin ? fetches_ : loads_;
  std::uint64_t const hash = table.hash_of(owned);
  auto settle = settling(owned, std::move(h));
  using kept = kept_handler<decltype(settle)>;
  using waiter_type = stoppable_waiter<flight_table, answer, kept>;
  bool const nested = parent != nullptr;
  auto* const w =
      new waiter_type{table, hash, std::move(parent), stop, deadline, kept(std::move(settle))};
  bool const waits =
      join_async(table, std::move(owned), hash, *w, nested, [&](flight_ptr const& f, bool hurry) {
        if (origin) lead_fetch(f, origin);
        else lead_load(f, load_kind::own, hurry);
      });
  if (waits) w->joined(stop);
}

template <class K, class V, class P>
void group_core<K, V, P>::serve(K const& key, load_kind kind, time_point deadline, handler h) {
  if (auto known = known_absent(storage_traits<K>::view(key))) return h(std::move(*known));
  auto const wait = [&](auto&& then) {
    wait_async(loads_, key, nullptr, deadline, std::move(then),
               [this, kind](flight_ptr const& f, bool) { lead_load(f, kind, false); });
  };
  if (may_be_stale()) wait(settling(key, std::move(h)));
  else wait(std::move(h));
}

template <class K, class V, class P>
template <class Key, class Handler, class Lead>
void group_core<K, V, P>::wait_async(flight_table& table, Key&& key,
                                     std::shared_ptr<load_state> parent, time_point deadline,
                                     Handler h, Lead lead) {
  auto const core = this->shared_from_this();  // the group may go in a handler
  using kept = kept_handler<Handler>;
  std::uint64_t const hash = table.hash_of(key);
  bool const nested = parent != nullptr;
  auto* const w = new async_waiter<flight_table, answer, kept>{std::move(parent), deadline,
                                                               kept(std::move(h))};
  join_async(table, std::forward<Key>(key), hash, *w, nested, lead);
}

/// False if `w` was told at once why it cannot wait. Else it may have been answered already.
template <class K, class V, class P>
template <class Key, class Waiter, class Lead>
bool group_core<K, V, P>::join_async(flight_table& table, Key&& key, std::uint64_t hash, Waiter& w,
                                     bool nested, Lead lead) noexcept {
  std::optional<result<typename flight_table::joined>> joined;
  try {
    joined.emplace(table.join(std::forward<Key>(key), hash, w));
  } catch (...) {
    joined.emplace(current_failure());
  }
  if (!*joined) {
    w.refuse(answer{std::move(joined->error())});
    return false;
  }
  auto const& [f, leader] = **joined;
  if (leader) lead(f, nested);
  else if (nested && &table == &loads_) overtake(f);
  return true;
}

/// Sets or waits for the answer to each of `n` keys.
template <class K, class V, class P>
template <class Gathering, class Keys>
void group_core<K, V, P>::gather(Gathering& all, Keys const& keys, std::size_t n,
                                 load_node* parent, time_point deadline, bool timed) {
  std::vector<flight_ptr> batch;
  std::size_t i = 0;
  try {
    for (auto const& k : keys) {
      gather_one(all, i, static_cast<key_view>(k), parent, deadline, timed, batch);
      ++i;
    }
  } catch (...) {  // the range's own: what it did not yield is answered so
    errc const why = current_failure().code();
    for (; i < n; ++i) all.set(i, answer{why});
  }
  if (!batch.empty()) load_many(std::move(batch), parent != nullptr);
  all.all_asked();
}

template <class K, class V, class P>
template <class Gathering>
void group_core<K, V, P>::gather_one(Gathering& all, std::size_t index, key_view key,
                                     load_node* parent, time_point deadline, bool timed,
                                     std::vector<flight_ptr>& batch) noexcept {
  bool const nested = parent != nullptr;
  try {
    if (auto hit = look(key)) return all.set(index, answer{std::move(hit)});
    if (auto known = known_absent(key)) return all.set(index, std::move(*known));
    if (!timed && no_blocking_scope::active())
      return all.set(index, error{errc::would_block, "get_many on a thread that must not wait"});
    K owned(key);
    auto const origin = origin_for(key);
    flight_table& table = origin ? fetches_ : loads_;
    std::uint64_t const hash = table.hash_of(owned);
    if (batch.size() == batch.capacity()) batch.reserve(2 * batch.size() + 8);
    auto& w = all.add(index, parent, table, hash, deadline, timed);
    auto const joined = table.join(std::move(owned), hash, w);
    if (!joined) return all.set(index, answer{joined.error()});
    if (!joined->leader) {
      if (nested && !origin) overtake(joined->flight);
    } else if (origin) {
      lead_fetch(joined->flight, origin);
    } else if (loader_.batches()) {
      batch.push_back(joined->flight);
    } else {
      lead_load(joined->flight, load_kind::own, nested);
    }
  } catch (...) {  // before it waits
    all.set(index, answer{current_failure()});
  }
}

template <class K, class V, class P>
template <class Keys>
auto group_core<K, V, P>::get_many(Keys const& keys, time_point deadline) -> std::vector<answer> {
  auto const self = this->shared_from_this();  // the group may go while we wait
  std::vector<answer> answers;
  one_shot_event all_there;
  auto const done = [&answers, &all_there](std::vector<answer> a) {
    answers = std::move(a);
    all_there.set();
  };
  auto const n = static_cast<std::size_t>(std::distance(std::begin(keys), std::end(keys)));
  auto const all = std::make_shared<gathering<flight_table, answer, decltype(done)>>(n, done);
  all->begin(nullptr);
  gather(*all, keys, n, current_load, deadline, false);
  if (!executor_.wait_until(all_there, deadline)) {
    all->leave(answer{errc::deadline});
    all_there.block_until(never);  // at most until the last answer has been handed over
  }
  if (may_be_stale()) {
    auto a = answers.begin();
    for (auto const& k : keys) *a = settled(static_cast<key_view>(k), std::move(*a)), ++a;
  }
  return answers;
}

template <class K, class V, class P>
template <class Keys, class Handler>
void group_core<K, V, P>::async_get_many(Keys const& keys, std::shared_ptr<load_state> parent,
                                         std::stop_token stop, time_point deadline, Handler h) {
  auto const self = this->shared_from_this();  // the group may go in the handler
  auto const n = static_cast<std::size_t>(std::distance(std::begin(keys), std::end(keys)));
  std::vector<K> kept;
  if (may_be_stale())
    for (auto const& k : keys) kept.emplace_back(static_cast<key_view>(k));
  auto done = [self, kept = std::move(kept), h = std::move(h)](std::vector<answer> a) mutable {
    for (std::size_t i = 0; i != kept.size(); ++i)
      a[i] = self->settled(storage_traits<K>::view(kept[i]), std::move(a[i]));
    h(std::move(a));
  };
  auto const all =
      std::make_shared<gathering<flight_table, answer, decltype(done)>>(n, std::move(done));
  load_node* const node = parent.get();
  all->begin(std::move(parent));
  gather(*all, keys, n, node, deadline, true);
  if (stop.stop_possible()) all->leave_when(std::move(stop));
}

}  // namespace kcache::detail

#endif
