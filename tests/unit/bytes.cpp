// SPDX-License-Identifier: BSL-1.0
#include <kcache/bytes.hpp>

#include "support/catch.hpp"

#include <array>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

using kcache::byte_view;
using kcache::shared_bytes;

namespace {

/// Counts how many of it live.
class owner {
 public:
  explicit owner(int& living) noexcept : living_{&living} { ++*living_; }
  owner(owner const& other) noexcept : living_{other.living_} { ++*living_; }
  owner& operator=(owner const&) = delete;
  ~owner() { --*living_; }

 private:
  int* living_;
};

struct too_large {
  std::array<void*, 3> pointers;
};
struct throws_in_copy {
  throws_in_copy() = default;
  throws_in_copy(throws_in_copy const&) {}  // not noexcept
  throws_in_copy& operator=(throws_in_copy const&) = delete;
};

}  // namespace

static_assert(std::is_nothrow_copy_constructible_v<shared_bytes>);
static_assert(std::is_nothrow_move_constructible_v<shared_bytes>);
static_assert(std::is_constructible_v<shared_bytes, byte_view, std::shared_ptr<int>>);
static_assert(!std::is_constructible_v<shared_bytes, byte_view, too_large>);
static_assert(!std::is_constructible_v<shared_bytes, byte_view, throws_in_copy>);

TEST_CASE("bytes of a string", "[bytes]") {
  std::string const text("a\0b", 3);
  auto const b = shared_bytes::of(text);
  CHECK(b == text);
  CHECK(b.size() == 3);
  CHECK_FALSE(b.empty());
  CHECK(b.data()[2] == 'b');
  CHECK(b.data() != text.data());
  CHECK(shared_bytes{}.empty());
  CHECK(shared_bytes::of("").empty());
}

TEST_CASE("static bytes have no owner", "[bytes]") {
  static constexpr char text[] = "hello";
  auto const b = shared_bytes::of_static(text);
  CHECK(b.data() == text);
  auto const copy = b;
  CHECK(copy.data() == text);
}

TEST_CASE("copies share the bytes, which live as long as one of them", "[bytes]") {
  shared_bytes kept;
  {
    auto const first = shared_bytes::of(std::string(1000, 'x'));
    kept = first;
    CHECK(kept.data() == first.data());
  }
  CHECK(kept == std::string(1000, 'x'));
}

TEST_CASE("each copy holds a share of the owner, and gives it back", "[bytes]") {
  int living = 0;
  {
    shared_bytes a{"x", owner{living}};
    CHECK(living == 1);
    shared_bytes b = a;
    CHECK(living == 2);
    shared_bytes c = std::move(a);
    CHECK(living == 2);
    CHECK(a.empty());  // NOLINT: moved from is empty
    b = c;
    CHECK(living == 2);
    auto& same = b;
    b = same;
    CHECK(b == "x");
    CHECK(living == 2);
    b = shared_bytes{};
    CHECK(living == 1);
  }
  CHECK(living == 0);
}

TEST_CASE("a part shares the owner", "[bytes]") {
  shared_bytes part;
  {
    auto const all = shared_bytes::of("0123456789");
    part = all.part(2, 3);
    CHECK(all.part(8, 100) == "89");
    CHECK(all.part(10, 1).empty());
    CHECK(all.part(11, 1).empty());
    CHECK(all.part(0, 0).empty());
  }
  CHECK(part == "234");
}
