// SPDX-License-Identifier: BSL-1.0
#include <kcache/detail/compact_dates.hpp>

#include "support/catch.hpp"

#include <kcache/policies/random.hpp>

#include <chrono>
#include <cstdint>

using namespace std::chrono_literals;
using kcache::duration;
using kcache::entry_dates;
using kcache::never;
using kcache::time_point;
using kcache::detail::compact_dates;

namespace {

entry_dates kept(entry_dates const& d, time_point fresh_until) {
  auto const word = compact_dates{d, fresh_until}.word();
  return compact_dates::of_word(word).dates(fresh_until);
}
constexpr std::int64_t parts = std::int64_t{1} << 28U;

}  // namespace

TEST_CASE("dates take a word") { STATIC_REQUIRE(sizeof(compact_dates) == 8); }

TEST_CASE("dates of short lives are kept exactly") {
  time_point const start{1'234'567'891ns};
  for (duration const ttl : {duration{1ns}, duration{536'870'911ns}, duration{34'359ms},
                             duration{10s}, duration{4min}, duration{267s}}) {
    CAPTURE(ttl.count());
    auto const end = start + ttl;
    CHECK(kept({start, never}, end) == entry_dates{start, end});
    CHECK(kept({start, end}, end) == entry_dates{start, end});
    CHECK(kept({start, start}, end) == entry_dates{start, start});
  }
  CHECK(kept({start, start + 7s}, start + 10s) == entry_dates{start, start + 7s});
}

TEST_CASE("what is fresh for ever knows exactly when it was written, whatever the epoch") {
  for (time_point const t : {time_point{}, time_point{-5s}, time_point{1'764'000'000s + 1ns},
                             time_point::min(), never - 1ns}) {
    CHECK(kept({t, never}, never) == entry_dates{t, never});
    CHECK(kept({t, t}, never) == entry_dates{t, never});  // nor is it to be renewed
  }
}

TEST_CASE("dates after the end are at it") {
  time_point const end{15s};
  CHECK(kept({time_point{5s}, time_point{25s}}, end) == entry_dates{time_point{5s}, end});
  CHECK(kept({time_point{20s}, time_point{25s}}, end) == entry_dates{end, end});
}

TEST_CASE("dates are off by next to nothing, and never late, be it centuries") {
  kcache::seeded_random random{1};
  for (int i = 0; i != 200'000; ++i) {
    auto const length = [&] {  // of every order, from 1 ns to 146 years
      return static_cast<std::int64_t>(random.next() >> (2 + random.next() % 62));
    };
    auto const first = length();
    auto const second = length();
    // From centuries before the epoch, too; the sums do not overflow.
    time_point const start{duration{length() - (std::int64_t{1} << 62U)}};
    time_point const end = start + duration{first / 2} + duration{second / 2};
    entry_dates const d{start, start + duration{first / 2}};
    auto const k = kept(d, end);
    auto const near = [&](time_point exact, time_point rounded) {
      return rounded <= exact && exact - rounded <= (end - start) / parts;
    };
    REQUIRE(near(d.written_at, k.written_at));
    REQUIRE(near(d.refresh_at, k.refresh_at));
    REQUIRE(k.written_at <= k.refresh_at);
  }
}

TEST_CASE("any word has dates, though it may be of no use") {
  kcache::seeded_random random{1};
  for (int i = 0; i != 10'000; ++i) {
    std::uint64_t const word = random.next();
    auto const torn = compact_dates::of_word(word);
    for (time_point const end : {time_point::min(), time_point{}, never - 1ns})
      static_cast<void>(torn.dates(end));  // what a sanitizer would complain of
    time_point const written{duration{static_cast<std::int64_t>(word)}};
    REQUIRE(torn.dates(never) == entry_dates{written, never});
  }
}
