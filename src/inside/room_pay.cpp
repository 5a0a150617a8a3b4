#include "room_pay.hpp"

#include "agentbox/base/escape.hpp"

#include "room_ask.hpp"

namespace agentbox::inside {

int pay(const wire::PaymentRequest& payment) {
  const std::string what =
      base::escape(payment.amount) + " " + base::escape(payment.currency) + " to " + base::escape(payment.to);
  Wish wish{.deed = Deed::payment,
            .what = what,
            .nothing = "nothing was paid",
            .doing = "it is being paid",
            .lost = "agentbox: the broker has closed the connection while " + what +
                    " was being paid\n  ask again with the same key later; it is never paid twice\n",
            .twin = Wish::Twin::goes_on,  // of the one with the same key
            .hear = {}};
  wish.hear = [&](const decltype(wire::ToRoom::body)& body) -> std::optional<Exit> {
    const auto* ended = std::get_if<wire::PaymentEnded>(&body);
    if (ended == nullptr) return std::nullopt;
    say(ended->outcome == wire::PaymentEnded::Outcome::paid ? 1 : 2, in_words(what, *ended));
    return exit_of(ended->outcome);
  };
  return ask(payment, -1, wish);
}

}  // namespace agentbox::inside
