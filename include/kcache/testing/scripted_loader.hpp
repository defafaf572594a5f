// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_TESTING_SCRIPTED_LOADER_HPP
#define KCACHE_TESTING_SCRIPTED_LOADER_HPP
/// \file
/// Floor 3. `testing::scripted_loader`: a loader that counts, is late, fails and hangs, as a test
/// says, under virtual time.
///
/// ## What it is for
/// Code that reads through a group depends on its source: that is slow, fails, hangs, or answers
/// when nobody waits any more. Here a test says when it does what, and asks afterwards how often
/// and when it was called. A test of one thread needs the three parts of this folder: the clock
/// (what has expired), the executor (what has run, who waits), and this (what the source does):
///
///     struct policies : kcache::default_policies {
///       using clock = kcache::testing::manual_clock;
///       using executor = kcache::testing::manual_executor;
///     };
///     policies::clock time;
///     policies::executor work{time};
///     kcache::testing::scripted_loader<std::string, int> load{work};
///     load.answers("Tom", 630).fails("Sam", "no connection").takes(100ms);
///     kcache::group<std::string, int, policies> scores{
///         {.name = "scores", .capacity = 8, .clock = time, .executor = work}, load};
///     for (int i = 0; i != 3; ++i)
///       scores.async_get("Tom", [](auto const& score) { use(**score); });
///     assert(scores.get("Sam").error().message() == "no connection");  // 100 ms later
///     assert(load.calls("Tom") == 1 && load.running() == 0);
///
/// ## What a load does
/// What is said of a key goes before what is said of all keys; what was not said is: `not_found`,
/// at once. A load reads its answer when it begins, as a query does: what the script says later is
/// for later loads, and an invalidation meanwhile has something to win over. With `reads_late` it
/// reads when it ends. How long it takes, and whether it hangs, is settled when it begins. A load
/// that waits holds no thread: it is an asynchronous loader.
///
/// ## What must outlive what
/// Copies share one script: a test keeps the first object and gives a copy to the group. While a
/// load hangs the script holds it and it holds its group, which holds its loader. So when the
/// first object goes it ends what is under way with `cancelled`, as it does with what its copies
/// are asked for from then on. Make the executor, then this, then the group. If the executor goes
/// first, loads that wait for its timers end with `cancelled`, too.

#include <kcache/error.hpp>
#include <kcache/loader.hpp>
#include <kcache/policies/executor.hpp>
#include <kcache/result.hpp>
#include <kcache/testing/detail/load_script.hpp>
#include <kcache/testing/manual_executor.hpp>
#include <kcache/time.hpp>

#include <concepts>
#include <cstddef>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace kcache::testing {

/// A loader of `V` for `K`: see above. The script may be changed at any time; it is written on a
/// named object (a temporary would be the first one, and gone at once).
///
/// `K` has `==`; without a `std::hash` a key is looked for in all that were asked for. `V` is
/// copied by `answers` only. Thread safe if the executor is; nothing of the user's runs under the
/// lock but the copying, hashing and comparing of keys. All may throw `bad_alloc`.
template <class K, class V, executor Executor = manual_executor>
class scripted_loader {
 private:
  using script = detail::load_script<K, V, Executor>;

 public:
  /// A call: its `key`, and when it `started` and `ended` (`never` while it runs), by the time of
  /// the executor.
  using call = typename script::call;

  /// Keeps a copy of the executor, for its timers and its time.
  explicit scripted_loader(Executor const& work)
      : script_{std::make_shared<script>(work)}, first_{true} {}
  scripted_loader(scripted_loader const& other) noexcept : script_{other.script_} {}
  scripted_loader(scripted_loader&& other) noexcept
      : script_{other.script_}, first_{std::exchange(other.first_, false)} {}
  scripted_loader& operator=(scripted_loader other) noexcept {
    std::swap(script_, other.script_);
    std::swap(first_, other.first_);
    return *this;
  }
  ~scripted_loader() {
    if (first_) script_->close();
  }

  /// What the group calls.
  void operator()(K const& key, load_context context, load_completion<V> done) const {
    auto const alive = script_;  // we may go in a handler
    alive->start(key, std::move(context), std::move(done));
  }

  // The answer of every load of a key, until another is given.

  scripted_loader& answers(K const& key, V value, ttl lives = {}) &
    requires std::copy_constructible<V>
  {
    return script_->set(key, copies_of(std::move(value), lives)), *this;
  }
  scripted_loader& not_found(K const& key) & { return fails(key, errc::not_found); }
  /// `loader_failed`, with a message.
  scripted_loader& fails(K const& key, std::string message) & {
    return fails(key, error{errc::loader_failed, std::move(message)});
  }
  scripted_loader& fails(K const& key, error e) & {
    return script_->set(key, script::failure_of(std::move(e))), *this;
  }
  /// The call itself throws a `std::runtime_error`, at once. A load that reads late fails with it.
  scripted_loader& throws(K const& key, std::string message) & {
    auto f = [m = std::move(message)](K const&) -> result<loaded<V>> {
      throw std::runtime_error{m};
    };
    return script_->set(key, std::make_shared<step const>(step{std::move(f), true})), *this;
  }
  /// Lets go of the completion without an answer.
  scripted_loader& drops(K const& key) & {
    return script_->set(key, std::make_shared<step const>()), *this;
  }
  /// For the keys that nothing is said of: any loader of the form `f(K const&)`. It is called by
  /// every thread that loads; if it throws, the load fails with its words.
  template <class F>
    requires kcache::detail::plain_loader<F const, K, V>
  scripted_loader& answers_with(F f) & {
    script_->set_all([f = std::move(f)](K const& key) {
      return kcache::detail::as_load_result<V>(f(key));
    });
    return *this;
  }

  // Answers before that one: each is for one load, in the order given.

  scripted_loader& next_answers(K const& key, V value, ttl lives = {}) &
    requires std::copy_constructible<V>
  {
    return script_->add(key, copies_of(std::move(value), lives)), *this;
  }
  scripted_loader& next_fails(K const& key, std::string message) & {
    return next_fails(key, error{errc::loader_failed, std::move(message)});
  }
  scripted_loader& next_fails(K const& key, error e) & {
    return script_->add(key, script::failure_of(std::move(e))), *this;
  }

  // How long it takes.

  /// From its beginning to its answer; zero (the default): the answer comes inside the call.
  scripted_loader& takes(duration d) & {
    std::lock_guard lock{script_->mutex};
    return script_->takes = d, *this;
  }
  scripted_loader& takes(K const& key, duration d) & {
    std::lock_guard lock{script_->mutex};
    return script_->keys[key].takes = d, *this;
  }
  /// Loads that begin from now on hang until they are released, whatever they take.
  scripted_loader& blocks(K const& key) & {
    std::lock_guard lock{script_->mutex};
    return script_->keys[key].blocks = true, *this;
  }
  scripted_loader& blocks_all() & { return script_->block_all(true), *this; }
  /// Answers the loads of a key that hang, oldest first, inside this call; later ones do not hang.
  /// Returns how many.
  std::size_t release(K const& key) {
    std::unique_lock lock{script_->mutex};
    auto& asked = *script_->keys.try_emplace(key).first;
    asked.second.blocks = false;
    lock.unlock();
    return script_->release(&asked);
  }
  std::size_t release_all() {
    script_->block_all(false);
    return script_->release(nullptr);
  }

  /// Loads read their answer when they end.
  scripted_loader& reads_late(bool late = true) & {
    std::lock_guard lock{script_->mutex};
    return script_->late = late, *this;
  }
  /// A load whose context says `cancelled()` when its time has come answers `cancelled`, and reads
  /// nothing then.
  scripted_loader& gives_up_when_cancelled(bool gives_up = true) & {
    std::lock_guard lock{script_->mutex};
    return script_->gives_up = gives_up, *this;
  }

  // What happened. A load no longer runs when its answer is handed over.

  [[nodiscard]] std::size_t calls() const { return script_->of_all().calls; }
  [[nodiscard]] std::size_t calls(K const& key) const { return script_->of(key).calls; }
  /// Loads that have not ended: late ones and hanging ones.
  [[nodiscard]] std::size_t running() const { return script_->of_all().running; }
  [[nodiscard]] std::size_t running(K const& key) const { return script_->of(key).running; }
  /// The most that ever ran at once; of one key, 1 if loads are shared as they should be.
  [[nodiscard]] std::size_t most_running() const { return script_->of_all().most; }
  [[nodiscard]] std::size_t most_running(K const& key) const { return script_->of(key).most; }
  /// Loads that nobody waited for when their time had come, whether they gave up or not.
  [[nodiscard]] std::size_t cancelled() const {
    std::lock_guard lock{script_->mutex};
    return script_->cancelled;
  }
  /// All calls, in the order in which they began.
  [[nodiscard]] std::vector<call> history() const {
    std::lock_guard lock{script_->mutex};
    return script_->history;
  }

 private:
  using step = typename script::step;
  using step_ptr = typename script::step_ptr;

  static step_ptr copies_of(V value, ttl lives)
    requires std::copy_constructible<V>
  {
    auto f = [v = std::make_shared<V const>(std::move(value)), lives](K const&) {
      return result<loaded<V>>{loaded<V>{*v, lives}};
    };
    return std::make_shared<step const>(step{std::move(f), false});
  }

  std::shared_ptr<script> script_;
  bool first_ = false;
};

}  // namespace kcache::testing

#endif
