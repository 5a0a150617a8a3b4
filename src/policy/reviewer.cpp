#include "agentbox/policy/reviewer.hpp"

#include <charconv>

namespace agentbox::policy {

namespace {

constexpr std::uint16_t http_port = 80, https_port = 443;

}  // namespace

std::optional<Reviewer> reviewer_at(std::string_view url) {
  constexpr std::string_view plain = "http://", secure = "https://";
  const bool https = url.starts_with(secure);
  if (!https && !url.starts_with(plain)) return std::nullopt;
  url.remove_prefix(https ? secure.size() : plain.size());
  std::string_view server = url.substr(0, url.find('/'));
  Reviewer reviewer{.scheme = https ? Reviewer::Scheme::https : Reviewer::Scheme::http,
                    .host = {},
                    .port = https ? https_port : http_port,
                    .path = std::string(url.substr(server.size())),
                    .model = {},
                    .instructions = {},
                    .key_file = {}};
  // "[::1]:8080", "127.0.0.1:8080", "localhost"
  const std::size_t end = server.starts_with('[') ? server.find(']') : server.find(':');
  std::string_view port;
  if (server.starts_with('[')) {
    if (end == std::string_view::npos) return std::nullopt;
    reviewer.host = server.substr(1, end - 1);
    port = server.substr(end + 1);
  } else {
    reviewer.host = server.substr(0, end);
    if (end != std::string_view::npos) port = server.substr(end);
  }
  if (port.empty()) return reviewer;
  port.remove_prefix(1);
  const auto [rest, error] = std::from_chars(port.data(), port.data() + port.size(), reviewer.port);
  if (error != std::errc{} || rest != port.data() + port.size()) return std::nullopt;
  return reviewer;
}

std::string authority_of(const Reviewer& reviewer) {
  const bool brackets = reviewer.host.find(':') != std::string::npos;
  std::string text = brackets ? "[" + reviewer.host + "]" : reviewer.host;
  if (reviewer.port != (reviewer.scheme == Reviewer::Scheme::https ? https_port : http_port)) {
    text += ":" + std::to_string(reviewer.port);
  }
  return text;
}

std::string url_of(const Reviewer& reviewer) {
  const char* scheme = reviewer.scheme == Reviewer::Scheme::https ? "https://" : "http://";
  return scheme + authority_of(reviewer) + reviewer.path;
}

bool Breaker::try_at(Clock::time_point now) {
  if (!open()) return true;
  if (probing_ || now < opened_ + pause) return false;
  probing_ = true;
  return true;
}

void Breaker::succeeded() noexcept {
  failures_ = 0;
  probing_ = false;
}

void Breaker::failed(Clock::time_point now) noexcept {
  if (failures_ < most_failures) ++failures_;
  probing_ = false;
  opened_ = now;
}

}  // namespace agentbox::policy
