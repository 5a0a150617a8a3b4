#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "socks5.hpp"

namespace agentbox::gates::network {

namespace {

constexpr std::uint8_t version = 5, login_version = 1;
constexpr std::uint8_t no_login = 0, user_and_password = 2, no_method = 0xff;
constexpr std::uint8_t is_v4 = 1, is_name = 3, is_v6 = 4;

void put_counted(std::vector<std::uint8_t>& bytes, std::string_view text) {
  // RFC 1929: one byte of length. A longer one would be read as what follows it.
  const std::string_view fits = text.substr(0, 255);
  bytes.push_back(static_cast<std::uint8_t>(fits.size()));
  bytes.insert(bytes.end(), fits.begin(), fits.end());
}

void drop(std::vector<std::uint8_t>& bytes, std::size_t count) {
  bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
}

}  // namespace

SocksClient::SocksClient(const Host& host, std::uint16_t port, std::optional<SocksLogin> login)
    : host_(host), port_(port), login_(std::move(login)) {
  // Nothing is sent for what the protocol can't say; cut to size it would tie together what was to be kept apart.
  const auto fits = [](const std::string& text) { return !text.empty() && text.size() <= 255; };
  if (login_ && (!fits(login_->user) || !fits(login_->password))) {
    fail("the login has a wrong length");
  } else if (!fits(host_.text)) {
    fail("the host has a wrong length");
  } else if (!login_) {
    out_ = {version, 1, no_login};
  } else if (login_->needed == SocksLogin::Needed::yes) {
    out_ = {version, 1, user_and_password};
  } else {
    out_ = {version, 2, user_and_password, no_login};
  }
}

SocksClient::State SocksClient::feed(std::span<const std::uint8_t> bytes) {
  if (state_ == State::failed) return state_;
  in_.insert(in_.end(), bytes.begin(), bytes.end());
  bool more = true;
  while (more && state_ == State::need_bytes) {
    switch (step_) {
      case Step::method: more = take_method(); break;
      case Step::login: more = take_login(); break;
      case Step::reply: more = take_reply(); break;
      case Step::done: more = false;
    }
  }
  return state_;
}

bool SocksClient::take_method() {
  if (in_.size() < 2) return false;
  const std::uint8_t said_version = in_[0], method = in_[1];
  drop(in_, 2);
  if (said_version != version) {
    fail("the upstream does not speak SOCKS5");
  } else if (method == no_method) {
    fail(login_ ? "the upstream does not take the login" : "the upstream wants a login");
  } else if (method == no_login && (!login_ || login_->needed == SocksLogin::Needed::no)) {
    send_request();
  } else if (method == user_and_password && login_) {
    out_.push_back(login_version);
    put_counted(out_, login_->user);
    put_counted(out_, login_->password);
    step_ = Step::login;
  } else {
    fail("the upstream chose what was not offered to it");
  }
  return true;
}

bool SocksClient::take_login() {
  if (in_.size() < 2) return false;
  const bool good = in_[0] == login_version && in_[1] == 0;
  drop(in_, 2);
  if (good) {
    send_request();
  } else {
    fail("the upstream does not take the login");
  }
  return true;
}

void SocksClient::send_request() {
  out_.insert(out_.end(), {version, 1, 0});
  if (host_.is_name()) {
    out_.push_back(is_name);
    put_counted(out_, host_.text);
  } else {
    const auto bytes = host_.address->bytes();
    out_.push_back(host_.address->family() == Address::Family::v4 ? is_v4 : is_v6);
    out_.insert(out_.end(), bytes.begin(), bytes.end());
  }
  out_.push_back(static_cast<std::uint8_t>(port_ >> 8U));
  out_.push_back(static_cast<std::uint8_t>(port_));
  step_ = Step::reply;
}

// version, code, 0, kind of address, address, port
bool SocksClient::take_reply() {
  if (in_.size() >= 2 && in_[0] == version && in_[1] != 0) {
    // Some send no more than these two bytes before they close. Codes beyond RFC 1928 are the upstream's own: Tor's
    // 0xF0 to 0xF7 speak of onion services.
    const bool known = in_[1] <= static_cast<std::uint8_t>(SocksReply::address_unknown);
    said_ = known ? static_cast<SocksReply>(in_[1]) : SocksReply::failure;
    fail(known ? fmt::format("the upstream says: {}", text_of(said_))
               : fmt::format("the upstream says: error {:#04x}", in_[1]));
    return false;
  }
  if (in_.size() < 5) return false;
  const std::size_t size = in_[3] == is_v4 ? 4 : in_[3] == is_v6 ? 16 : in_[3] == is_name ? 1U + in_[4] : 0;
  if (in_[0] != version || in_[2] != 0 || size == 0) {
    fail("the upstream's answer is not SOCKS5");
    return false;
  }
  if (in_.size() < 4 + size + 2) return false;
  drop(in_, 4 + size + 2);
  step_ = Step::done;
  state_ = State::open;
  return false;
}

void SocksClient::fail(std::string why) {
  why_ = std::move(why);
  state_ = State::failed;
  step_ = Step::done;
  out_.clear();
}

std::vector<std::uint8_t> SocksClient::output() {
  return std::exchange(out_, {});
}

std::vector<std::uint8_t> SocksClient::rest() {
  return state_ == State::open ? std::exchange(in_, {}) : std::vector<std::uint8_t>();
}

}  // namespace agentbox::gates::network
