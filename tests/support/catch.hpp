// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_TESTS_SUPPORT_CATCH_HPP
#define KCACHE_TESTS_SUPPORT_CATCH_HPP
/// \file
/// One name for Catch2 2.13 (Debian 12) and 3.x: tests include this and nothing of Catch2 itself.

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif

#endif
