// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_LOADER_HPP
#define KCACHE_LOADER_HPP
/// \file
/// Floor 3. The loader: where a group gets what it does not have.
///
/// Any callable of one of these forms is a loader; it is called by several threads at once: for one
/// key only where a load that began before an `invalidate`, `put` or `clear` still runs.
///
///     V f(K const& key);                       // the value, with the group's own TTL
///     std::optional<V> f(K const& key);        // nullopt: there is no such key
///     loaded<V> f(K const& key);               // a value with a TTL of its own
///     result<V> f(K const& key);               // a value, errc::not_found, or another failure
///     result<loaded<V>> f(K const& key);
///     ... f(K const& key, load_context const& context);                        // any of them
///     void f(K const& key, load_context context, load_completion<V> done);     // asynchronous
///
/// An object, too, that loads many keys at once is a loader; then `get_many` makes one call for all
/// that is missing. The answers are one for each key, in their order:
///
///     std::vector<A> load_many(std::span<K const> keys);   // A: any of what `f` may yield above
///
/// If it has no form of the single call, a single key is a `load_many` of one. A member of some
/// object is a loader by `std::bind_front(&database::find, &db)`. Move-only callables will do.
///
/// A loader may throw: the callers get `loader_failed` with `what()`; of a `failure`, which
/// `result::value()` throws, its own kind: one of `not_found` makes this key absent, too. It may
/// ask its own group, or others, for other keys. It runs on the group's executor; the asynchronous
/// form is started there, may call `done` later, from any thread, and tells its failures through
/// it: if it throws, or drops `done`, the callers get `loader_failed` without its words. If
/// `load_many` throws, that is the answer for each of its keys. When nobody waits any more a loader
/// may give up, see `load_context`.

#include <kcache/detail/current_load.hpp>
#include <kcache/detail/unique_function.hpp>
#include <kcache/detail/wait_graph.hpp>
#include <kcache/result.hpp>
#include <kcache/time.hpp>

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace kcache {

/// A value with a time to live of its own, which the group's `jitter` makes up to a tenth longer or
/// shorter: for a hard limit ask for less, or have no jitter.
template <class V>
struct loaded {
  V value;
  ttl expires = {};
};

namespace detail {

/// What a load shares with its `load_context`s; the flight derives from it. A stop source costs an
/// allocation, so there is none until a loader asks for a token.
struct load_state : load_node {
  virtual ~load_state() = default;

  [[nodiscard]] std::stop_token stop_token() {
    std::stop_token token;
    {
      std::lock_guard lock{stop_mutex_};
      if (!stop_.stop_possible()) stop_ = std::stop_source{};
      token = stop_.get_token();
    }
    if (abandoned.load(std::memory_order_relaxed)) request_stop();
    return token;
  }
  /// Calls the loader's stop callbacks, so under no lock; nothing if somebody has joined again.
  void request_stop() noexcept {
    std::stop_source stop{std::nostopstate};
    {
      std::lock_guard lock{stop_mutex_};
      if (abandoned.load(std::memory_order_relaxed)) stop = stop_;
    }
    stop.request_stop();
  }
  /// The work is to be done again. Whether it had been asked to stop.
  bool begin_anew() noexcept {
    std::stop_source old{std::nostopstate};
    std::lock_guard lock{stop_mutex_};
    old.swap(stop_);
    return old.stop_requested();
  }

 private:
  static inline std::mutex stop_mutex_;
  std::stop_source stop_{std::nostopstate};

 public:
  // Last and short, so that they share a word with what derives.
  std::atomic<bool> abandoned{false};
  std::atomic<bool> revived{false};    ///< somebody joined it after it was abandoned
  std::atomic<std::uint8_t> stage{0};  ///< its owner's
  std::uint8_t kind = 0;               ///< its owner's
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
  /// The same as a token, for what can be woken by one. Its callbacks run on the thread of whoever
  /// left last, and must not block. A load that was asked to stop and joined
  /// again at that moment is called again if it gives up. Not for `load_many`, whose token never
  /// asks. May throw bad_alloc.
  [[nodiscard]] std::stop_token stop_token() const {
    return state_ ? state_->stop_token() : std::stop_token{};
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

  template <class U>
    requires(std::is_convertible_v<U, V> && !std::is_same_v<std::remove_cvref_t<U>, errc>)
  void operator()(U&& value) {
    finish(loaded<V>{V(std::forward<U>(value)), {}});
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
template <class F, class K, class V>
concept batch_loader = requires(F& f, std::span<K const> keys) {
  { *std::begin(f.load_many(keys)) } -> load_answer<V>;
  { std::size(f.load_many(keys)) } -> std::convertible_to<std::size_t>;
};
template <class F, class K, class V>
concept single_loader = plain_loader<F, K, V> || context_loader<F, K, V> || async_loader<F, K, V>;

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
concept loader_for = detail::single_loader<F, K, V> || detail::batch_loader<F, K, V>;

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
        "result<V> or result<loaded<V>>, or has a load_many(std::span<K const>); "
        "see <kcache/loader.hpp>");
    if constexpr (detail::batch_loader<function, K, V>) {
      auto const shared = std::make_shared<function>(std::forward<F>(f));
      many_ = [shared](std::span<K const> keys) { return run_many(*shared, keys); };
      if constexpr (detail::async_loader<function, K, V>) {
        start_ = wrap([shared](K const& key, load_context context, load_completion<V> done) {
          (*shared)(key, std::move(context), std::move(done));
        });
      } else if constexpr (detail::context_loader<function, K, V>) {
        start_ = wrap([shared](K const& key, load_context const& context) {
          return (*shared)(key, context);
        });
      } else if constexpr (detail::plain_loader<function, K, V>) {
        start_ = wrap([shared](K const& key) { return (*shared)(key); });
      } else {
        start_ = wrap([shared](K const& key) {
          return std::move(run_many(*shared, std::span<K const>{&key, 1}).front());
        });
      }
    } else if constexpr (loader_for<function, K, V>) {
      start_ = wrap<function>(std::forward<F>(f));
    }
  }

  /// True if it loads many keys in one call.
  [[nodiscard]] bool batches() const noexcept { return static_cast<bool>(many_); }
  /// One answer for each key, in their order. Only if `batches()`. May throw bad_alloc.
  [[nodiscard]] std::vector<result<loaded<V>>> load_many(std::span<K const> keys) {
    return many_(keys);
  }

  /// Starts a load; `done` is called once, whatever the loader does. Does not throw.
  void operator()(K const& key, load_context context, load_completion<V> done) {
    start_(key, std::move(context), std::move(done));
  }

 private:
  using start_function = unique_function<void(K const&, load_context, load_completion<V>)>;
  using many_function = unique_function<std::vector<result<loaded<V>>>(std::span<K const>)>;

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

  template <class F>
  static std::vector<result<loaded<V>>> run_many(F& f, std::span<K const> keys) {
    std::vector<result<loaded<V>>> all;
    all.reserve(keys.size());
    try {
      auto answers = f.load_many(keys);
      if (std::size(answers) == keys.size()) {
        for (auto&& a : answers) all.push_back(detail::as_load_result<V>(std::move(a)));
      } else {
        error const wrong{errc::loader_failed,
                          "load_many gave " + std::to_string(std::size(answers)) +
                              " answers to " + std::to_string(keys.size()) + " keys"};
        for (std::size_t i = 0; i != keys.size(); ++i) all.emplace_back(wrong);
      }
    } catch (...) {
      error const e = detail::current_failure();
      all.clear();
      for (std::size_t i = 0; i != keys.size(); ++i) all.emplace_back(e);
    }
    return all;
  }

  start_function start_;
  many_function many_;
};

}  // namespace kcache

#endif
