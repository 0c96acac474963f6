// Budgets as callers see them. Pure, but for what the reader is asked.
#pragma once

#include <string>
#include <vector>

#include "kezek/budget.h"
#include "kezek/result.h"
#include "kezek/store.h"
#include "kezek/v1/ledger.pb.h"
#include "rpc/caller.h"

namespace kezek::rpc {

struct WhichBudgets {
  bool below = false;        // of what is below the account, too
  bool all_periods = false;  // those that are over or to come, too
};

// Of the account and those above it; of an empty one all that the caller may see, for those who see
// everything, else those of the caller's accounts. NOT_FOUND ACCOUNT_NOT_FOUND.
Result<std::vector<BudgetStanding>> BudgetsOf(const Caller& caller, const std::string& account,
                                              const WhichBudgets& which);

// With forecasts, and with how many jobs wait for more where the caller reaches the account.
Result<void> AddBudgets(const Caller& caller, const std::vector<BudgetStanding>& budgets,
                        Reader& reader, google::protobuf::RepeatedPtrField<v1::Budget>* out);

}  // namespace kezek::rpc
