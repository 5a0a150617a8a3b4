#pragma once

// The second opinion: where the model is that gives it, what it costs to say yes without it, and when it is left alone.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "agentbox/base/path.hpp"

namespace agentbox::policy {

// A model server that speaks OpenAI's chat API.
struct Reviewer {
  enum class Scheme : std::uint8_t { http, https } scheme = Scheme::http;
  std::string host;  // http: "localhost", or a loopback address; https: also another address or name
  std::uint16_t port = 80;
  std::string path;                       // "/v1": what stands before "/models" and "/chat/completions"
  std::string model;                      // empty: the only one that the server says it runs
  std::string instructions;               // the owner's own, behind agentbox's; may be empty
  std::optional<base::AbsPath> key_file;  // holds what the server wants to hear in `Authorization: Bearer`
  std::chrono::milliseconds timeout{20'000};
  friend bool operator==(const Reviewer&, const Reviewer&) = default;
};
// Precondition: the profile's parser has taken it.
[[nodiscard]] std::optional<Reviewer> reviewer_at(std::string_view url);
// As its address is written: "https://models.example.org/v1". Raw.
[[nodiscard]] std::string url_of(const Reviewer& reviewer);
// As the Host header has it: the port only where it isn't the scheme's own.
[[nodiscard]] std::string authority_of(const Reviewer& reviewer);

enum class Consent : std::uint8_t {
  human,               // the opinion is shown
  human_and_reviewer,  // a yes that the reviewer did not agree to takes the friction
};

struct Friction {
  std::chrono::milliseconds wait{20'000};  // from the moment the question is shown
  enum class Phrase : std::uint8_t { none, typed } phrase = Phrase::typed;
  friend bool operator==(const Friction&, const Friction&) = default;
};

// Keeps a reviewer that fails from being asked again and again: after three failures in a row it is left alone for a
// minute, then one question tries it. Pure: the clock is the caller's.
class Breaker {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr int most_failures = 3;
  static constexpr std::chrono::seconds pause{60};

  // May it be asked now? A yes must be followed by `succeeded`, `failed` or `given_up`.
  [[nodiscard]] bool try_at(Clock::time_point now);
  void succeeded() noexcept;
  void failed(Clock::time_point now) noexcept;
  // Neither: the question was over before the answer came.
  void given_up() noexcept { probing_ = false; }
  [[nodiscard]] bool open() const noexcept { return failures_ >= most_failures; }

 private:
  int failures_ = 0;
  bool probing_ = false;
  Clock::time_point opened_;
};

}  // namespace agentbox::policy
