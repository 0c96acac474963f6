// What a revert makes of budgets: what is booked stays booked. Pure.
#pragma once

#include <vector>

#include "kezek/account.h"
#include "kezek/desk.h"
#include "kezek/v1/common.pb.h"

namespace kezek::rpc {

// Takes budgets that the account of today, `now`, once had and makes of them what it can have
// again. Today's stay as they are if they have been drawn on or carried into, or are over: warning
// BUDGET_KEPT (fields account, budget) where that is not what they were. Of the others those are
// left out that are over, or would lie at the time of one that stays: BUDGET_LEFT_OUT.
void BringBudgetsBack(const View& view, const Account& now, std::vector<BudgetSpec>* budgets,
                      std::vector<v1::Reason>* warnings);

}  // namespace kezek::rpc
