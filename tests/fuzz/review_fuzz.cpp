// What a model server answers: the first byte says as what it is read.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "agentbox/wire/reviewer_message.hpp"

using namespace agentbox::wire;

namespace {

void check(bool holds) {
  if (!holds) std::abort();
}

// Cut in two anywhere it says the same as in one piece.
void read_http(std::string_view bytes, std::size_t cut) {
  HttpReply whole, parts;
  HttpReply::State one = whole.take(bytes);
  if (one == HttpReply::State::more) one = whole.end();
  HttpReply::State two = parts.take(bytes.substr(0, cut));
  if (two != HttpReply::State::wrong && cut < bytes.size()) two = parts.take(bytes.substr(cut));
  if (two == HttpReply::State::more) two = parts.end();
  check(one == two);
  check(one != HttpReply::State::done || whole.body() == parts.body());
  check(whole.body().size() <= review_reply_limit);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  if (data[0] == 'h') {
    read_http(bytes, data[1] % (bytes.size() + 1));
  } else if (data[0] == 'm') {
    (void)decode_models(bytes, "");
  } else if (data[0] == 'c') {
    const auto text = encode_case({.kind = "command",
                                   .title = "x",
                                   .subject = std::string(bytes),
                                   .facts = {},
                                   .content_title = {},
                                   .content = std::string(bytes)});
    if (!text) return 0;
    for (char c : *text) check(c >= ' ' && c <= '~' && std::string_view("<>[]|`").find(c) == std::string_view::npos);
  } else if (const auto review = decode_review(bytes)) {
    check(review->risk >= 0 && review->risk <= 10 && review->reason.size() <= 800);
  }
  return 0;
}
