// SPDX-License-Identifier: BSL-1.0
// Two processes, one kcache::cluster node each, over loopback: reads of 100 bytes that the other
// node owns and has in its cache. Prints a Markdown table.
#include "bench.hpp"

#include <kcache/defaults.hpp>
#include <kcache/group.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

namespace {

constexpr std::size_t key_count = 1'024;
constexpr std::size_t value_size = 100;

using group = kcache::group<std::string, std::string>;

/// One end of a talk between the two processes, in lines.
struct line_pipe {
  int fd[2] = {-1, -1};
  line_pipe() { bench::expect(::pipe(fd) == 0, "no pipe"); }
  void write(std::string const& line) const {
    std::string const text = line + '\n';
    bench::expect(::write(fd[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()),
                  "the other process is gone");
  }
  /// The next line; empty at the end.
  [[nodiscard]] std::string read() const {
    std::string line;
    for (char c; ::read(fd[0], &c, 1) == 1 && c != '\n';) line += c;
    return line;
  }
};

/// A node with one group whose loader makes up a value.
struct node {
  group values;
  kcache::cluster cluster;

  node()
      : values{{.name = "values", .capacity = 1'000'000},
               [](std::string const&) { return std::string(value_size, 'v'); }},
        cluster{{.self = "http://127.0.0.1:0"}} {
    cluster.add(values).value();
    cluster.start().value();
  }
  void meet(std::string const& other) {
    cluster.set_peers({cluster.self().canonical(), other}).value();
  }
};

/// The process that owns the keys. Ends when the other one does.
[[noreturn]] void serve(line_pipe const& in, line_pipe const& out) {
  ::close(in.fd[1]);
  node owner;
  out.write(owner.cluster.self().canonical());
  owner.meet(in.read());
  out.write("ready");
  bench::expect(in.read().empty(), "nothing more to be said");
  std::_Exit(0);
}

/// The figures of one sample, for each get.
struct cost {
  double wall_us;
  double asker_us;
  double owner_us;
  double p50_us = 0;
  double p99_us = 0;
};

struct setting {
  char const* name;
  unsigned threads;  ///< that read one key after the other; 0: asynchronous
  unsigned window;   ///< reads under way at once, where asynchronous
};

constexpr setting settings[] = {
    {"get, 1 thread", 1, 0},
    {"get, 16 threads", 16, 0},
    {"async_get, 1 under way", 0, 1},
    {"async_get, 64 under way", 0, 64},
};

class asker {
 public:
  asker(node& n, clockid_t owner_clock) : node_{n}, owner_clock_{owner_clock} {
    auto const self = n.cluster.self();
    for (std::uint64_t i = 0; keys_.size() != key_count; ++i)
      if (auto key = "key-" + std::to_string(i); n.cluster.owner_of(key) != self)
        keys_.push_back(std::move(key));
    for (auto const& key : keys_) check(n.values.get(key));
  }

  [[nodiscard]] cost measure(setting const& s, std::size_t gets) {
    auto const before = node_.values.stats();
    latencies_.clear();
    double const owner = bench::cpu_seconds(owner_clock_);
    double const own = bench::cpu_seconds(CLOCK_PROCESS_CPUTIME_ID);
    auto const begun = bench::clock::now();
    if (s.threads != 0) block(s.threads, gets);
    else pipeline(s.window, gets);
    double const wall = bench::nanoseconds(bench::clock::now() - begun) / 1e9;
    cost c{wall, bench::cpu_seconds(CLOCK_PROCESS_CPUTIME_ID) - own,
           bench::cpu_seconds(owner_clock_) - owner};
    auto const now = node_.values.stats();
    // Each get is a question, but where two that want one key meet, and share it.
    bool const out_of_reach = now.fallback_loads != before.fallback_loads;
    bench::expect(out_of_reach || now.fetches - before.fetches >= gets * 99 / 100,
                  "the owner is not asked");
    if (out_of_reach)
      std::fprintf(stderr,
                   "benchmark: the owner seemed out of reach for a moment: too busy here\n");
    for (double* d : {&c.wall_us, &c.asker_us, &c.owner_us}) *d *= 1e6 / static_cast<double>(gets);
    c.p50_us = quantile(0.50);
    c.p99_us = quantile(0.99);
    return c;
  }

 private:
  static void check(group::answer const& a) {
    if (!a) bench::give_up("a get fails: " + std::string{a.error().message()});
    bench::expect((*a)->size() == value_size, "a wrong value");
  }

  void block(unsigned threads, std::size_t gets) {
    std::vector<std::vector<float>> took(threads);
    auto const work = [&](unsigned t) {
      std::size_t const mine = gets / threads + (t < gets % threads ? 1 : 0);
      took[t].reserve(mine);
      for (std::size_t i = 0; i != mine; ++i) {
        auto const begun = bench::clock::now();
        // Keys of its own: threads that want the same ones fall into step, and share questions.
        check(node_.values.get(keys_[(t + i * threads) % keys_.size()]));
        took[t].push_back(static_cast<float>(bench::nanoseconds(bench::clock::now() - begun)));
      }
    };
    std::vector<std::thread> others;
    for (unsigned t = 1; t < threads; ++t) others.emplace_back(work, t);
    work(0);
    for (auto& other : others) other.join();
    for (auto const& t : took) latencies_.insert(latencies_.end(), t.begin(), t.end());
  }

  /// Each answer asks the next question, on whatever thread it comes.
  void pipeline(unsigned window, std::size_t gets) {
    struct state {
      std::atomic<std::size_t> asked{0};
      std::mutex mutex;
      std::condition_variable changed;
      std::size_t answered = 0;
    } run;
    auto const ask = [&](auto const& self) -> void {
      std::size_t const i = run.asked.fetch_add(1);
      if (i >= gets) return;
      node_.values.async_get(keys_[i % keys_.size()], [&, self](group::answer const& a) {
        check(a);
        self(self);
        std::lock_guard lock{run.mutex};
        if (++run.answered == gets) run.changed.notify_all();
      });
    };
    for (unsigned i = 0; i != window; ++i) ask(ask);
    std::unique_lock lock{run.mutex};
    run.changed.wait(lock, [&] { return run.answered == gets; });
  }

  [[nodiscard]] double quantile(double q) {
    if (latencies_.empty()) return 0;
    auto const at = static_cast<std::size_t>(q * static_cast<double>(latencies_.size() - 1));
    auto const middle = latencies_.begin() + static_cast<std::ptrdiff_t>(at);
    std::nth_element(latencies_.begin(), middle, latencies_.end());
    return static_cast<double>(*middle) / 1e3;
  }

  node& node_;
  clockid_t owner_clock_;
  std::vector<std::string> keys_;
  std::vector<float> latencies_;
};

std::string text(std::vector<cost> const& samples, double (*part)(cost const&)) {
  std::vector<double> values;
  for (auto const& c : samples) values.push_back(part(c));
  return bench::text(bench::figure::of(std::move(values)));
}

}  // namespace

int main(int argc, char** argv) {
  auto p = bench::plan::of(argc, argv);
  p.sample_ms *= 5;  // sockets and schedulers vary more than memory does
  line_pipe to_owner, from_owner;
  pid_t const child = ::fork();  // before there are threads
  bench::expect(child >= 0, "no second process");
  if (child == 0) serve(to_owner, from_owner);
  ::close(from_owner.fd[1]);
  {
    node here;
    to_owner.write(here.cluster.self().canonical());
    here.meet(from_owner.read());
    bench::expect(from_owner.read() == "ready", "the other node does not start");
    clockid_t owner_clock{};
    bench::expect(::clock_getcpuclockid(child, &owner_clock) == 0, "no clock of the other one");
    asker ask{here, owner_clock};

    std::vector<std::size_t> gets;
    for (auto const& s : settings) {
      double const each = ask.measure(s, p.quick() ? 200 : 2'000).wall_us;
      auto const fit = static_cast<std::size_t>(p.sample_ms * 1e3 / each);
      gets.push_back(std::max<std::size_t>(200, fit));
    }
    std::vector<std::vector<cost>> samples(std::size(settings));
    bench::neighbours others{p, {CLOCK_PROCESS_CPUTIME_ID, owner_clock}};
    for (std::size_t r = 0; r != p.repetitions; ++r)
      for (std::size_t i = 0; i != std::size(settings); ++i) {
        cost c{};
        others.quietly([&] { c = ask.measure(settings[i], gets[i]); });
        samples[i].push_back(c);
      }

    bench::header({"100 B over loopback", "gets/s", "us per get", "p50 us", "p99 us",
                   "CPU us per get: asker", "owner", "both"});
    for (std::size_t i = 0; i != std::size(settings); ++i) {
      auto const& s = samples[i];
      bool const timed = settings[i].threads != 0;
      bench::row({settings[i].name, text(s, [](cost const& c) { return 1e6 / c.wall_us; }),
                  text(s, [](cost const& c) { return c.wall_us; }),
                  timed ? text(s, [](cost const& c) { return c.p50_us; }) : "",
                  timed ? text(s, [](cost const& c) { return c.p99_us; }) : "",
                  text(s, [](cost const& c) { return c.asker_us; }),
                  text(s, [](cost const& c) { return c.owner_us; }),
                  text(s, [](cost const& c) { return c.asker_us + c.owner_us; })});
    }
    others.report();
    here.cluster.stop();
  }
  ::close(to_owner.fd[1]);
  int status = 0;
  bench::expect(
      ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0,
      "the other process fails");
}
