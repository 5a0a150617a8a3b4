#include "agentbox/prompt/terminal_answers.hpp"

#include <algorithm>

namespace agentbox::prompt {

namespace {

constexpr std::size_t body_limit = 32;  // longer than what tells the answers apart

bool settles_what_came_before(Query query) {
  // A CPR looks like a modified F3, a colour scheme is also reported unasked: only these two can't come by
  // themselves.
  return query == Query::attributes || query == Query::status;
}

}  // namespace

bool TerminalAnswers::ask(Query query) {
  auto& count = count_[static_cast<std::size_t>(query)];
  if (count >= limit || listener_ == Listener::none) return false;
  ++count;
  asked_.push_back(query);
  return true;
}

std::string_view TerminalAnswers::fence() {
  ++count_[static_cast<std::size_t>(Query::attributes)];
  asked_.push_back(Query::attributes);
  return "\033[c";
}

void TerminalAnswers::forget() noexcept {
  asked_.clear();
  count_.fill(0);
}

void TerminalAnswers::answered(Query query) {
  auto found = std::find(asked_.begin(), asked_.end(), query);
  if (found == asked_.end()) return;
  auto first = settles_what_came_before(query) ? asked_.begin() : found;
  for (auto it = first; it != found + 1; ++it) --count_[static_cast<std::size_t>(*it)];
  asked_.erase(first, found + 1);
}

void TerminalAnswers::begin(State state) noexcept {
  state_ = state;
  body_.clear();
}

void TerminalAnswers::observe(std::span<const char> typed) {
  if (asked_.empty()) {  // nothing to recognise; a half-read key is forgotten with it
    state_ = State::ground;
    return;
  }
  for (char c : typed) {
    if (c == '\033') {
      state_ = state_ == State::string ? State::string_escape : State::escape;
      continue;
    }
    switch (state_) {
      case State::ground: break;
      case State::string_escape:
        if (c == '\\') {
          state_ = State::ground;
          end_string();
          break;
        }
        [[fallthrough]];  // the string was cut off
      case State::escape:
        if (c == '[') {
          begin(State::csi);
        } else if (c == ']' || c == 'P') {
          introducer_ = c;
          begin(State::string);
        } else {
          state_ = State::ground;
        }
        break;
      case State::csi:
        if (c >= 0x40 && c <= 0x7e) {
          state_ = State::ground;
          end_csi(c);
        } else if (body_.size() < body_limit) {
          body_.push_back(c);
        }
        break;
      case State::string:
        if (c == '\a') {
          state_ = State::ground;
          end_string();
        } else if (body_.size() < body_limit) {
          body_.push_back(c);
        }
        break;
    }
  }
}

void TerminalAnswers::end_csi(char final) {
  const char first = body_.empty() ? '\0' : body_.front();
  switch (final) {
    case 'c':
      if (first == '?') answered(Query::attributes);
      if (first == '>') answered(Query::more_attributes);
      break;
    case 'n':
      if (first == '?') answered(Query::colour_scheme);
      if (first == '0' || first == '3') answered(Query::status);
      break;
    case 'R': answered(first == '?' ? Query::extended_cursor : Query::cursor); break;
    case 'y':
      if (first == '?') answered(Query::mode);
      break;
    case 'u':
      if (first == '?') answered(Query::keyboard);
      break;
    case 'm':
      if (first == '>') answered(Query::modified_keys);
      break;
    case 't':
      if (first == '4' || first == '6' || first == '8') answered(Query::size);
      break;
    default: break;
  }
}

void TerminalAnswers::end_string() {
  if (introducer_ != ']') return;
  for (std::string_view number : {"4;", "10;", "11;", "12;"}) {
    if (body_.starts_with(number)) answered(Query::colour);
  }
}

}  // namespace agentbox::prompt
