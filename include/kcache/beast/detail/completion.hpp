// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_BEAST_DETAIL_COMPLETION_HPP
#define KCACHE_BEAST_DETAIL_COMPLETION_HPP
/// \file
/// Floor 5. `completion`: brings an answer to an Asio handler; and what lets the handler's
/// cancellation slot stop the wait for it.

#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>

#include <stop_token>
#include <type_traits>
#include <utility>

namespace kcache::beast {

/// A handler and its answer, to be posted; has the handler's executor and allocator.
template <class Handler, class Answer>
class answered {
 public:
  using executor_type = boost::asio::associated_executor_t<Handler>;
  using allocator_type = boost::asio::associated_allocator_t<Handler>;

  answered(Handler&& h, Answer&& a) : handler_(std::move(h)), answer_(std::move(a)) {}

  [[nodiscard]] executor_type get_executor() const noexcept {
    return boost::asio::get_associated_executor(handler_);
  }
  [[nodiscard]] allocator_type get_allocator() const noexcept {
    return boost::asio::get_associated_allocator(handler_);
  }

  void operator()() {
    // Here, where the handler runs, nobody else uses the slot.
    if (auto slot = boost::asio::get_associated_cancellation_slot(handler_); slot.is_connected())
      slot.clear();
    std::move(handler_)(std::move(answer_));
  }

 private:
  Handler handler_;
  Answer answer_;
};

/// What the group calls: on any thread, once. The handler is posted and, until then, work of its
/// executor. Posting takes memory, as it always does in Asio. Where there is none for it, an answer
/// that is there at once throws `bad_alloc` at who asked, and one that was waited for ends the
/// program, since the handler may run nowhere but there.
template <class Handler>
class completion {
  using work_type = std::decay_t<decltype(boost::asio::prefer(
      std::declval<boost::asio::associated_executor_t<Handler>>(),
      boost::asio::execution::outstanding_work.tracked))>;

 public:
  explicit completion(Handler&& h)
      : work_(boost::asio::prefer(boost::asio::get_associated_executor(h),
                                  boost::asio::execution::outstanding_work.tracked)),
        handler_(std::move(h)) {}

  template <class Answer>
  void operator()(Answer answer) {
    boost::asio::post(answered<Handler, Answer>{std::move(handler_), std::move(answer)});
  }

 private:
  work_type work_;
  Handler handler_;
};

/// A slot's handler: stops a wait. A get has nothing that could be undone, or half done, so that
/// every type of cancellation is the same to it.
class stops_wait {
 public:
  explicit stops_wait(std::stop_source stop) noexcept : stop_{std::move(stop)} {}

  void operator()(boost::asio::cancellation_type type) {
    if (type == boost::asio::cancellation_type::none) return;
    std::stop_source stop = stop_;  // the handler that this lets go of may clear the slot
    stop.request_stop();
  }

 private:
  std::stop_source stop_;
};

/// A token that asks to stop when the handler's slot does; one that never does, and costs nothing,
/// if the slot is not connected. May throw bad_alloc.
template <class Handler>
[[nodiscard]] std::stop_token stop_token_of(Handler const& h) {
  auto slot = boost::asio::get_associated_cancellation_slot(h);
  if (!slot.is_connected()) return {};
  std::stop_source stop;
  slot.template emplace<stops_wait>(stop);
  return stop.get_token();
}

}  // namespace kcache::beast

#endif
