#include "room_pay.hpp"

#include <cerrno>
#include <cstring>
#include <deque>
#include <optional>
#include <string>
#include <utility>

#include <poll.h>
#include <unistd.h>

#include "agentbox/base/escape.hpp"

#include "room_client.hpp"
#include "room_words.hpp"

namespace agentbox::inside {

namespace {

constexpr std::uint64_t our_id = 1;
constexpr int asking_is_slow = 1500;  // ms, then a line says what is waited for
using Kind = wire::Verdict::Kind;

void say(int stream, const std::string& text) {
  (void)!::write(stream, text.data(), text.size());
}

std::string in_short(const wire::PaymentRequest& payment) {
  return base::escape(payment.amount) + " " + base::escape(payment.currency) + " to " + base::escape(payment.to);
}

class Paying {
 public:
  Paying(const wire::PaymentRequest& payment, RoomClient& client) : what_(in_short(payment)), client_(client) {}

  // If we are killed while the owner is asked the connection goes, and the question with it.
  int wait() {
    while (!code_) {
      pollfd ready{client_.fd(), POLLIN, 0};
      const int count = ::poll(&ready, 1, said_so_ ? -1 : asking_is_slow);
      if (count == 0 && !std::exchange(said_so_, true)) {
        say(2, allowed_ ? "agentbox: it is being paid\n" : "agentbox: waiting for the owner's answer\n");
      }
      if (count <= 0) continue;
      std::deque<RoomClient::Heard> heard;
      const auto state = client_.receive(heard);
      for (const RoomClient::Heard& one : heard) take(one.message.body);
      if (state == RoomClient::State::closed && !code_) code_ = lost();
    }
    return *code_;
  }

 private:
  void take(const decltype(wire::ToRoom::body)& body) {
    if (code_) return;
    if (const auto* refusal = std::get_if<wire::Refusal>(&body)) {
      say(2, in_words(what_, *refusal, Deed::payment));
      code_ = static_cast<int>(exit_of(refusal->code));
    } else if (const auto* verdict = std::get_if<wire::Verdict>(&body)) {
      allowed_ = verdict->verdict == Kind::allow;
      said_so_ = false;
      // What became of the one with the same key is still to come.
      if (allowed_ || verdict->verdict == Kind::duplicate) return;
      say(2, in_words(what_, *verdict, Deed::payment));
      code_ = static_cast<int>(exit_of(verdict->verdict));
    } else if (const auto* ended = std::get_if<wire::PaymentEnded>(&body)) {
      say(ended->outcome == wire::PaymentEnded::Outcome::paid ? 1 : 2, in_words(what_, *ended));
      code_ = static_cast<int>(exit_of(ended->outcome));
    }
  }

  int lost() {
    say(2, allowed_ ? "agentbox: the broker has closed the connection while " + what_ +
                          " was being paid\n  ask again with the same key later; it is never paid twice\n"
                    : "agentbox: the broker has closed the connection; nothing was paid\n");
    return static_cast<int>(allowed_ ? Exit::try_later : Exit::failed);
  }

  std::string what_;
  RoomClient& client_;
  bool allowed_ = false, said_so_ = false;
  std::optional<int> code_;
};

}  // namespace

int pay(const wire::PaymentRequest& payment) {
  auto client = RoomClient::connect(socket_path());
  if (!client) {
    say(2, "agentbox: there is no broker at " + socket_path() + ": " + ::strerrordesc_np(errno) +
               "\nThis program asks the owner of a room of agentbox; nothing was paid.\n");
    return static_cast<int>(Exit::failed);
  }
  if (!client->send({our_id, payment})) {
    say(2, "agentbox: the broker has closed the connection; nothing was paid\n");
    return static_cast<int>(Exit::failed);
  }
  return Paying(payment, *client).wait();
}

}  // namespace agentbox::inside
