// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_CLUSTER_FETCH_FSM_HPP
#define KCACHE_CLUSTER_FETCH_FSM_HPP
/// \file
/// Floor 4. `fetch_fsm`: one question to a key's owner, from start to outcome. A state machine
/// without I/O.
///
/// ## What an answer means
/// The owner's word is final where it gave one: its "not found" and its errors are the caller's
/// answer, and nobody loads a second time because of them. Only where there is no word of the
/// owner's is the key loaded here (`load_here`): it cannot be reached, its ring says that another
/// owns the key, it has no such group, or what came back is no answer to this question.
///
///     start --(peer known to be down)--> load_here
///     start --> call --(an answer)--> value | error | load_here
///               call --(no connection, reset)--> once more, if the peer may still be called
///               call --(the deadline)--> deadline
///
/// The Go dialects tell less: 500 is the owner's error, with its text; "not found" comes
/// as one of those. A kcache node also says 429 (`overloaded`) and 504 (`deadline`). Every other
/// refusal is no word of the owner's, a 503 of a node that is going in particular.

#include <kcache/cluster/codec.hpp>
#include <kcache/cluster/dialect.hpp>
#include <kcache/cluster/message.hpp>
#include <kcache/cluster/transport.hpp>
#include <kcache/cluster/wire_path.hpp>
#include <kcache/remote_origin.hpp>
#include <kcache/result.hpp>
#include <kcache/time.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <variant>

namespace kcache {

/// A value as it came from its owner.
struct fetched_bytes {
  shared_bytes bytes;
  ttl remaining = ttl::never();
};

/// What came of a question, before anybody knows the value's type.
using byte_outcome = std::variant<fetched_bytes, error, load_here>;

namespace wire {

/// What is left until `deadline`, in ms, rounded up, so that the owner does not give up before its
/// asker does; 0 stands for "not told".
[[nodiscard]] inline std::uint32_t budget_ms(time_point now, time_point deadline) noexcept {
  using std::chrono::milliseconds;
  if (deadline == never) return 0;
  auto const left = std::chrono::ceil<milliseconds>(deadline - now).count();
  constexpr std::int64_t most = std::numeric_limits<std::uint32_t>::max();
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(left, 1, most));
}

/// Remaining life as it travels, and back.
[[nodiscard]] inline std::uint64_t ttl_ms(ttl t) noexcept {
  using std::chrono::milliseconds;
  if (t.is_never() || t.is_default()) return get_reply::no_expiry;
  return static_cast<std::uint64_t>(
      std::max<std::int64_t>(0, std::chrono::ceil<milliseconds>(t.length()).count()));
}
[[nodiscard]] inline ttl ttl_from_ms(std::uint64_t ms) noexcept {
  constexpr auto most =
      static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) / 1'000'000;
  if (ms == get_reply::no_expiry) return ttl::never();
  return std::chrono::milliseconds{static_cast<std::int64_t>(std::min(ms, most))};
}

}  // namespace wire

/// One fetch. `Codec` models `codec`. Used by one thread at a time.
template <codec Codec>
class fetch_fsm {
 public:
  struct question {
    dialect speaks = dialect::native;
    wire::envelope from;
    std::string group;
    std::string key;
    time_point deadline = never;
  };
  enum class step : unsigned char { call, done };

  explicit fetch_fsm(question q) : question_{std::move(q)} {}

  /// `call`: send `request(now)`, and bring what comes of it to `on_reply`. `done`: see `outcome`.
  [[nodiscard]] step start(bool usable) noexcept {
    if (usable) return step::call;
    return step::done;  // the outcome is load_here from the first
  }

  [[nodiscard]] step on_reply(result<wire_reply> r, bool usable, time_point now) {
    if (r) {
      answered_ = true;
      outcome_ = question_.speaks == dialect::native ? read_native(*r) : read_path(*r);
      return step::done;
    }
    switch (r.error().code()) {
      case errc::unreachable:
        if (usable && !repeated_ && now < question_.deadline) {
          repeated_ = true;
          return step::call;
        }
        outcome_ = load_here{};
        break;
      case errc::bad_message: bad_reply_ = true; outcome_ = load_here{}; break;
      case errc::cancelled: outcome_ = load_here{}; break;  // our own transport has stopped
      default: outcome_ = std::move(r).error();
    }
    return step::done;
  }

  [[nodiscard]] wire_request request(time_point now) const {
    if (question_.speaks != dialect::native)
      return {wire_verb::get,
              wire::path_target(wire::path_base(question_.speaks), question_.group, question_.key),
              {}};
    wire::get_request m;
    m.from = question_.from;
    m.group = question_.group;
    m.key = question_.key;
    m.budget_ms = wire::budget_ms(now, question_.deadline);
    return {wire_verb::post, std::string{wire::native_target(wire::operation::get)},
            Codec::encode(m)};
  }

  [[nodiscard]] time_point deadline() const noexcept { return question_.deadline; }
  [[nodiscard]] byte_outcome&& outcome() noexcept { return std::move(outcome_); }
  /// The peer replied, if only to refuse.
  [[nodiscard]] bool answered() const noexcept { return answered_; }
  /// What came was no answer to this question.
  [[nodiscard]] bool bad_reply() const noexcept { return bad_reply_; }
  /// The peer's ring says that another node owns the key.
  [[nodiscard]] bool ring_mismatch() const noexcept { return ring_mismatch_; }

 private:
  byte_outcome read_native(wire_reply const& r) {
    wire::get_reply m;
    if (r.status != 200 || !Codec::decode(r.body.view(), m)) return no_answer(r.status == 200);
    using wire::status;
    bool const ours = m.echo == wire::echo_of(question_.group, question_.key);
    auto const failed = [&m](errc code) { return error{code, std::string{m.message}}; };
    switch (m.outcome) {
      case status::ok: {
        if (!ours) return no_answer(true);
        auto const offset = m.value.empty()
                                ? 0
                                : static_cast<std::size_t>(m.value.data() - r.body.data());
        return fetched_bytes{r.body.part(offset, m.value.size()), wire::ttl_from_ms(m.ttl_ms)};
      }
      case status::not_found: return ours ? byte_outcome{failed(errc::not_found)} : no_answer(true);
      case status::loader_failed: return failed(errc::loader_failed);
      case status::deadline: return failed(errc::deadline);
      case status::overloaded: return failed(errc::overloaded);
      case status::recursive_load: return failed(errc::recursive_load);
      case status::wrong_owner: ring_mismatch_ = true; return load_here{};
      case status::unknown_group:
      case status::unsupported:
      case status::not_modified: return load_here{};
    }
    return load_here{};
  }

  byte_outcome read_path(wire_reply const& r) {
    auto const text = [&r] {
      auto t = r.body.view().substr(0, 1'024);
      while (!t.empty() && t.back() == '\n') t.remove_suffix(1);
      return std::string{t};
    };
    switch (r.status) {
      case 200: {
        byte_view value;
        if (!Codec::decode_value(r.body.view(), value)) return no_answer(true);
        auto const offset =
            value.empty() ? 0 : static_cast<std::size_t>(value.data() - r.body.data());
        return fetched_bytes{r.body.part(offset, value.size()), ttl::never()};
      }
      case 500: return error{errc::loader_failed, text()};
      case 429: return error{errc::overloaded, text()};
      case 504: return error{errc::deadline, text()};
      default: return load_here{};
    }
  }

  byte_outcome no_answer(bool bad) noexcept {
    bad_reply_ = bad;
    return load_here{};
  }

  question question_;
  byte_outcome outcome_ = load_here{};
  bool repeated_ = false;
  bool answered_ = false;
  bool bad_reply_ = false;
  bool ring_mismatch_ = false;
};

}  // namespace kcache

#endif
