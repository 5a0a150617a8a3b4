#pragma once

// What goes into the record, and the record itself: opened when it is first needed, because a run in which nothing leaves
// the room needs none.

#include <chrono>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "agentbox/broker/broker.hpp"
#include "agentbox/store/store.hpp"

#include "outcome_writer.hpp"

namespace agentbox::broker {

class Recorder {
 public:
  Recorder(const Settings& settings) : settings_(settings), began_(now()) {}

  // All throw store::StoreError: the caller denies.
  void append(std::vector<store::Event> events);
  // False: the answer doesn't hold any more.
  [[nodiscard]] bool append_and_count(std::vector<store::Event> events, std::int64_t answer);
  [[nodiscard]] std::vector<store::Remembered> remembered(std::string_view kind);
  enum class For : std::uint8_t { session, always };
  void remember(const policy::Action& action, const policy::Scope& scope, store::Remembered::Verdict verdict,
                For period);
  // Of an action that limits hold for, whatever the verdict will be: takes it where it fits, or with the owner's yes, and
  // `events` are recorded in the same transaction. Nothing is recorded in another case.
  [[nodiscard]] store::Took take(const std::string& question, const policy::Action& action,
                                 store::Taking::Beyond beyond, std::vector<store::Event> events);
  // How the limits stand, and whether the payment is known: nothing is taken.
  [[nodiscard]] store::Took look(const policy::Action& action);
  [[nodiscard]] std::vector<policy::Balance> balances(const policy::Action& action);
  // Of limits that a gate counts by itself: how they stand, and what was used.
  [[nodiscard]] std::vector<policy::Balance> balances(std::span<const policy::Limit> limits);
  void add_uses(std::span<const policy::Use> uses, std::span<const policy::Limit> limits);
  // Whom it would reach for the first time, as policy::strangers_of names them.
  [[nodiscard]] std::vector<std::string> strangers(const policy::Action& action);
  void settle(std::int64_t payment, store::Ending ending, const std::string& note, std::vector<store::Event> events);

  // They are written later, as far as they can be: what allowed them is on record. Any thread, as for what limits count.
  void outcomes(std::vector<Decider::Done> done);

  // Of what `take` took, and what was not done.
  void give_back(std::int64_t use, const policy::Action& action, std::vector<store::Event> events);

  // Nothing if nothing was ever recorded.
  void end(const Summary& summary);

  [[nodiscard]] store::Event request(const std::string& question, const Asked& asked, const std::string& digest) const;
  [[nodiscard]] store::Event verdict(const std::string& question, const policy::Action& action,
                                     const std::string& digest, const Verdict& verdict, std::size_t twins = 0,
                                     const std::optional<prompt::Opinion>& opinion = {}) const;
  [[nodiscard]] store::Event outcome(const std::string& question, const policy::Action& action, const std::string& what,
                                     const std::optional<Traffic>& traffic = {}) const;

 private:
  [[nodiscard]] static store::Time now();
  [[nodiscard]] store::Store& store();
  // Everything stands still while another program is waited for, the agent's terminal too. So only the first to find the
  // record locked waits, and who comes after him hears so at once, until something has been written again.
  static constexpr std::chrono::milliseconds ordinary_patience{2000};
  void be_patient(std::chrono::milliseconds patience);
  template <class Use>
  auto with_store(Use use);
  // These two hold it meanwhile, from other threads.
  template <class Use>
  auto reading(Use use);
  template <class Use>
  auto writing(Use use);
  [[nodiscard]] store::Event event(store::Event::What what) const;
  [[nodiscard]] store::Taking taking(const policy::Action& action) const;

  const Settings& settings_;
  store::Time began_;
  std::mutex holding_;  // the record: the next two
  std::optional<store::Store> store_;
  std::chrono::milliseconds patience_ = ordinary_patience;
  std::mutex starting_;                    // the next
  std::optional<OutcomeWriter> outcomes_;  // the last: it uses the others
};

// What the ledger compares and keeps of it.
[[nodiscard]] store::Payment entry_of(const policy::Payment& payment);

[[nodiscard]] std::string_view name_of(Verdict::Kind kind) noexcept;
[[nodiscard]] std::string_view name_of(Verdict::By by) noexcept;
[[nodiscard]] std::string_view name_of(prompt::Opinion::Says says) noexcept;

}  // namespace agentbox::broker
