// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_TESTS_SUPPORT_GROUP_PROMISES_HPP
#define KCACHE_TESTS_SUPPORT_GROUP_PROMISES_HPP
/// \file
/// What a group promises of its values, by what was done to it and by its source: the judge of
/// group_explorer.hpp.
///
/// Nothing of the group's is believed. Instants are numbers that rise with every copy of a key and
/// every step. A load reads when it begins, so that what it brings, a value or the word that there
/// is none, is as old as its beginning; a value that was put, as the end of its put. A change
/// (invalidate, put, clear) sets a floor for its keys when it returns: its own beginning. What a
/// get that begins then is told must be younger than the floor.

#include <kcache/error.hpp>
#include <kcache/explanation.hpp>
#include <kcache/group_handle.hpp>
#include <kcache/testing/manual_clock.hpp>
#include <kcache/time.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace test {

using instant = std::uint64_t;
inline instant last_instant = 0;

/// Knows when it was copied. A flight's key is copied when the flight is opened, and nobody else
/// copies it but who calls `load_many`.
struct explored_key {
  unsigned number;
  instant copied = 0, original_copied = 0;

  explicit explored_key(unsigned n) noexcept : number{n} {}
  explored_key(explored_key const& other) noexcept
      : number{other.number}, copied{++last_instant}, original_copied{other.copied} {}
  explored_key& operator=(explored_key const&) = delete;
  ~explored_key() = default;
  friend bool operator==(explored_key const& a, explored_key const& b) noexcept {
    return a.number == b.number;
  }
};

/// What came of a run.
struct exploration {
  char const* wrong = nullptr;  ///< the first promise that did not hold
  std::uint64_t trace = 0xcbf29ce484222325;
  /// How often what happened, by name: a schedule that never comes to something says nothing of it.
  enum what : std::size_t {
    values, absences, failures, deadlines, cancellations, refusals,  // answers
    hits, stale, remembered, evictions, loads, refreshes, batches, shed,
    interleaved,  // tasks that ran inside others
    parted,       // loads beside an older one of their key
    given_up,     // loads that nobody waited for
    begun_anew,   // of them, those that were called again
    closed,       // groups that went in the midst of it
    all
  };
  std::array<std::uint64_t, all> counts{};
  enum class event : std::uint64_t { get, get_many, stop, answer, change, load, end };
};

/// Values are the numbers of those who made them, loads and puts, and so are the words of failures.
/// Keys are numbers below `keys`.
class group_promises {
 public:
  static constexpr unsigned keys = 3;
  static constexpr char const* no_old_value = "no value older than the last change";
  static constexpr char const* no_needless_load =
      "no load of what another has stored before its flight began";

  using handle = kcache::group_handle<std::uint32_t>;

  /// Of the group's options.
  struct terms {
    std::uint64_t capacity = 0;
    double jitter = 0;
    kcache::ttl ttl{};
    kcache::duration grace{}, negative_ttl{}, error_ttl{};
  };
  /// A load or a put.
  struct maker {
    unsigned key;
    bool put;
    instant began;              ///< a load reads the source
    instant ended = 0;          ///< all that it set off is over
    kcache::time_point made{};  ///< virtual time at which it answered
    kcache::ttl lives{};
    // of loads
    instant opened = 0;  ///< its flight
    bool running = false;
    kcache::errc fails{};  ///< if it does
  };
  /// What a get that begins now must be told.
  struct question {
    unsigned key = 0;
    instant floor = 0;
  };

  explicit group_promises(kcache::testing::manual_clock clock) : clock_{std::move(clock)} {
    last_instant = 0;
  }
  void set(terms const& t) { terms_ = t; }

  exploration seen;

  void expect(bool holds, char const* what) {
    if (!holds && !seen.wrong) seen.wrong = what;
  }
  void count(exploration::what what, std::uint64_t by = 1) { seen.counts[what] += by; }
  /// For the trace.
  void note(exploration::event what, std::uint64_t which) {
    auto const now = static_cast<std::uint64_t>(clock_.now().time_since_epoch().count());
    for (auto const n : {static_cast<std::uint64_t>(what), which, now, last_instant})
      seen.trace = (seen.trace ^ n) * 0x100000001b3;
  }

  // Answers. `at_once`: they are of this very instant.

  [[nodiscard]] question ask(unsigned k) const { return {k, floors_[k]}; }
  void check_value(question q, handle const& h, bool at_once) {
    if (*h >= makers_.size()) return expect(false, "a value that was made");
    maker const& m = makers_[*h];
    expect(m.key == q.key && m.fails == kcache::errc{}, "a value of the key that was asked for");
    expect(age_of(m) > q.floor, no_old_value);
    if (!at_once) return;
    auto const age = clock_.now() - m.made;
    // Rounded up where its life does not fit into 26 bits (detail/compact_dates.hpp).
    expect(h.age() >= age && h.age() - age < std::chrono::nanoseconds{10}, "the age that it has");
    expect(!h.is_stale() || terms_.grace > kcache::duration::zero(),
           "stale values only under a grace");
    kcache::ttl const lives = m.lives.value_or(terms_.ttl);
    if (lives.is_never()) return expect(!h.is_stale(), "what lives for ever is not stale");
    expect(age == kcache::duration::zero() ||
               age < lives.length() * (1 + terms_.jitter) +
                         (h.is_stale() ? terms_.grace : kcache::duration::zero()),
           "no value after its time");
  }
  void check_failure(question q, kcache::error const& e, bool at_once) {
    auto const text = e.message();
    auto const number = maker_of(text);
    if (!number) {  // those whose words the form loses
      return expect(text == "no answer" || text.starts_with("load_many gave"),
                    "the loader's words");
    }
    maker const& m = makers_[*number];
    expect(m.key == q.key && m.fails == e.code(), "a failure of that key");
    expect(m.began > q.floor, "no absence or failure older than the last change");
    if (!at_once) return;
    auto const longest = e == kcache::errc::not_found ? terms_.negative_ttl : terms_.error_ttl;
    auto const age = clock_.now() - m.made;
    expect(age == kcache::duration::zero() || age < longest, "no failure after its time");
  }

  // Changes.

  std::size_t begin_change(unsigned k) {
    for (unsigned i = 0; i != keys; ++i)
      if (i == k || k == keys) kept_[i].reset();
    changes_.push_back({k, ++last_instant});
    return changes_.size() - 1;
  }
  void end_change(std::size_t number, bool sets_floor = true) {
    change& c = changes_[number];
    c.until = ++last_instant;
    if (!sets_floor) return;
    for (unsigned k = 0; k != keys; ++k)
      if (c.of(k)) floors_[k] = std::max(floors_[k], c.from);
  }
  std::uint32_t begin_put(unsigned k, kcache::ttl lives) {
    maker m{.key = k, .put = true, .began = last_instant};
    m.made = clock_.now();
    m.lives = lives;
    return make(m);
  }
  void end_put(std::uint32_t number) { makers_[number].ended = ++last_instant; }
  /// It was stored, and its change has ended. What it put is to be kept, unless another change, or
  /// a load, has begun meanwhile.
  void keep(std::uint32_t number) {
    maker const& m = makers_[number];
    bool const disturbed =
        std::any_of(makers_.begin(), makers_.end(), [&](maker const& other) {
          return other.key == m.key && other.began > m.began;
        }) ||
        std::any_of(changes_.begin(), changes_.end(), [&](change const& c) {
          return c.of(m.key) && c.until == 0;
        });
    if (!disturbed) kept_[m.key] = number;
  }
  /// Nothing is under way. What was put stays for its time, if there is room and neither a change
  /// nor a load has begun since: what an older load found, or not, does not disturb it.
  template <class Look>
  void check_kept(Look look) {
    for (unsigned k = 0; k != keys; ++k) {
      if (!kept_[k] || terms_.capacity < keys) continue;
      maker const& m = makers_[*kept_[k]];
      kcache::ttl const lives = m.lives.value_or(terms_.ttl);
      if (!lives.is_never() && clock_.now() - m.made >= lives.length() * (1 - terms_.jitter))
        continue;
      handle const h = look(k);
      expect(h && *h == *kept_[k], "what was put is kept");
    }
  }

  // Loads.

  /// A load reads the source; its flight was opened at `opened`.
  std::uint32_t begin_load(unsigned k, instant opened) {
    note(exploration::event::load, k);
    kept_[k].reset();
    maker m{.key = k, .put = false, .began = ++last_instant};
    m.opened = opened;
    m.running = true;
    for (maker const& other : makers_) {
      if (other.put || other.key != k) continue;
      if (other.opened == opened) count(exploration::begun_anew);
      if (!other.running) continue;
      count(exploration::parted);
      expect(changed_between(k, std::min(other.opened, opened), std::max(other.opened, opened)),
             "no two loads of a key at once, unless a change parts them");
    }
    return make(m);
  }
  /// What had been stored when the flight was opened, and is there still, need not be loaded; nor
  /// what was remembered as absent then.
  void check_second_look(std::uint32_t number, handle const& h, kcache::explanation const& known) {
    instant const opened = makers_[number].opened;
    auto const before = [&](maker const& m) {
      return !m.put && m.ended != 0 && m.ended < opened;
    };
    if (h && !h.is_stale() && *h < makers_.size()) expect(!before(makers_[*h]), no_needless_load);
    if (!known.absent) return;
    if (auto const why = maker_of(known.reason))
      expect(!before(makers_[*why]), "no load of what was known to be absent before its flight");
  }
  [[nodiscard]] maker& of(std::uint32_t number) { return makers_[number]; }
  void answers(std::uint32_t number) {
    makers_[number].running = false;
    makers_[number].made = clock_.now();
  }
  void end_load(std::uint32_t number) { makers_[number].ended = ++last_instant; }

 private:
  struct change {
    unsigned key;  ///< or `keys`, for all
    instant from, until = 0;
    [[nodiscard]] bool of(unsigned k) const { return key == k || key == keys; }
  };

  /// By the words of a failure.
  [[nodiscard]] std::optional<std::uint32_t> maker_of(std::string_view words) const {
    std::uint32_t number = 0;
    auto const read = std::from_chars(words.data(), words.data() + words.size(), number);
    if (read.ec != std::errc{} || number >= makers_.size()) return std::nullopt;
    return number;
  }
  /// When what it made was true for the last time.
  [[nodiscard]] instant age_of(maker const& m) const {
    if (!m.put) return m.began;
    return m.ended != 0 ? m.ended : last_instant + 1;
  }
  [[nodiscard]] bool changed_between(unsigned k, instant from, instant until) const {
    return std::any_of(changes_.begin(), changes_.end(), [&](change const& c) {
      return c.of(k) && c.from < until && (c.until == 0 || c.until > from);
    });
  }
  std::uint32_t make(maker const& m) {
    makers_.push_back(m);
    return static_cast<std::uint32_t>(makers_.size() - 1);
  }

  kcache::testing::manual_clock clock_;
  terms terms_;
  std::vector<maker> makers_;
  std::vector<change> changes_;
  std::array<instant, keys> floors_{};
  std::array<std::optional<std::uint32_t>, keys> kept_{};
};

}  // namespace test

#endif
