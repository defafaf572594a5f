// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_IMPL_GROUP_CORE_LOADING_HPP
#define KCACHE_IMPL_GROUP_CORE_LOADING_HPP
/// \file
/// Floor 3. The bodies of detail/group_core.hpp that load: what runs, and what becomes of it.
///
/// Once begun (impl/group_core_gate.hpp) a load is a task, and however the task ends, run, dropped
/// by an executor that stopped, or dropped by the loader, its flight is finished and its place is
/// given to the next.

#include <kcache/detail/group_core.hpp>

namespace kcache::detail {

/// A load that this thread is ending, handlers and all; then it is gone. A group that goes waits
/// for its loads to be, but not for one whose handler lets it go.
template <class K, class V, class P>
class group_core<K, V, P>::ending {
 public:
  explicit ending(group_core& core) noexcept
      : core_{core}, outer_{std::exchange(innermost_, this)} {}
  ending(ending const&) = delete;
  ending& operator=(ending const&) = delete;
  ~ending() {
    innermost_ = outer_;
    core_.load_gone();
  }
  [[nodiscard]] static std::size_t of(group_core const& core) noexcept {
    std::size_t n = 0;
    for (ending const* e = innermost_; e; e = e->outer_)
      if (&e->core_ == &core) ++n;
    return n;
  }

 private:
  static inline thread_local ending* innermost_ = nullptr;
  group_core& core_;
  ending* outer_;
};

/// One call of the loader: posted to the executor, then kept by the loader's completion.
template <class K, class V, class P>
class group_core<K, V, P>::load_task {
 public:
  load_task(std::shared_ptr<group_core> core, flight_ptr f) noexcept
      : core_{std::move(core)}, flight_{std::move(f)} {
    core_->running_.fetch_add(1);
  }
  load_task(load_task&&) noexcept = default;
  load_task& operator=(load_task&&) = delete;
  ~load_task() {
    if (core_ && refused()) refuse();
    if (core_) end(errc::cancelled);
  }

  void operator()() {
    flight& f = *flight_;
    if (core_->closed_.load() || f.abandoned.load()) return end(errc::cancelled);
    count(core_->counts_.loads);
    if (kind_of(f) == load_kind::refresh) count(core_->counts_.refreshes);
    auto const core = core_;
    auto const kept = flight_;
    f.generation = core->generations_.of(f.hash());
    begun_ = core->executor_.now();
    core->loader_(f.key(), load_context{kept},
                  load_completion<V>{[self = std::move(*this)](result<loaded<V>> r) mutable {
                    self.end(std::move(r));
                  }});
  }

 private:
  void refuse() noexcept {
    auto const core = std::move(core_);
    core->give_back();
    ending const here{*core};
    core->refuse(flight_);
  }
  void end(result<loaded<V>>&& r) noexcept {
    auto const core = std::move(core_);
    auto const f = std::move(flight_);
    duration const took = begun_ == time_point{} ? duration{} : core->executor_.now() - begun_;
    core->give_back();  // its place does not wait for what the handlers do
    ending const here{*core};
    if (auto const a = core->settle_load(f, std::move(r), took)) core->loads_.finish(f, *a);
  }

  std::shared_ptr<group_core> core_;
  flight_ptr flight_;
  time_point begun_{};
};

/// One call of `load_many`.
template <class K, class V, class P>
class group_core<K, V, P>::batch_task {
 public:
  batch_task(std::shared_ptr<group_core> core, std::vector<flight_ptr> fs) noexcept
      : core_{std::move(core)}, flights_{std::move(fs)} {
    core_->running_.fetch_add(1);
  }
  batch_task(batch_task&&) noexcept = default;
  batch_task& operator=(batch_task&&) = delete;
  ~batch_task() {
    if (core_ && refused()) refuse();
    if (core_) end(errc::cancelled);
  }

  void operator()() {
    if (core_->closed_.load()) return end(errc::cancelled);
    node together;
    std::vector<K> keys;
    std::vector<result<loaded<V>>> answers;
    time_point const began = core_->executor_.now();
    std::size_t waiting = 0;  // flights that are known to wait for this load
    try {
      keys.reserve(flights_.size());
      for (auto const& f : flights_) {
        f->generation = core_->generations_.of(f->hash());
        keys.push_back(f->key());
      }
      for (auto const& f : flights_) {
        static_cast<void>(wait_graph::connect(*f, together));
        ++waiting;
      }
      count(core_->counts_.loads, keys.size());
      count(core_->counts_.batches);
      load_scope const inside{&together};
      answers = core_->loader_.load_many(keys);
    } catch (...) {  // no memory: what is missing below is answered so
    }
    for (std::size_t i = 0; i != waiting; ++i) wait_graph::disconnect(*flights_[i], together);
    end(errc::overloaded, std::move(answers), core_->executor_.now() - began);
  }

 private:
  struct node : load_node {};

  void refuse() noexcept {
    auto const core = std::move(core_);
    core->give_back();
    ending const here{*core};
    for (auto const& f : flights_) core->refuse(f);
  }
  /// `why`: the answer where there is none.
  void end(errc why, std::vector<result<loaded<V>>>&& answers = {}, duration took = {}) noexcept {
    auto const core = std::move(core_);
    auto const flights = std::move(flights_);
    core->give_back();
    ending const here{*core};
    for (std::size_t i = 0; i != flights.size(); ++i) {
      auto const a = core->settle_load(
          flights[i], i < answers.size() ? std::move(answers[i]) : why, took);
      if (a) core->loads_.finish(flights[i], *a);
    }
  }

  std::shared_ptr<group_core> core_;
  std::vector<flight_ptr> flights_;
};

/// For who leads a flight.
template <class K, class V, class P>
void group_core<K, V, P>::lead_load(flight_ptr const& f, load_kind kind, bool nested) noexcept {
  f->kind = static_cast<std::uint8_t>(kind);
  if (finish_if_known(f)) return;
  if (kind == load_kind::fallback) {
    if (fallbacks_.fetch_add(1) >= options_.max_fallback_loads) {
      fallbacks_.fetch_sub(1);
      return loads_.finish(f, errc::overloaded);
    }
    count(counts_.fallback_loads);
  }
  enter_gate(f, nested);
}

/// The second look: the flight that was here before may have stored between our miss and our join,
/// and somebody may have put while we were in the queue.
template <class K, class V, class P>
bool group_core<K, V, P>::finish_if_known(flight_ptr const& f) noexcept {
  if constexpr (faults::no_second_look) return false;
  try {
    return finish_if_seen(f);
  } catch (...) {  // a hash or a comparison of the user's: then it is loaded
    return false;
  }
}

template <class K, class V, class P>
bool group_core<K, V, P>::finish_if_seen(flight_ptr const& f) {
  auto const key = storage_traits<K>::view(f->key());
  auto found = cache_.peek_dated(key);
  bool const done = kind_of(*f) == load_kind::refresh
                        ? found.entry && found.now < found.dates.refresh_at
                        : fresh(found);
  if (done) {
    loads_.finish(f, handle_type{std::move(found.entry), found.now - found.dates.written_at,
                                 false});
    return true;
  }
  if (kind_of(*f) == load_kind::refresh) return false;
  auto const a = absences_.peek(key);
  if (!a || !a->answers) return false;
  answer known{errc::overloaded};
  try {
    known = answer{a->why};
  } catch (...) {  // no memory for its words
  }
  loads_.finish(f, known);
  return true;
}

/// Stores what was loaded, or remembers why there is nothing. What the flight is to be finished
/// with; nothing if it is over, or its work has been begun anew.
template <class K, class V, class P>
auto group_core<K, V, P>::settle_load(flight_ptr const& f, result<loaded<V>>&& r,
                                      duration took) noexcept -> std::optional<answer> {
  load_kind const kind = kind_of(*f);
  if (kind == load_kind::fallback) fallbacks_.fetch_sub(1);
  if (r) {
    cache_.recorder().on_load();
    try {
      return store(*f, std::move(*r), took);
    } catch (...) {
      return answer{errc::overloaded};  // no memory for the value
    }
  }
  bool const asked_to_stop = f->begin_anew();
  if (!closed_.load() && (asked_to_stop || r.error() == errc::cancelled)) {
    if (f->abandoned.load() && loads_.finish_if_alone(f)) return std::nullopt;
    if (f->revived.exchange(false) || asked_to_stop) {
      // It gave up when nobody waited; now somebody does again.
      f->stage.store(opened);
      lead_load(f, kind, true);
      return std::nullopt;
    }
  }
  return settle_failed(*f, std::move(r).error());
}

template <class K, class V, class P>
auto group_core<K, V, P>::settle_failed(flight const& f, error&& e) noexcept -> answer {
  if (e == errc::not_found) {
    cache_.recorder().on_load();
    count(counts_.not_found);
  } else if (!(e == errc::cancelled)) {
    cache_.recorder().on_load_failure();
    count(counts_.load_failures);
  }
  try {
    remember(f, e);
  } catch (...) {  // then it is not remembered
  }
  return answer{std::move(e)};
}

template <class K, class V, class P>
bool group_core<K, V, P>::may_store(flight const& f) const noexcept {
  if (closed_.load()) return false;
  if constexpr (faults::store_unchecked) return true;
  if (faults::refresh_unchecked && kind_of(f) == load_kind::refresh) return true;
  return generations_.of(f.hash()) == f.generation;
}

template <class K, class V, class P>
auto group_core<K, V, P>::store(flight const& f, loaded<V> v, duration took) -> answer {
  ttl const lives = v.expires.value_or(options_.ttl);
  switch (kind_of(f)) {
    case load_kind::foreign:
      return handle_type{cache_type::detached(
          std::move(v.value), freshness_.kept_until(lives.expires_at(cache_.clock().now())))};
    case load_kind::fallback:
      return handle_type{cache_
                             .put_if(f.key(), std::move(v.value), [&] { return may_store(f); },
                                     ttl::shorter(lives, options_.fallback_ttl), took)
                             .entry};
    default:
      return handle_type{cache_
                             .put_if(f.key(), std::move(v.value), [&] { return may_store(f); },
                                     v.expires, took)
                             .entry};
  }
}

/// What came of a load that brought no value.
template <class K, class V, class P>
void group_core<K, V, P>::remember(flight const& f, error const& e) {
  if (kind_of(f) == load_kind::foreign) return;
  bool const gone = e == errc::not_found;
  if (!gone && !is_failure(e)) return;
  auto const key = storage_traits<K>::view(f.key());
  if (gone) cache_.erase_if(key, [&] { return may_store(f); });
  duration lives = gone ? options_.negative_ttl : options_.error_ttl;
  bool const answers = lives > duration::zero();
  if (!answers && !gone && cache_.contains(key)) lives = options_.retry_after;
  if (lives <= duration::zero()) return;
  absences_.put_if(f.key(), absence{e, answers}, [&] { return may_store(f); }, lives);
}

template <class K, class V, class P>
void group_core<K, V, P>::load_gone() noexcept {
  if (running_.fetch_sub(1) == 1 && closed_.load()) drained_.set();
}

}  // namespace kcache::detail

#endif
