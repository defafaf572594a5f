// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_IMPL_GROUP_CORE_GATE_HPP
#define KCACHE_IMPL_GROUP_CORE_GATE_HPP
/// \file
/// Floor 3. The bodies of detail/group_core.hpp that see a load to its place.
///
/// A load has a place from the gate, or waits for one. Its flight's stage says where it stands:
/// whoever moves it from `queued` to `begun` starts it, be it who takes it out of the queue or a
/// load that waits for it and must not wait for the queue.

#include <kcache/detail/group_core.hpp>
#include <kcache/impl/group_core_loading.hpp>

namespace kcache::detail {

template <class K, class V, class P>
void group_core<K, V, P>::enter_gate(flight_ptr const& f, bool nested) noexcept {
  if (nested || !advance(*f, opened, queued)) {
    gate_.enter_anyway();
    f->stage.store(begun);
    if (!start_load(f)) leave_gate();
    return;
  }
  pending p{f, {}};
  auto const entered = enter_or_displace(p);
  if (entered == gate_answer::wait) return;
  bool const ours = advance(*f, queued, begun);  // else another load has begun it
  if (entered == gate_answer::run) {
    if (!ours || !start_load(f)) leave_gate();
    return;
  }
  if (ours) refuse(f);
}

/// There was no room for it: in the queue, or with the executor.
template <class K, class V, class P>
void group_core<K, V, P>::refuse(flight_ptr const& f) noexcept {
  count(counts_.shed);
  if (kind_of(*f) == load_kind::fallback) fallbacks_.fetch_sub(1);
  if (kind_of(*f) == load_kind::refresh) put_off(*f);
  loads_.finish(f, error{errc::overloaded});
}

/// A refresh is not tried again at every read. What is known of absent keys does not go for that.
template <class K, class V, class P>
void group_core<K, V, P>::put_off(flight const& f) noexcept {
  if (options_.retry_after <= duration::zero() || absences_.size() >= options_.max_negative) return;
  try {
    absences_.put_if_absent(f.key(), absence{errc::overloaded, false}, options_.retry_after,
                            [&] { return may_store(f); });
  } catch (...) {  // the next reader tries again
  }
}

/// Where the queue is full, loads at its head that everybody has left make way.
template <class K, class V, class P>
gate_answer group_core<K, V, P>::enter_or_displace(pending& p) noexcept {
  try {
    for (;;) {
      gate_answer const entered = gate_.enter(p);
      if (entered != gate_answer::refused) return entered;
      auto const old = gate_.take_first_if(
          [](pending const& first) { return first.one && first.one->abandoned.load(); });
      if (!old) return entered;
      flight_ptr const& f = old->one;
      if (!advance(*f, queued, begun)) continue;  // another load has begun it
      if (loads_.finish_if_alone(f)) {
        if (kind_of(*f) == load_kind::fallback) fallbacks_.fetch_sub(1);
        continue;
      }
      gate_.enter_anyway();  // somebody has joined it, after all
      if (!start_load(f)) leave_gate();
    }
  } catch (...) {  // no memory to wait in
    return gate_answer::refused;
  }
}

/// A load waits for this one, which then must not wait for its turn.
template <class K, class V, class P>
void group_core<K, V, P>::overtake(flight_ptr const& f) noexcept {
  if (advance(*f, opened, hurried) || !advance(*f, queued, begun)) return;
  gate_.enter_anyway();
  if (!start_load(f)) leave_gate();
}

/// It has a place and has begun. False if that came to nothing: the place is the caller's again.
template <class K, class V, class P>
bool group_core<K, V, P>::start_load(flight_ptr const& f) noexcept {
  return post(load_task{this->shared_from_this(), f});
}

/// False if the executor dropped the task at once, since it has stopped, say: the task has ended
/// its load, and its place is the caller's to give on.
template <class K, class V, class P>
template <class Task>
bool group_core<K, V, P>::post(Task&& t) noexcept {
  posting here{.core = this, .outer = posting_};
  posting_ = &here;
  try {
    executor_.post(std::forward<Task>(t));
  } catch (...) {  // no memory or no thread; the task, wherever it got to, finishes its load
    here.failed = true;
    [[maybe_unused]] auto const left = std::forward<Task>(t);
  }
  posting_ = here.outer;
  for (; here.places > 1; --here.places) leave_gate();
  return here.places == 0;
}

/// For who leads several flights.
template <class K, class V, class P>
void group_core<K, V, P>::load_many(std::vector<flight_ptr>&& fs, bool nested) noexcept {
  std::erase_if(fs, [this](flight_ptr const& f) {
    f->kind = static_cast<std::uint8_t>(load_kind::own);
    return finish_if_known(f);
  });
  auto const most = static_cast<std::ptrdiff_t>(options_.max_batch);
  auto from = fs.begin();
  try {
    for (; fs.end() - from > most; from += most)
      enter_gate(std::vector<flight_ptr>(from, from + most), nested);
  } catch (...) {  // no memory: one call for all that are left, then
  }
  fs.erase(fs.begin(), from);
  if (!fs.empty()) enter_gate(std::move(fs), nested);
}

template <class K, class V, class P>
void group_core<K, V, P>::enter_gate(std::vector<flight_ptr>&& fs, bool nested) noexcept {
  if (nested) {
    gate_.enter_anyway();
    if (!start_many(std::move(fs))) leave_gate();
    return;
  }
  // Those that another load waits for already go alone, at once.
  std::erase_if(fs, [this](flight_ptr const& f) {
    if (advance(*f, opened, queued)) return false;
    gate_.enter_anyway();
    f->stage.store(begun);
    if (!start_load(f)) leave_gate();
    return true;
  });
  if (fs.empty()) return;
  pending p{nullptr, std::move(fs)};
  auto const entered = enter_or_displace(p);
  if (entered == gate_answer::wait) return;
  if (entered == gate_answer::run) {
    if (!start(std::move(p))) leave_gate();
    return;
  }
  for (auto const& f : p.many)
    if (advance(*f, queued, begun)) refuse(f);
}

template <class K, class V, class P>
bool group_core<K, V, P>::start_many(std::vector<flight_ptr>&& fs) noexcept {
  for (auto const& f : fs) f->stage.store(begun);
  return post(batch_task{this->shared_from_this(), std::move(fs)});
}

/// A load has ended. Where this thread is posting one, that was dropped: then it is left to who
/// posts, or each load of a long queue would begin inside the one before.
template <class K, class V, class P>
void group_core<K, V, P>::give_back() noexcept {
  for (posting* p = posting_; p; p = p->outer) {
    if (p->core != this) continue;
    ++p->places;
    return;
  }
  leave_gate();
}

/// Gives a place back, and with it starts what waits for one.
template <class K, class V, class P>
void group_core<K, V, P>::leave_gate() noexcept {
  while (auto next = gate_.leave())
    if (start(std::move(*next))) return;
}

/// Starts what has a place now; false if there was nothing left of it to do.
template <class K, class V, class P>
bool group_core<K, V, P>::start(pending&& p) noexcept {
  auto const is_over = [this](flight_ptr const& f) {
    if (!advance(*f, queued, begun)) return true;
    bool const unwanted = f->abandoned.load() && loads_.finish_if_alone(f);
    if (!unwanted && !finish_if_known(f)) return false;
    if (kind_of(*f) == load_kind::fallback) fallbacks_.fetch_sub(1);
    return true;
  };
  if (p.one) return !is_over(p.one) && start_load(p.one);
  std::erase_if(p.many, is_over);
  return !p.many.empty() && start_many(std::move(p.many));
}

}  // namespace kcache::detail

#endif
