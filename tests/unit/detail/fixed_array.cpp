// SPDX-License-Identifier: BSL-1.0
#include <kcache/detail/fixed_array.hpp>

#include "support/catch.hpp"

#include <cstdint>
#include <numeric>
#include <stdexcept>

namespace {

struct alignas(64) immovable {
  immovable(std::size_t n, int& living) : number{n}, alive{&living} {
    if (n == 5) throw std::runtime_error{"five"};
    ++*alive;
  }
  immovable(immovable const&) = delete;
  immovable& operator=(immovable const&) = delete;
  ~immovable() { --*alive; }

  std::size_t number;
  int* alive;
};
using array = kcache::detail::fixed_array<immovable>;

}  // namespace

TEST_CASE("elements are made in place, in order, aligned", "[fixed_array]") {
  int living = 0;
  {
    array const a{4, [&](std::size_t i) { return immovable{i, living}; }};
    CHECK(a.size() == 4);
    CHECK(living == 4);
    std::size_t n = 0;
    for (immovable const& e : a) {
      CHECK(e.number == n);
      CHECK(&a[n] == &e);
      CHECK(reinterpret_cast<std::uintptr_t>(&e) % 64 == 0);
      ++n;
    }
  }
  CHECK(living == 0);
}

TEST_CASE("a maker that throws leaves nothing behind", "[fixed_array]") {
  int living = 0;
  auto const make = [&] { array const a{8, [&](std::size_t i) { return immovable{i, living}; }}; };
  CHECK_THROWS_AS(make(), std::runtime_error);
  CHECK(living == 0);
}
