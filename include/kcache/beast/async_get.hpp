// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_BEAST_ASYNC_GET_HPP
#define KCACHE_BEAST_ASYNC_GET_HPP
/// \file
/// Floor 5. `beast::async_get` and `beast::async_get_many`: those of a group with Asio's completion
/// tokens.
///
/// ## Tokens
/// The completion signature is `void(result<handle>)` (for many keys `void(std::vector<...>)`), so
/// that a miss in the source or a deadline is a value and no exception:
///
///     auto r = co_await kcache::beast::async_get(scores, "Tom", boost::asio::use_awaitable);
///     auto f = kcache::beast::async_get(scores, "Tom", boost::asio::use_future);
///
/// ## Where a handler runs
/// It is posted to its associated executor with its associated allocator: never called inside the
/// initiating function, nor on the thread that ends the load, nor under a lock. Until then it
/// counts as outstanding work of that executor, which must be there when the answer comes.
///
/// ## Cancellation
/// If the handler's cancellation slot is connected, any type of cancellation makes this wait leave,
/// alone: it is answered `cancelled`, the load goes on for the others, and is told to stop if there
/// are none. Of many keys those that have no answer yet are `cancelled`. An answer that is on its
/// way already wins. As with Asio's own operations the signal is emitted, and destroyed, where the
/// handler runs; the load may end on another thread meanwhile. The slot is clear again when the
/// handler is called.
///
/// ## Deadlines and what must live
/// Errors and deadlines are those of `group::get`; `would_block` does not occur. Without a deadline
/// the group's own is counted from the start of the operation, which for a deferred token or an
/// awaitable is when it is awaited; the group must live until then. Keys are copied.

#include <kcache/beast/detail/completion.hpp>
#include <kcache/group.hpp>
#include <kcache/loader.hpp>
#include <kcache/storage_traits.hpp>
#include <kcache/time.hpp>

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>

#include <concepts>
#include <optional>
#include <stop_token>
#include <type_traits>
#include <utility>
#include <vector>

namespace kcache::beast {

/// A get that has not begun.
template <class Group>
class get_operation {
 public:
  using answer = typename Group::answer;
  using key_view = typename Group::key_view;

  get_operation(Group& g, key_view key, load_context context, std::optional<time_point> deadline)
      : group_{&g}, key_(key), context_{std::move(context)}, deadline_{deadline} {}

  template <class Handler>
  void operator()(Handler h) const {
    auto const key = storage_traits<typename Group::key_type>::view(key_);
    time_point const until = deadline_ ? *deadline_ : group_->core()->default_deadline();
    std::stop_token stop = stop_token_of(h);
    group_->async_get(key, context_, std::move(stop), until, completion{std::move(h)});
  }

 private:
  Group* group_;
  typename Group::key_type key_;
  load_context context_;
  std::optional<time_point> deadline_;
};

/// The same for many keys.
template <class Group>
class get_many_operation {
 public:
  using answer = std::vector<typename Group::answer>;
  using key_view = typename Group::key_view;

  template <class Keys>
  get_many_operation(Group& g, Keys const& keys, load_context context,
                     std::optional<time_point> deadline)
      : group_{&g}, context_{std::move(context)}, deadline_{deadline} {
    for (auto const& k : keys) keys_.emplace_back(static_cast<key_view>(k));
  }

  template <class Handler>
  void operator()(Handler h) const {
    time_point const until = deadline_ ? *deadline_ : group_->core()->default_deadline();
    std::stop_token stop = stop_token_of(h);
    group_->async_get_many(keys_, context_, std::move(stop), until, completion{std::move(h)});
  }

 private:
  Group* group_;
  std::vector<typename Group::key_type> keys_;
  load_context context_;
  std::optional<time_point> deadline_;
};

template <class Operation, class Token>
auto begin_get(Operation operation, Token&& token) {
  return boost::asio::async_initiate<Token, void(typename Operation::answer)>(std::move(operation),
                                                                              token);
}

/// Gets a key: see above.
template <class K, class V, class P, class Token>
auto async_get(group<K, V, P>& g, typename group<K, V, P>::key_view key, Token&& token) {
  return begin_get(get_operation{g, key, {}, std::nullopt}, std::forward<Token>(token));
}
template <class K, class V, class P, class Token>
auto async_get(group<K, V, P>& g, typename group<K, V, P>::key_view key, time_point deadline,
               Token&& token) {
  return begin_get(get_operation{g, key, {}, deadline}, std::forward<Token>(token));
}

/// The same for a loader that needs another key: its context is passed on, so that a circle of
/// loads is found and answered `recursive_load`.
template <class K, class V, class P, class Token>
auto async_get(group<K, V, P>& g, typename group<K, V, P>::key_view key,
               load_context const& context, Token&& token) {
  return begin_get(get_operation{g, key, context, std::nullopt}, std::forward<Token>(token));
}
template <class K, class V, class P, class Token>
auto async_get(group<K, V, P>& g, typename group<K, V, P>::key_view key,
               load_context const& context, time_point deadline, Token&& token) {
  return begin_get(get_operation{g, key, context, deadline}, std::forward<Token>(token));
}

/// Gets a range of keys (of what converts to `key_view`), as `group::get_many` does: one answer for
/// each, in its order.
template <class K, class V, class P, class Keys, class Token>
auto async_get_many(group<K, V, P>& g, Keys const& keys, Token&& token) {
  return begin_get(get_many_operation{g, keys, {}, std::nullopt}, std::forward<Token>(token));
}
template <class K, class V, class P, class Keys, class Token>
auto async_get_many(group<K, V, P>& g, Keys const& keys, time_point deadline, Token&& token) {
  return begin_get(get_many_operation{g, keys, {}, deadline}, std::forward<Token>(token));
}
template <class K, class V, class P, class Keys, class Token>
auto async_get_many(group<K, V, P>& g, Keys const& keys, load_context const& context,
                    Token&& token) {
  return begin_get(get_many_operation{g, keys, context, std::nullopt}, std::forward<Token>(token));
}
template <class K, class V, class P, class Keys, class Token>
auto async_get_many(group<K, V, P>& g, Keys const& keys, load_context const& context,
                    time_point deadline, Token&& token) {
  return begin_get(get_many_operation{g, keys, context, deadline}, std::forward<Token>(token));
}

/// What Asio would call: the token itself, if that is a handler.
template <class Token, class = void>
struct handler_of {
  using type = void;
};
template <class Token>
struct handler_of<Token, std::void_t<typename boost::asio::async_result<
                             Token, void(int)>::completion_handler_type>> {
  using type = typename boost::asio::async_result<Token, void(int)>::completion_handler_type;
};

/// Asio's tokens, bound handlers among them; not functions that have nothing but their call.
template <class Token>
concept asio_token =
    !std::same_as<Token, typename handler_of<Token>::type> ||
    !requires {
      typename boost::asio::associated_executor<Token>::asio_associated_executor_is_unspecialised;
    };

}  // namespace kcache::beast

/// The members of a group take Asio's tokens.
template <kcache::beast::asio_token Token>
struct kcache::completion_token_traits<Token> {
  template <class Group, class Key, class... More>
  static auto async_get(Group& g, Key const& key, More&&... more) {
    return beast::async_get(g, key, std::forward<More>(more)...);
  }
  template <class Group, class Keys, class... More>
  static auto async_get_many(Group& g, Keys const& keys, More&&... more) {
    return beast::async_get_many(g, keys, std::forward<More>(more)...);
  }
};

#endif
