// SPDX-License-Identifier: BSL-1.0
// Many threads on one cache. Every read value is checked to be one that was written for its key.
#include <kcache/cache.hpp>

#include "support/catch.hpp"

#include <kcache/policies/fifo.hpp>
#include <kcache/policies/random.hpp>
#include <kcache/testing/manual_clock.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using kcache::removal_cause;
using kcache::seeded_random;
using kcache::testing::manual_clock;

namespace {

constexpr std::size_t threads = 4;

void in_parallel(std::function<void(std::uint64_t)> const& work) {
  std::vector<std::thread> all;
  for (std::uint64_t i = 0; i != threads; ++i) all.emplace_back(work, i);
  for (auto& t : all) t.join();
}

/// A value that knows its key, and counts its living.
class tagged {
 public:
  static inline std::atomic<int> living{0};
  explicit tagged(std::string_view key) : key_{key} { ++living; }
  tagged(tagged&& other) noexcept : key_{std::move(other.key_)} { ++living; }
  tagged& operator=(tagged&&) = delete;
  ~tagged() { --living; }
  [[nodiscard]] std::string const& key() const noexcept { return key_; }

 private:
  std::string key_;
};

using listener = std::function<void(std::string_view, tagged const&, removal_cause)>;
template <class Eviction>
struct stressed : kcache::with_clock<manual_clock> {
  using eviction = Eviction;
  using removal_listener = listener;
  struct weigher {
    std::uint64_t operator()(std::string_view key, tagged const&) const { return key.size(); }
  };
};

}  // namespace

TEMPLATE_TEST_CASE("threads agree on what is in the cache", "[cache_concurrent][concurrent]",
                   kcache::lru, kcache::fifo) {
  std::atomic<std::uint64_t> wrong{0};
  std::atomic<std::uint64_t> told{0};
  std::atomic<std::uint64_t> stored{0};
  manual_clock t;
  {
    using cache = kcache::cache<std::string, tagged, stressed<TestType>>;
    std::uint64_t const capacity = 600;
    for (std::size_t const shards : {1U, 8U}) {
      told = stored = 0;
      cache* self = nullptr;
      cache c{{.capacity = capacity,
               .shards = shards,
               .max_entry_weight = 20,
               .clock = t,
               .on_removal = [&](std::string_view key, tagged const& v, removal_cause cause) {
                 ++told;
                 if (v.key() != key) ++wrong;
                 if (cause == removal_cause::size && self->contains(std::string{key} + "?")) {
                   ++wrong;
                 }
               }}};
      self = &c;
      in_parallel([&](std::uint64_t id) {
        seeded_random r{id};
        std::vector<kcache::handle<tagged>> kept(8);
        for (int step = 0; step != 4000; ++step) {
          std::string const key = "key " + std::to_string(r.next() % 200);
          auto const check = [&](kcache::handle<tagged> h) {
            if (h && h->key() != key) ++wrong;
            if (h) kept[r.next() % kept.size()] = std::move(h);
          };
          switch (r.next() % 16) {
            case 0: case 1: case 2: case 3: case 4: {
              auto put = c.put(key, tagged{key}, 1ns * (1 + r.next() % 50));
              if (put.stored) ++stored;
              check(std::move(put.entry));
              break;
            }
            case 5: {
              auto const put = c.put_if(key, tagged{key}, [&] { return r.next() % 2 == 0; });
              if (put.stored) ++stored;
              break;
            }
            case 6: c.erase(key); break;
            case 7: check(c.peek(key)); break;
            case 8: t.advance(1ns); break;
            case 9:
              if (c.weight() > capacity) ++wrong;
              break;
            case 10:
              if (r.next() % 64 == 0) c.clear();
              if (r.next() % 16 == 0) c.remove_expired();
              static_cast<void>(c.stats());
              break;
            default: check(c.get(key)); break;
          }
        }
      });
      c.remove_expired();  // what was cleared is told of now
      CHECK(wrong == 0);
      CHECK(stored > 1000);
      CHECK(stored == told + c.size());
      auto const s = c.stats();
      CHECK(s.expired + s.evicted + s.replaced + s.erased == told);
      CHECK(s.weight <= capacity);
    }
  }
  CHECK(tagged::living == 0);
}

TEST_CASE("no value older than a returned erase is read", "[cache_concurrent][concurrent]") {
  // The fence of a group, in small: writers bring what they read of the source, unless the
  // generation has moved on meanwhile. Asked outside the lock, the guard would let stale ones in.
  kcache::cache<int, std::uint64_t> c{{.capacity = 16}};
  std::atomic<std::uint64_t> generation{0};
  std::atomic<bool> done{false};
  std::atomic<std::uint64_t> stale{0};
  std::thread invalidator{[&] {
    for (int i = 0; i != 20'000; ++i) {
      auto const now = ++generation;
      c.erase(1);
      if (auto const h = c.get(1); h && *h < now) ++stale;
    }
    done = true;
  }};
  std::vector<std::thread> writers;
  for (int i = 0; i != 2; ++i) {
    writers.emplace_back([&] {
      while (!done) {
        auto const seen = generation.load();
        c.put_if(1, seen, [&] { return generation.load() == seen; });
      }
    });
  }
  invalidator.join();
  for (auto& w : writers) w.join();
  CHECK(stale == 0);
}

TEST_CASE("a hot key is replaced under its readers", "[cache_concurrent][concurrent]") {
  kcache::cache<int, std::string> c{{.capacity = 4}};
  c.put(1, std::string(64, 'a'));
  std::atomic<std::uint64_t> wrong{0};
  in_parallel([&](std::uint64_t id) {
    for (int step = 0; step != 10'000; ++step) {
      if (id == 0) {
        c.put(1, std::string(64, static_cast<char>('a' + step % 26)));
      } else if (auto const h = c.get(1); !h || h->find_first_not_of(h->front()) != h->npos) {
        ++wrong;
      }
    }
  });
  CHECK(wrong == 0);
}

TEST_CASE("a listener may change the capacity while another thread does", "[cache_concurrent]") {
  struct listening : kcache::default_policies {
    using removal_listener = std::function<void(int, int, removal_cause)>;
  };
  kcache::cache<int, int, listening>* self = nullptr;
  int told = 0;
  kcache::cache<int, int, listening> c{{.capacity = 8, .on_removal = [&](int, int, removal_cause) {
                                          if (++told == 1) self->set_capacity(6);
                                        }}};
  self = &c;
  for (int i = 0; i != 8; ++i) c.put(i, i);
  c.set_capacity(4);
  CHECK(told == 4);
  CHECK(c.size() == 4);
  CHECK(c.capacity() == 6);
}
