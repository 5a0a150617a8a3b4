#include "room_ask.hpp"

#include <cerrno>
#include <cstring>
#include <deque>
#include <utility>

#include <poll.h>
#include <unistd.h>

#include "room_client.hpp"

namespace agentbox::inside {

namespace {

constexpr std::uint64_t our_id = 1;
constexpr int asking_is_slow = 1500;  // ms, then a line says what is waited for
using Kind = wire::Verdict::Kind;

std::string closed(const Wish& wish) {
  const bool sure = wish.done == Wish::Done::after_verdict;
  return "agentbox: the broker has closed the connection" + (sure ? "; " + wish.nothing : "") + "\n";
}

class Asking {
 public:
  Asking(RoomClient& client, const Wish& wish) : client_(client), wish_(wish) {}

  Exit wait() {
    while (!exit_) {
      pollfd ready{client_.fd(), POLLIN, 0};
      const int count = ::poll(&ready, 1, said_so_ ? -1 : asking_is_slow);
      if (count == 0 && !std::exchange(said_so_, true)) {
        say(2, "agentbox: " + (allowed_ ? wish_.doing : "waiting for the owner's answer") + "\n");
      }
      if (count <= 0) continue;
      std::deque<RoomClient::Heard> heard;
      const auto state = client_.receive(heard);
      for (const RoomClient::Heard& one : heard) take(one.message.body);
      if (state == RoomClient::State::closed && !exit_) exit_ = lost();
    }
    return *exit_;
  }

 private:
  void take(const decltype(wire::ToRoom::body)& body) {
    if (exit_) return;
    if (const auto* refusal = std::get_if<wire::Refusal>(&body)) {
      say(2, in_words(wish_.what, *refusal, wish_.deed));
      exit_ = exit_of(refusal->code);
      return;
    }
    if (const auto* delayed = std::get_if<wire::RequestDelayed>(&body)) {
      said_so_ = true;  // what is waited for
      say(2, in_words(*delayed, wish_.deed));
      return;
    }
    if (const auto* verdict = std::get_if<wire::Verdict>(&body)) {
      allowed_ = verdict->verdict == Kind::allow;
      said_so_ = false;
      if (!allowed_ && verdict->verdict == Kind::duplicate && wish_.twin == Wish::Twin::goes_on) return;
      if (!allowed_) {
        say(2, in_words(wish_.what, *verdict, wish_.deed));
        exit_ = exit_of(verdict->verdict);
        return;
      }
    }
    exit_ = wish_.hear(body);
  }
  Exit lost() {
    say(2, allowed_ ? wish_.lost : closed(wish_));
    return allowed_ ? Exit::try_later : Exit::failed;
  }

  RoomClient& client_;
  const Wish& wish_;
  bool allowed_ = false, said_so_ = false;
  std::optional<Exit> exit_;
};

}  // namespace

void say(int stream, const std::string& text) {
  (void)!::write(stream, text.data(), text.size());
}

int ask(decltype(wire::FromRoom::body) request, int with, const Wish& wish) {
  auto client = RoomClient::connect(socket_path());
  Exit exit = Exit::failed;
  if (!client) {
    say(2, "agentbox: there is no broker at " + socket_path() + ": " + ::strerrordesc_np(errno) +
               "\nThis program asks the owner of a room of agentbox; " + wish.nothing + ".\n");
  } else if (!client->send({our_id, std::move(request)}, with)) {
    say(2, closed(wish));
  } else {
    exit = Asking(*client, wish).wait();
  }
  return static_cast<int>(exit);
}

}  // namespace agentbox::inside
