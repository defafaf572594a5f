// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_TESTING_EVICTION_LAWS_HPP
#define KCACHE_TESTING_EVICTION_LAWS_HPP
/// \file
/// Floor 1. The laws that every eviction policy keeps, for yours too; no test library needed.
///
///     kcache::testing::check_eviction_laws<my_policy>(
///         [](bool kept, char const* law) { if (!kept) std::puts(law); });
///
/// The callback is called once per observation, with the law's sentence. Laws of victims alone
/// cannot tell whether a policy is a good one; see the essay of each for that.

#include <kcache/policies/eviction.hpp>
#include <kcache/policies/random.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace kcache::testing {

template <eviction E>
class eviction_bench;

/// An entry as a policy sees it, for tests of queues without a cache.
template <eviction E>
class eviction_entry : public E::hook {
 public:
  [[nodiscard]] std::uint64_t hash() const noexcept { return hash_; }
  [[nodiscard]] std::uint64_t weight() const noexcept { return weight_; }

 private:
  friend eviction_bench<E>;
  std::uint64_t hash_ = 0;
  std::uint64_t weight_ = 1;
  bool resident_ = false;
};

/// A queue and its entries, used as a shard uses them: room is made before an entry enters.
template <eviction E>
class eviction_bench {
 public:
  using entry = eviction_entry<E>;
  static constexpr std::size_t none = static_cast<std::size_t>(-1);

  /// `keys` entries with the numbers 0 to `keys` - 1, of weight 1 to `heaviest` in turn, none of
  /// them resident. Their addresses rise with their numbers, or fall if `falling`.
  eviction_bench(std::uint64_t capacity, std::size_t keys, std::uint64_t heaviest = 1,
                 bool falling = false)
      : capacity_{capacity}, falling_{falling}, entries_(keys), queue_{capacity} {
    for (std::size_t key = 0; key != keys; ++key) {
      entry& e = entries_[place(key)];
      e.hash_ = seeded_random{key}.next();
      e.weight_ = 1 + key % heaviest;
    }
  }

  [[nodiscard]] bool resident(std::size_t key) const { return entries_[place(key)].resident_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  /// A read through the cache: true for a hit, else `key` is inserted. Null or foreign victims
  /// end the run: `broken()`.
  bool access(std::size_t key) {
    entry& e = entries_[place(key)];
    if (e.resident_) {
      queue_.touch(e);
      return true;
    }
    while (!broken_ && capacity_ - weight_ < e.weight()) evict();
    if (broken_) return false;
    queue_.insert(e);
    e.resident_ = true;
    weight_ += e.weight();
    ++size_;
    return false;
  }
  void erase(std::size_t key) {
    entry& e = entries_[place(key)];
    if (!e.resident_) return;
    queue_.erase(e);
    leave(e);
  }
  /// Evicts one entry and returns its number, or `none`: there is no victim, or it is not a
  /// resident entry.
  std::size_t evict() {
    entry* const victim = queue_.victim();
    std::size_t key = 0;
    while (key != entries_.size() && &entries_[place(key)] != victim) ++key;
    if (key == entries_.size() || !victim->resident_) {
      broken_ = size_ != 0 || victim != nullptr;
      return none;
    }
    victims_.push_back(key);
    erase(key);
    return key;
  }

  [[nodiscard]] bool broken() const noexcept { return broken_; }
  /// The numbers of all victims so far.
  [[nodiscard]] std::vector<std::size_t> const& victims() const noexcept { return victims_; }

 private:
  [[nodiscard]] std::size_t place(std::size_t key) const noexcept {
    return falling_ ? entries_.size() - 1 - key : key;
  }
  void leave(entry& e) {
    e.resident_ = false;
    weight_ -= e.weight();
    --size_;
  }

  std::uint64_t capacity_;
  bool falling_;
  std::vector<entry> entries_;
  typename E::template queue<entry> queue_;
  std::vector<std::size_t> victims_;
  std::uint64_t weight_ = 0;
  std::size_t size_ = 0;
  bool broken_ = false;
};

/// Evicting until nothing is left.
template <eviction E, class Check>
void check_that_entries_leave_once(Check const& check, std::uint64_t capacity) {
  auto const n = static_cast<std::size_t>(capacity);
  eviction_bench<E> bench{capacity, n};
  check(bench.evict() == bench.none && !bench.broken(), "an empty queue has no victim");
  for (int round = 0; round != 2; ++round) {
    for (std::size_t key = 0; key != n; ++key) bench.access(key);
    for (std::size_t key = 0; key < n; key += 2) bench.access(key);
    for (std::size_t left = n; left != 0; --left) {
      check(bench.evict() != bench.none, "a victim is an entry of the queue, until it is empty");
    }
    check(bench.evict() == bench.none && !bench.broken(), "what left is no victim any more");
  }
}

/// Entries leave by `erase` from every position, and may come back.
template <eviction E, class Check>
void check_that_any_entry_may_leave(Check const& check, std::uint64_t capacity) {
  auto const n = static_cast<std::size_t>(capacity);
  for (std::size_t gone = 0; gone != n; ++gone) {
    eviction_bench<E> bench{capacity, n};
    for (std::size_t key = 0; key != n; ++key) bench.access(key);
    bench.erase(gone);
    for (std::size_t left = n - 1; left != 0; --left) {
      auto const key = bench.evict();
      check(key != bench.none && key != gone, "an erased entry is no victim, all others are");
    }
    bench.access(gone);
    check(bench.evict() == gone, "an entry may come back");
  }
}

/// A long random run: the same calls choose the same victims, and every victim is resident.
template <eviction E, class Check>
void check_random_run(Check const& check, std::uint64_t capacity, std::uint64_t heaviest,
                      std::uint64_t seed) {
  auto const keys = static_cast<std::size_t>(4 * capacity);
  eviction_bench<E> first{capacity, keys, heaviest};
  eviction_bench<E> second{capacity, keys, heaviest, true};
  seeded_random random{seed};
  for (int step = 0; step != 4000 && !first.broken() && !second.broken(); ++step) {
    // The smaller of two draws: low numbers are the popular ones.
    std::uint64_t const a = random.next() % keys;
    std::uint64_t const b = random.next() % keys;
    auto const key = static_cast<std::size_t>(a < b ? a : b);
    bool const erases = random.next() % 16 == 0;
    for (auto* bench : {&first, &second}) {
      if (erases) {
        bench->erase(key);
      } else {
        bench->access(key);
        check(bench->broken() || bench->resident(key), "a new entry is not evicted for itself");
      }
    }
  }
  check(!first.broken() && !second.broken(), "while a queue holds entries it yields one of them");
  check(first.victims() == second.victims(),
        "victims follow from the calls alone, not from addresses, time or chance");
  while (first.size() != 0 && !first.broken()) first.evict();
  check(!first.broken(), "every entry that is left leaves as a victim");
}

/// All laws, over several capacities and weights.
template <eviction E, class Check>
void check_eviction_laws(Check const& check, std::uint64_t seed = 1) {
  for (std::uint64_t const capacity : {1U, 2U, 3U, 10U, 64U}) {
    check_that_entries_leave_once<E>(check, capacity);
    check_that_any_entry_may_leave<E>(check, capacity);
    check_random_run<E>(check, capacity, 1, seed);
    check_random_run<E>(check, capacity, capacity, seed);
  }
}

}  // namespace kcache::testing

#endif
