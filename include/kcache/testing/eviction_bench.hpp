// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_TESTING_EVICTION_BENCH_HPP
#define KCACHE_TESTING_EVICTION_BENCH_HPP
/// \file
/// Floor 1. A queue of an eviction policy used as one shard of a cache uses it, without the cache:
/// for exact victims, for hit ratios on a trace, and for the laws of `eviction_laws.hpp`.
///
///     kcache::testing::eviction_bench<my_policy> bench{capacity, keys};
///     for (std::size_t key : trace) hits += bench.access(key);

#include <kcache/policies/eviction.hpp>
#include <kcache/policies/random.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace kcache::testing {

/// Where the hooks of a bench live when its slots become more. The victims must not differ.
enum class bench_memory {
  /// In one place, addresses rising with the slots.
  stays,
  /// In a new place each time, addresses falling; what was in the old place is overwritten.
  moves,
};

/// Keys are the numbers below a bound. A call takes O(1) besides what the policy does; one thread.
template <eviction E>
class eviction_bench {
  using hook = typename E::hook;

  struct entry {
    hook policy;
    std::size_t key = none;
    std::uint64_t weight = 0;
    bool resident = false;
  };
  /// What the queue sees: entries that it holds.
  class entries {
   public:
    explicit entries(eviction_bench& owner) noexcept : bench_{&owner} {}
    [[nodiscard]] eviction_bench::hook& hook(slot s) const noexcept {
      eviction_bench::hook& h = bench_->known(s).policy;
      if constexpr (kcache::detail::marked_eviction<E>) {
        if (bench_->marks_left_ != 0) E::mark(h), --bench_->marks_left_;
      }
      return h;
    }
    [[nodiscard]] std::uint64_t hash(slot s) const noexcept {
      return hash_of(bench_->known(s).key);
    }
    [[nodiscard]] std::uint64_t weight(slot s) const noexcept { return bench_->known(s).weight; }

   private:
    eviction_bench* bench_;
  };
  using queue_type = typename E::template queue<entries>;

 public:
  static constexpr std::size_t none = static_cast<std::size_t>(-1);

  /// For the keys 0 to `keys` - 1, of weight 1 to `heaviest` in turn; none has an entry.
  eviction_bench(std::uint64_t capacity, std::size_t keys, std::uint64_t heaviest = 1,
                 bench_memory memory = bench_memory::stays)
      : capacity_{capacity},
        heaviest_{heaviest},
        memory_{memory},
        slot_of_(keys, no_slot),
        queue_{entries{*this}, capacity} {
    if (memory_ == bench_memory::stays) slots_.reserve(keys);
  }
  eviction_bench(eviction_bench const&) = delete;
  eviction_bench& operator=(eviction_bench const&) = delete;

  [[nodiscard]] bool resident(std::size_t key) const { return slot_of_[key] != no_slot; }
  [[nodiscard]] std::uint64_t capacity() const noexcept { return capacity_; }
  /// Of entries, and of their weights.
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::uint64_t weight() const noexcept { return weight_; }

  /// A read through the cache: true for a hit, else `key` is put, unless it is heavier than the
  /// capacity.
  bool access(std::size_t key) {
    if (resident(key)) {
      read(slot_of_[key]);
      return true;
    }
    enter(key, 1 + key % heaviest_);
    return false;
  }
  /// A new value for `key`, of another weight; puts it if it has no entry. If it is heavier than
  /// the capacity, nothing happens.
  void put(std::size_t key, std::uint64_t weight) {
    if (!resident(key)) return enter(key, weight);
    if (weight > capacity_) return;
    slot const s = slot_of_[key];
    if constexpr (requires { queue_.replaced(s); }) {
      while (!broken_ && resident(key) && capacity_ + known(s).weight < weight_ + weight) evict();
      if (broken_) return;
      if (!resident(key)) return enter(key, weight);
      weigh(s, weight);
      queue_.replaced(s);
    } else {
      queue_.erase(s);
      weigh(s, 0);
      known(s).resident = false;
      make_room(weight);
      if (broken_) return;
      known(s, true).resident = true;
      weigh(s, weight);
      queue_.insert(s);
    }
  }
  void erase(std::size_t key) {
    if (!resident(key)) return;
    queue_.erase(slot_of_[key]);
    leave(slot_of_[key]);
  }
  /// Evicts one entry and returns its key; `none` if there is none. See `broken`.
  std::size_t evict() {
    (void)soon();
    slot const victim = queue_.evict();
    if (victim == no_slot) {
      broken_ = broken_ || size_ != 0;
      return none;
    }
    std::size_t const key = known(victim).key;
    if (broken_) return none;
    trail_ = (trail_ ^ key) * 0x100000001b3U;
    leave(victim);
    return key;
  }
  /// The key that the queue expects to evict two evictions on; `none` if it does not say.
  [[nodiscard]] std::size_t soon() {
    if constexpr (requires { queue_.soon(); }) {
      slot const s = queue_.soon();
      if (s != no_slot) return known(s).key;
    }
    return none;
  }
  /// Another capacity from now on; evicts what is too much.
  void resize(std::uint64_t capacity) {
    capacity_ = capacity;
    if constexpr (requires { queue_.resize(capacity); }) queue_.resize(capacity);
    make_room(0);
  }
  /// Tells the queue the number of slots once more.
  void reserve_again() { reserve(slots_.size()); }
  /// A miss that nothing is put after.
  void miss(std::size_t key) {
    if constexpr (requires { queue_.missed(hash_of(key)); }) {
      queue_.missed(hash_of(key));
    }
  }
  /// A reader marks entries that left before it came to it: all places that no entry is in.
  void mark_late() {
    if constexpr (kcache::detail::marked_eviction<E>) {
      for (slot const s : free_) E::mark(at(s).policy);
    }
  }

  /// Readers that do not rest: the hooks of the next `times` looks of the queue are marked as it
  /// looks.
  void mark_meanwhile(std::uint64_t times) noexcept { marks_left_ = times; }
  /// The looks that are left of them.
  [[nodiscard]] std::uint64_t marks_left() const noexcept { return marks_left_; }

  /// The queue yielded no victim though it holds entries, or one that it does not hold, or asked
  /// for such a one. What follows means nothing.
  [[nodiscard]] bool broken() const noexcept { return broken_; }
  /// Equal for equal victims in equal order, from the beginning.
  [[nodiscard]] std::uint64_t trail() const noexcept { return trail_; }

 private:
  static std::uint64_t hash_of(std::size_t key) noexcept { return seeded_random{key}.next(); }

  [[nodiscard]] entry& at(slot s) noexcept {
    return slots_[memory_ == bench_memory::stays ? s : slots_.size() - 1 - s];
  }
  /// Of a slot that the queue may speak of.
  entry& known(slot s, bool leaves = false) noexcept {
    if (s < slots_.size() && (at(s).resident || leaves)) return at(s);
    broken_ = true;
    return stray_ = entry{};
  }
  void read(slot s) noexcept {
    if constexpr (kcache::detail::touched_eviction<E, queue_type>) {
      queue_.touch(s);
    } else if constexpr (kcache::detail::marked_eviction<E>) {
      E::mark(known(s).policy);
    }
  }
  void enter(std::size_t key, std::uint64_t weight) {
    miss(key);
    if (weight > capacity_) return;
    make_room(weight);
    if (broken_) return;
    slot const s = take_slot();
    entry& e = at(s);
    e.key = key;
    e.resident = true;
    weigh(s, weight);
    slot_of_[key] = s;
    ++size_;
    queue_.insert(s);
  }
  void make_room(std::uint64_t weight) {
    while (!broken_ && weight_ > capacity_ - weight) evict();
  }
  void weigh(slot s, std::uint64_t weight) noexcept {
    weight_ = weight_ - at(s).weight + weight;
    at(s).weight = weight;
  }
  void leave(slot s) {
    weigh(s, 0);
    at(s).resident = false;
    slot_of_[at(s).key] = no_slot;
    --size_;
    free_.push_back(s);
  }
  /// The one that left last, or the next that was never used.
  slot take_slot() {
    if (free_.empty()) {
      if (used_ == slots_.size()) grow();
      return used_++;
    }
    slot const s = free_.back();
    free_.pop_back();
    return s;
  }
  void reserve(std::size_t slots) {
    if constexpr (requires { queue_.reserve(slots); }) queue_.reserve(slots);
  }
  void grow() {
    std::size_t const size = std::min(2 * slots_.size() + 1, slot_of_.size());
    reserve(size);
    if (memory_ == bench_memory::stays) return slots_.resize(size);
    std::vector<entry> grown(size);
    std::copy_backward(slots_.begin(), slots_.end(), grown.end());
    for (entry& e : slots_) e = entry{};
    former_.push_back(std::move(slots_));
    slots_ = std::move(grown);
  }

  std::uint64_t capacity_;
  std::uint64_t heaviest_;
  bench_memory memory_;
  std::vector<entry> slots_;
  /// The old places: who still uses them finds nothing there.
  std::vector<std::vector<entry>> former_;
  entry stray_;
  std::vector<slot> free_;
  slot used_ = 0;
  std::vector<slot> slot_of_;
  std::uint64_t weight_ = 0;
  std::size_t size_ = 0;
  std::uint64_t trail_ = 0;
  std::uint64_t marks_left_ = 0;
  bool broken_ = false;
  queue_type queue_;
};

}  // namespace kcache::testing

#endif
