// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_BEAST_COROUTINE_LOADER_HPP
#define KCACHE_BEAST_COROUTINE_LOADER_HPP
/// \file
/// Floor 5. `beast::coroutine_loader`: a loader that is an Asio coroutine.

#include <kcache/detail/unique_function.hpp>
#include <kcache/error.hpp>
#include <kcache/loader.hpp>
#include <kcache/result.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/system/system_error.hpp>

#include <concepts>
#include <exception>
#include <memory>
#include <optional>
#include <stop_token>
#include <type_traits>
#include <utility>

namespace kcache::beast {

template <class T, class V>
inline constexpr bool is_load_awaitable = false;
template <class A, class V>
inline constexpr bool is_load_awaitable<boost::asio::awaitable<A>, V> =
    kcache::detail::load_answer<A, V>;

/// `awaitable<A> f(K key, load_context context)`; `A` is whatever a loader may yield.
template <class F, class K, class V>
concept load_coroutine = std::invocable<F&, K, load_context> &&
    is_load_awaitable<std::invoke_result_t<F&, K, load_context>, V>;

/// A coroutine that loads, and what can stop it.
class running_coroutine : public std::enable_shared_from_this<running_coroutine> {
 public:
  explicit running_coroutine(boost::asio::any_io_executor const& executor)
      : executor_{boost::asio::make_strand(executor)} {}

  /// `stop` may ask from any thread at any moment; the coroutine hears of it where it runs.
  void start(boost::asio::awaitable<void> coroutine, std::stop_token stop) {
    boost::asio::co_spawn(
        executor_, std::move(coroutine),
        boost::asio::bind_cancellation_slot(
            // An exception is one of handing the answer over: the completion, gone, has answered.
            signal_.slot(), [self = shared_from_this()](std::exception_ptr) {}));
    // Not before: on its way in the coroutine uses the signal on this thread.
    on_stop_.emplace(std::move(stop), posts_cancel{this});
  }

 private:
  struct posts_cancel {
    running_coroutine* self;
    void operator()() const noexcept {
      try {
        boost::asio::post(self->executor_, [weak = self->weak_from_this()] {
          if (auto const c = weak.lock()) c->signal_.emit(boost::asio::cancellation_type::terminal);
        });
      } catch (...) {  // no memory: it runs to its end
      }
    }
  };

  boost::asio::strand<boost::asio::any_io_executor> executor_;
  boost::asio::cancellation_signal signal_;
  std::optional<std::stop_callback<posts_cancel>> on_stop_;  // the first to go
};

/// What a coroutine's exception amounts to; to be called in a catch block.
inline error coroutine_failure(std::stop_token const& stop) noexcept {
  try {
    throw;
  } catch (boost::system::system_error const& e) {
    if (stop.stop_requested() && e.code() == boost::asio::error::operation_aborted)
      return errc::cancelled;
    return kcache::detail::current_failure();
  } catch (...) {
    return kcache::detail::current_failure();
  }
}

/// A load's coroutine that yields an `A`: so that frames do not have the type of a local function.
template <class K, class A>
using load_function = unique_function<boost::asio::awaitable<A>(K&&, load_context const&)>;

/// Keeps what the coroutine of `f` may refer to.
template <class V, class K, class A>
boost::asio::awaitable<void> load_in_coroutine(std::shared_ptr<load_function<K, A>> f, K key,
                                               load_context context, std::stop_token stop,
                                               load_completion<V> done) {
  std::optional<result<loaded<V>>> answer;
  try {
    answer.emplace(kcache::detail::as_load_result<V>(co_await (*f)(std::move(key), context)));
  } catch (...) {
    answer.emplace(coroutine_failure(stop));
  }
  done(std::move(*answer));
}

/// A loader that runs `f(key, context)`, a coroutine, on `executor`:
///
///     kcache::group<std::string, user> users{
///         {.name = "users", .capacity = 10'000},
///         kcache::beast::coroutine_loader<std::string, user>(
///             io.get_executor(),
///             [&db](std::string id, kcache::load_context) -> boost::asio::awaitable<user> {
///               co_return co_await db.find_user(id);
///             })};
///
/// It yields any answer of a loader: `V`, `optional<V>`, `loaded<V>`, `result<V>` or
/// `result<loaded<V>>`. An exception is `loader_failed` with its `what()`; a `failure` is what it
/// says.
///
/// Each load has a strand of its own over `executor`, which may thus have many threads (or be a
/// strand, and keep the loads apart). There `f` is called, for several keys at once if there are
/// several threads; it is kept while a coroutine runs, with what it has captured.
///
/// When nobody waits any more, or the group is closing, the coroutine gets a terminal cancellation
/// through its slot: what it awaits ends with `operation_aborted`, and if that leaves the coroutine
/// the load was `cancelled`. If somebody joins meanwhile it is begun again.
///
/// It asks for other keys by `co_await beast::async_get(group, key, context, use_awaitable)`: that
/// finds a circle of loads, and leaves when this load is cancelled. A blocking `get` in it would
/// hold a thread of `executor`, and would not be known to be this load's.
///
/// The executor's context must outlive the group and its loads; if it goes with coroutines in it
/// these are answered `loader_failed`. A load costs some allocations: state, strand, frames.
template <class K, class V, class F>
[[nodiscard]] loader<K, V> coroutine_loader(boost::asio::any_io_executor executor, F f) {
  static_assert(load_coroutine<F, K, V>,
                "kcache: a coroutine loader takes (K, load_context) and returns "
                "boost::asio::awaitable<A>, where A is V, optional<V>, loaded<V>, result<V> or "
                "result<loaded<V>>; see <kcache/beast/coroutine_loader.hpp>");
  using answer = typename std::invoke_result_t<F&, K, load_context>::value_type;
  auto const shared = std::make_shared<load_function<K, answer>>(std::move(f));
  return [executor = std::move(executor), shared](K const& key, load_context context,
                                                  load_completion<V> done) {
    auto const stop = context.stop_token();
    auto const c = std::make_shared<running_coroutine>(executor);
    c->start(
        load_in_coroutine<V, K, answer>(shared, key, std::move(context), stop, std::move(done)),
        stop);
  };
}

}  // namespace kcache::beast

#endif
