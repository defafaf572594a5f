// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_VERSION_HPP
#define KCACHE_VERSION_HPP
/// \file
/// Floor 0. The version of the library; meson.build and the pkg-config files take it from here.

#define KCACHE_VERSION_MAJOR 0
#define KCACHE_VERSION_MINOR 1
#define KCACHE_VERSION_PATCH 0
/// The version as a string, "major.minor.patch".
#define KCACHE_VERSION_STRING "0.1.0"

#endif
