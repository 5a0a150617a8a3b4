#pragma once

// How budgets stand, for `agentbox rules` and `agentbox ledger`: the same words in both.

#include <string>
#include <vector>

#include "agentbox/store/store.hpp"

#include "record_table.hpp"

namespace agentbox::cli {

[[nodiscard]] std::vector<std::string> budget_heads();
[[nodiscard]] std::vector<Cell> budget_cells(const store::BudgetState& state);
// An array, indented by so many blanks.
[[nodiscard]] std::string json_of(const std::vector<store::BudgetState>& states, const std::string& indent = {});

[[nodiscard]] std::vector<std::string> payment_heads();
// `running`: the ids of the sessions that live.
[[nodiscard]] std::vector<Cell> payment_cells(const store::Payment& payment, const std::vector<std::string>& running);
[[nodiscard]] std::string json_of(const std::vector<store::Payment>& payments, const std::string& indent = {});
// Has it neither been paid nor not, and nobody is about to say so?
[[nodiscard]] bool needs_owner(const store::Payment& payment, const std::vector<std::string>& running);

}  // namespace agentbox::cli
