// SPDX-License-Identifier: BSL-1.0
#include <kcache/detail/reader.hpp>

#include "support/catch.hpp"
#include "support/effort.hpp"
#include "support/threads.hpp"

#include <kcache/cache.hpp>

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

using kcache::detail::most_readers;
using kcache::detail::read_section;
using kcache::detail::reader;
using kcache::detail::reader_refused;
using kcache::detail::rounds;
using kcache::detail::this_reader;

namespace {

/// A thread that is in a read section when it is told to be.
class reading_thread {
 public:
  reading_thread() : thread_{[this] { run(); }} { wait(idle); }
  reading_thread(reading_thread const&) = delete;
  reading_thread& operator=(reading_thread const&) = delete;
  ~reading_thread() {
    wanted_ = over;
    thread_.join();
  }
  void enter() { go(inside); }
  void leave() { go(idle); }
  [[nodiscard]] reader const* used() const { return reader_; }

 private:
  enum state { nowhere, idle, inside, over };
  void go(state s) {
    wanted_ = s;
    wait(s);
  }
  void wait(state s) const {
    while (is_ != s) std::this_thread::yield();
  }
  void run() {
    reader_ = this_reader();
    std::optional<read_section> section;
    wanted_ = idle;
    for (;; std::this_thread::yield()) {
      state const s = wanted_;
      if (s == over) return;
      if (s == inside && !section && reader_) section.emplace(*reader_);
      if (s == idle) section.reset();
      is_ = s;
    }
  }

  std::atomic<state> wanted_{nowhere};
  std::atomic<state> is_{nowhere};
  std::atomic<reader*> reader_{nullptr};
  std::thread thread_;
};

/// Other tests' threads have all ended, so three calls are enough, whatever was under way.
bool over_soon(std::uint64_t stamp) {
  for (int i = 0; i != 4 && !rounds::over(stamp); ++i) rounds::advance();
  return rounds::over(stamp);
}

}  // namespace

TEST_CASE("a stamp is over when all sections that were open have ended", "[reader][concurrent]") {
  REQUIRE(this_reader() != nullptr);
  CHECK_FALSE(rounds::over(rounds::stamp()));
  CHECK(over_soon(rounds::stamp()));

  reading_thread a;
  reading_thread b;
  for (int i = 0; i != 20; ++i) {
    a.enter();
    std::uint64_t const first = rounds::stamp();
    CHECK_FALSE(over_soon(first));
    b.enter();
    std::uint64_t const second = rounds::stamp();
    CHECK_FALSE(over_soon(first));
    if (i % 2 == 0) {
      a.leave();
      // What `a` alone could see is free; `b` still keeps what went later.
      CHECK(over_soon(first));
      CHECK_FALSE(over_soon(second));
      b.leave();
    } else {
      b.leave();
      CHECK_FALSE(over_soon(first));
      CHECK_FALSE(over_soon(second));
      a.leave();
    }
    CHECK(over_soon(second));
    CHECK(over_soon(first));
  }
}

TEST_CASE("a section that began after the round does not hold it", "[reader][concurrent]") {
  reading_thread a;
  reading_thread b;
  a.enter();
  std::uint64_t const stamp = rounds::stamp();
  CHECK_FALSE(over_soon(stamp));  // begins the round, and waits for `a`
  b.enter();
  a.leave();
  CHECK(over_soon(stamp));
  // Nor does a thread that always reads, as long as it leaves between.
  for (int i = 0; i != 20; ++i) {
    std::uint64_t const s = rounds::stamp();
    CHECK_FALSE(over_soon(s));
    b.leave();
    b.enter();
    CHECK(over_soon(s));
  }
  b.leave();
}

TEST_CASE("what was taken out stays as it was while it is read", "[reader][concurrent]") {
  // Whatever the barrier is, the kernel's or ours. With two writers, the rounds of one meet the
  // stamps of the other.
  auto const writers = GENERATE(std::size_t{1}, std::size_t{2});
  struct alignas(64) item {
    std::atomic<std::uint64_t> whole{1};
  };
  struct alignas(64) place {
    std::atomic<item*> shown{nullptr};
  };
  constexpr std::size_t kept = 256;
  std::uint64_t const swaps = test::effort(20'000, 5'000'000);
  std::vector<std::vector<item>> items(writers);
  for (auto& v : items) v = std::vector<item>(kept);
  std::vector<place> places(writers);
  for (std::size_t i = 0; i != writers; ++i) places[i].shown = &items[i][0];
  std::atomic<std::uint64_t> freed_under_reader{0};
  std::atomic<std::uint64_t> freed{0};
  std::atomic<std::size_t> writing{writers};
  test::in_parallel(2 * writers, [&](std::size_t id) {
    if (id < writers) {
      std::deque<std::pair<item*, std::uint64_t>> taken;
      std::vector<item*> free;
      for (std::size_t i = 1; i != kept; ++i) free.push_back(&items[id][i]);
      auto const reclaim = [&] {
        rounds::advance();
        for (; !taken.empty() && rounds::over(taken.front().second); taken.pop_front()) {
          taken.front().first->whole.store(0, std::memory_order_relaxed);
          free.push_back(taken.front().first);
          ++freed;
        }
      };
      for (std::uint64_t n = 0; n != swaps; ++n) {
        for (; free.empty(); std::this_thread::yield()) reclaim();
        item* const fresh = free.back();
        free.pop_back();
        fresh->whole.store(1, std::memory_order_relaxed);
        item* const old = places[id].shown.load(std::memory_order_relaxed);
        places[id].shown.store(fresh, std::memory_order_release);
        taken.emplace_back(old, rounds::stamp());
        reclaim();
      }
      --writing;
      return;
    }
    reader* const r = this_reader();
    for (std::size_t n = 0; writing != 0; ++n) {
      read_section const in{*r};
      item const* const seen = places[n % writers].shown.load(std::memory_order_acquire);
      for (std::size_t looks = n % 200; looks != 0; --looks) {
        if (seen->whole.load(std::memory_order_relaxed) == 0) ++freed_under_reader;
      }
    }
  });
  CHECK(freed_under_reader == 0);
  CHECK(freed + writers * kept >= writers * swaps);
}

TEST_CASE("a thread that ends gives its reader back", "[reader][concurrent]") {
  REQUIRE(this_reader() == this_reader());
  std::set<reader const*> used;
  for (std::size_t i = 0; i != 2 * most_readers; ++i) {
    std::thread{[&] { used.insert(this_reader()); }}.join();
  }
  CHECK(used.size() == 1);
  CHECK(used.count(nullptr) == 0);
  CHECK(used.count(this_reader()) == 0);
}

TEST_CASE("threads without a reader lock, and are as exact", "[reader][concurrent]") {
  kcache::cache<int, int> pairs{{.capacity = 8, .shards = 1}};
  kcache::cache<std::string, std::string> strings{{.capacity = 8, .shards = 1}};
  REQUIRE(this_reader() != nullptr);
  std::vector<std::unique_ptr<reading_thread>> all;
  std::set<reader const*> used{this_reader()};
  std::set<std::uint32_t> numbers{this_reader()->number};
  for (std::size_t i = 0; i + 1 != most_readers; ++i) {
    all.push_back(std::make_unique<reading_thread>());
    REQUIRE(all.back()->used() != nullptr);
    used.insert(all.back()->used());
    numbers.insert(all.back()->used()->number);
  }
  CHECK(used.size() == most_readers);
  CHECK(numbers.size() == most_readers);
  CHECK(*numbers.rbegin() == most_readers - 1);

  std::thread{[&] {
    CHECK(this_reader() == nullptr);
    CHECK(reader_refused);
    for (int i = 0; i != 8; ++i) {
      CHECK(pairs.put(i, 10 * i).stored);
      CHECK(strings.put(std::to_string(i), std::string(600, 'x')).stored);
    }
  }}.join();
  // This thread reads with a reader, the others without: in turns, to the exact order.
  for (int i = 0; i != 8; i += 2) {
    CHECK(pairs.get(i));
    CHECK(strings.get(std::to_string(i)));
    std::thread{[&] {
      auto const h = pairs.get(i + 1);
      CHECK((h && *h == 10 * (i + 1)));
      CHECK(strings.visit(std::to_string(i + 1), [](std::string_view v) {
        CHECK(v == std::string(600, 'x'));
      }));
      CHECK(pairs.get_many(std::vector<int>{100})[0] == kcache::handle<int>{});
      CHECK(this_reader() == nullptr);
    }}.join();
  }
  for (int i = 0; i != 8; ++i) {
    CHECK(pairs.contains(i));
    CHECK(strings.contains(std::to_string(i)));
    std::thread{[&] {
      static_cast<void>(pairs.put(100 + i, 0));
      static_cast<void>(strings.put(std::to_string(100 + i), ""));
    }}.join();
    CHECK_FALSE(pairs.contains(i));
    CHECK_FALSE(strings.contains(std::to_string(i)));
  }
  CHECK(pairs.stats().hits == 8);
  CHECK(pairs.stats().misses == 4);

  all.clear();
  std::thread{[&] { CHECK(this_reader() != nullptr); }}.join();
}

namespace {

/// Uses a cache when its thread ends.
class late_user {
 public:
  explicit late_user(kcache::cache<std::string, std::string>& c, std::string key)
      : cache_{&c}, key_{std::move(key)} {}
  late_user(late_user const&) = delete;
  late_user& operator=(late_user const&) = delete;
  ~late_user() {
    static_cast<void>(cache_->put(key_, "late"));
    if (auto const h = cache_->get(key_); h && *h == "late") ++right;
    static_cast<void>(cache_->put(key_, "later"));
    if (cache_->get_copy(key_) == "later") ++right;
    if (this_reader() == nullptr) ++without_reader;
  }
  static inline std::atomic<int> right{0};
  static inline std::atomic<int> without_reader{0};

 private:
  kcache::cache<std::string, std::string>* cache_;
  std::string key_;
};

}  // namespace

TEST_CASE("a thread that ends may use a cache", "[reader][concurrent]") {
  kcache::cache<std::string, std::string> c{{.capacity = 8}};
  late_user::right = late_user::without_reader = 0;
  constexpr int threads = 20;
  for (int i = 0; i != threads; ++i) {
    std::thread{[&] {
      // Made before the thread's reader, so it goes after it.
      static thread_local late_user const before{c, "before"};
      static_cast<void>(&before);
      static_cast<void>(c.get("before"));
      CHECK(this_reader() != nullptr);
      static thread_local late_user const behind{c, "behind"};
      static_cast<void>(&behind);
    }}.join();
  }
  CHECK(late_user::right == 4 * threads);
  CHECK(late_user::without_reader == threads);
  CHECK(this_reader() != nullptr);
}
