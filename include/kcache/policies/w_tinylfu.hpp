// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_POLICIES_W_TINYLFU_HPP
#define KCACHE_POLICIES_W_TINYLFU_HPP
/// \file
/// Floor 1. `w_tinylfu`: of a newcomer and an old entry, the one asked for less often goes.
///
/// # What it does
/// A new entry joins the window, a small LRU list. What falls out of the window is a candidate for
/// the main part, and if the cache is full it must be worth it: a sketch (`frequency_sketch`) has
/// counted how often each key was asked for lately, hit or miss, and of the candidate and the main
/// part's own victim the one with the lower count is evicted; of equals, the candidate. The main
/// part is an LRU list in two segments: candidates enter probation, whose end is the victim; a read
/// raises an entry to the protected segment, four fifths of the main part; what that has no room
/// for steps back to probation.
///
/// # Why
/// The count outlives the entry, so a key that was evicted too early is known when it comes back,
/// and a scan, whose keys were asked for once, passes through the window and leaves the main part
/// as it was. The window is for keys that are asked for several times within a short while: they
/// would have no count yet that beats a victim's.
///
/// How large the window should be depends on the workload: the more it resembles LRU, the larger.
/// So it is adapted: it starts at 1 % and changes by 6.25 % of the capacity after each ten requests
/// per entry. If hits became fewer it turns round; steps shrink by 2 % each time, and are large
/// again when the hit ratio has changed by 5 points. It lies between one entry and four fifths.
///
/// Take it for the best hit ratio over unknown workloads, where a hit may cost a list move and a
/// cache line of the sketch besides. Caches of a few dozen entries are too small for it to learn.
///
/// # How it differs from Caffeine
/// On the traces that it was measured on, nine cells of ten lie within 1.5 points of Caffeine 3.2.4
/// (tests/unit/policies/w_tinylfu.cpp), in both directions. It differs in this:
/// - Room is made before an entry enters, not afterwards. So the candidate is judged while it is
///   still in the window, against as many victims as it takes, and a newcomer is never refused at
///   once: the earliest is when the next one comes. So is one that is too heavy for the window; it
///   waits in probation.
/// - Caffeine lets one in 128 candidates with a count of 6 or more in by chance, against keys made
///   to collide in the sketch. Here hashes are keyed, but the rule has another effect: where
///   candidates are as warm as the victims, it lets the main part follow (c2k_orm_busy_1m at
///   17,671 entries: 2.6 points more; loops somewhat larger than the cache pay for it). So it
///   stays, drawn from the candidates' hashes: equal calls, equal victims.
/// - The sketch grows with the slots and keeps its counts; the climber decides nothing before the
///   first eviction; at most 64 entries change parts in one insert on its account.
/// - Every read raises its entry and its count, where Caffeine's read buffer drops the seventeenth
///   of so many in a row. The climber alone leaves those out, since they move the requests at which
///   it steps: without that, two cells more are off by 1.5 points, of 78.
/// - A new capacity keeps the window's share.
///
/// Parts are measured in weight, periods in entries: ten times the number of slots, or of units of
/// weight if there are fewer.
///
/// # What it costs
/// 12 bytes for each entry in the hook, and 8 to 16 for each slot in the sketch. All calls are
/// O(1), amortised: after ten additions for each entry the sketch is halved in one pass (40 us for
/// 100,000 entries), and `reserve` copies it. A read takes 25 to 40 ns of the shard's time where
/// `lru` takes 5, an insert with its eviction 27 to 45 where `lru` takes 18 (g++ 12, 100,000
/// entries, reads skewed).
///
/// G. Einziger, R. Friedman, B. Manes, "TinyLFU: A Highly Efficient Cache Admission Policy", ACM
/// Transactions on Storage 13(4), 2017; G. Einziger, O. Eytan, R. Friedman, B. Manes, "Adaptive
/// Software Cache Management", Middleware 2018.

#include <kcache/detail/frequency_sketch.hpp>
#include <kcache/detail/slot_list.hpp>
#include <kcache/policies/eviction.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace kcache {
namespace detail {

/// Hill climbing: goes on while the hit ratio rises, turns round when it falls.
class window_climber {
 public:
  void hit() noexcept {
    if (in_a_row_ == heard_in_a_row) {
      in_a_row_ = 0;
      return;
    }
    ++in_a_row_;
    ++hits_;
  }
  void miss() noexcept {
    in_a_row_ = 0;
    ++misses_;
  }

  /// By what share of the capacity the window should grow (below 0: shrink), once `sample` requests
  /// were counted; they are forgotten then. Else 0.
  [[nodiscard]] double step(std::uint64_t sample) noexcept {
    std::uint64_t const requests = hits_ + misses_;
    if (requests < sample) return 0;
    double const ratio = static_cast<double>(hits_) / static_cast<double>(requests);
    double const change = ratio - std::exchange(ratio_, ratio);
    hits_ = misses_ = 0;
    double const amount = change >= 0 ? step_ : -step_;
    if (change >= restart || change <= -restart) {
      step_ = amount < 0 ? -first_step : first_step;
    } else {
      step_ = decay * amount;
    }
    return amount;
  }

 private:
  static constexpr unsigned heard_in_a_row = 16;
  static constexpr double first_step = 0.0625;
  static constexpr double decay = 0.98;
  static constexpr double restart = 0.05;

  std::uint64_t hits_ = 0;
  std::uint64_t misses_ = 0;
  unsigned in_a_row_ = 0;
  double ratio_ = 0;
  double step_ = -first_step;
};

}  // namespace detail

/// W-TinyLFU with an adaptive window. The hook takes 12 bytes.
struct w_tinylfu {
  struct hook {
    detail::slot_links links;
    /// Which list it is in, in the lowest two bits; its weight above them, so that what a list
    /// weighs is known when the entry's own weight has changed already.
    std::uint32_t place = 0;
  };
  static_assert(sizeof(hook) == 12);
  /// What weighs more counts as this when the parts are measured.
  static constexpr std::uint64_t heaviest = (1U << 30U) - 1;

  template <class Entries>
  class queue {
   public:
    /// \throws std::bad_alloc
    queue(Entries const& entries, std::uint64_t capacity) : entries_{entries} { resize(capacity); }

    void missed(std::uint64_t hash) noexcept {
      climber_.miss();
      sketch_.add(hash);
    }
    void insert(slot s) noexcept {
      std::uint64_t const weight = counted_weight(s);
      if (weight <= window_bound_) {
        trim_window(weight);
        push(s, window, weight);
      } else {
        push(s, probation, weight);
        candidate_ = s;
      }
      if (evicted_) adapt();
    }
    void touch(slot s) noexcept {
      climber_.hit();
      sketch_.add(entries_.hash(s));
      part const in = part_of(s);
      if (in == probation && weight_of(s) <= protected_bound()) {
        move(s, protected_);
        trim_protected();
      } else {
        lists_[in].move_to_front(s, links());
      }
    }
    void replaced(slot s) noexcept {
      part const in = part_of(s);
      take(s);
      push(s, in, counted_weight(s));
      touch(s);
      trim_protected();
    }
    void erase(slot s) noexcept { take(s); }
    /// What was asked for often is known to have been, and the window keeps its share.
    void clear() noexcept {
      for (part const p : {window, probation, protected_}) {
        lists_[p] = {};
        weights_[p] = 0;
      }
      candidate_ = no_slot;
    }
    [[nodiscard]] slot evict() noexcept {
      slot const victim = choose();
      if (victim != no_slot) take(victim);
      evicted_ = true;
      return victim;
    }
    void reserve(std::size_t slots) {
      sketch_.reserve(static_cast<std::size_t>(std::min<std::uint64_t>(slots, capacity_)));
      slots_ = slots;
      sketch_.age_after(sample());
    }
    void resize(std::uint64_t capacity) noexcept {
      std::uint64_t const first = first_window(capacity_);
      double const grown = window_bound_ <= first ? 0
                                                  : static_cast<double>(window_bound_ - first) /
                                                        static_cast<double>(capacity_);
      capacity_ = capacity;
      window_bound_ = first_window(capacity);
      probation_bound_ = rounded_up(capacity - window_bound_, 5);
      window_bound_ += std::min(static_cast<std::uint64_t>(grown * static_cast<double>(capacity)),
                                protected_bound());
      sketch_.age_after(sample());
    }
    [[nodiscard]] slot soon() const noexcept {
      slot const next = lists_[window].back();
      slot const second = next == no_slot ? no_slot : entries_.hook(next).links.newer;
      return second == no_slot ? lists_[probation].back() : second;
    }
    /// The bytes that it allocated.
    [[nodiscard]] std::size_t heap_bytes() const noexcept { return sketch_.heap_bytes(); }

   private:
    enum part : std::uint32_t { window, probation, protected_ };

    /// Divides.
    static std::uint64_t rounded_up(std::uint64_t n, std::uint64_t by) noexcept {
      return n / by + (n % by == 0 ? 0U : 1U);
    }
    static std::uint64_t first_window(std::uint64_t capacity) noexcept {
      return rounded_up(capacity, 100);
    }
    /// Its share of the main part, and what the window has taken, are the protected segment's.
    [[nodiscard]] std::uint64_t protected_bound() const noexcept {
      return capacity_ - probation_bound_ - window_bound_;
    }
    [[nodiscard]] std::uint64_t sample() const noexcept {
      return 10 * std::max<std::uint64_t>(std::min(slots_, capacity_), 1);
    }

    [[nodiscard]] auto links() const noexcept {
      return [this](slot s) -> detail::slot_links& { return entries_.hook(s).links; };
    }
    [[nodiscard]] part part_of(slot s) const noexcept {
      return static_cast<part>(entries_.hook(s).place & 3U);
    }
    [[nodiscard]] std::uint64_t weight_of(slot s) const noexcept {
      return entries_.hook(s).place >> 2U;
    }
    [[nodiscard]] std::uint64_t counted_weight(slot s) const noexcept {
      return std::min<std::uint64_t>(entries_.weight(s), heaviest);
    }
    void push(slot s, part to, std::uint64_t weight) noexcept {
      entries_.hook(s).place = static_cast<std::uint32_t>(weight) << 2U | to;
      lists_[to].push_front(s, links());
      weights_[to] += weight;
    }
    void take(slot s) noexcept {
      part const from = part_of(s);
      lists_[from].erase(s, links());
      weights_[from] -= weight_of(s);
      if (s == candidate_) candidate_ = no_slot;
    }
    void move(slot s, part to) noexcept {
      take(s);
      push(s, to, weight_of(s));
    }

    /// Makes room for `weight` in the window.
    void trim_window(std::uint64_t weight) noexcept {
      while (!lists_[window].empty() && weights_[window] + weight > window_bound_) {
        move(lists_[window].back(), probation);
      }
    }
    void trim_protected() noexcept {
      while (weights_[protected_] > protected_bound()) move(lists_[protected_].back(), probation);
    }

    [[nodiscard]] slot choose() noexcept {
      slot const heavy = std::exchange(candidate_, no_slot);
      // It leaves the window when the newcomer enters, if it is still there.
      slot const candidate = heavy == no_slot ? lists_[window].back() : heavy;
      slot const victim = lists_[probation].back();
      if (candidate == no_slot) return victim == no_slot ? lists_[protected_].back() : victim;
      if (victim == no_slot || victim == candidate || !wins(candidate, victim)) return candidate;
      return victim;
    }
    [[nodiscard]] bool wins(slot candidate, slot victim) noexcept {
      std::uint64_t const hash = entries_.hash(candidate);
      unsigned const count = sketch_.estimate(hash);
      if (count > sketch_.estimate(entries_.hash(victim))) return true;
      if (count < lucky_count) return false;
      luck_ = (luck_ + hash) * 0x9e37'79b9'7f4a'7c15U;
      return luck_ >> 57U == 0;
    }

    /// The window's bound changes as entries change parts, so that it is never out of step.
    void adapt() noexcept {
      if (double const step = climber_.step(sample()); step != 0) {
        change_ = static_cast<std::int64_t>(step * static_cast<double>(capacity_));
      }
      if (change_ == 0) return;
      for (int moves = 0; moves != most_moves && (change_ > 0 ? widen() : narrow());) ++moves;
    }
    bool widen() noexcept {
      slot const main = lists_[probation].back();
      slot const s = main == no_slot ? lists_[protected_].back() : main;
      if (s == no_slot) return false;
      std::uint64_t const weight = weight_of(s);
      if (weight > static_cast<std::uint64_t>(change_) || weight > protected_bound()) return false;
      window_bound_ += weight;
      change_ -= static_cast<std::int64_t>(weight);
      move(s, window);
      trim_protected();
      return change_ != 0;
    }
    bool narrow() noexcept {
      slot const s = lists_[window].back();
      if (s == no_slot) return false;
      std::uint64_t const weight = weight_of(s);
      if (weight > static_cast<std::uint64_t>(-change_) || weight >= window_bound_) return false;
      window_bound_ -= weight;
      change_ += static_cast<std::int64_t>(weight);
      move(s, probation);
      return change_ != 0;
    }

    static constexpr unsigned lucky_count = 6;
    static constexpr int most_moves = 64;

    [[no_unique_address]] Entries entries_;
    detail::slot_list lists_[3];
    std::uint64_t weights_[3] = {};
    detail::frequency_sketch sketch_;
    detail::window_climber climber_;
    std::uint64_t slots_ = 0;
    std::uint64_t capacity_ = 0;
    std::uint64_t window_bound_ = 0;
    std::uint64_t probation_bound_ = 0;
    /// What the climber still wants the window to grow by.
    std::int64_t change_ = 0;
    std::uint64_t luck_ = 0;
    /// In probation, too heavy for the window, not yet judged.
    slot candidate_ = no_slot;
    bool evicted_ = false;
  };
};

static_assert(eviction<w_tinylfu>);

}  // namespace kcache

#endif
