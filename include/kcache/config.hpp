// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_CONFIG_HPP
#define KCACHE_CONFIG_HPP
/// \file
/// Floor 0. Compiler checks and the macros the library needs.

#if !defined(__cpp_concepts) || __cpp_concepts < 201907L
#error "kcache needs C++20: compile with -std=c++20 (g++ 12 or clang 16, or newer)"
#endif

#include <cassert>

/// A broken contract (never bad input from outside). Define it before the first include to
/// report through your own handler; it must not return when the condition is false.
#ifndef KCACHE_ASSERT
#define KCACHE_ASSERT(condition) assert(condition)
#endif

/// A step of a hit. In a large translation unit g++ leaves off inlining, and a hit that is a
/// hundred instructions then becomes two hundred and a dozen calls.
#define KCACHE_INLINE [[gnu::always_inline]] inline
/// The same behind the parameters of a lambda.
#define KCACHE_INLINE_LAMBDA __attribute__((always_inline))

#endif
