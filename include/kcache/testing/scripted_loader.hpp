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
#include <kcache/testing/manual_executor.hpp>
#include <kcache/time.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <unordered_map>
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
 public:
  /// A call. `ended` is `never` while it runs; the times are the executor's.
  struct call {
    K key;
    time_point started;
    time_point ended = never;
  };

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
    return script_->set(key, failure_of(std::move(e))), *this;
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
    return script_->add(key, failure_of(std::move(e))), *this;
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
  /// An answer. Without a function: none, the completion is dropped.
  struct step {
    std::function<result<loaded<V>>(K const&)> make;
    bool throws = false;  ///< out of the call
  };
  using step_ptr = std::shared_ptr<step const>;

  struct counts {
    std::size_t calls = 0, running = 0, most = 0;
    void begin() noexcept { ++calls, most = std::max(most, ++running); }
  };
  /// What is said and known of one key.
  struct page {
    step_ptr standing;
    std::vector<step_ptr> next;
    std::optional<duration> takes;
    std::optional<bool> blocks;
    counts counted;
  };
  struct key_hash {
    std::size_t operator()(K const& key) const {
      if constexpr (requires { std::hash<K>{}(key); }) return std::hash<K>{}(key);
      else return 0;
    }
  };
  using pages = std::unordered_map<K, page, key_hash>;
  using asked_key = typename pages::value_type;

  /// A load under way.
  struct load {
    load(load_context c, load_completion<V> d) : context{std::move(c)}, done{std::move(d)} {}
    load_context context;
    load_completion<V> done;
    asked_key* asked = nullptr;  // null: ended
    std::size_t number = 0;      // in the history
    step_ptr told;               // null: nothing yet
    std::optional<result<loaded<V>>> answer;
    duration takes{};
    bool hangs = false;
    timer_id timer = 0;
  };
  using load_ptr = std::unique_ptr<load>;
  using open_loads = std::map<std::size_t, load_ptr>;  // by number
  class alarm;

  /// The script, and the loads that it is at. Steps are replaced by swapping, so that what the
  /// user gave is destroyed after the lock.
  struct script : std::enable_shared_from_this<script> {
    explicit script(Executor const& e) : work{e} {}

    void set(K const& key, step_ptr s) {
      std::lock_guard lock{mutex};
      keys[key].standing.swap(s);
    }
    void add(K const& key, step_ptr s) {
      std::lock_guard lock{mutex};
      keys[key].next.push_back(std::move(s));
    }
    template <class F>
    void set_all(F f) {
      auto s = std::make_shared<step const>(step{std::move(f), false});
      std::lock_guard lock{mutex};
      standing.swap(s);
    }
    void block_all(bool block) {
      std::lock_guard lock{mutex};
      blocks = block;
      for (auto& asked : keys) asked.second.blocks.reset();
    }

    [[nodiscard]] counts of_all() const {
      std::lock_guard lock{mutex};
      return counted;
    }
    [[nodiscard]] counts of(K const& key) const {
      std::lock_guard lock{mutex};
      auto const at = keys.find(key);
      return at == keys.end() ? counts{} : at->second.counted;
    }

    void start(K const& key, load_context context, load_completion<V> done) {
      auto l = std::make_unique<load>(std::move(context), std::move(done));
      time_point const now = work.now();
      if (!begin(*l, key, now))
        return l->done(result<loaded<V>>{
            error{errc::cancelled, "the scripted_loader that this one is a copy of has gone"}});
      try {
        if (l->told) read(*l, l->told->throws);
        if (!l->hangs && l->takes <= duration::zero()) return end(*l);
        hold(l, now);
      } catch (...) {
        if (l) ended(*l);
        throw;
      }
    }

    /// False if the script is closed.
    bool begin(load& l, K const& key, time_point now) {
      std::lock_guard lock{mutex};
      if (closed) return false;
      l.asked = &*keys.try_emplace(key).first;
      page& p = l.asked->second;
      history.push_back({key, now});
      l.number = history.size() - 1;
      l.takes = p.takes.value_or(takes);
      l.hangs = p.blocks.value_or(blocks);
      if (!late || (!l.hangs && l.takes <= duration::zero())) l.told = next_step(p);
      counted.begin();
      p.counted.begin();
      return true;
    }

    [[nodiscard]] step_ptr next_step(page& p) const {
      if (p.next.empty()) return p.standing ? p.standing : standing;
      step_ptr const s = std::move(p.next.front());
      p.next.erase(p.next.begin());
      return s;
    }

    static void read(load& l, bool may_throw) {
      if (!l.told->make) return;
      try {
        l.answer.emplace(l.told->make(l.asked->first));
      } catch (...) {
        if (may_throw) throw;
        l.answer.emplace(kcache::detail::current_failure());
      }
    }

    /// Keeps a load until its time has come; `l` is null from then on.
    void hold(load_ptr& l, time_point now) {
      std::size_t const number = l->number;
      time_point const due = after(now, l->takes);
      bool const hangs = l->hangs;
      {
        std::unique_lock lock{mutex};
        // It may have been released since it began, or we closed.
        bool const released = hangs && !l->asked->second.blocks.value_or(blocks);
        if (closed || released) {
          bool const gone = closed;
          lock.unlock();
          return gone ? cancel(*l) : end(*l);
        }
        open.emplace(number, std::move(l));
      }
      if (hangs) return;
      timer_id const timer = work.schedule_at(due, alarm{this->shared_from_this(), number});
      std::lock_guard lock{mutex};
      if (auto const at = open.find(number); at != open.end()) at->second->timer = timer;
    }

    /// Null if it has ended.
    [[nodiscard]] load_ptr take(std::size_t number) {
      std::lock_guard lock{mutex};
      auto const found = open.find(number);
      return found == open.end() ? nullptr : take_at(found);
    }
    /// The oldest that hangs, of one key or (null) of all, and began before `number`.
    [[nodiscard]] load_ptr take_hanging(asked_key const* asked, std::size_t number) {
      std::lock_guard lock{mutex};
      for (auto at = open.begin(); at != open.end() && at->first < number; ++at)
        if (at->second->hangs && (!asked || at->second->asked == asked)) return take_at(at);
      return nullptr;
    }
    [[nodiscard]] load_ptr take_at(typename open_loads::iterator at) {
      load_ptr l = std::move(at->second);
      open.erase(at);
      return l;
    }
    std::size_t release(asked_key const* asked) {
      std::size_t const begun = of_all().calls;  // a handler may begin others
      std::size_t n = 0;
      for (; auto const l = take_hanging(asked, begun); ++n) end(*l);
      return n;
    }

    /// The time of a load has come. Without an answer its completion goes when it goes.
    void end(load& l) {
      bool const nobody_waits = l.context.cancelled();
      bool leaves = false, unread = false;
      {
        std::lock_guard lock{mutex};
        if (nobody_waits) ++cancelled;
        leaves = nobody_waits && gives_up;
        unread = !leaves && !l.told;
        if (unread) l.told = next_step(l.asked->second);
      }
      if (leaves) return cancel(l);
      if (unread) read(l, false);
      ended(l);
      if (l.answer) l.done(std::move(*l.answer));
    }
    void cancel(load& l) {
      ended(l);
      l.done(result<loaded<V>>{errc::cancelled});
    }
    /// Before the answer is handed over: a handler may ask, or begin another load.
    void ended(load& l) {
      time_point const now = work.now();
      std::lock_guard lock{mutex};
      if (!l.asked) return;
      history[l.number].ended = now;
      --counted.running;
      --std::exchange(l.asked, nullptr)->second.counted.running;
    }

    void close() {
      open_loads left;
      {
        std::lock_guard lock{mutex};
        closed = true;
        left.swap(open);
      }
      for (auto const& [number, l] : left) {
        if (l->timer != 0) work.cancel(l->timer);
        cancel(*l);
      }
    }

    Executor work;
    mutable std::mutex mutex;
    pages keys;
    step_ptr standing = failure_of(errc::not_found);  // where a key has none
    duration takes{};
    bool blocks = false, late = false, gives_up = false, closed = false;
    counts counted;
    std::size_t cancelled = 0;
    std::vector<call> history;
    open_loads open;  // those that wait or hang
  };

  /// A load's timer. An executor that drops it ends the load.
  class alarm {
   public:
    alarm(std::weak_ptr<script> s, std::size_t number) noexcept
        : script_{std::move(s)}, number_{number} {}
    alarm(alarm&&) noexcept = default;
    alarm& operator=(alarm&&) = delete;
    ~alarm() {
      if (auto const s = script_.lock())
        if (auto const l = s->take(number_)) s->cancel(*l);
    }
    void operator()() {
      auto const s = std::exchange(script_, {}).lock();
      if (!s) return;
      try {
        if (auto const l = s->take(number_)) s->end(*l);
      } catch (...) {  // a move of the value; the completion, destroyed, has answered
      }
    }

   private:
    std::weak_ptr<script> script_;
    std::size_t number_;
  };

  static step_ptr copies_of(V value, ttl lives)
    requires std::copy_constructible<V>
  {
    auto f = [v = std::make_shared<V const>(std::move(value)), lives](K const&) {
      return result<loaded<V>>{loaded<V>{*v, lives}};
    };
    return std::make_shared<step const>(step{std::move(f), false});
  }
  static step_ptr failure_of(error e) {
    auto f = [e = std::move(e)](K const&) { return result<loaded<V>>{e}; };
    return std::make_shared<step const>(step{std::move(f), false});
  }

  std::shared_ptr<script> script_;
  bool first_ = false;
};

}  // namespace kcache::testing

#endif
