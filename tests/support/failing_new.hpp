// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_TESTS_SUPPORT_FAILING_NEW_HPP
#define KCACHE_TESTS_SUPPORT_FAILING_NEW_HPP
/// \file
/// The `operator new` behind allocations.hpp: to be included by one source of a program.

#include "support/allocations.hpp"

#include <cstddef>
#include <cstdlib>
#include <new>

namespace {

thread_local std::size_t allocated = 0;
/// Which allocation fails; 0 for none.
thread_local std::size_t failing_one = 0;
thread_local bool failed = false;

void* allocate_or_null(std::size_t size, std::size_t alignment) noexcept {
  if (++allocated == failing_one) {
    failed = true;
    return nullptr;
  }
  // As the heap itself does it: rounding would make 136 bytes 144, and a chunk of 144 one of 160.
  if (alignment <= alignof(std::max_align_t)) return std::malloc(size == 0 ? 1 : size);
  std::size_t const room = (size + alignment - 1) / alignment * alignment;
  return std::aligned_alloc(alignment, room == 0 ? alignment : room);
}
void* allocate(std::size_t size, std::size_t alignment) {
  void* p = allocate_or_null(size, alignment);
  if (!p) throw std::bad_alloc{};
  return p;
}

}  // namespace

namespace test {

std::size_t allocations() noexcept { return allocated; }
failing_allocation::failing_allocation(std::size_t n) noexcept {
  failing_one = allocated + n;
  failed = false;
}
failing_allocation::~failing_allocation() { failing_one = 0; }
bool failing_allocation::happened() const noexcept { return failed; }

}  // namespace test

void* operator new(std::size_t size) { return allocate(size, alignof(std::max_align_t)); }
void* operator new(std::size_t size, std::align_val_t a) {
  return allocate(size, static_cast<std::size_t>(a));
}
// A sanitizer brings its own of each, so all that are used must be ours.
void* operator new(std::size_t size, std::nothrow_t const&) noexcept {
  return allocate_or_null(size, alignof(std::max_align_t));
}
void* operator new(std::size_t size, std::align_val_t a, std::nothrow_t const&) noexcept {
  return allocate_or_null(size, static_cast<std::size_t>(a));
}
void* operator new[](std::size_t size) { return operator new(size); }
void* operator new[](std::size_t size, std::align_val_t a) { return operator new(size, a); }
// Not inlined: where one is and the other is not, g++ takes them for a mismatch.
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t, std::align_val_t) noexcept {
  std::free(p);
}
[[gnu::noinline]] void operator delete[](void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete[](void* p, std::size_t) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete[](void* p, std::align_val_t) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete[](void* p, std::size_t, std::align_val_t) noexcept {
  std::free(p);
}

#endif
