// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_GROUP_GATHERING_HPP
#define KCACHE_DETAIL_GROUP_GATHERING_HPP
/// \file
/// Floor 3. `gathering`: one wait for the answers to many keys.

#include <kcache/detail/group_waiters.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <stop_token>
#include <utility>
#include <vector>

namespace kcache::detail {

/// Keeps itself alive until the last answer has come, then calls `done(answers)`, on the thread
/// that brought it.
template <class Flights, class Answer, class Done>
class gathering : public std::enable_shared_from_this<gathering<Flights, Answer, Done>> {
 public:
  gathering(std::size_t keys, Done done)
      : answers_(keys, Answer{errc::cancelled}), left_{keys + 1}, done_(std::move(done)) {}

  class place final : public Flights::waiter {
   public:
    place(gathering& all, std::size_t index, load_node* parent, Flights& flights,
          std::uint64_t hash, time_point deadline, bool timed)
        : Flights::waiter{parent, deadline, timed},
          all_{all},
          index_{index},
          flights_{flights},
          hash_{hash} {}
    ~place() override = default;
    void complete(Answer const& answer) noexcept override { all_.set(index_, copy_of(answer)); }

   private:
    friend class gathering;
    gathering& all_;
    std::size_t index_;
    Flights& flights_;
    std::uint64_t hash_;
  };

  /// Before anything else; `parent` stays while somebody waits.
  void begin(std::shared_ptr<load_state> parent) {
    parent_ = std::move(parent);
    self_ = this->shared_from_this();
  }
  /// An answer that need not be waited for.
  void set(std::size_t index, Answer&& a) noexcept {
    answers_[index] = std::move(a);
    one_less();
  }
  /// A waiter for the answer to a key; it stays where it is. May throw bad_alloc.
  place& add(std::size_t index, load_node* parent, Flights& flights, std::uint64_t hash,
             time_point deadline, bool timed) {
    return places_.emplace_back(*this, index, parent, flights, hash, deadline, timed);
  }
  /// All answers are set or waited for.
  void all_asked() noexcept { one_less(); }
  /// Leaves with `cancelled` once the token says so. After `all_asked`: nothing is added any more.
  void leave_when(std::stop_token stop) noexcept {
    on_stop_.emplace(std::move(stop), leave_now{this->weak_from_this()});
  }
  /// Leaves wherever it still waits: with `a`.
  void leave(Answer const& a) noexcept {
    for (place& p : places_)
      if (p.flights_.leave(p.hash_, p)) p.complete(a);
  }

 private:
  struct leave_now {
    std::weak_ptr<gathering> all;
    void operator()() const noexcept {
      // Held: the last answer lets go of the gathering, and of this callback.
      if (auto const self = all.lock()) self->leave(Answer{errc::cancelled});
    }
  };
  void one_less() noexcept {
    if (left_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    auto const self = std::move(self_);
    done_(std::move(answers_));
  }

  std::vector<Answer> answers_;
  std::atomic<std::size_t> left_;
  std::deque<place> places_;
  Done done_;
  std::shared_ptr<load_state> parent_;
  std::shared_ptr<gathering> self_;
  std::optional<std::stop_callback<leave_now>> on_stop_;
};

}  // namespace kcache::detail

#endif
