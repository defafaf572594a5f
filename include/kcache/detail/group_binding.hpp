// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_DETAIL_GROUP_BINDING_HPP
#define KCACHE_DETAIL_GROUP_BINDING_HPP
/// \file
/// Floor 4. `group_binding`: one group in one cluster, seen from both sides; here keys and values
/// become bytes, and bytes values.

#include <kcache/cluster/fetch_fsm.hpp>
#include <kcache/cluster/served_group.hpp>
#include <kcache/cluster/wire_traits.hpp>
#include <kcache/detail/group_core.hpp>
#include <kcache/remote_origin.hpp>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace kcache::detail {

/// What a binding asks of the cluster.
class cluster_side {
 public:
  cluster_side() = default;
  cluster_side(cluster_side const&) = delete;
  cluster_side& operator=(cluster_side const&) = delete;
  virtual ~cluster_side() = default;

  [[nodiscard]] virtual bool owns(byte_view key) = 0;
  virtual void fetch(std::string const& group, byte_view key, time_point deadline,
                     unique_function<void(byte_outcome)> done) = 0;
  /// A reply decoded to no value of the group's.
  virtual void count_bad_reply() noexcept = 0;
  virtual void remove(served_group const& group) noexcept = 0;
};

/// The bytes of a key or value, where they lie or made anew.
template <class T>
class encoded {
 public:
  explicit encoded(typename storage_traits<T>::view_type v) {
    if constexpr (viewed_on_the_wire<T>) {
      view_ = wire_traits<T>::view(v);
    } else {
      made_ = wire_traits<T>::encode(v);
      view_ = made_;
    }
  }
  encoded(encoded const&) = delete;
  encoded& operator=(encoded const&) = delete;
  [[nodiscard]] byte_view view() const noexcept { return view_; }

 private:
  std::string made_;
  byte_view view_;
};

template <class K, class V, class P>
class group_binding final : public served_group,
                            public remote_origin<K, V>,
                            public std::enable_shared_from_this<group_binding<K, V, P>> {
  static_assert(wire_type<K>, "kcache: the key type of a group in a cluster needs wire_traits<K>; "
                              "see <kcache/cluster/wire_traits.hpp>");
  static_assert(wire_type<V>, "kcache: the value type of a group in a cluster needs "
                              "wire_traits<V>; see <kcache/cluster/wire_traits.hpp>");

 public:
  using core_type = group_core<K, V, P>;
  using handle_type = typename core_type::handle_type;
  using key_view = typename core_type::key_view;

  group_binding(std::shared_ptr<core_type> const& core, std::weak_ptr<cluster_side> cluster)
      : name_{core->options().name}, core_{core}, cluster_{std::move(cluster)} {}

  // As a peer sees it.
  [[nodiscard]] std::string_view name() const noexcept override { return name_; }

  [[nodiscard]] std::optional<served_value> cached(byte_view bytes) override {
    auto const core = core_.lock();
    if (!core) return std::nullopt;
    if constexpr (std::is_same_v<K, std::string>) {  // a hit copies no key
      auto h = core->cached(bytes);
      return h ? std::optional{served(*core, std::move(h))} : std::nullopt;
    } else {
      auto const key = wire_traits<K>::decode(bytes);
      if (!key) return std::nullopt;  // `serve` tells
      auto h = core->cached(*key);
      return h ? std::optional{served(*core, std::move(h))} : std::nullopt;
    }
  }

  void serve(serve_request r, unique_function<void(result<served_value>)> done) override {
    auto const core = core_.lock();
    if (!core) return done(errc::unknown_group);
    auto const key = wire_traits<K>::decode(r.key);
    if (!key) return done(error{errc::bad_message, std::string{key.error().message()}});
    core->serve(*key, r.store ? load_kind::own : load_kind::foreign, r.deadline,
                [weak = core_, done = std::move(done)](result<handle_type> a) mutable {
                  auto const served_by = weak.lock();
                  if (!a) return done(std::move(a).error());
                  if (!served_by) return done(errc::cancelled);
                  std::optional<served_value> v;
                  try {
                    v.emplace(served(*served_by, std::move(*a)));
                  } catch (...) {  // no memory to encode the value
                    return done(errc::overloaded);
                  }
                  done(std::move(*v));
                });
  }

  // As the group sees the others.
  [[nodiscard]] bool owns(key_view key) override {
    auto const cluster = cluster_.lock();
    return !cluster || cluster->owns(encoded<K>{key}.view());
  }

  void fetch(K const& key, time_point deadline,
             unique_function<void(fetch_outcome<V>)> done) override {
    auto const cluster = cluster_.lock();
    if (!cluster) return done(load_here{});
    encoded<K> const bytes{storage_traits<K>::view(key)};
    cluster->fetch(name_, bytes.view(), deadline,
                   [weak = cluster_, done = std::move(done)](byte_outcome o) mutable {
                     try {
                       done(typed(weak, std::move(o)));
                     } catch (...) {  // no memory for the value
                       done(error{errc::overloaded});
                     }
                   });
  }

  void leave() noexcept override {
    if (auto const cluster = cluster_.lock()) cluster->remove(*this);
  }

 private:
  static served_value served(core_type& core, handle_type h) {
    served_value v;
    // Until it is stale: whoever asked knows nothing of our grace.
    if (time_point const t = core.fresh_until(h); t != never) {
      time_point const now = core.cache().clock().now();
      v.remaining = t > now ? t - now : duration::zero();
    }
    if constexpr (viewed_on_the_wire<V>) {
      byte_view const bytes = wire_traits<V>::view(*h);
      if constexpr (handle_type::holds_copy) {
        v.bytes = shared_bytes::of(std::string{bytes});
      } else {
        v.bytes = shared_bytes{bytes, static_cast<handle<V>&&>(h)};
      }
    } else {
      v.bytes = shared_bytes::of(wire_traits<V>::encode(*h));
    }
    return v;
  }

  static fetch_outcome<V> typed(std::weak_ptr<cluster_side> const& cluster, byte_outcome o) {
    if (auto* e = std::get_if<error>(&o)) return std::move(*e);
    auto const* f = std::get_if<fetched_bytes>(&o);
    if (!f) return load_here{};
    auto v = wire_traits<V>::decode(f->bytes.view());
    if (v) return loaded<V>{std::move(*v), f->remaining};
    if (auto const c = cluster.lock()) c->count_bad_reply();
    return load_here{};
  }

  std::string const name_;
  std::weak_ptr<core_type> const core_;
  std::weak_ptr<cluster_side> const cluster_;
};

}  // namespace kcache::detail

#endif
