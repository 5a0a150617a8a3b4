#pragma once

// Limits in words: for the owner, who is asked, and for the agent, who is told what became of his payment.

#include <vector>

#include "agentbox/broker/decider.hpp"
#include "agentbox/policy/ruling.hpp"
#include "agentbox/store/ledger.hpp"

namespace agentbox::broker {

// Each limit as it stands, and why it is asked at all.
void add_facts(std::vector<prompt::Fact>& facts, const policy::Ruling& ruling,
               const std::vector<policy::Balance>& balances);

// Of somebody whom policy::strangers_of names.
[[nodiscard]] prompt::Fact first_time(const std::string& who);

// For a payment whose key there is already: it is not made again, and one that differs is no repetition.
[[nodiscard]] Verdict verdict_on_known(const store::Payment& known, const policy::Payment& asked);

// "60.00 of 100.00 USD used today, 40.00 left"
[[nodiscard]] std::string for_room(const policy::Balance& balance);

}  // namespace agentbox::broker
