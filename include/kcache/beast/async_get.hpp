// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_BEAST_ASYNC_GET_HPP
#define KCACHE_BEAST_ASYNC_GET_HPP
/// \file
/// Floor 5. `beast::async_get`: a group's `async_get` with Asio's completion tokens.

#include <kcache/group.hpp>
#include <kcache/storage_traits.hpp>
#include <kcache/time.hpp>

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/system_executor.hpp>

#include <utility>

namespace kcache::beast {

/// Gets a key; the completion signature is `void(result<handle>)`, so that a miss in the source or
/// a deadline is a value and no exception:
///
///     auto r = co_await kcache::beast::async_get(scores, "Tom", boost::asio::use_awaitable);
///     auto f = kcache::beast::async_get(scores, "Tom", boost::asio::use_future);
///
/// The handler is posted to its associated executor, never called inside this function, and counts
/// as outstanding work of that executor until then. Errors and deadlines are those of `group::get`;
/// `would_block` does not occur. `g` must live until the operation has started: for a
/// deferred token or an awaitable, until it is awaited.
template <class K, class V, class P, class Token>
auto async_get(group<K, V, P>& g, typename group<K, V, P>::key_view key, time_point deadline,
               Token&& token) {
  namespace asio = boost::asio;
  using answer = typename group<K, V, P>::answer;
  // A deferred operation may start after the caller's key has gone: it keeps its own.
  return asio::async_initiate<Token, void(answer)>(
      [&g, deadline, owned = K(key)](auto handler) {
        auto const executor = asio::prefer(asio::get_associated_executor(handler),
                                           asio::execution::outstanding_work.tracked);
        g.async_get(storage_traits<K>::view(owned), deadline,
                    [h = std::move(handler), executor](answer a) mutable {
                      asio::post(executor, [h = std::move(h), a = std::move(a)]() mutable {
                        std::move(h)(std::move(a));
                      });
                    });
      },
      token);
}

/// The same, with the group's own deadline.
template <class K, class V, class P, class Token>
auto async_get(group<K, V, P>& g, typename group<K, V, P>::key_view key, Token&& token) {
  auto const deadline = g.core()->default_deadline();
  return async_get(g, key, deadline, std::forward<Token>(token));
}

}  // namespace kcache::beast

#endif
