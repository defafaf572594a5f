// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_TESTS_SUPPORT_SANITIZED_HPP
#define KCACHE_TESTS_SUPPORT_SANITIZED_HPP
/// \file
/// KCACHE_TESTS_SANITIZED is 1 in a build with a sanitizer that brings its own allocator and slows
/// everything down, and 0 in others.

#define KCACHE_TESTS_SANITIZED 0
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#undef KCACHE_TESTS_SANITIZED
#define KCACHE_TESTS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#undef KCACHE_TESTS_SANITIZED
#define KCACHE_TESTS_SANITIZED 1
#endif
#endif

#endif
