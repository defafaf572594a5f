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
/// `singleflight` is the ancestor; four of its faults are what this one is built against.
///
/// ## A flight runs on its own
/// It belongs to no caller. A leader that gives up leaves like any other waiter, and the work goes
/// on for the followers; its answer can still be cached when nobody waits any more. When the last
/// waiter has left the flight is marked abandoned, which a loader can see; one that joins later
/// revives it. Each waiter keeps its own deadline outside and calls `leave`.
///
/// ## An answer always comes
/// `finish` takes the flight off the table and answers every waiter exactly once, outside the lock:
/// a waiter may join again, or destroy itself, inside `complete`. A wait that would close a cycle
/// of loads is refused when it begins (wait_graph.hpp).
///
/// ## A detached flight stores nothing
/// `detach` takes a flight off the table while it runs: its waiters still get its answer, but it
/// may not be stored (`may_store` is false from then on), and a later caller opens a new flight.
/// That is how an invalidation wins over a load that began before it.
///
/// Locks: 16 stripes by hash. Nothing of the user's runs under a stripe but a key's copy, its
/// comparison and its destruction, which must not come back here. Thread safe.

#include <kcache/detail/wait_graph.hpp>
#include <kcache/loader.hpp>
#include <kcache/result.hpp>
#include <kcache/time.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>

namespace kcache {

/// `Answer` is copied to every waiter. `Hash` is a functor over `Key`; equality is `==`.
template <class Key, class Answer, class Hash>
class single_flight {
 public:
  class flight;

  /// Somebody who waits for an answer. It must stay where it is until `complete` was called or
  /// `leave` returned true.
  class waiter {
   public:
    /// `parent`: the load that waits (null outside of loads). `deadline`: for `latest_deadline`.
    explicit waiter(detail::load_node* parent = nullptr, time_point deadline = never) noexcept
        : parent_{parent}, deadline_{deadline} {}
    waiter(waiter const&) = delete;
    waiter& operator=(waiter const&) = delete;
    /// Called at most once, on the thread that ends the flight, under no lock.
    virtual void complete(Answer const& answer) noexcept = 0;

   protected:
    virtual ~waiter() = default;

   private:
    friend class single_flight;
    detail::load_node* parent_;
    time_point deadline_;
    flight* flight_ = nullptr;  // guarded by the stripe, as are the links
    waiter* previous_ = nullptr;
    waiter* next_ = nullptr;
  };

  /// One piece of work.
  class flight final : public detail::load_state, public std::enable_shared_from_this<flight> {
   public:
    flight(Key const& key, std::uint64_t hash) : key_{key}, hash_{hash} {}
    [[nodiscard]] Key const& key() const noexcept { return key_; }
    /// False once the flight was detached. Ask under the lock that orders the key's erases.
    [[nodiscard]] bool may_store() const noexcept {
      return may_store_.load(std::memory_order_acquire);
    }

   private:
    friend class single_flight;
    Key key_;
    std::uint64_t hash_;
    std::atomic<bool> may_store_{true};
    bool on_table_ = true;  // guarded by the stripe, as is the list
    bool running_ = false;
    waiter* first_ = nullptr;
    std::size_t waiters_ = 0;
    flight* previous_ = nullptr;  // of the stripe's running flights, on the table or not
    flight* next_ = nullptr;
  };

  using flight_ptr = std::shared_ptr<flight>;

  struct joined {
    flight_ptr flight;
    bool leader;  ///< true: the caller opened the flight and must bring it to `finish`
  };

  explicit single_flight(Hash hash = Hash{}, std::size_t max_waiters = 10'000)
      : hash_{std::move(hash)}, max_waiters_{max_waiters} {}

  /// What `join` and `leave` want to be told of a key.
  [[nodiscard]] std::uint64_t hash_of(Key const& key) const { return hash_(key); }

  /// Joins the flight of `key`, or opens one. Refuses with `recursive_load`, `overloaded` (too many
  /// waiters) or `cancelled` (closed); `w` is then not waiting. May throw `bad_alloc` or what
  /// copying a key throws, with the same effect.
  [[nodiscard]] result<joined> join(Key const& key, std::uint64_t hash, waiter& w) {
    stripe& s = stripe_of(hash);
    std::lock_guard lock{s.mutex};
    if (closed_.load(std::memory_order_relaxed)) return errc::cancelled;
    auto at = s.flights.find(key);
    bool const leader = at == s.flights.end();
    if (leader) at = s.flights.emplace(key, std::make_shared<flight>(key, hash)).first;
    flight& f = *at->second;
    if (!leader && f.waiters_ >= max_waiters_)
      return error{errc::overloaded, "too many callers wait for it"};
    if (w.parent_) {
      bool fits = false;
      try {
        fits = detail::wait_graph::connect(*w.parent_, f);
      } catch (...) {
        if (leader) s.flights.erase(at);
        throw;
      }
      if (!fits) return error{errc::recursive_load, "a load waits, through others, for itself"};
    }
    if (leader) begin(s, f);
    link(f, w);
    return joined{at->second, leader};
  }

  /// Takes a waiter out. True: `complete` will not be called. False: it was or is being called.
  bool leave(std::uint64_t hash, waiter& w) noexcept {
    stripe& s = stripe_of(hash);
    std::lock_guard lock{s.mutex};
    if (!w.flight_) return false;
    flight& f = *w.flight_;
    (w.previous_ ? w.previous_->next_ : f.first_) = w.next_;
    if (w.next_) w.next_->previous_ = w.previous_;
    if (--f.waiters_ == 0) f.abandoned.store(true, std::memory_order_relaxed);
    w.flight_ = nullptr;
    if (w.parent_) detail::wait_graph::disconnect(*w.parent_, f);
    return true;
  }

  /// Ends a flight: whoever joins from now on opens a new one. Answers all waiters.
  void finish(flight_ptr const& f, Answer const& answer) noexcept {
    waiter* w = take(*f);
    while (w) {
      waiter* const next = w->next_;  // `complete` may destroy `w`
      w->complete(answer);
      w = next;
    }
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

  /// Takes the key's flight, if there is one, off the table: see the essay.
  void detach(Key const& key) noexcept {
    stripe& s = stripe_of(hash_(key));
    std::lock_guard lock{s.mutex};
    auto const at = s.flights.find(key);
    if (at != s.flights.end()) detach_at(s, at);
  }

  /// Detaches every flight.
  void detach_all() noexcept {
    for (stripe& s : stripes_) {
      std::lock_guard lock{s.mutex};
      while (!s.flights.empty()) detach_at(s, s.flights.begin());
    }
  }

  /// Refuses joins from now on; abandons all flights, which may not store any more, and answers
  /// their waiters.
  void close(Answer const& answer) noexcept {
    closed_.store(true, std::memory_order_relaxed);
    for (stripe& s : stripes_)
      for (;;) {
        flight_ptr f;
        {
          std::lock_guard lock{s.mutex};
          if (!s.running) break;
          f = s.running->shared_from_this();
          f->may_store_.store(false, std::memory_order_release);
          f->abandoned.store(true, std::memory_order_relaxed);
        }
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

  /// How many flights are on the table: 0 when nothing is being loaded. O(stripes).
  [[nodiscard]] std::size_t size() const noexcept {
    std::size_t n = 0;
    for (stripe const& s : stripes_) {
      std::lock_guard lock{s.mutex};
      n += s.flights.size();
    }
    return n;
  }

 private:
  struct map_hash {
    Hash hash;
    std::size_t operator()(Key const& key) const { return static_cast<std::size_t>(hash(key)); }
  };
  using table = std::unordered_map<Key, flight_ptr, map_hash>;
  struct alignas(64) stripe {
    explicit stripe(Hash const& h) : flights(0, map_hash{h}) {}
    mutable std::mutex mutex;
    table flights;
    flight* running = nullptr;
  };

  static constexpr std::size_t stripe_count = 16;
  template <std::size_t... I>
  static std::array<stripe, stripe_count> make_stripes(Hash const& h, std::index_sequence<I...>) {
    return {((void)I, stripe{h})...};
  }
  stripe& stripe_of(std::uint64_t hash) const noexcept { return stripes_[hash >> 60]; }

  static void link(flight& f, waiter& w) noexcept {
    w.flight_ = &f;
    w.previous_ = nullptr;
    w.next_ = f.first_;
    if (f.first_) f.first_->previous_ = &w;
    f.first_ = &w;
    ++f.waiters_;
    if (f.abandoned.exchange(false, std::memory_order_relaxed)) f.revived.store(true);
  }

  static void begin(stripe& s, flight& f) noexcept {
    f.running_ = true;
    f.next_ = s.running;
    if (s.running) s.running->previous_ = &f;
    s.running = &f;
  }

  static void end(stripe& s, flight& f) noexcept {
    if (!std::exchange(f.running_, false)) return;
    (f.previous_ ? f.previous_->next_ : s.running) = f.next_;
    if (f.next_) f.next_->previous_ = f.previous_;
  }

  static void detach_at(stripe& s, typename table::iterator at) noexcept {
    at->second->may_store_.store(false, std::memory_order_release);
    at->second->on_table_ = false;
    s.flights.erase(at);
  }

  /// Under the lock; the table's share goes to `kept`, to be released after it.
  static void take_off(stripe& s, flight& f, flight_ptr& kept) noexcept {
    if (std::exchange(f.on_table_, false)) {
      auto const at = s.flights.find(f.key_);
      kept = std::move(at->second);
      s.flights.erase(at);
    }
    end(s, f);
  }

  waiter* take(flight& f) noexcept {
    stripe& s = stripe_of(f.hash_);
    flight_ptr kept;
    std::lock_guard lock{s.mutex};
    take_off(s, f, kept);
    waiter* const first = std::exchange(f.first_, nullptr);
    f.waiters_ = 0;
    for (waiter* w = first; w; w = w->next_) {
      w->flight_ = nullptr;
      if (w->parent_) detail::wait_graph::disconnect(*w->parent_, f);
    }
    return first;
  }

  Hash hash_;
  std::size_t max_waiters_;
  std::atomic<bool> closed_{false};
  mutable std::array<stripe, stripe_count> stripes_{
      make_stripes(hash_, std::make_index_sequence<stripe_count>{})};
};

}  // namespace kcache

#endif
