#pragma once

#include <string>
#include <string_view>

#include "network/http_requests.hpp"

namespace agentbox::test {

using gates::network::HttpRequests;

// What reaches the server when every request is let through as it stands, and how it ended.
struct Filtered {
  std::string out;
  int requests = 0;
  HttpRequests::Next last = HttpRequests::Next::need_bytes;
  std::string refusal;
};

// `piece`: how many bytes come at a time.
inline Filtered filter(std::string_view in, std::size_t piece, std::string_view authority = "example.org") {
  HttpRequests requests;
  Filtered result;
  std::size_t at = 0;
  while (true) {
    result.last = requests.next();
    if (result.last == HttpRequests::Next::request) {
      ++result.requests;
      requests.forward({.authority = std::string(authority)});
    } else if (result.last == HttpRequests::Next::bytes) {
      result.out += requests.take();
    } else if (result.last == HttpRequests::Next::need_bytes && at < in.size()) {
      requests.feed(in.substr(at, piece));
      at += piece;
    } else {
      break;
    }
  }
  if (result.last == HttpRequests::Next::refused) {
    result.refusal = std::to_string(requests.refusal().status) + " " + std::string(requests.refusal().text);
  }
  return result;
}

}  // namespace agentbox::test
