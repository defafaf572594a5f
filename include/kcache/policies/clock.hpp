// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_POLICIES_CLOCK_HPP
#define KCACHE_POLICIES_CLOCK_HPP
/// \file
/// Floor 1. The clock policy: what time it is, for expiry.
///
/// A clock is an object that the cache stores, so that each test owns its time. Deadlines do not
/// come from it but from the executor (see executor.hpp), which must be able to wait for them.
///
/// | expression | result | semantics |
/// |---|---|---|
/// | `C c;` `C d{c};` | | copies tell the same time |
/// | `c.now()` on a const object | `time_point` | never goes back; thread safe; does not throw; O(1) |
///
/// Models, cheapest first: `ticking_clock` (in a header of its own), `coarse_clock` (the default),
/// `steady_clock`, `testing::manual_clock`, `boot_clock`.
///
///     using cache = kcache::cache<int, page, kcache::with_clock<kcache::steady_clock>>;

#include <kcache/time.hpp>

#include <atomic>
#include <chrono>
#include <concepts>
#include <ctime>

#if defined(__linux__)
#include <dlfcn.h>
#endif

namespace kcache {

template <class C>
concept clock = std::copy_constructible<C> && requires(C const& c) {
  { c.now() } noexcept -> std::same_as<time_point>;
};

/// `std::chrono::steady_clock`: about 20 ns a call, resolution 1 ns.
struct steady_clock {
  [[nodiscard]] time_point now() const noexcept {
    return time_point{
        std::chrono::duration_cast<duration>(std::chrono::steady_clock::now().time_since_epoch())};
  }
};

namespace detail {
#if defined(__linux__)
inline time_point read_clock(clockid_t id) noexcept {
  timespec t{};
  ::clock_gettime(id, &t);
  return time_point{std::chrono::seconds{t.tv_sec} + duration{t.tv_nsec}};
}
#endif

// The C library reaches the kernel's own function through a wrapper that takes as long again. It is
// a function of a shared object that every process has; where it has not, the wrapper will do.
#if defined(__linux__) && defined(__GLIBC__) && __GLIBC_PREREQ(2, 34)
#define KCACHE_FINDS_VDSO 1
using gettime = int (*)(clockid_t, timespec*);
inline constinit std::atomic<gettime> coarse_gettime{&::clock_gettime};
inline constinit std::atomic<bool> coarse_gettime_sought{false};

inline void find_coarse_gettime() noexcept {
  if (coarse_gettime_sought.load(std::memory_order_relaxed)) return;
  coarse_gettime_sought.store(true, std::memory_order_relaxed);
  void* const vdso = ::dlopen("linux-vdso.so.1", RTLD_NOW | RTLD_NOLOAD);
  void* const f = vdso ? ::dlsym(vdso, "__vdso_clock_gettime") : nullptr;
  if (f) coarse_gettime.store(reinterpret_cast<gettime>(f), std::memory_order_relaxed);
}
#else
#define KCACHE_FINDS_VDSO 0
#endif
}  // namespace detail

/// The kernel's cached tick (CLOCK_MONOTONIC_COARSE): about 3 ns a call, resolution 1 to 10 ms;
/// shares its epoch with `steady_clock`, which it never overtakes. The default. Elsewhere than on
/// Linux it is `steady_clock`.
class coarse_clock {
 public:
#if KCACHE_FINDS_VDSO
  coarse_clock() noexcept { detail::find_coarse_gettime(); }
#endif

  [[nodiscard]] time_point now() const noexcept {
#if KCACHE_FINDS_VDSO
    timespec t{};
    detail::coarse_gettime.load(std::memory_order_relaxed)(CLOCK_MONOTONIC_COARSE, &t);
    return time_point{std::chrono::seconds{t.tv_sec} + duration{t.tv_nsec}};
#elif defined(__linux__)
    return detail::read_clock(CLOCK_MONOTONIC_COARSE);
#else
    return steady_clock{}.now();
#endif
  }
};

/// Time since boot, which runs on while the machine is suspended (CLOCK_BOOTTIME): the clock of
/// leases. Its instants do not compare with those of the other clocks.
struct boot_clock {
  [[nodiscard]] time_point now() const noexcept {
#if defined(__linux__)
    return detail::read_clock(CLOCK_BOOTTIME);
#else
    return steady_clock{}.now();
#endif
  }
};

static_assert(clock<steady_clock> && clock<coarse_clock> && clock<boot_clock>);

}  // namespace kcache

#endif
