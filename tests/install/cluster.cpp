// SPDX-License-Identifier: BSL-1.0
// Someone else's program over the cluster: two nodes on free ports of this machine.
#include <kcache/defaults.hpp>
#include <kcache/group.hpp>
#include <kcache/version.hpp>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <string>

using namespace std::chrono_literals;
using group = kcache::group<std::string, std::string>;

int main() {
  std::atomic<int> loads{0};
  auto const load = [&](std::string const& key) {
    ++loads;
    return "value of " + key;
  };
  kcache::cluster a{{.self = "http://127.0.0.1:0"}};
  kcache::cluster b{{.self = "http://127.0.0.1:0"}};
  group in_a{"scores", 1'000, 60s, load};
  group in_b{"scores", 1'000, 60s, load};
  a.add(in_a).value();
  b.add(in_b).value();
  a.start().value();
  b.start().value();
  std::string const peers[] = {"http://" + a.address(), "http://" + b.address()};
  a.set_peers({peers[0], peers[1]}).value();
  b.set_peers({peers[0], peers[1]}).value();

  int wrong = 0;
  for (int i = 0; i != 100; ++i) {
    auto const key = std::to_string(i);
    for (auto* g : {&in_a, &in_b}) {
      auto const v = g->get(key);
      if (!v || **v != "value of " + key) ++wrong;
    }
  }
  std::printf("kcache %s: %d wrong, %d loads of 100\n", KCACHE_VERSION_STRING, wrong, loads.load());
  return wrong == 0 && loads == 100 ? 0 : 1;
}
