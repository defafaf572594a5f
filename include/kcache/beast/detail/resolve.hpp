// SPDX-License-Identifier: BSL-1.0
#ifndef KCACHE_BEAST_DETAIL_RESOLVE_HPP
#define KCACHE_BEAST_DETAIL_RESOLVE_HPP
/// \file
/// Floor 5. `look_up`: the addresses of a name, found on a thread that nothing waits for.

#include <kcache/beast/detail/lane.hpp>
#include <kcache/beast/detail/socket_io.hpp>

#include <boost/asio/io_context.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace kcache::beast {

/// Calls `f(error_code, vector<tcp::endpoint>)` on the lane, later. The system's resolver can take
/// many seconds and cannot be interrupted, and Asio's own waits for it when its context ends; so it
/// runs on a detached thread, and a lane that is closed by then drops the answer.
/// \throws std::system_error if no thread can be had.
template <class F>
void look_up(std::shared_ptr<lane> home, std::string host, std::uint16_t port, F f) {
  std::thread{[home = std::move(home), host = std::move(host), port, f = std::move(f)]() mutable {
    boost::system::error_code ec;
    std::vector<tcp::endpoint> endpoints;
    try {
      boost::asio::io_context context;
      tcp::resolver resolver{context};
      for (auto const& entry :
           resolver.resolve(host, std::to_string(port), tcp::resolver::numeric_service, ec))
        endpoints.push_back(entry.endpoint());
    } catch (...) {
      ec = boost::asio::error::no_memory;
    }
    try {
      home->submit([f = std::move(f), ec, endpoints = std::move(endpoints)]() mutable {
        f(ec, std::move(endpoints));
      });
    } catch (...) {
      // No memory even for that: whoever waits has a deadline.
    }
  }}.detach();
}

}  // namespace kcache::beast

#endif
