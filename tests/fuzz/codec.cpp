// SPDX-License-Identifier: BSL-1.0
// libFuzzer target: every message decoded from the same bytes, by both codecs. What is taken has
// its views inside the input and comes back equal when it is encoded again.
//
//     clang++ -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -Iinclude tests/fuzz/codec.cpp
//         -lprotobuf-nanopb -o fuzz_codec && ./fuzz_codec -max_total_time=60

#include <kcache/nanopb/codec.hpp>
#include <kcache/testing/codec_laws.hpp>
#include <kcache/testing/plain_codec.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

namespace {

using namespace kcache;

template <class X, class... Messages>
void decode_each(byte_view bytes) {
  if (!(testing::detail::harmless<X, Messages>(bytes) && ...)) std::abort();
  testing::detail::alone const input{bytes};
  byte_view value;
  if (!X::decode_value(input.view(), value)) return;
  if (!input.holds(value)) std::abort();
  byte_view again;
  std::string const body = X::encode_value_head(value.size()).append(value);
  if (!X::decode_value(body, again) || again != value) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  byte_view const bytes{reinterpret_cast<char const*>(data), size};
  decode_each<nanopb_codec, wire::hello_request, wire::hello_reply, wire::get_request,
              wire::get_reply, wire::get_many_request, wire::put_request, wire::invalidate_request>(
      bytes);
  decode_each<testing::plain_codec, wire::hello_request, wire::hello_reply, wire::get_request,
              wire::get_reply, wire::get_many_request, wire::put_request, wire::invalidate_request>(
      bytes);
  return 0;
}
