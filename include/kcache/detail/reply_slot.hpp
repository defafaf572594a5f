// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_REPLY_SLOT_HPP
#define KCACHE_DETAIL_REPLY_SLOT_HPP
/// \file
/// Floor 4. `reply_slot`: the one answer to one call of an in-process transport.

#include <kcache/cluster/transport.hpp>
#include <kcache/peer.hpp>
#include <kcache/policies/executor.hpp>

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace kcache::detail {

/// The bytes of a response, as a client would receive them.
inline wire_reply received(wire_response r) {
  if (r.head.empty()) return {r.status, std::move(r.tail)};
  return {r.status, shared_bytes::of(std::move(r.head.append(r.tail.view())))};
}

/// `self`, with the first port that is not `taken(address)` where it asks for any.
template <class Taken>
peer_address with_free_port(peer_address self, Taken taken) {
  for (unsigned port = 49'152; self.port() == 0; ++port) {
    std::string text = self.canonical();
    text.replace(text.rfind(':') + 1, std::string::npos, std::to_string(port));
    auto chosen = peer_address::parse(text).value();
    if (!taken(chosen)) return chosen;
  }
  return self;
}

/// Calls `done` once: with what `answer` is given first, or `deadline`.
template <class Executor>
class reply_slot {
 public:
  reply_slot(Executor executor, wire_completion done)
      : executor_{std::move(executor)}, done_{std::move(done)} {}

  void expire_at(time_point deadline, std::weak_ptr<reply_slot> self) {
    if (deadline == never) return;
    timer_.store(executor_.schedule_at(deadline, [self = std::move(self)] {
      if (auto const slot = self.lock()) slot->answer(errc::deadline);
    }));
  }

  void answer(result<wire_reply> r) {
    if (answered_.exchange(true)) return;
    if (timer_id const timer = timer_.load(); timer != 0) executor_.cancel(timer);
    wire_completion done = std::move(done_);  // what it holds goes with this call
    done(std::move(r));
  }
  [[nodiscard]] bool answered() const noexcept { return answered_.load(); }

 private:
  Executor executor_;
  wire_completion done_;
  std::atomic<timer_id> timer_{0};
  std::atomic<bool> answered_{false};
};

/// The calls of one transport that have no answer yet. Thread safe.
template <class Executor>
class open_calls {
 public:
  using slot = reply_slot<Executor>;

  /// A slot for a call; null after `stop`, when `done` has been told `cancelled`.
  std::shared_ptr<slot> open(Executor const& executor, time_point deadline, wire_completion done) {
    auto s = std::make_shared<slot>(executor, std::move(done));
    {
      std::unique_lock lock{mutex_};
      if (stopped_) {
        lock.unlock();
        s->answer(errc::cancelled);
        return nullptr;
      }
      if (slots_.size() >= 2 * live_ + 16) forget_answered();
      slots_.push_back(s);
      try {
        s->expire_at(deadline, s);  // not armed outside: it may be answered there already
      } catch (...) {
        slots_.pop_back();
        throw;
      }
    }
    return s;
  }

  void stop() {
    std::vector<std::shared_ptr<slot>> open;
    {
      std::lock_guard lock{mutex_};
      stopped_ = true;
      open.swap(slots_);
    }
    for (auto const& s : open) s->answer(errc::cancelled);
  }

 private:
  void forget_answered() {
    std::erase_if(slots_, [](auto const& s) { return s->answered(); });
    live_ = slots_.size();
  }

  std::mutex mutex_;
  std::vector<std::shared_ptr<slot>> slots_;
  std::size_t live_ = 0;
  bool stopped_ = false;
};

/// A responder that answers a slot; dropped uncalled it says `unreachable`, as a closed connection.
/// `deliver(result<wire_reply>)` carries the answer.
template <class Deliver>
wire_responder responder_for(Deliver deliver) {
  struct guard {
    explicit guard(Deliver d) : deliver{std::move(d)} {}
    guard(guard&& other) noexcept
        : deliver{std::move(other.deliver)}, called{std::exchange(other.called, true)} {}
    guard& operator=(guard&&) = delete;
    ~guard() {
      if (!called) deliver(errc::unreachable);
    }
    Deliver deliver;
    bool called = false;
  };
  return [g = guard{std::move(deliver)}](wire_response r) mutable {
    auto reply = received(std::move(r));  // without memory for it, the guard says so
    g.called = true;
    g.deliver(std::move(reply));
  };
}

}  // namespace kcache::detail

#endif
