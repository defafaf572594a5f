// SPDX-License-Identifier: BSL-1.0
// A cache inside one program. No loader, no peers, nothing to link.
#include <kcache/cache.hpp>

#include <chrono>
#include <iostream>
#include <string>

using namespace std::chrono_literals;

namespace {

struct user {
  std::string name;
  int visits = 0;
};

bool failed = false;

void expect(bool holds, char const* what) {
  std::cout << (holds ? "ok    " : "WRONG ") << what << '\n';
  failed = failed || !holds;
}

}  // namespace

int main() {
  // At most 2 users, each for at most a minute after it was put. So small a cache is one exact LRU;
  // a large one is divided into shards, so that many threads can use it at once.
  kcache::cache<std::string, user> users{{.capacity = 2, .ttl = 1min}};

  users.put("tom", {"Tom", 1});
  users.put("jack", {"Jack", 2});

  // `get` gives a handle: a share in the value. Empty means that the user is not there.
  auto const tom = users.get("tom");
  expect(tom && tom->visits == 1, "what was put is there");

  // The cache is full: the one that was not used for longest has to go, and that is Jack.
  users.put("sam", {"Sam", 3});
  expect(!users.get("jack"), "Jack has left to make room for Sam");
  expect(users.contains("tom") && users.contains("sam"), "Tom and Sam have stayed");

  // A handle stays good, whatever becomes of its entry.
  users.erase("tom");
  expect(!users.contains("tom") && tom->name == "Tom", "an erased value outlives its entry");

  // A lifetime for one entry alone. Nothing is ever served a moment after its time.
  users.put("guest", {"Guest", 0}, 0s);
  expect(!users.get("guest"), "an entry that may live for no time is not served");
  users.put("root", {"Root", 0}, kcache::ttl::never());
  expect(users.get("root")->name == "Root", "an entry may live for ever");

  auto const s = users.stats();
  std::cout << s.hits << " hits, " << s.misses << " misses, " << s.evicted << " evicted, "
            << s.entries << " entries of " << s.bytes << " bytes\n";
  return failed ? 1 : 0;
}
