// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_SINGLE_FLIGHT_HPP
#define KCACHE_SINGLE_FLIGHT_HPP
/// \file
/// Floor 3. `single_flight`: callers that want the same key at the same time share one piece of
/// work.
///
/// ## What it is
/// The first caller that joins a key opens a flight and leads it: it must see to the work and call
/// `finish` once. Callers that join before `finish` follow: they wait for the same answer. Go's
/// `singleflight` is the ancestor; five of its faults are what this one is built against.
///
/// ## A flight runs on its own
/// It belongs to no caller. A leader that gives up leaves like any other waiter, and the work goes
/// on for the followers; its answer can still be cached when nobody waits any more. When the last
/// waiter has left the flight is abandoned: the loader can see it, and its stop token is asked to
/// stop. One that joins later revives it. A flight that was opened for nobody (`open`: a refresh)
/// is never abandoned.
///
/// ## Everyone has a deadline of their own
/// A waiter whose own thread waits keeps its deadline itself and calls `leave`. One that has no
/// thread is `timed`: each stripe keeps such waiters in a heap by their deadlines and has one timer
/// for the first of them, so that a hundred thousand waits cost a hundred thousand times 16 bytes
/// and not as many timers. Leaving, ending and expiring are ordered by the stripe's lock: whoever
/// takes a waiter out under it is the one that answers.
///
/// ## An answer always comes
/// `finish` takes the flight off the table and answers every waiter exactly once, outside the lock:
/// a waiter may join again, or destroy itself, inside `complete`. A wait that would close a cycle
/// of loads is refused when it begins (wait_graph.hpp).
///
/// ## An invalidation parts the early from the late
/// `detach` takes a flight off the table while it runs: its waiters still get its answer, but a
/// later caller opens a new flight. `detach_all` does so for every flight, at once, by an epoch:
/// who finds a flight of another epoch on the table opens a new one in its place. Whether what a
/// flight has read may be stored is for its owner to know (detail/generations.hpp).
///
/// Locks: 16 stripes by hash. Nothing of the user's runs under a stripe but a key's copy, its
/// comparison and its destruction, which must not come back here, and the executor's `schedule_at`
/// and `cancel`. Thread safe.

#include <kcache/detail/hash_chains.hpp>
#include <kcache/detail/timed_waits.hpp>
#include <kcache/detail/wait_graph.hpp>
#include <kcache/loader.hpp>
#include <kcache/policies/executor.hpp>
#include <kcache/result.hpp>
#include <kcache/time.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace kcache {

/// For flights without timed waiters.
struct no_timers {
  [[nodiscard]] timer_id arm(std::size_t /*stripe*/, time_point /*at*/) const { return 0; }
  void disarm(timer_id /*id*/) const noexcept {}
};

/// `Answer` is copied to every waiter. `Hash` is a functor over `Key`; equality is `==`.
/// `Timers::arm(stripe, at)` sees to it that `expire(stripe, now)` is called at `at`; it may throw.
template <class Key, class Answer, class Hash, class Timers = no_timers>
class single_flight {
 public:
  class flight;

  /// Somebody who waits for an answer. It must stay where it is until `complete` was called or
  /// `leave` returned true.
  class waiter {
   public:
    /// `parent`: the load that waits (null outside of loads). A `timed` waiter is answered with
    /// `deadline` when that has come; for others it only counts in `latest_deadline`.
    explicit waiter(detail::load_node* parent = nullptr, time_point deadline = never,
                    bool timed = false) noexcept
        : timed_{timed}, parent_{parent}, deadline_{deadline} {}
    waiter(waiter const&) = delete;
    waiter& operator=(waiter const&) = delete;
    /// Called at most once, on the thread that ends the wait, under no lock.
    virtual void complete(Answer const& answer) noexcept = 0;

    /// The heap's.
    std::uint32_t heap_place = detail::deadline_heap<waiter>::outside;

   protected:
    virtual ~waiter() = default;

   private:
    friend class single_flight;
    bool timed_;  // here, beside the heap's place
    detail::load_node* parent_;
    time_point deadline_;
    flight* flight_ = nullptr;  // guarded by the stripe, as are the links
    waiter* previous_ = nullptr;
    waiter* next_ = nullptr;
  };

  /// One piece of work.
  class flight final : public detail::load_state {
    friend class single_flight;
    std::uint32_t waiters_ = 0;  // guarded by the stripe

   public:
    template <class K>
    flight(K&& key, std::uint64_t hash) : key_(std::forward<K>(key)), hash_{hash} {}
    [[nodiscard]] Key const& key() const noexcept { return key_; }
    [[nodiscard]] std::uint64_t hash() const noexcept { return hash_; }
    /// The owner's: the key's generation when the work began.
    std::uint64_t generation = 0;
    /// The table's.
    flight* chain = nullptr;

   private:
    friend class single_flight;
    std::uint32_t epoch_ = 0;  // guarded by the stripe
    bool on_table_ = false;
    bool kept_ = false;  // opened for nobody
    Key key_;
    std::uint64_t hash_;
    std::shared_ptr<flight> self_;  // while it runs; guarded by the stripe, as is all below
    waiter* first_ = nullptr;
    flight* previous_ = nullptr;  // of the stripe's running flights, on the table or not
    flight* next_ = nullptr;
  };

  using flight_ptr = std::shared_ptr<flight>;

  struct joined {
    flight_ptr flight;
    bool leader;  ///< true: the caller opened the flight and must bring it to `finish`
  };

  explicit single_flight(Hash hash = Hash{}, std::size_t max_waiters = 10'000,
                         Timers timers = Timers{})
      : hash_{std::move(hash)}, max_waiters_{max_waiters}, timers_{std::move(timers)} {}

  /// What `join` and `leave` want to be told of a key.
  [[nodiscard]] std::uint64_t hash_of(Key const& key) const { return hash_(key); }

  /// Joins the flight of `key`, or opens one. Refuses with `recursive_load`, `overloaded` (too many
  /// waiters) or `cancelled` (closed); `w` is then not waiting. May throw `bad_alloc` or what
  /// copying a key throws, with the same effect. A key that may be moved from is, by who leads.
  template <class K = Key const&>
  [[nodiscard]] result<joined> join(K&& key, std::uint64_t hash, waiter& w) {
    stripe& s = stripe_of(hash);
    std::lock_guard lock{s.mutex};
    if (closed_.load(std::memory_order_relaxed)) return errc::cancelled;
    flight_ptr f = on_table(s, key, hash);
    bool const leader = !f;
    if (leader) f = std::make_shared<flight>(std::forward<K>(key), hash);
    if (!leader && f->waiters_ >= max_waiters_)
      return error{errc::overloaded, "too many callers wait for it"};
    if (w.timed_ && w.deadline_ != never)
      s.timed.add(w, w.deadline_, arming(index_of(hash)), disarming());
    if (w.parent_) {
      bool fits = false;
      try {
        fits = detail::wait_graph::connect(*w.parent_, *f);
      } catch (...) {
        s.timed.remove(w, disarming());
        throw;
      }
      if (!fits) {
        s.timed.remove(w, disarming());
        return error{errc::recursive_load, "a load waits, through others, for itself"};
      }
    }
    if (leader) begin(s, f);
    link(*f, w);
    return joined{std::move(f), leader};
  }

  /// Opens a flight that nobody waits for yet; null if there is one already, or all is closed. The
  /// caller must bring it to `finish`.
  [[nodiscard]] flight_ptr open(Key const& key, std::uint64_t hash) {
    stripe& s = stripe_of(hash);
    std::lock_guard lock{s.mutex};
    if (closed_.load(std::memory_order_relaxed) || on_table(s, key, hash)) return nullptr;
    auto f = std::make_shared<flight>(key, hash);
    f->kept_ = true;
    begin(s, f);
    return f;
  }

  /// Takes a waiter out. True: `complete` will not be called. False: it was or is being called, or
  /// the waiter never joined.
  bool leave(std::uint64_t hash, waiter& w) noexcept {
    flight_ptr abandoned;
    {
      stripe& s = stripe_of(hash);
      std::lock_guard lock{s.mutex};
      if (!w.flight_) return false;
      abandoned = unlink(s, w);
    }
    if (abandoned) abandoned->request_stop();
    return true;
  }

  /// Answers the timed waiters of a stripe whose deadlines have come, and arms the next timer.
  void expire(std::size_t index, time_point now) noexcept {
    stripe& s = stripes_[index];
    waiter* due = nullptr;
    std::vector<flight_ptr> abandoned;
    {
      std::lock_guard lock{s.mutex};
      s.timed.expire(now, [&](waiter& w) { take_due(s, w, due, abandoned); }, arming(index),
                     disarming());
    }
    answer_all(due, errc::deadline);  // from here on we may be gone
    for (auto const& f : abandoned) f->request_stop();
  }

  /// Ends a flight: whoever joins from now on opens a new one. Answers all waiters.
  void finish(flight_ptr const& f, Answer const& answer) noexcept {
    answer_all(take(*f), answer);
  }

  /// Ends a flight that nobody waits for, as `finish` does. False if somebody does: it goes on, and
  /// the work has to be done again for them.
  [[nodiscard]] bool finish_if_alone(flight_ptr const& f) noexcept {
    stripe& s = stripe_of(f->hash_);
    flight_ptr kept;
    std::lock_guard lock{s.mutex};
    if (f->waiters_ != 0) return false;
    take_off(s, *f, kept);
    return true;
  }

  /// Takes the key's flight, if there is one, off the table: see the essay. Throws what comparing
  /// keys throws.
  void detach(Key const& key, std::uint64_t hash) {
    stripe& s = stripe_of(hash);
    std::lock_guard lock{s.mutex};
    if (flight** const at = find(s, key, hash)) take_off_table(s, at);
  }
  void detach(Key const& key) { detach(key, hash_(key)); }
  /// Detaches every flight. O(1).
  void detach_all() noexcept { epoch_.fetch_add(1, std::memory_order_acq_rel); }

  /// Refuses joins from now on; abandons all flights and answers their waiters.
  void close(Answer const& answer) noexcept {
    closed_.store(true, std::memory_order_relaxed);
    for (stripe& s : stripes_)
      for (;;) {
        flight_ptr f;
        {
          std::lock_guard lock{s.mutex};
          if (!s.running) break;
          f = s.running->self_;
          f->abandoned.store(true, std::memory_order_relaxed);
        }
        f->request_stop();
        finish(f, answer);
      }
  }

  /// The latest deadline among those who wait now; `time_point::min()` if nobody does.
  [[nodiscard]] time_point latest_deadline(flight const& f) const noexcept {
    std::lock_guard lock{stripe_of(f.hash_).mutex};
    time_point latest = time_point::min();
    for (waiter const* w = f.first_; w; w = w->next_)
      if (w->deadline_ > latest) latest = w->deadline_;
    return latest;
  }

  /// The key's flight, and how many wait for it; nothing if there is none that could be joined.
  [[nodiscard]] std::optional<std::pair<flight_ptr, std::size_t>> look(Key const& key) const {
    std::uint64_t const hash = hash_(key);
    stripe& s = stripe_of(hash);
    std::lock_guard lock{s.mutex};
    flight** const at = find(s, key, hash);
    if (!at || (*at)->epoch_ != epoch_.load(std::memory_order_acquire)) return std::nullopt;
    return std::pair{(*at)->self_, std::size_t{(*at)->waiters_}};
  }

  /// How many flights could be joined: 0 when nothing is being loaded. O(flights).
  [[nodiscard]] std::size_t size() const noexcept {
    std::size_t n = 0;
    auto const epoch = epoch_.load(std::memory_order_acquire);
    for (stripe const& s : stripes_) {
      std::lock_guard lock{s.mutex};
      for (flight const* f = s.running; f; f = f->next_)
        if (f->on_table_ && f->epoch_ == epoch) ++n;
    }
    return n;
  }

 private:
  struct alignas(64) stripe {
    mutable std::mutex mutex;
    detail::hash_chains<flight> table;
    flight* running = nullptr;
    detail::timed_waits<waiter> timed;
  };

  static constexpr std::size_t stripe_count = 16;
  static std::size_t index_of(std::uint64_t hash) noexcept { return hash >> 60U; }
  stripe& stripe_of(std::uint64_t hash) const noexcept { return stripes_[index_of(hash)]; }

  // The table.
  static flight** find(stripe& s, Key const& key, std::uint64_t hash) {
    return s.table.find(hash, [&](flight const& f) { return f.key_ == key; });
  }
  /// What can be joined; a flight of an epoch that is over leaves the table.
  flight_ptr on_table(stripe& s, Key const& key, std::uint64_t hash) {
    flight** const at = find(s, key, hash);
    if (!at) return nullptr;
    if ((*at)->epoch_ == epoch_.load(std::memory_order_acquire)) return (*at)->self_;
    take_off_table(s, at);
    return nullptr;
  }
  static void take_off_table(stripe& s, flight** at) noexcept {
    (*at)->on_table_ = false;
    s.table.erase(at);
  }

  void begin(stripe& s, flight_ptr const& pointer) noexcept {
    flight& f = *pointer;
    f.epoch_ = epoch_.load(std::memory_order_acquire);
    f.self_ = pointer;
    f.next_ = s.running;
    if (s.running) s.running->previous_ = &f;
    s.running = &f;
    s.table.insert(f);
    f.on_table_ = true;
  }

  /// Under the lock; the flight's own share goes to `kept`, to be released after it.
  static void take_off(stripe& s, flight& f, flight_ptr& kept) noexcept {
    if (std::exchange(f.on_table_, false)) s.table.erase(f);
    if (!f.self_) return;
    kept = std::move(f.self_);
    (f.previous_ ? f.previous_->next_ : s.running) = f.next_;
    if (f.next_) f.next_->previous_ = f.previous_;
  }

  // The waiters.
  static void link(flight& f, waiter& w) noexcept {
    w.flight_ = &f;
    w.previous_ = nullptr;
    w.next_ = f.first_;
    if (f.first_) f.first_->previous_ = &w;
    f.first_ = &w;
    ++f.waiters_;
    if (f.abandoned.load(std::memory_order_relaxed)) {
      f.revived.store(true);  // first: who finds it not abandoned must find it revived
      f.abandoned.store(false);
    }
  }
  /// The flight, if it is abandoned now.
  flight_ptr unlink(stripe& s, waiter& w) noexcept {
    flight& f = *w.flight_;
    (w.previous_ ? w.previous_->next_ : f.first_) = w.next_;
    if (w.next_) w.next_->previous_ = w.previous_;
    bool const last = --f.waiters_ == 0 && !f.kept_;
    if (last) f.abandoned.store(true, std::memory_order_relaxed);
    part(s, w, f);
    return last ? f.self_ : nullptr;
  }
  /// From its flight and its deadline.
  void part(stripe& s, waiter& w, flight& f) noexcept {
    w.flight_ = nullptr;
    s.timed.remove(w, disarming());
    if (w.parent_) detail::wait_graph::disconnect(*w.parent_, f);
  }
  waiter* take(flight& f) noexcept {
    stripe& s = stripe_of(f.hash_);
    flight_ptr kept;
    std::lock_guard lock{s.mutex};
    take_off(s, f, kept);
    waiter* const first = std::exchange(f.first_, nullptr);
    f.waiters_ = 0;
    for (waiter* w = first; w; w = w->next_) part(s, *w, f);
    return first;
  }
  /// Those whose threads wait come first, since nothing foreign runs in their `complete`; then the
  /// handlers, in the order in which they joined.
  static void answer_all(waiter* w, Answer const& answer) noexcept {
    waiter* handlers = nullptr;
    while (w) {
      waiter* const next = w->next_;  // `complete` may destroy `w`
      if (w->timed_) w->next_ = std::exchange(handlers, w);
      else w->complete(answer);
      w = next;
    }
    while (handlers) {
      waiter* const next = handlers->next_;
      handlers->complete(answer);
      handlers = next;
    }
  }

  // The deadlines.
  auto arming(std::size_t index) noexcept {
    return [this, index](time_point at) { return timers_.arm(index, at); };
  }
  auto disarming() noexcept {
    return [this](timer_id timer) { timers_.disarm(timer); };
  }
  void take_due(stripe& s, waiter& w, waiter*& due, std::vector<flight_ptr>& abandoned) noexcept {
    if (flight_ptr f = unlink(s, w)) {
      try {
        abandoned.push_back(std::move(f));
      } catch (...) {  // it has seen `abandoned`; only its stop token is late
      }
    }
    w.next_ = std::exchange(due, &w);
  }

  Hash hash_;
  std::size_t max_waiters_;
  Timers timers_;
  std::atomic<bool> closed_{false};
  std::atomic<std::uint32_t> epoch_{0};
  mutable std::array<stripe, stripe_count> stripes_;
};

}  // namespace kcache

#endif
