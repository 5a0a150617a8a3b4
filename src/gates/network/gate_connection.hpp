#pragma once

// One connection of the room, from its arrival to its end: what it wants, the verdict on that, an address that was
// checked, a look at its first bytes, the relay.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/steady_timer.hpp>

#include "agentbox/gates/network/gate.hpp"

#include "dial.hpp"
#include "first_bytes.hpp"
#include "http_relay.hpp"
#include "lookup.hpp"
#include "meter.hpp"
#include "name_table.hpp"
#include "proxy_greeting.hpp"
#include "upstream.hpp"

namespace agentbox::gates::network {

// Where a connection goes, as the room said it.
struct Wanted {
  policy::Connect action;
  std::optional<NameTable::Pin> name;  // of a name: it keeps its address for so long
  // What is checked after the verdict, because only a name can lead elsewhere than it says.
  enum class Kind : std::uint8_t { name, address, localhost } kind = Kind::name;
  Entrance entrance;
};

// What a connection came to, for the record.
struct Ended {
  broker::Verdict verdict;
  policy::Action action;
  std::string address;  // that was connected to; empty: none
  Bytes bytes;
  std::chrono::milliseconds lasted{};
  std::string why;      // why it was refused or broken off; empty: it ended by itself
  std::string program;  // raw: who made it; empty: nobody knows
};

class GateConnection : public std::enable_shared_from_this<GateConnection>, public Tap {
 public:
  // What the gate does for it.
  class Gate {
   public:
    virtual ~Gate() = default;
    using Heard = std::function<void(const broker::Verdict&)>;
    // A yes that needs nobody to be asked.
    [[nodiscard]] virtual std::shared_ptr<const broker::Verdict> known(const policy::Connect& action) = 0;
    virtual void decide(GateConnection& connection, Heard heard) = 0;
    [[nodiscard]] virtual policy::Ruling rule(const policy::Connect& action) const = 0;
    // May a name lead to this address, which isn't one of the internet's?
    [[nodiscard]] virtual bool grants(const policy::Connect& address) const = 0;
    [[nodiscard]] virtual profile::Speech speech(const policy::Connect& action) const = 0;
    // The upstream that it goes through; nothing: none.
    [[nodiscard]] virtual std::optional<std::string> via(const policy::Connect& action) const = 0;
    [[nodiscard]] virtual SocksLogin login(const Host& host) const = 0;
    // What its bytes take from. Throws base::SystemError: they can't be counted.
    [[nodiscard]] virtual Meter::Tallies tallies(const policy::Connect& action) = 0;
    [[nodiscard]] virtual std::uint64_t reserve(const Meter::Tallies& tallies, std::uint64_t most) = 0;
    virtual void took(const Meter::Tallies& tallies, std::uint64_t reserved, std::uint64_t bytes) = 0;
    // Nothing: it is counted, and may be made. Else what lets no more be made now.
    [[nodiscard]] virtual std::shared_ptr<Meter::Tally> pace(const policy::Connect& action) = 0;
    // The owner is asked for more of it; go_on() or stop() follows, never from within.
    virtual void hold(GateConnection& connection, const std::shared_ptr<Meter::Tally>& tally) = 0;
    // Who made it: set_requester() follows, maybe.
    virtual void identify(GateConnection& connection) = 0;
    virtual Lookup& lookup() = 0;
    virtual Splicer& splicer() = 0;
    [[nodiscard]] virtual std::chrono::milliseconds connect_patience() const = 0;
    // For how long neither side may have said a word.
    [[nodiscard]] virtual std::chrono::milliseconds silence() const = 0;
    // Of a client that knows us as its proxy: its next request names another host.
    virtual void moves_on(GateConnection& connection, Watched client, std::string said) = 0;
    virtual void ended(GateConnection& connection, Ended what) = 0;
  };

  GateConnection(boost::asio::io_context& loop, Gate& gate, Watched client, Wanted wanted);

  void start();
  // Instead: it wants what no rule could allow.
  void turn_away(std::string why);
  // Breaks off, whatever it is doing; `ended` is not called.
  void abandon();

  [[nodiscard]] const policy::Connect& wanted() const noexcept { return wanted_.action; }
  [[nodiscard]] Protocol protocol() const noexcept { return protocol_; }
  [[nodiscard]] int client() const noexcept { return client_.get(); }
  // Has the program in the room gone away?
  [[nodiscard]] bool gave_up();
  // What held it lets it go on, or never will.
  void go_on();
  void stop(std::string why);
  // Is it held before it is made?
  [[nodiscard]] bool waits_to_begin() const noexcept { return waits_to_begin_; }
  [[nodiscard]] const std::optional<Requester>& requester() const noexcept { return requester_; }
  void set_requester(std::optional<Requester> requester) { requester_ = std::move(requester); }

  // Tap
  [[nodiscard]] std::uint64_t reserve(std::uint64_t most) override;
  void took(std::uint64_t reserved, std::uint64_t bytes) override;
  void wants_more() override;

 private:
  using Clock = std::chrono::steady_clock;
  void look_ahead(std::chrono::milliseconds patience, std::function<void()> then);
  void decide();
  void heard(const broker::Verdict& verdict);
  void begin();
  [[nodiscard]] std::shared_ptr<Tap> tap();
  void look_up();
  void dial_via(const std::string& upstream);
  void found(const Lookup::Found& found);
  void dial(std::vector<Target> targets);
  // Tells a client that waits for it that the connection stands.
  void admit();
  void connected(Watched socket, std::string address);
  void dialled(Watched socket, const Target* target, int error);
  // Who speaks first?
  void hear();
  void listen_to_both();
  void inspect(const Peeked& peeked);
  void inspect_hello(std::string_view bytes);
  void wait_for_more(std::size_t have);
  void stop_looking();
  void relay();
  void relay_requests();
  enum class No : std::uint8_t { denied, unreachable, refused_there };
  void refuse(std::string why, No no = No::denied);
  [[nodiscard]] std::string words_of_refusal();
  void say_no();
  // Until the client has gone.
  void drain();
  void finish(std::string why);
  [[nodiscard]] bool over() const noexcept { return refused_ || ended_; }

  boost::asio::io_context& loop_;
  Gate* gate_;
  Watched client_, upstream_;
  boost::asio::steady_timer timer_;
  Wanted wanted_;
  Clock::time_point began_ = Clock::now();
  Protocol protocol_ = Protocol::unknown;
  std::optional<broker::Verdict> verdict_;
  std::shared_ptr<Dial> dial_;
  std::shared_ptr<UpstreamDial> via_;
  // Of plain requests: to the server itself, or to an upstream that takes them as they are.
  HttpRequests::Passing::Form form_ = HttpRequests::Passing::Form::origin;
  profile::Speech speech_ = profile::Speech::any;
  std::optional<HttpRelay> requests_;
  std::optional<Splicer::Id> spliced_;
  Meter::Tallies tallies_;
  std::optional<Requester> requester_;
  std::string address_, why_;
  No no_ = No::denied;
  Bytes bytes_;
  bool waits_to_begin_ = false;
  bool greeting_ = false;  // it began to say who it is, and we wait for the rest
  bool refused_ = false;   // and hears why
  bool ended_ = false;
};

}  // namespace agentbox::gates::network
