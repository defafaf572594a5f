// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_COMPLETION_TOKEN_HPP
#define KCACHE_COMPLETION_TOKEN_HPP
/// \file
/// Floor 3. `completion_token_traits`: how a group's members take what is more than a handler.

#include <type_traits>

namespace kcache {

/// Specialised by adapters (beast/async_get.hpp: Asio's tokens) with two static templates,
/// `async_get(group, key, ..., token)` and `async_get_many(group, keys, ..., token)`, whose results
/// the members return.
template <class Token>
struct completion_token_traits {
  using not_a_token = void;
};

/// A token for which an adapter is included. It goes before the handler that it may be as well.
template <class Token>
concept completion_token = !requires {
  typename completion_token_traits<std::decay_t<Token>>::not_a_token;
};

}  // namespace kcache

#endif
