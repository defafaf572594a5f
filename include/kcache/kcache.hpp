// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_KCACHE_HPP
#define KCACHE_KCACHE_HPP
/// \file
/// Floor 7. The umbrella: everything, with Boost and nanopb. Programs that need less include less.
