// Any bytes as what a client says over plain HTTP. Each request is let through with its own host: what then reaches the
// server reads as the same requests again, byte for byte, however the client's bytes were cut. And any bytes as what a server
// answers: what is written anew of it reads as the same answers, each with our field and none with the one taken out.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "network/http_requests.hpp"
#include "network/http_responses.hpp"
#include "network/sniff.hpp"

using namespace agentbox::gates::network;
using Next = HttpRequests::Next;

namespace {

struct Filtered {
  std::string out, hosts;
  Next last = Next::need_bytes;
};

Filtered filter(std::string_view in, std::size_t piece) {
  HttpRequests requests;
  Filtered result;
  for (std::size_t at = 0;;) {
    result.last = requests.next();
    if (result.last == Next::request) {
      const auto& authority = requests.request().authority;
      const std::string host =
          authority ? http_authority(authority->host, authority->port.value_or(80)) : "no-host.example";
      if (requests.request().target != HttpRequest::Target::authority) result.hosts += host + " ";
      requests.forward({.authority = host});  // refuses CONNECT
    } else if (result.last == Next::bytes) {
      result.out += requests.take();
    } else if (result.last == Next::need_bytes && at < in.size()) {
      requests.feed(in.substr(at, piece));
      at += piece;
    } else {
      return result;
    }
  }
}

bool watch(std::string_view in, std::size_t piece) {
  HttpResponses responses;
  for (int i = 0; i < 4; ++i) responses.expect({.method = i == 1 ? "HEAD" : "GET"}, HttpResponses::Upgrade::asked);
  bool upgraded = false;
  for (std::size_t at = 0; at < in.size(); at += piece) {
    upgraded = responses.observe(in.substr(at, piece)) == HttpResponses::Seen::upgraded || upgraded;
  }
  return upgraded;
}

struct Answers {
  std::string out;
  bool lost = false;
};

// `marks`: with a field of ours, and without another.
Answers rewrite(std::string_view in, std::size_t piece, bool marks) {
  HttpResponses::Rewriting how{.add = {},
                               .removes = [](const HttpField& field) { return same_word(field.name, "x-bad"); }};
  if (marks) how.add.push_back({"X-Ours", "1"});
  HttpResponses responses(std::move(how));
  for (int i = 0; i < 4; ++i) responses.expect({.method = i == 1 ? "HEAD" : "GET"}, HttpResponses::Upgrade::asked);
  Answers result;
  for (std::size_t at = 0; at < in.size() && !result.lost; at += piece) {
    result.lost = responses.observe(in.substr(at, piece)) == HttpResponses::Seen::lost;
    result.out += responses.take();
  }
  return result;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view in(reinterpret_cast<const char*>(data), size);
  const Filtered whole = filter(in, size + 1), cut = filter(in, 2);
  if (whole.last != cut.last || whole.hosts != cut.hosts) std::abort();
  const Filtered again = filter(whole.out, whole.out.size() + 1);
  if (again.out != whole.out || again.hosts != whole.hosts || again.last == Next::refused) std::abort();
  if (whole.last != Next::refused && again.last != whole.last) std::abort();
  // What is taken for a request begins like one.
  if (!whole.hosts.empty() && speech_of(in) != Speech::http) std::abort();
  if (watch(in, size + 1) != watch(in, 1)) std::abort();
  const Answers answers = rewrite(in, 1, false), marked = rewrite(in, 1, true);
  if (answers.lost != marked.lost || rewrite(answers.out, 1, false).out != answers.out) std::abort();
  if (!answers.lost && rewrite(answers.out, 1, false).lost) std::abort();
  const std::string head = answers.out.substr(0, answers.out.find("\r\n\r\n"));
  if (marked.out != answers.out && marked.out.find("\r\nX-Ours: 1\r\n") == std::string::npos) std::abort();
  if (head.find("\r\nx-bad:") != std::string::npos) std::abort();
  return 0;
}
