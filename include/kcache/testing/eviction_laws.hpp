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
/// cannot tell whether a policy is a good one: see the essay of each, and let `eviction_bench`
/// count its hits on your own requests.

#include <kcache/policies/eviction.hpp>
#include <kcache/policies/random.hpp>
#include <kcache/testing/eviction_bench.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace kcache::testing {

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

/// Entries leave by `erase` from every position, before and after a few evictions, and may come
/// back.
template <eviction E, class Check>
void check_that_any_entry_may_leave(Check const& check, std::uint64_t capacity) {
  auto const n = static_cast<std::size_t>(capacity);
  for (std::size_t gone = 0; gone != n; ++gone) {
    eviction_bench<E> bench{capacity, 2 * n};
    for (std::size_t key = 0; key != n + gone; ++key) bench.access(key);
    std::size_t erased = 0;
    for (std::size_t key = 0, nth = 0; key != 2 * n; ++key) {
      if (bench.resident(key) && nth++ == gone) erased = key;
    }
    bench.erase(erased);
    for (std::size_t left = n - 1; left != 0; --left) {
      auto const key = bench.evict();
      check(key != bench.none && key != erased, "an erased entry is no victim, all others are");
    }
    bench.access(erased);
    check(bench.evict() == erased, "an entry may come back");
  }
}

/// What a long random run does, and with what.
struct eviction_run {
  std::uint64_t capacity = 1;
  std::uint64_t heaviest = 1;
  std::uint64_t seed = 0;
};

/// One step of it, on several benches alike.
template <eviction E, std::size_t Benches>
void random_step(std::array<eviction_bench<E>, Benches>& benches, eviction_run const& run,
                 seeded_random& random) {
  std::uint64_t const keys = 4 * run.capacity;
  // The smaller of two draws: low numbers are the popular ones.
  std::uint64_t const a = random.next() % keys;
  std::uint64_t const b = random.next() % keys;
  auto const key = static_cast<std::size_t>(a < b ? a : b);
  std::uint64_t const does = random.next() % 256;
  std::uint64_t const weight = 1 + random.next() % run.heaviest;
  std::uint64_t const capacity = 1 + random.next() % (2 * run.capacity);
  for (auto& bench : benches) {
    if (does < 16) bench.erase(key);
    else if (does < 32) bench.put(key, weight);
    else if (does < 36) bench.miss(key);
    else if (does < 38) bench.resize(capacity);
    else if (does < 40) bench.reserve_again();
    else bench.access(key);
  }
}

/// A long random run: the same calls choose the same victims wherever the hooks are, and every
/// victim is one of the queue's.
template <eviction E, class Check>
void check_random_run(Check const& check, eviction_run const& run) {
  auto const keys = static_cast<std::size_t>(4 * run.capacity);
  std::array<eviction_bench<E>, 2> benches{{
      {run.capacity, keys, run.heaviest},
      {run.capacity, keys, run.heaviest, bench_memory::moves},
  }};
  seeded_random random{run.seed};
  auto& [first, second] = benches;
  for (int step = 0; step != 4000 && !first.broken() && !second.broken(); ++step) {
    random_step(benches, run, random);
    check(first.broken() || first.weight() <= first.capacity(),
          "room is made when it is asked for");
  }
  check(!first.broken() && !second.broken(),
        "while a queue holds entries it yields one of them, and asks for no others");
  check(first.trail() == second.trail(),
        "victims follow from the calls alone, not from addresses, time or chance");
  while (first.size() != 0 && !first.broken()) first.evict();
  check(!first.broken(), "every entry that is left leaves as a victim");
}

/// Readers come late: what they mark has left, and its place may be another's soon.
template <eviction E, class Check>
void check_late_marks(Check const& check, eviction_run const& run) {
  auto const keys = static_cast<std::size_t>(4 * run.capacity);
  std::array<eviction_bench<E>, 1> prompt{{{run.capacity, keys, run.heaviest}}};
  std::array<eviction_bench<E>, 1> late{{{run.capacity, keys, run.heaviest}}};
  seeded_random random{run.seed};
  for (int step = 0; step != 1000 && !late[0].broken(); ++step) {
    seeded_random same = random;
    random_step(prompt, run, same);
    random_step(late, run, random);
    late[0].mark_late();
  }
  check(prompt[0].trail() == late[0].trail() && prompt[0].broken() == late[0].broken(),
        "what was marked after it had left counts for nobody");
}

/// All laws, over several capacities and weights.
template <eviction E, class Check>
void check_eviction_laws(Check const& check, std::uint64_t seed = 1) {
  for (std::uint64_t const capacity : {1U, 2U, 3U, 10U, 64U}) {
    check_that_entries_leave_once<E>(check, capacity);
    check_that_any_entry_may_leave<E>(check, capacity);
    for (std::uint64_t const heaviest : {std::uint64_t{1}, capacity}) {
      check_random_run<E>(check, {capacity, heaviest, seed});
      check_late_marks<E>(check, {capacity, heaviest, seed});
    }
  }
}

}  // namespace kcache::testing

#endif
