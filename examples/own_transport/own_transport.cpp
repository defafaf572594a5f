// SPDX-License-Identifier: BSL-1.0
// A cluster over a transport of the user's own: here letters that go from mailbox to mailbox within
// one process, each mailbox with a thread that reads it. No Boost, no nanopb.
//
// The table in cluster/transport.hpp says what a transport has to do. In short: bring a request to
// a peer, bring back the reply, and answer every call exactly once, by its deadline at the latest.
#include <kcache/cluster/cluster.hpp>
#include <kcache/testing/plain_codec.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;

namespace {

// A request on its way. The first answer counts; the caller hears no other.
class letter {
 public:
  letter(kcache::wire_request request, kcache::wire_completion done)
      : request_{std::move(request)}, done_{std::move(done)} {}

  void answer(kcache::result<kcache::wire_reply> r) {
    if (answered_.exchange(true)) return;
    kcache::wire_completion done = std::move(done_);
    done(std::move(r));
  }
  [[nodiscard]] kcache::wire_request_view request() const noexcept {
    return {request_.verb, request_.target, request_.body};
  }

 private:
  kcache::wire_request const request_;
  kcache::wire_completion done_;
  std::atomic<bool> answered_{false};
};

// What a server answers a letter with. Thrown away unused it says that nobody was there.
class reply_form {
 public:
  explicit reply_form(std::shared_ptr<letter> l) : letter_{std::move(l)} {}
  reply_form(reply_form&&) = default;
  reply_form& operator=(reply_form&&) = delete;
  ~reply_form() {
    if (letter_) letter_->answer(kcache::errc::unreachable);
  }
  void operator()(kcache::wire_response r) {
    std::string body = std::move(r.head);
    body += r.tail.view();
    letter_->answer(kcache::wire_reply{r.status, kcache::shared_bytes::of(std::move(body))});
  }

 private:
  std::shared_ptr<letter> letter_;
};

class mailbox {
 public:
  explicit mailbox(kcache::wire_server serve)
      : serve_{std::move(serve)}, thread_{[this] { read(); }} {}
  ~mailbox() { close(); }
  mailbox(mailbox const&) = delete;
  mailbox& operator=(mailbox const&) = delete;

  void put(std::shared_ptr<letter> l) {
    std::unique_lock lock{mutex_};
    if (!closed_) {
      letters_.push_back(std::move(l));
      return arrived_.notify_one();
    }
    lock.unlock();  // the answer runs code that is not ours
    l->answer(kcache::errc::unreachable);
  }
  // Letters that have come are still read.
  void close() {
    {
      std::lock_guard const lock{mutex_};
      closed_ = true;
      arrived_.notify_one();
    }
    if (thread_.joinable()) thread_.join();
  }

 private:
  void read() {
    for (;;) {
      std::unique_lock lock{mutex_};
      arrived_.wait(lock, [&] { return closed_ || !letters_.empty(); });
      if (letters_.empty()) return;
      auto const l = std::move(letters_.front());
      letters_.pop_front();
      lock.unlock();
      kcache::no_blocking_scope const serving;  // whoever blocks this thread stops the mail
      serve_(l->request(), reply_form{l});
    }
  }

  kcache::wire_server serve_;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<std::shared_ptr<letter>> letters_;
  bool closed_ = false;
  std::thread thread_;
};

// Which mailbox is whose: what the nodes share.
class post_office {
 public:
  bool open(std::string const& address, std::shared_ptr<mailbox> box) {
    std::lock_guard const lock{mutex_};
    return boxes_.emplace(address, std::move(box)).second;
  }
  void close(std::string const& address) {
    std::lock_guard const lock{mutex_};
    boxes_.erase(address);
  }
  std::shared_ptr<mailbox> find(std::string const& address) {
    std::lock_guard const lock{mutex_};
    auto const at = boxes_.find(address);
    return at == boxes_.end() ? nullptr : at->second;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<mailbox>> boxes_;
};

// The policy: a tag with options, and the transport itself, which is told the cluster's policies
// because it needs its executor, for time and timers.
struct letters {
  struct options {
    std::shared_ptr<post_office> office = std::make_shared<post_office>();
  };

  template <class Policies>
  class bind {
   public:
    using executor_type = typename Policies::executor;

    bind(options o, executor_type executor)
        : office_{std::move(o.office)}, executor_{std::move(executor)} {}
    bind(bind const&) = delete;
    bind& operator=(bind const&) = delete;
    ~bind() { stop(executor_.now()); }

    kcache::result<void> listen(kcache::peer_address const& self, kcache::wire_server serve) {
      auto box = std::make_shared<mailbox>(std::move(serve));
      if (!office_->open(self.canonical(), box))
        return kcache::error{kcache::errc::cannot_listen, self.canonical() + " is in use"};
      std::lock_guard const lock{mutex_};
      self_ = self.canonical();
      address_ = self.authority();
      box_ = std::move(box);
      return {};
    }

    void call(kcache::peer_address const& peer, kcache::wire_request request,
              kcache::time_point deadline, kcache::wire_completion done) {
      auto const l = std::make_shared<letter>(std::move(request), std::move(done));
      {
        std::lock_guard const lock{mutex_};
        std::erase_if(sent_, [](auto const& other) { return other.expired(); });
        sent_.push_back(l);
      }
      if (stopped_) return l->answer(kcache::errc::cancelled);
      auto const box = office_->find(peer.canonical());
      if (!box) return l->answer(kcache::errc::unreachable);
      if (deadline != kcache::never)
        executor_.schedule_at(deadline, [late = std::weak_ptr{l}] {
          if (auto const unanswered = late.lock()) unanswered->answer(kcache::errc::deadline);
        });
      box->put(l);
    }

    [[nodiscard]] std::string address() const {
      std::lock_guard const lock{mutex_};
      return address_;
    }

    // A letter takes no time to serve here, or is answered later from elsewhere: there is nothing
    // to wait for until the deadline.
    void stop(kcache::time_point /*deadline*/) {
      stopped_ = true;
      std::shared_ptr<mailbox> box;
      std::vector<std::weak_ptr<letter>> sent;
      {
        std::lock_guard const lock{mutex_};
        box = std::move(box_);
        sent.swap(sent_);
      }
      if (box) {
        office_->close(self_);
        box->close();
      }
      for (auto const& one : sent)
        if (auto const l = one.lock()) l->answer(kcache::errc::cancelled);
    }

   private:
    std::shared_ptr<post_office> office_;
    executor_type executor_;
    std::atomic<bool> stopped_{false};
    mutable std::mutex mutex_;
    std::string self_, address_;
    std::shared_ptr<mailbox> box_;
    std::vector<std::weak_ptr<letter>> sent_;
  };
};

// The bundle. `plain_codec` puts messages into bytes where nanopb is not at hand.
struct by_mail : kcache::core_cluster_policies {
  using transport = letters;
  using codec = kcache::testing::plain_codec;
};
using node = kcache::basic_cluster<by_mail>;

bool failed = false;

void expect(bool holds, char const* what) {
  std::cout << (holds ? "ok    " : "WRONG ") << what << '\n';
  failed = failed || !holds;
}

}  // namespace

int main() {
  std::vector<std::string> const peers{"http://10.0.0.1:1", "http://10.0.0.2:1"};
  letters::options const mail;  // one post office for both
  node first{{.self = peers[0], .transport = mail}};
  node second{{.self = peers[1], .transport = mail}};

  std::atomic<int> loads{0};
  auto const load = [&loads](int const& number) {
    ++loads;
    return "square " + std::to_string(number * number);
  };
  auto const squares_of_first = first.new_group<int, std::string>("squares", 1'000, 1min, load);
  auto const squares_of_second = second.new_group<int, std::string>("squares", 1'000, 1min, load);
  for (node* n : {&first, &second}) {
    n->set_peers(peers).value();
    n->start().value();
  }
  expect(!node{{.self = peers[0], .transport = mail}}.start(), "an address belongs to one node");

  bool right = true;
  for (int i = 0; i != 100; ++i)
    for (auto const* squares : {&squares_of_first, &squares_of_second})
      right = right && *(*squares)->get(i).value() == "square " + std::to_string(i * i);
  expect(right, "100 keys are answered through both nodes");
  expect(loads == 100, "and each was loaded once, by its owner");
  expect(first.stats().calls > 0 && second.stats().calls > 0, "each has asked the other");

  second.stop();
  right = true;
  for (int i = 100; i != 200; ++i)
    right = right && *squares_of_first->get(i).value() == "square " + std::to_string(i * i);
  expect(right, "with the second gone, the first answers all keys alone");
  return failed ? 1 : 0;
}
