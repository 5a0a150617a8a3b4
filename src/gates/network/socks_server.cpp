#include <algorithm>
#include <utility>

#include "socks5.hpp"

namespace agentbox::gates::network {

namespace {

constexpr std::uint8_t version = 5, login_version = 1;
constexpr std::uint8_t no_login = 0, user_and_password = 2, no_method = 0xff;
constexpr std::uint8_t connect_command = 1;
constexpr std::uint8_t is_v4 = 1, is_name = 3, is_v6 = 4;

void drop(std::vector<std::uint8_t>& bytes, std::size_t count) {
  bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
}

}  // namespace

std::string_view text_of(SocksReply reply) noexcept {
  switch (reply) {
    case SocksReply::granted: return "granted";
    case SocksReply::failure: return "general failure";
    case SocksReply::not_allowed: return "not allowed";
    case SocksReply::network_unreachable: return "network unreachable";
    case SocksReply::host_unreachable: return "host unreachable";
    case SocksReply::refused: return "connection refused";
    case SocksReply::expired: return "expired";
    case SocksReply::command_unknown: return "command not known";
    case SocksReply::address_unknown: return "kind of address not known";
  }
  return "an unknown answer";
}

SocksServer::State SocksServer::feed(std::span<const std::uint8_t> bytes) {
  if (state_ == State::refused) return state_;
  in_.insert(in_.end(), bytes.begin(), bytes.end());
  bool more = true;
  while (more && state_ == State::need_bytes) {
    switch (step_) {
      case Step::greeting: more = take_greeting(); break;
      case Step::login: more = take_login(); break;
      case Step::request: more = take_request(); break;
      case Step::done: more = false;
    }
  }
  return state_;
}

// version, number of methods, methods
bool SocksServer::take_greeting() {
  if (!in_.empty() && in_[0] != version) {
    state_ = State::refused;  // SOCKS4, HTTP: whatever we said would not be understood
    return false;
  }
  if (in_.size() < 2 || in_.size() < 2U + in_[1]) return false;
  const std::span<const std::uint8_t> methods = std::span(in_).subspan(2, in_[1]);
  const auto offers = [&](std::uint8_t method) { return std::ranges::find(methods, method) != methods.end(); };
  const std::uint8_t chosen = offers(no_login) ? no_login : offers(user_and_password) ? user_and_password : no_method;
  drop(in_, 2U + in_[1]);
  out_.push_back(version);
  out_.push_back(chosen);
  if (chosen == no_method) state_ = State::refused;
  step_ = chosen == user_and_password ? Step::login : Step::request;
  return true;
}

// version, user, password: taken and forgotten. Who may connect is not decided by what the room says of itself.
bool SocksServer::take_login() {
  if (!in_.empty() && in_[0] != login_version) {
    state_ = State::refused;
    return false;
  }
  if (in_.size() < 2 || in_.size() < 3U + in_[1]) return false;
  const std::size_t size = 3U + in_[1] + in_[2U + in_[1]];
  if (in_.size() < size) return false;
  drop(in_, size);
  out_.insert(out_.end(), {login_version, 0});
  step_ = Step::request;
  return true;
}

// version, command, 0, kind of address, address, port
bool SocksServer::take_request() {
  if (!in_.empty() && in_[0] != version) {
    reply(SocksReply::failure);
    return false;
  }
  if (in_.size() < 5) return false;
  const std::uint8_t kind = in_[3];
  if (in_[2] != 0) {
    reply(SocksReply::failure);
  } else if (in_[1] != connect_command) {
    reply(SocksReply::command_unknown);
  } else if (kind != is_v4 && kind != is_name && kind != is_v6) {
    reply(SocksReply::address_unknown);
  }
  if (state_ != State::need_bytes) return false;
  const std::size_t at = kind == is_name ? 5 : 4;
  const std::size_t size = kind == is_v4 ? 4 : kind == is_v6 ? 16 : in_[4];
  if (in_.size() < at + size + 2) return false;
  port_ = static_cast<std::uint16_t>(in_[at + size] << 8U | in_[at + size + 1]);
  take_host(kind, std::span(in_).subspan(at, size));
  drop(in_, at + size + 2);
  if (port_ == 0 && !fault_) fault_ = HostFault::port;
  step_ = Step::done;
  if (fault_) {
    reply(SocksReply::not_allowed);
  } else {
    state_ = State::request;
  }
  return false;
}

void SocksServer::take_host(std::uint8_t kind, std::span<const std::uint8_t> bytes) {
  std::string text(bytes.begin(), bytes.end());
  if (kind == is_v4) {
    Address::V4 four{};
    std::ranges::copy(bytes, four.begin());
    text = Address::of(four).text();
  } else if (kind == is_v6) {
    Address::V6 six{};
    std::ranges::copy(bytes, six.begin());
    text = Address::of(six).text();
  }
  auto host = canonical_host(text);
  if (host) {
    host_ = std::move(*host);
  } else {
    fault_ = host.error();
  }
}

void SocksServer::reply(SocksReply code) {
  // The address that we are bound to is nobody's business: 0.0.0.0:0.
  out_.insert(out_.end(), {version, static_cast<std::uint8_t>(code), 0, is_v4, 0, 0, 0, 0, 0, 0});
  state_ = code == SocksReply::granted ? State::granted : State::refused;
}

SocksServer::State SocksServer::grant() {
  if (state_ == State::request) reply(SocksReply::granted);
  return state_;
}

SocksServer::State SocksServer::refuse(SocksReply code) {
  if (state_ == State::request) reply(code == SocksReply::granted ? SocksReply::failure : code);
  return state_;
}

std::vector<std::uint8_t> SocksServer::output() {
  return std::exchange(out_, {});
}

std::vector<std::uint8_t> SocksServer::rest() {
  return state_ == State::granted ? std::exchange(in_, {}) : std::vector<std::uint8_t>();
}

}  // namespace agentbox::gates::network
