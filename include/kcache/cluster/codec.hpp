// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_CLUSTER_CODEC_HPP
#define KCACHE_CLUSTER_CODEC_HPP
/// \file
/// Floor 4. The codec policy: how messages become bytes and come back.
///
/// | expression | result | semantics |
/// |---|---|---|
/// | `X::encode(m)` for a request `m`, or `hello_reply` | `std::string` | the whole message |
/// | `X::encode_head(r)` for a `get_reply` | `std::string` | everything but the bytes of `r.value`, which follow right behind: value is the last field of the message, and only `r.value.size()` is read |
/// | `X::decode(bytes, m)` | `bool` | fills `m` with views into `bytes`; false: not such a message, `m` unspecified |
/// | `X::encode_value_head(n)` | `std::string` | of the kcache dialect's `Response`: what stands before `n` bytes of value |
/// | `X::decode_value(bytes, v)` | `bool` | the kcache dialect's `Response`; an empty body is an empty value |
///
/// All are static, thread safe and O(size). `encode*` may throw `bad_alloc`; `decode` of any bytes
/// neither throws (but `bad_alloc` for lists of keys) nor reads outside them, skips unknown fields,
/// refuses more than `max_keys` keys, and bounds its work by the length of the input.
///
/// Models: `nanopb_codec` (nanopb/codec.hpp, protobuf, the default), `testing::plain_codec`
/// (testing/plain_codec.hpp, std only, for simulations).

#include <kcache/bytes.hpp>
#include <kcache/cluster/message.hpp>

#include <concepts>
#include <cstddef>
#include <string>

namespace kcache {

namespace wire {
/// The most keys a batch message may carry.
inline constexpr std::size_t max_keys = 1'000;
}  // namespace wire

namespace detail {
template <class X, class Message>
concept codes = requires(Message& m, Message const& c, byte_view bytes) {
  { X::encode(c) } -> std::same_as<std::string>;
  { X::decode(bytes, m) } -> std::same_as<bool>;
};
}  // namespace detail

template <class X>
concept codec =
    detail::codes<X, wire::hello_request> && detail::codes<X, wire::hello_reply> &&
    detail::codes<X, wire::get_request> && detail::codes<X, wire::get_many_request> &&
    detail::codes<X, wire::put_request> && detail::codes<X, wire::invalidate_request> &&
    requires(wire::get_reply& m, wire::get_reply const& c, byte_view bytes, byte_view& value,
             std::size_t n) {
      { X::encode_head(c) } -> std::same_as<std::string>;
      { X::decode(bytes, m) } -> std::same_as<bool>;
      { X::encode_value_head(n) } -> std::same_as<std::string>;
      { X::decode_value(bytes, value) } -> std::same_as<bool>;
    };

}  // namespace kcache

#endif
