#include "http_body.hpp"

#include <algorithm>

namespace agentbox::gates::network {

namespace {

constexpr std::size_t most_digits = 15;  // below 2^60: no sum of sizes overflows
constexpr std::size_t most_line = 4096;  // of an extension or a trailer
constexpr std::size_t most_trailers = 128;

bool is_text(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return c == '\t' || (byte >= 0x20 && byte != 0x7f);
}

}  // namespace

HttpBodyReader HttpBodyReader::of_length(std::uint64_t bytes) {
  HttpBodyReader reader;
  reader.state_ = bytes == 0 ? State::done : State::length;
  reader.left_ = bytes;
  return reader;
}

HttpBodyReader HttpBodyReader::chunked() {
  HttpBodyReader reader;
  reader.state_ = State::size;
  return reader;
}

HttpBodyReader HttpBodyReader::until_close() {
  HttpBodyReader reader;
  reader.state_ = State::open;
  return reader;
}

void HttpBodyReader::skip_plain(std::uint64_t bytes) {
  left_ -= std::min(bytes, plain());
  if (state_ == State::length && left_ == 0) state_ = State::done;
}

HttpBodyReader::Step HttpBodyReader::step(std::string_view in) {
  std::size_t at = 0;
  while (at < in.size()) {
    switch (state_) {
      case State::done:
      case State::wrong: return {at, {}};
      case State::open: return {in.size(), in.substr(at)};
      case State::length:
      case State::data: {
        const std::string_view data =
            in.substr(at, static_cast<std::size_t>(std::min<std::uint64_t>(left_, in.size())));
        left_ -= data.size();
        if (left_ == 0) state_ = state_ == State::length ? State::done : State::data_cr;
        return {at + data.size(), data};
      }
      default: frame(in[at++]);
    }
  }
  return {at, {}};
}

void HttpBodyReader::frame(char c) {
  switch (state_) {
    case State::size: return size_digit(c);
    case State::extension:
      if (c == '\r') {
        state_ = State::size_end;
      } else if (!is_text(c) || ++line_ > most_line) {
        state_ = State::wrong;
      }
      return;
    case State::size_end:
      state_ = c != '\n' ? State::wrong : left_ == 0 ? State::trailer : State::data;
      digits_ = line_ = 0;
      return;
    case State::data_cr: state_ = c == '\r' ? State::data_lf : State::wrong; return;
    case State::data_lf: state_ = c == '\n' ? State::size : State::wrong; return;
    case State::trailer: return trailer(c);
    default: state_ = State::wrong;
  }
}

void HttpBodyReader::size_digit(char c) {
  const int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
  if (digit >= 0) {
    left_ = left_ * 16 + static_cast<std::uint64_t>(digit);
    if (++digits_ > most_digits) state_ = State::wrong;
  } else if (digits_ == 0) {
    state_ = State::wrong;
  } else if (c == '\r') {
    state_ = State::size_end;
  } else {
    state_ = c == ';' ? State::extension : State::wrong;
  }
}

// Lines up to an empty one. They are dropped, so only their ends matter.
void HttpBodyReader::trailer(char c) {
  if (cr_) {
    cr_ = false;
    if (c != '\n') {
      state_ = State::wrong;
    } else if (line_ == 0) {
      state_ = State::done;
    } else {
      line_ = 0;
      if (++lines_ > most_trailers) state_ = State::wrong;
    }
  } else if (c == '\r') {
    cr_ = true;
  } else if (!is_text(c) || ++line_ > most_line) {
    state_ = State::wrong;
  }
}

}  // namespace agentbox::gates::network
