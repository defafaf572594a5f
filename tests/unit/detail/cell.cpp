// SPDX-License-Identifier: BSL-1.0
#include <kcache/detail/cell.hpp>

#include "support/catch.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using kcache::never;
using kcache::time_point;
using kcache::detail::cell_count;
using kcache::detail::cell_heap;
using kcache::detail::cell_kind;
using kcache::detail::detached_cell;
using kcache::detail::flat_cell;
using kcache::detail::heap_size;
using kcache::detail::is_flat;
using kcache::detail::is_small;
using kcache::detail::key_room;
using kcache::detail::object_cell;

namespace {

struct alignas(64) wide {
  int number;
};
struct big {
  std::array<std::uint64_t, 500> words;
};
struct odd_size {
  std::array<char, 33> bytes;
};

/// Counts its constructions less its destructions.
class counted {
 public:
  explicit counted(int& living) noexcept : living_{&living} { ++living; }
  counted(counted&& other) noexcept : living_{other.living_} { ++*living_; }
  counted& operator=(counted&&) = delete;
  ~counted() { --*living_; }

 private:
  int* living_;
};

/// What happens to a count, beside what must.
struct count_model {
  int shares;
  bool pinned;
  bool destroyed = false;
  int freed = 0;
};

/// Every order of these operations that users may do: `r`etain, try_retain (`t`), `g`ive up,
/// `u`npin. Returns how many complete orders there were.
std::size_t try_all_orders(std::string const& done, count_model m, int retains) {
  // A cell_count cannot be copied, so the history is done again.
  cell_count c{static_cast<std::uint32_t>(m.shares), m.pinned};
  count_model now = m;
  for (char const step : done) {
    switch (step) {
      case 'r':
        c.retain();
        ++now.shares;
        break;
      case 't':
        if (c.try_retain() != (now.shares != 0)) FAIL("try_retain after " << done);
        if (now.shares != 0) ++now.shares;
        break;
      case 'g': {
        bool gone = false;
        bool const free = c.release([&]() noexcept {
          gone = true;
          // The value's destructor runs: nobody gets a share any more, and the memory stays.
          if (c.try_retain()) FAIL("a share of a value that is being destroyed");
        });
        --now.shares;
        if (gone != (now.shares == 0)) FAIL("destroyed at the wrong time after " << done);
        if (gone && now.destroyed) FAIL("destroyed twice after " << done);
        now.destroyed = now.destroyed || gone;
        if (free) ++now.freed;
        break;
      }
      default:
        if (c.unpin()) ++now.freed;
        now.pinned = false;
    }
    bool const over = now.shares == 0 && !now.pinned;
    if (now.freed != (over ? 1 : 0)) FAIL("freed " << now.freed << " times after " << done);
  }
  if (now.shares == 0 && !now.pinned) return 1;
  std::size_t orders = 0;
  if (retains != 0) {
    if (now.shares != 0) orders += try_all_orders(done + 'r', m, retains - 1);
    orders += try_all_orders(done + 't', m, retains - 1);
  }
  if (now.shares != 0) orders += try_all_orders(done + 'g', m, retains);
  if (now.pinned) orders += try_all_orders(done + 'u', m, retains);
  return orders;
}

}  // namespace

static_assert(is_flat<std::string> && is_flat<std::u8string>);
static_assert(!is_flat<std::u16string> && !is_flat<std::wstring> && !is_flat<std::string_view>);
static_assert(!is_flat<std::vector<char>>);
static_assert(is_small<std::uint64_t> && is_small<std::array<char, 32>> && is_small<char*>);
static_assert(!is_small<odd_size> && !is_small<wide> && !is_small<std::string>);
static_assert(!is_small<std::unique_ptr<int>>);
static_assert(std::is_trivially_copyable_v<odd_size>);

static_assert(sizeof(flat_cell) == 20 && alignof(flat_cell) == 4);
static_assert(sizeof(object_cell<std::uint64_t>) == 24);
static_assert(alignof(object_cell<wide>) == 64 && sizeof(object_cell<wide>) == 128);
static_assert(cell_kind<wide>::alignment == 64);
static_assert(cell_kind<std::string>::alignment == __STDCPP_DEFAULT_NEW_ALIGNMENT__);

TEST_CASE("a count lets the value go once and the memory once, in every order", "[cell]") {
  for (int shares = 1; shares != 4; ++shares) {
    for (bool const pinned : {false, true}) {
      CHECK(try_all_orders("", count_model{shares, pinned}, 3) >= 1);
    }
  }
  CHECK(try_all_orders("", count_model{2, true}, 3) > 100);
}

TEST_CASE("a count whose value is nothing to destroy", "[cell]") {
  cell_count pinned{2, true};
  CHECK_FALSE(pinned.release());
  CHECK_FALSE(pinned.release());
  // A reader may come as long as it is pinned, also when no share is left.
  pinned.retain();
  CHECK_FALSE(pinned.unpin());
  CHECK(pinned.release());

  cell_count unpinned_last{1, true};
  CHECK_FALSE(unpinned_last.release());
  CHECK(unpinned_last.unpin());

  cell_count free{1, false};
  CHECK(free.release());
}

TEST_CASE("unpinned while the value is destroyed: who ends last frees", "[cell]") {
  cell_count c{1, true};
  bool freed_by_pin = true;
  bool const freed = c.release([&]() noexcept { freed_by_pin = c.unpin(); });
  CHECK_FALSE(freed_by_pin);  // the destructor still runs in it
  CHECK(freed);
}

TEST_CASE("threads that share a count free it once", "[cell][concurrent]") {
  for (int round = 0; round != 200; ++round) {
    cell_count c{1, true};
    std::atomic<int> destroyed{0};
    std::atomic<int> freed{0};
    auto const release = [&] {
      if (c.release([&]() noexcept { ++destroyed; })) ++freed;
    };
    std::vector<std::thread> threads;
    for (int i = 0; i != 2; ++i) {
      threads.emplace_back([&] {
        for (int n = 0; n != 20; ++n) {
          if (c.try_retain()) release();
        }
      });
    }
    release();
    if (c.unpin()) ++freed;
    for (auto& t : threads) t.join();
    REQUIRE(destroyed == 1);
    REQUIRE(freed == 1);
  }
}

TEST_CASE("the room of a key knows whether links lie before it", "[cell]") {
  for (bool const linked : {false, true}) {
    for (std::size_t const bytes : {std::size_t{0}, std::size_t{16}, key_room::most}) {
      key_room const room{bytes, linked};
      CHECK(room.bytes() == bytes);
      CHECK(room.linked() == linked);
    }
  }
}

TEST_CASE("a detached string is flat", "[cell]") {
  time_point const t{5s};
  for (std::string const& text :
       {std::string{}, std::string{"x"}, std::string("a\0b\0", 4), std::string(100'000, 'y')}) {
    auto* const c = detached_cell<std::string>(std::string_view{text}, t);
    CHECK(cell_kind<std::string>::view(*c) == text);
    CHECK(c->expires_at() == t);
    CHECK(c->value_bytes() == text.size());
    CHECK(c->room().bytes() == 0);
    c->count().retain();
    cell_heap<std::string>::release(*c);
    CHECK(cell_kind<std::string>::view(*c) == text);
    cell_heap<std::string>::release(*c);
  }
  auto* const c = detached_cell<std::u8string>(std::u8string_view{u8"\u00e9"}, never);
  static_assert(std::is_same_v<decltype(cell_kind<std::u8string>::view(*c)), std::u8string_view>);
  CHECK((cell_kind<std::u8string>::view(*c) == u8"\u00e9"));
  CHECK(c->expires_at() == never);
  cell_heap<std::u8string>::release(*c);
}

TEST_CASE("a detached object is where its alignment wants it", "[cell]") {
  auto* const w = detached_cell<wide>(wide{7}, never);
  CHECK(reinterpret_cast<std::uintptr_t>(&w->value()) % 64 == 0);
  CHECK(w->value().number == 7);
  cell_heap<wide>::release(*w);

  big all{};
  for (std::size_t i = 0; i != all.words.size(); ++i) all.words[i] = i;
  auto* const b = detached_cell<big>(std::move(all), never);
  for (std::size_t i = 0; i != 500; ++i) REQUIRE(b->value().words[i] == i);
  cell_heap<big>::release(*b);

  auto* const p = detached_cell<std::unique_ptr<int>>(std::make_unique<int>(3), time_point{1s});
  CHECK(*p->value() == 3);
  CHECK(p->expires_at() == time_point{1s});
  cell_heap<std::unique_ptr<int>>::release(*p);
}

TEST_CASE("a detached value is destroyed with its last share", "[cell]") {
  int living = 0;
  auto* const c = detached_cell<counted>(counted{living}, never);
  CHECK(living == 1);
  CHECK(c->count().try_retain());
  cell_heap<counted>::release(*c);
  CHECK(living == 1);
  cell_heap<counted>::release(*c);
  CHECK(living == 0);
}

TEST_CASE("a move that throws leaves no cell", "[cell]") {
  struct thrower {
    thrower() = default;
    thrower(thrower&&) { throw std::runtime_error{"move"}; }  // NOLINT: it throws
  };
  CHECK_THROWS_AS(detached_cell<thrower>(thrower{}, never), std::runtime_error);
}

TEST_CASE("a string whose length cannot be kept is refused, before it is read", "[cell]") {
  char const byte = 'x';
  std::string_view const huge{&byte, std::size_t{1} << 32U};
  CHECK_THROWS_AS(detached_cell<std::string>(huge, never), std::length_error);
}

TEST_CASE("a pinned object outlives its value", "[cell]") {
  int living = 0;
  using kcache::detail::cell;
  void* const memory = cell_heap<counted>::allocate(sizeof(cell<counted>), true);
  CHECK(reinterpret_cast<std::uintptr_t>(memory) % cell_heap<counted>::alignment == 0);
  auto* const c = ::new (memory) cell<counted>{1, true, key_room{0, true}, never, counted{living}};
  cell_heap<counted>::release(*c);
  CHECK(living == 0);
  CHECK_FALSE(c->count().try_retain());  // the memory is there
  cell_heap<counted>::unpin(*c);
}

TEST_CASE("what an allocation takes is at least what was asked for", "[cell]") {
  for (std::size_t n = 0; n != 5000; ++n) {
    if (heap_size(n) < n) FAIL(n);
    if (heap_size(n) > n + 32) FAIL(n);
    if (n != 0 && heap_size(n) < heap_size(n - 1)) FAIL(n);
  }
#if defined(__GLIBC__) && defined(__LP64__)
  CHECK(heap_size(24) == 32);
  CHECK(heap_size(25) == 48);
  CHECK(heap_size(136) == 144);  // 20 + 16 + 100: see flat_cell
#endif
}
