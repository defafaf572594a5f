// SPDX-License-Identifier: BSL-1.0
// A read-through group with a clock and an eviction policy of the user's own.
//
// A policy is a type, chosen at compile time: what is not used costs nothing. All of them stand in
// one struct that derives from `default_policies` and names only what it changes.
#include <kcache/group.hpp>
#include <kcache/testing/eviction_laws.hpp>

#include <chrono>
#include <cstdint>
#include <iostream>
#include <memory>
#include <optional>
#include <string>

using namespace std::chrono_literals;

namespace {

// --- a clock: anything that tells the time and never goes back ----------------------------------

// This one counts the rounds of a game: a value is good for so many rounds, however long they take.
class round_clock {
 public:
  [[nodiscard]] kcache::time_point now() const noexcept {
    return kcache::time_point{*rounds_ * 1s};
  }
  void next_round() { ++*rounds_; }

 private:
  // Copies tell the same time: the group keeps one of them.
  std::shared_ptr<int> rounds_ = std::make_shared<int>(1);
};

// --- an eviction policy: who has to go when the cache is full -----------------------------------

// Least frequently used: the entry with the fewest reads goes, among equals the one put last.
// Entries lie in numbered slots; `hook` is what each slot carries for the policy, and the queue
// strings the slots together by it.
struct fewest_reads {
  struct hook {
    kcache::slot next = kcache::no_slot;
    unsigned reads = 0;
  };

  template <class Entries>
  class queue {
   public:
    queue(Entries const& entries, std::uint64_t /*capacity*/) noexcept : entries_{entries} {}

    void insert(kcache::slot s) noexcept {
      entries_.hook(s) = {first_, 0};
      first_ = s;
    }
    void touch(kcache::slot s) noexcept { ++entries_.hook(s).reads; }
    void erase(kcache::slot s) noexcept {
      kcache::slot* at = &first_;
      while (*at != s) at = &entries_.hook(*at).next;
      *at = entries_.hook(s).next;
    }
    [[nodiscard]] kcache::slot evict() noexcept {
      kcache::slot fewest = first_;
      for (kcache::slot s = first_; s != kcache::no_slot; s = entries_.hook(s).next)
        if (entries_.hook(s).reads < entries_.hook(fewest).reads) fewest = s;
      if (fewest != kcache::no_slot) erase(fewest);
      return fewest;
    }

   private:
    Entries entries_;
    kcache::slot first_ = kcache::no_slot;
  };
};

// --- both of them in one bundle ------------------------------------------------------------------

struct game_policies : kcache::default_policies {
  using clock = round_clock;
  using eviction = fewest_reads;
};

bool failed = false;

void expect(bool holds, char const* what) {
  std::cout << (holds ? "ok    " : "WRONG ") << what << '\n';
  failed = failed || !holds;
}

}  // namespace

int main() {
  // The library brings the laws that every eviction policy has to keep.
  kcache::testing::check_eviction_laws<fewest_reads>([](bool kept, char const* law) {
    if (!kept) expect(false, law);
  });

  round_clock clock;
  int loads = 0;
  kcache::group<std::string, int, game_policies> scores{
      {.name = "scores", .capacity = 2, .ttl = 3s, .jitter = 0, .clock = clock},
      [&](std::string const& player) -> std::optional<int> {
        ++loads;
        if (player == "tom") return 630;
        if (player == "jack") return 589;
        if (player == "sam") return 567;
        return std::nullopt;  // there is no such player
      }};

  expect(*scores.get("tom").value() == 630 && loads == 1, "the first get loads");
  expect(*scores.get("tom").value() == 630 && loads == 1, "the second does not");
  expect(scores.get("nobody").error() == kcache::errc::not_found, "who is not there is not found");

  // Tom was read once since he was put, Jack never: Jack goes, though he came last.
  (void)scores.get("jack").value();
  (void)scores.get("sam").value();
  expect(scores.contains("tom") && !scores.contains("jack"), "the one with the fewest reads goes");

  clock.next_round();
  clock.next_round();
  expect(scores.contains("tom"), "two rounds later Tom is still good");
  clock.next_round();
  expect(!scores.contains("tom"), "after three he is not");
  loads = 0;
  expect(*scores.get("tom").value() == 630 && loads == 1, "and is loaded again");
  return failed ? 1 : 0;
}
