// SPDX-License-Identifier: BSL-1.0
// The request path on an in-memory stream: bytes -> parser and limits -> handler -> head of the
// reply, as a session does it, with what arrives cut into pieces by the input itself.
//
// Checked besides what the sanitizers see: the outcome does not depend on the pieces (but for
// which of several things wrong is named), nothing is served after a refusal, and what is served
// keeps the limits.
#include <kcache/beast/detail/http_text.hpp>
#include <kcache/beast/detail/input_buffer.hpp>
#include <kcache/beast/options.hpp>
#include <kcache/beast/detail/request_parser.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

namespace {

using kcache::beast::request_parser;

void require(bool holds) {
  if (!holds) std::abort();
}

struct outcome {
  std::string log;  // of all requests that were served
  bool refused = false;
  friend bool operator==(outcome const&, outcome const&) = default;
};

kcache::beast::options const& limits() {
  static kcache::beast::options const o = [] {
    kcache::beast::options small;
    small.max_head = 512;
    small.max_fields = 8;
    small.max_target = 128;
    small.max_request = 256;
    return small;
  }();
  return o;
}

template <class Step>
outcome serve(std::string_view input, Step const& step) {
  outcome out;
  kcache::beast::input_buffer buffer{64};
  request_parser parser{limits()};
  std::string reply;
  while (!input.empty()) {
    auto const room = buffer.prepare();
    std::size_t const n = std::min({room.size(), input.size(), step()});
    std::memcpy(room.data(), input.data(), n);
    buffer.commit(n);
    input.remove_prefix(n);
    while (buffer.size() != 0) {
      auto const state = parser.feed(buffer.data());
      if (state == request_parser::progress::refused) {
        require(parser.refusal() >= 400 && parser.why().back() == '\n');
        out.refused = true;
        return out;
      }
      if (state != request_parser::progress::ready) break;
      auto const request = parser.view(buffer.data());
      require(kcache::beast::is_target(request.target));
      require(request.target.size() <= limits().max_target);
      require(request.body.size() <= limits().max_request);
      require(parser.head_size() <= limits().max_head);
      require(request.body.empty() || request.verb != kcache::wire_verb::get);
      kcache::beast::write_reply_head(reply, 200, kcache::media::text, request.body.size(),
                                      parser.keep_alive());
      out.log += request.target;
      out.log += '|';
      out.log += request.body;
      out.log += reply;
      buffer.consume(parser.size());
      parser.reset();
    }
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  std::string_view const input{reinterpret_cast<char const*>(data), size};
  auto const whole = serve(input, [] { return std::size_t{1} << 20; });
  std::uint32_t seed = size == 0 ? 1 : data[size - 1];
  auto const pieces = serve(input, [&] {
    seed = seed * 1'664'525 + 1'013'904'223;
    return std::size_t{1} + (seed >> 8) % 50;
  });
  require(whole == pieces);
  return 0;
}
