// SPDX-License-Identifier: BSL-1.0
#include <kcache/cluster/wire_path.hpp>

#include "support/catch.hpp"

#include <cstddef>
#include <random>
#include <string>
#include <string_view>

namespace wire = kcache::wire;
using kcache::dialect;
using wire::native_outcome;
using wire::operation;
using wire::path_outcome;

namespace {

/// "group|key", or the name of the outcome.
std::string read(std::string_view target, std::string_view base = "/_kcache/",
                 wire::path_options options = {}) {
  auto const p = wire::parse_path(target, base, options);
  switch (p.outcome) {
    case path_outcome::ok: return std::string{p.group.bytes()} + '|' + std::string{p.key.bytes()};
    case path_outcome::elsewhere: return "elsewhere";
    case path_outcome::no_slash: return "no_slash";
    case path_outcome::bad_escape: return "bad_escape";
    case path_outcome::empty_key: return "empty_key of " + std::string{p.group.bytes()};
  }
  return "?";
}

}  // namespace

TEST_CASE("every byte outside A-Za-z0-9-_~ is escaped", "[wire_path]") {
  std::string const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_~";
  for (int i = 0; i != 256; ++i) {
    std::string const one(1, static_cast<char>(i));
    char const hex[] = "0123456789ABCDEF";
    auto const n = static_cast<std::size_t>(i);
    auto const escaped = std::string{'%'} + hex[n / 16] + hex[n % 16];
    CAPTURE(i);
    CHECK(wire::percent_encode(one) == (plain.find(one) != std::string::npos ? one : escaped));
  }
  CHECK(wire::percent_encode("") == "");
  CHECK(wire::percent_encode("..") == "%2E%2E");
  CHECK(wire::percent_encode("a b+c/d") == "a%20b%2Bc%2Fd");
}

TEST_CASE("a target is base, group and key", "[wire_path]") {
  CHECK(wire::path_target("/_kcache/", "scores", "Tom") == "/_kcache/scores/Tom");
  CHECK(wire::path_target("/_groupcache/", "sc ores", "a/b") == "/_groupcache/sc%20ores/a%2Fb");
  CHECK(wire::path_target("/_kcache/", "g", "") == "/_kcache/g/");
  CHECK(wire::path_base(dialect::native) == "/_kcache/");
  CHECK(wire::path_base(dialect::kcache) == "/_kcache/");
  CHECK(wire::path_base(dialect::groupcache) == "/_groupcache/");
}

TEST_CASE("a path is split raw and decoded once", "[wire_path]") {
  CHECK(read("/_kcache/scores/Tom") == "scores|Tom");
  CHECK(read("/_kcache/g%2Fx/k") == "g/x|k");  // Go serves this from group g
  CHECK(read("/_kcache/g/a/b//c") == "g|a/b//c");
  CHECK(read("/_kcache/g//k") == "g|/k");
  CHECK(read("/_kcache/g/%2F") == "g|/");
  CHECK(read("/_kcache/g/%2541") == "g|%41");  // once
  CHECK(read("/_kcache/g/%e6%97%A5") == "g|\xe6\x97\xa5");
  CHECK(read("/_kcache/g/../x") == "g|../x");
  CHECK(read("/_kcache//k") == "|k");
  CHECK(read("/_kcache/g/%00x") == std::string{"g|\0x", 4});
  CHECK(read("/_kcache/g/k?q=/%zz") == "g|k");
  CHECK(read("/_kcache/g/k%3Fq") == "g|k?q");
  CHECK(read("/_kcache/g/k?a?b") == "g|k");
  CHECK(read("/_groupcache/g/k", "/_groupcache/") == "g|k");
}

TEST_CASE("a plus is a plus unless told", "[wire_path]") {
  CHECK(read("/_kcache/a+b/c+d") == "a+b|c+d");
  CHECK(read("/_kcache/a+b/c+d%2B", "/_kcache/", {.plus_is_space = true}) == "a b|c d+");
  CHECK(read("/_kcache/g/%20+") == "g| +");
  CHECK(read("/_kcache/g/%20+", "/_kcache/", {.plus_is_space = true}) == "g|  ");
  CHECK_FALSE(wire::path_options::of(dialect::kcache).plus_is_space);
}

TEST_CASE("faults of a path are told apart", "[wire_path]") {
  for (auto const target : {"", "/", "/_kcache", "/_kcach/g/k", "/_KCACHE/g/k", "/x/_kcache/g/k",
                            "_kcache/g/k", "/_kcache?/g/k", "/_kcache.native/1/get"}) {
    CAPTURE(target);
    CHECK(read(target) == "elsewhere");
  }
  for (auto const target :
       {"/_kcache/", "/_kcache/g", "/_kcache/g?/k", "/_kcache/g%2Fk", "/_kcache/%zz"}) {
    CAPTURE(target);
    CHECK(read(target) == "no_slash");
  }
  for (auto const target : {"/_kcache/g/%", "/_kcache/g/%4", "/_kcache/g/%4?1", "/_kcache/g/%zz",
                            "/_kcache/g/%4g", "/_kcache/%/k", "/_kcache/g/a%%41", "/_kcache/%zz/",
                            "/_kcache/g/% 1", "/_kcache/g/%-1", "/_kcache/g/%+1"}) {
    CAPTURE(target);
    CHECK(read(target) == "bad_escape");
    CHECK(read(target, "/_kcache/", {.plus_is_space = true}) == "bad_escape");
  }
  // What lies behind the target in its buffer is not read.
  CHECK(read(std::string_view{"/_kcache/g/%41"}.substr(0, 13)) == "bad_escape");
  CHECK(read("/_kcache/g%20h/") == "empty_key of g h");
  CHECK(read("/_kcache/g/?k") == "empty_key of g");
  CHECK(read("/_groupcache/g/", "/_groupcache/", wire::path_options::of(dialect::groupcache)) ==
        "g|");
  CHECK(read("/_kcache/g/", "/_kcache/", wire::path_options::of(dialect::kcache)) ==
        "empty_key of g");
}

TEST_CASE("a part without escapes is a view of the target", "[wire_path]") {
  std::string const target = "/_kcache/scores/a-long-key-that-would-not-fit-in-place";
  auto const p = wire::parse_path(target, "/_kcache/");
  CHECK(p.group.bytes().data() == target.data() + 9);
  CHECK(p.key.bytes().data() == target.data() + 16);
  // Whole, the object may move and its bytes stay right, in place or not.
  auto moved = wire::parse_path("/_kcache/%41/%42", "/_kcache/");
  auto const there = std::move(moved);
  CHECK(there.group.bytes() == "A");
  CHECK(there.key.bytes() == "B");
}

TEST_CASE("any key and any group come back as themselves", "[wire_path]") {
  std::mt19937_64 random{3};
  std::string_view const nasty{"/.%?#+ \0&=;:@\\\n\r~", 17};
  auto const bytes = [&](std::size_t longest) {
    std::string out;
    for (auto n = random() % (longest + 1); n != 0; --n)
      out +=
          random() % 2 != 0 ? static_cast<char>(random() & 0xff) : nasty[random() % nasty.size()];
    return out;
  };
  for (int i = 0; i != 100'000; ++i) {
    auto const group = bytes(12);
    auto key = bytes(i % 100 == 0 ? 1'024 : 24);
    if (i % 1'000 == 0) key = std::string(1'024, static_cast<char>(i / 1'000));
    auto const target = wire::path_target("/_kcache/", group, key);
    auto const p = wire::parse_path(target, "/_kcache/", {.empty_key = true});
    if (p.outcome != path_outcome::ok || p.group.bytes() != group || p.key.bytes() != key)
      FAIL(target);
    auto const plus =
        wire::parse_path(target, "/_kcache/", {.plus_is_space = true, .empty_key = true});
    if (plus.group.bytes() != group || plus.key.bytes() != key) FAIL(target);
  }
}

TEST_CASE("no target breaks the reader", "[wire_path]") {
  std::mt19937_64 random{4};
  std::string_view const alphabet = "%%%//?+.0123456789abcdefgAFzZ\xff";
  std::size_t good = 0;
  for (int i = 0; i != 100'000; ++i) {
    std::string target = random() % 8 != 0 ? "/_kcache/" : "/_kcache.native/";
    for (auto n = random() % 16; n != 0; --n) target += alphabet[random() % alphabet.size()];
    auto const p = wire::parse_path(target, "/_kcache/");
    good += p.outcome == path_outcome::ok;
    if (p.outcome == path_outcome::ok && p.key.bytes().size() >= target.size()) FAIL(target);
    if (wire::parse_native(target).outcome == native_outcome::ok) FAIL(target);
  }
  CHECK(good > 1'000);
}

TEST_CASE("native targets are exact", "[wire_path]") {
  for (auto const o : {operation::hello, operation::get, operation::get_many, operation::put,
                       operation::invalidate}) {
    auto const p = wire::parse_native(wire::native_target(o));
    CHECK(p.outcome == native_outcome::ok);
    CHECK(p.op == o);
  }
  static_assert(wire::native_target(operation::get_many) == "/_kcache.native/1/get_many");
  auto const outcome = [](std::string_view target) { return wire::parse_native(target).outcome; };
  for (auto const target : {"", "/_kcache/g/k", "/_kcache.native", "/_kcache.nativ/1/get"})
    CHECK(outcome(target) == native_outcome::elsewhere);
  for (auto const target : {"/_kcache.native/2/get", "/_kcache.native/10/", "/_kcache.native/2/new",
                            "/_kcache.native/99999999999999999999999/get"})
    CHECK(outcome(target) == native_outcome::other_version);
  for (auto const target :
       {"/_kcache.native/", "/_kcache.native/1", "/_kcache.native/1/", "/_kcache.native/1/gets",
        "/_kcache.native/1/GET", "/_kcache.native/1/get/", "/_kcache.native/1/get?x",
        "/_kcache.native/01/get", "/_kcache.native/0/get", "/_kcache.native/2",
        "/_kcache.native/v1/get", "/_kcache.native//get", "/_kcache.native/1x/get"}) {
    CAPTURE(target);
    CHECK(outcome(target) == native_outcome::unknown_operation);
  }
}
