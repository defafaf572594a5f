// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_LOADER_HPP
#define KCACHE_LOADER_HPP
/// \file
/// Floor 3. The loader: where a group gets what it does not have.
///
/// Any callable of one of these forms is a loader; it is called by several threads at once, for
/// different keys.
///
///     V f(K const& key);                       // the value, with the group's own TTL
///     std::optional<V> f(K const& key);        // nullopt: there is no such key
///     loaded<V> f(K const& key);               // a value with a TTL of its own
///     result<V> f(K const& key);               // a value, errc::not_found, or another failure
///     result<loaded<V>> f(K const& key);
///     ... f(K const& key, load_context const& context);                        // any of them
///     void f(K const& key, load_context context, load_completion<V> done);     // asynchronous
///
/// A loader may throw: the callers get `loader_failed` with `what()`. It may ask its own group, or
/// others, for other keys. It runs on the group's executor; the asynchronous form is started there,
/// may call `done` later, from any thread, and tells its failures through it: if it throws, or
/// drops `done`, the callers get `loader_failed` without its words.

#include <kcache/detail/current_load.hpp>
#include <kcache/detail/unique_function.hpp>
#include <kcache/detail/wait_graph.hpp>
#include <kcache/result.hpp>
#include <kcache/time.hpp>

#include <atomic>
#include <concepts>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

namespace kcache {

/// A value with a time to live of its own.
template <class V>
struct loaded {
  V value;
  ttl expires = {};
};

namespace detail {

/// What a load shares with its `load_context`s; the flight derives from it.
struct load_state : load_node {
  std::atomic<bool> abandoned{false};
  std::atomic<bool> revived{false};  ///< somebody joined it after it was abandoned
  virtual ~load_state() = default;
};

}  // namespace detail

/// What a loader knows of the load it serves. Cheap to copy; thread safe; may outlive the group.
class load_context {
 public:
  load_context() = default;
  explicit load_context(std::shared_ptr<detail::load_state> state) : state_{std::move(state)} {}

  /// Nobody waits for the answer any more (it would still be cached), or the group is closing. A
  /// loader may then give up with `errc::cancelled`; if somebody has joined meanwhile it is called
  /// again.
  [[nodiscard]] bool cancelled() const noexcept {
    return state_ && state_->abandoned.load(std::memory_order_relaxed);
  }
  /// For the group that is asked for another key on behalf of this load.
  [[nodiscard]] std::shared_ptr<detail::load_state> const& state() const noexcept { return state_; }

 private:
  std::shared_ptr<detail::load_state> state_;
};

/// The answer of an asynchronous loader: call it once, from any thread. Dropping it uncalled is a
/// failure of the load, never a hang.
template <class V>
class load_completion {
 public:
  using function = unique_function<void(result<loaded<V>>)>;

  explicit load_completion(function done) : done_{std::move(done)} {}
  load_completion(load_completion&&) noexcept = default;
  load_completion& operator=(load_completion&&) = delete;
  ~load_completion() {
    if (done_) finish(error{errc::loader_failed, "no answer"});  // short: allocates nothing
  }

  void operator()(result<loaded<V>> answer) { finish(std::move(answer)); }
  void operator()(result<V> answer) {
    if (answer) finish(loaded<V>{std::move(*answer), {}});
    else finish(std::move(answer).error());
  }

 private:
  void finish(result<loaded<V>> answer) {
    KCACHE_ASSERT(done_);
    function done = std::move(done_);
    done(std::move(answer));
  }

  function done_;
};

namespace detail {

template <class V, class R>
result<loaded<V>> as_load_result(R&& r) {
  using answer = std::remove_cvref_t<R>;
  if constexpr (std::same_as<answer, result<loaded<V>>> || std::same_as<answer, loaded<V>>) {
    return std::forward<R>(r);
  } else if constexpr (std::same_as<answer, result<V>>) {
    if (!r) return std::forward<R>(r).error();
    return loaded<V>{*std::forward<R>(r), {}};
  } else if constexpr (std::same_as<answer, std::optional<V>>) {
    if (!r) return errc::not_found;
    return loaded<V>{*std::forward<R>(r), {}};
  } else {
    return loaded<V>{V(std::forward<R>(r)), {}};
  }
}

template <class R, class V>
concept load_answer =
    std::same_as<std::remove_cvref_t<R>, result<loaded<V>>> ||
    std::same_as<std::remove_cvref_t<R>, loaded<V>> ||
    std::same_as<std::remove_cvref_t<R>, result<V>> ||
    std::same_as<std::remove_cvref_t<R>, std::optional<V>> || std::convertible_to<R, V>;

template <class F, class K, class V>
concept plain_loader = requires(F& f, K const& key) {
  { f(key) } -> load_answer<V>;
};
template <class F, class K, class V>
concept context_loader = requires(F& f, K const& key, load_context const& context) {
  { f(key, context) } -> load_answer<V>;
};
template <class F, class K, class V>
concept async_loader = std::invocable<F&, K const&, load_context, load_completion<V>>;

/// The failure that a loader's exception amounts to, without its words where there is no memory for
/// them; to be called in a catch block.
inline error current_failure() noexcept {
  try {
    try {
      throw;
    } catch (failure const& e) {
      return {e.kind(), e.what()};
    } catch (std::exception const& e) {
      return {errc::loader_failed, e.what()};
    } catch (...) {
      return {errc::loader_failed, "the loader threw something that is no std::exception"};
    }
  } catch (...) {
    return errc::loader_failed;
  }
}

}  // namespace detail

/// A callable that can load a `V` for a `K`: see the forms above.
template <class F, class K, class V>
concept loader_for = detail::plain_loader<F, K, V> || detail::context_loader<F, K, V> ||
                     detail::async_loader<F, K, V>;

/// Any loader of `V` for `K`, behind one form.
template <class K, class V>
class loader {
 public:
  template <class F>
    requires(!std::same_as<std::remove_cvref_t<F>, loader>)
  loader(F&& f) {
    using function = std::decay_t<F>;
    static_assert(
        loader_for<function, K, V>,
        "kcache: a loader takes (K const&), (K const&, load_context const&) or (K const&, "
        "load_context, load_completion<V>) and yields V, optional<V>, loaded<V>, "
        "result<V> or result<loaded<V>>; see <kcache/loader.hpp>");
    if constexpr (loader_for<function, K, V>) start_ = wrap<function>(std::forward<F>(f));
  }

  /// Starts a load; `done` is called once, whatever the loader does. Does not throw.
  void operator()(K const& key, load_context context, load_completion<V> done) {
    start_(key, std::move(context), std::move(done));
  }

 private:
  using start_function = unique_function<void(K const&, load_context, load_completion<V>)>;

  template <class F>
  static start_function wrap(F f) {
    return [f = std::move(f)](K const& key, load_context context,
                              load_completion<V> done) mutable {
      detail::load_scope const inside{context.state().get()};
      try {
        if constexpr (detail::async_loader<F, K, V>)
          f(key, std::move(context), std::move(done));
        else
          done(run(f, key, context));
      } catch (...) {  // the loader, or a move of its value; `done`, destroyed, answers for it
      }
    };
  }

  template <class F>
  static result<loaded<V>> run(F& f, K const& key, load_context const& context) {
    try {
      if constexpr (detail::context_loader<F, K, V>)
        return detail::as_load_result<V>(f(key, context));
      else
        return detail::as_load_result<V>(f(key));
    } catch (...) {
      return detail::current_failure();
    }
  }

  start_function start_;
};

}  // namespace kcache

#endif
