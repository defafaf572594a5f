// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_TESTING_CODEC_LAWS_HPP
#define KCACHE_TESTING_CODEC_LAWS_HPP
/// \file
/// Floor 4. The laws of the codec policy, to be run on a model of your own.

#include <kcache/bytes.hpp>
#include <kcache/cluster/codec.hpp>
#include <kcache/cluster/message.hpp>
#include <kcache/policies/random.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

namespace kcache::testing {

/// Every field of two messages is equal; views by their bytes.
[[nodiscard]] inline bool same(wire::envelope const& a, wire::envelope const& b) noexcept {
  return a.incarnation == b.incarnation && a.ring_digest == b.ring_digest &&
         a.ring_epoch == b.ring_epoch;
}
[[nodiscard]] inline bool same(wire::hello_request const& a,
                               wire::hello_request const& b) noexcept {
  return same(a.from, b.from) && a.min_version == b.min_version && a.max_version == b.max_version;
}
[[nodiscard]] inline bool same(wire::hello_reply const& a, wire::hello_reply const& b) noexcept {
  return same(a.from, b.from) && a.outcome == b.outcome && a.min_version == b.min_version &&
         a.max_version == b.max_version;
}
[[nodiscard]] inline bool same(wire::get_request const& a, wire::get_request const& b) noexcept {
  return same(a.from, b.from) && a.group == b.group && a.key == b.key &&
         a.budget_ms == b.budget_ms && a.known_version == b.known_version && a.kind == b.kind;
}
[[nodiscard]] inline bool same(wire::get_reply const& a, wire::get_reply const& b) noexcept {
  return same(a.from, b.from) && a.outcome == b.outcome && a.value == b.value &&
         a.ttl_ms == b.ttl_ms && a.version == b.version && a.lease_ms == b.lease_ms &&
         a.message == b.message && a.echo == b.echo;
}
[[nodiscard]] inline bool same(wire::get_many_request const& a,
                               wire::get_many_request const& b) noexcept {
  return same(a.from, b.from) && a.group == b.group && a.keys == b.keys &&
         a.budget_ms == b.budget_ms && a.kind == b.kind;
}
[[nodiscard]] inline bool same(wire::put_request const& a, wire::put_request const& b) noexcept {
  return same(a.from, b.from) && a.group == b.group && a.key == b.key && a.value == b.value &&
         a.ttl_ms == b.ttl_ms && a.budget_ms == b.budget_ms;
}
[[nodiscard]] inline bool same(wire::invalidate_request const& a,
                               wire::invalidate_request const& b) noexcept {
  return same(a.from, b.from) && a.group == b.group && a.keys == b.keys && a.version == b.version &&
         a.budget_ms == b.budget_ms;
}

/// Draws messages: numbers of every length, the extremes among them; bytes of every value.
class message_source {
 public:
  explicit message_source(std::uint64_t seed) : random_{seed} {}

  [[nodiscard]] std::uint64_t below(std::uint64_t n) noexcept { return random_.next() % n; }

  /// A message whose views lie in this object, until `forget`.
  template <class M>
  [[nodiscard]] M draw() {
    M m;
    m.from = {number(), number(), number()};
    if constexpr (requires { m.outcome; }) m.outcome = static_cast<wire::status>(below(10));
    if constexpr (requires { m.min_version; }) m.min_version = small();
    if constexpr (requires { m.max_version; }) m.max_version = small();
    if constexpr (requires { m.group; }) m.group = bytes(40);
    if constexpr (requires { m.key; }) m.key = bytes(300);
    if constexpr (requires { m.keys; })
      for (std::uint64_t n = below(8) == 0 ? 1 + below(200) : below(4); n != 0; --n)
        m.keys.push_back(bytes(40));
    if constexpr (requires { m.value; }) m.value = bytes(below(4) == 0 ? 5'000 : 100);
    if constexpr (requires { m.ttl_ms; })
      m.ttl_ms = below(3) == 0 ? wire::get_reply::no_expiry : number();
    if constexpr (requires { m.version; }) m.version = number();
    if constexpr (requires { m.known_version; }) m.known_version = number();
    if constexpr (requires { m.lease_ms; }) m.lease_ms = small();
    if constexpr (requires { m.budget_ms; }) m.budget_ms = small();
    if constexpr (requires { m.message; }) m.message = bytes(80);
    if constexpr (requires { m.echo; }) m.echo = number();
    if constexpr (requires { m.kind; }) m.kind = static_cast<wire::hop>(below(3));
    return m;
  }
  void forget() noexcept { kept_.clear(); }

 private:
  std::uint64_t number() noexcept { return below(4) == 0 ? below(2) : random_.next() >> below(64); }
  std::uint32_t small() noexcept { return static_cast<std::uint32_t>(number()); }
  byte_view bytes(std::size_t most) {
    std::string s(below(5) == 0 ? 0 : below(most), '\0');
    for (char& c : s) c = static_cast<char>(static_cast<unsigned char>(below(256)));
    kept_.push_back(std::make_unique<std::string const>(std::move(s)));
    return *kept_.back();
  }

  seeded_random random_;
  std::vector<std::unique_ptr<std::string const>> kept_;
};

namespace detail {

template <class X, class M>
std::string whole(M const& m) {
  if constexpr (std::is_same_v<M, wire::get_reply>) return X::encode_head(m).append(m.value);
  else return X::encode(m);
}

/// Bytes with nothing before or behind them, so that a sanitizer sees every step outside.
class alone {
 public:
  explicit alone(byte_view bytes) : bytes_(bytes.begin(), bytes.end()) {}
  [[nodiscard]] byte_view view() const noexcept { return {bytes_.data(), bytes_.size()}; }
  [[nodiscard]] bool holds(byte_view part) const noexcept {
    if (part.empty()) return true;
    std::less_equal<char const*> const le;
    return le(bytes_.data(), part.data()) &&
           le(part.data() + part.size(), bytes_.data() + bytes_.size());
  }
  template <class M>
  [[nodiscard]] bool holds_views_of(M const& m) const noexcept {
    bool inside = true;
    if constexpr (requires { m.group; }) inside = inside && holds(m.group);
    if constexpr (requires { m.key; }) inside = inside && holds(m.key);
    if constexpr (requires { m.value; }) inside = inside && holds(m.value);
    if constexpr (requires { m.message; }) inside = inside && holds(m.message);
    if constexpr (requires { m.keys; }) {
      inside = inside && m.keys.size() <= wire::max_keys;
      for (byte_view const key : m.keys) inside = inside && holds(key);
    }
    return inside;
  }

 private:
  std::vector<char> bytes_;  // exactly as long as its elements: it never grows
};

/// Decodes `bytes` as an `M`; false if a view points elsewhere or a known field went astray.
template <class X, class M>
bool harmless(byte_view bytes) {
  alone const input{bytes};
  M m;
  return !X::decode(input.view(), m) || (input.holds_views_of(m) && [&] {
    std::string const again = whole<X>(m);
    M twin;
    return X::decode(again, twin) && same(m, twin);
  }());
}

template <class X, class M, class Check>
void check_message(message_source& source, Check& check) {
  M const m = source.draw<M>();
  std::string const bytes = whole<X>(m);

  // Decoding starts from a message with other contents: nothing of them may stay.
  M back = source.draw<M>();
  alone const input{bytes};
  check(X::decode(input.view(), back) && same(m, back), "decode(encode(m)) is m");
  check(input.holds_views_of(back), "decoded views lie in the input");

  bool prefixes_harmless = true;
  bool cut_value = false;
  std::size_t const step = 1 + bytes.size() / 200;
  for (std::size_t n = 0; n < bytes.size(); n += step) {
    byte_view const cut = byte_view{bytes}.substr(0, n);
    prefixes_harmless = prefixes_harmless && harmless<X, M>(cut);
    if constexpr (requires { m.value; }) {
      alone const shorter{cut};
      M other;
      bool taken = X::decode(shorter.view(), other) && other.value != m.value;
      if constexpr (requires { other.outcome; }) taken = taken && other.outcome == wire::status::ok;
      cut_value = cut_value || taken;
    }
  }
  check(prefixes_harmless, "a message cut short is refused, or read inside its bounds");
  check(!cut_value, "a value cut short is refused");

  bool mutants_harmless = true;
  for (int i = 0; i != 50; ++i) {
    std::string mutant = bytes;
    for (auto n = 1 + source.below(4); n != 0 && !mutant.empty(); --n) {
      auto const at = source.below(mutant.size());
      auto const byte = static_cast<char>(static_cast<unsigned char>(source.below(256)));
      switch (source.below(4)) {
        case 0:
          mutant[at] = byte;
          break;
        case 1:
          mutant[at] = static_cast<char>(mutant[at] ^ (1 << source.below(7)));
          break;
        case 2:
          mutant.erase(at, 1 + source.below(8));
          break;
        default:
          mutant.insert(at, 1 + source.below(8), byte);
          break;
      }
    }
    mutants_harmless = mutants_harmless && harmless<X, M>(mutant);
  }
  check(mutants_harmless, "garbled bytes are refused, or read inside their bounds");
}

template <class X, class M, class Check>
void check_keys(Check& check) {
  M m;
  m.keys.assign(wire::max_keys, byte_view{"key"});
  M back;
  check(X::decode(X::encode(m), back) && back.keys.size() == wire::max_keys,
        "max_keys keys are taken");
  m.keys.emplace_back();
  check(!X::decode(X::encode(m), back), "more keys are refused");
}

}  // namespace detail

/// Runs the laws of `codec` on `X` with messages drawn from `seed`; `check(held, law)` is called
/// for each, `law` being its words. A few milliseconds a seed.
///
///     for (std::uint64_t seed = 0; seed != 100; ++seed)
///       kcache::testing::check_codec_laws<my_codec>(seed, [](bool held, char const* law) { ... });
///
/// Run them under a sanitizer too: inputs lie alone in their allocations.
template <codec X, class Check>
void check_codec_laws(std::uint64_t seed, Check&& check) {
  message_source source{seed};
  detail::check_message<X, wire::hello_request>(source, check);
  detail::check_message<X, wire::hello_reply>(source, check);
  detail::check_message<X, wire::get_request>(source, check);
  detail::check_message<X, wire::get_reply>(source, check);
  detail::check_message<X, wire::get_many_request>(source, check);
  detail::check_message<X, wire::put_request>(source, check);
  detail::check_message<X, wire::invalidate_request>(source, check);
  detail::check_keys<X, wire::get_many_request>(check);
  detail::check_keys<X, wire::invalidate_request>(check);

  wire::get_reply reply = source.draw<wire::get_reply>();
  wire::get_reply reply_back;
  reply.outcome = static_cast<wire::status>(10 + source.below(1'000));
  check(X::decode(detail::whole<X>(reply), reply_back) &&
            reply_back.outcome == wire::status::unsupported,
        "an outcome from the future reads as unsupported");
  wire::get_request request = source.draw<wire::get_request>();
  wire::get_request request_back;
  request.kind = static_cast<wire::hop>(3 + source.below(1'000));
  check(X::decode(X::encode(request), request_back) && request_back.kind == wire::hop::client,
        "a hop from the future reads as client");

  std::string const value(source.below(2'000), 'v');
  byte_view value_back = "other";
  check(X::decode_value({}, value_back) && value_back.empty(), "an empty body is an empty value");
  std::string const body = X::encode_value_head(value.size()) + value;
  check(X::decode_value(body, value_back) && value_back == value,
        "decode_value(encode_value_head(n) + n bytes) is those bytes");
  check(value.empty() || !X::decode_value(byte_view{body}.substr(0, body.size() - 1), value_back),
        "a Response cut short is refused");
}

}  // namespace kcache::testing

#endif
