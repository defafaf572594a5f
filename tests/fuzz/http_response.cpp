// SPDX-License-Identifier: BSL-1.0
// The client's side of the wire on an in-memory stream: bytes -> replies, as a connection reads
// them, with what arrives cut into pieces by the input itself.
//
// Checked besides what the sanitizers see: no body is over the limit, and what is taken for a reply
// does not depend on the pieces. (How soon a bad one is seen may: Beast counts a chunk twice
// against the limit if an unterminated quote in its extension makes it look at the line again.)
#include <kcache/beast/detail/input_buffer.hpp>
#include <kcache/beast/options.hpp>
#include <kcache/beast/detail/response_parser.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

namespace {

using kcache::beast::response_parser;

void require(bool holds) {
  if (!holds) std::abort();
}

kcache::beast::options const& limits() {
  static kcache::beast::options const o = [] {
    kcache::beast::options small;
    small.max_head = 512;
    small.max_value = 2'000;
    return small;
  }();
  return o;
}

template <class Step>
std::string receive(std::string_view input, Step const& step) {
  std::string log;
  kcache::beast::input_buffer buffer{64};
  response_parser parser{limits()};
  while (!input.empty()) {
    auto state = response_parser::progress::more;
    if (auto const room = parser.direct(); !room.empty()) {
      std::size_t const n = std::min({room.size(), input.size(), step()});
      std::memcpy(room.data(), input.data(), n);
      input.remove_prefix(n);
      state = parser.filled(n);
    } else {
      auto const free = buffer.prepare();
      std::size_t const n = std::min({free.size(), input.size(), step()});
      std::memcpy(free.data(), input.data(), n);
      input.remove_prefix(n);
      buffer.commit(n);
      auto const fed = parser.feed(buffer.data());
      require(fed.consumed <= buffer.size());
      buffer.consume(fed.consumed);
      state = fed.state;
    }
    while (state == response_parser::progress::ready) {
      auto const body = parser.take_body();
      require(body.size() <= limits().max_value + response_parser::framing);
      require(parser.status() >= 200);
      log += std::to_string(parser.status()) + (parser.keep_alive() ? "+" : "-");
      log += body.view();
      if (!parser.keep_alive()) return log;
      parser.reset();
      auto const fed = parser.feed(buffer.data());
      buffer.consume(fed.consumed);
      state = fed.state;
    }
    if (state == response_parser::progress::bad) return log;
  }
  return log;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  std::string_view const input{reinterpret_cast<char const*>(data), size};
  auto const whole = receive(input, [] { return std::size_t{1} << 20; });
  std::uint32_t seed = size == 0 ? 1 : data[size - 1];
  auto const pieces = receive(input, [&] {
    seed = seed * 1'664'525 + 1'013'904'223;
    return std::size_t{1} + (seed >> 8) % 50;
  });
  require(whole == pieces);
  return 0;
}
