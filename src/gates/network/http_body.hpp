#pragma once

// Where the body of an HTTP/1 message ends. Bytes are told apart, not changed.

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace agentbox::gates::network {

class HttpBodyReader {
 public:
  HttpBodyReader() = default;  // of no body: done
  [[nodiscard]] static HttpBodyReader of_length(std::uint64_t bytes);
  // Sizes in hexadecimal, every line ended by CR LF, extensions and trailers printable, all within limits; what they
  // say is not looked at.
  [[nodiscard]] static HttpBodyReader chunked();
  [[nodiscard]] static HttpBodyReader until_close();

  struct Step {
    std::size_t consumed = 0;  // of what was given: frame and data
    std::string_view data;     // the part of it that is the body's own, at its end
  };
  // Goes on as far as one piece of data, or to the end of `in`. To be called until nothing is consumed.
  Step step(std::string_view in);

  [[nodiscard]] bool done() const noexcept { return state_ == State::done; }
  [[nodiscard]] bool wrong() const noexcept { return state_ == State::wrong; }
  // Bytes of plain data that follow for certain.
  [[nodiscard]] std::uint64_t plain() const noexcept { return state_ == State::length ? left_ : 0; }
  void skip_plain(std::uint64_t bytes);  // at most plain()

 private:
  enum class State { done, length, size, extension, size_end, data, data_cr, data_lf, trailer, open, wrong };
  void frame(char c);
  void size_digit(char c);
  void trailer(char c);

  State state_ = State::done;
  std::uint64_t left_ = 0;
  std::size_t digits_ = 0, line_ = 0, lines_ = 0;
  bool cr_ = false;
};

}  // namespace agentbox::gates::network
