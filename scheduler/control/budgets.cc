// Budgets in the controller: what starts hold, what settings grant, the ends of periods, warnings,
// and corrections by two people.
#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "kezek/check.h"
#include "kezek/names.h"
#include "quota/budget.h"
#include "quota/wide.h"
#include "scheduler/control/core.h"

namespace kezek::control {
namespace {

// About one account, for those who may see it.
Event AccountNote(const Core& core, AccountId account, Reason reason, std::string_view actor) {
  Event event;
  event.time_ms = core.now;
  event.subject = Subject::kAccount;
  event.name = core.PathOf(account);
  event.project = account;
  event.reason = std::move(reason);
  event.actor = actor;
  return event;
}

Reason BudgetReason(const Core& core, ReasonCode code, const BudgetRef& budget) {
  return {code, {{"account", core.PathOf(budget.account)}, {"budget", budget.name}}};
}

// What the entries of its end come to.
void SayEnded(Core& core, const BudgetRef& budget, const std::vector<LedgerEntry>& entries) {
  MilliGpuMs carried = 0;
  MilliGpuMs expired = 0;
  for (const LedgerEntry& entry : entries) {
    if (entry.budget != budget) continue;
    if (entry.pot == Pot::kCarried) carried += entry.amount;
    if (entry.pot == Pot::kExpired) expired += entry.amount;
  }
  Reason reason = BudgetReason(core, ReasonCode::kBudgetEnded, budget);
  reason.fields["expired"] = quota::GpuHoursText(expired);
  reason.fields["carried"] = quota::GpuHoursText(carried);
  core.Say(AccountNote(core, budget.account, std::move(reason), kActorKezek));
}

void SayWarning(Core& core, const BudgetRef& budget, std::int64_t percent,
                const std::string& waits = "") {
  const BudgetBalance& balance = core.engine.budgets().Of(budget);
  Reason reason = BudgetReason(core, ReasonCode::kBudgetWarning, budget);
  reason.fields["percent"] = std::to_string(percent);
  if (balance.held > 0) reason.fields["held"] = quota::GpuHoursText(balance.held);
  reason.fields["left"] = quota::GpuHoursText(balance.left);
  if (!waits.empty()) reason.fields["waits"] = waits;
  core.Say(AccountNote(core, budget.account, std::move(reason), kActorKezek));
}

void Warn(Core& core, const BudgetRef& budget) {
  const auto warning = quota::WarningDue(budget, core.engine.budgets().Of(budget));
  if (!warning) return;
  SayWarning(core, budget, warning->percent);
  core.engine.WarnedOf(*warning);
  core.ready.changes.budget_warnings.push_back(*warning);
}

Error Refused(Code code, const char* reason, std::string message, std::int64_t id) {
  return FieldProblem(code, {"id", reason, std::move(message), {{"id", std::to_string(id)}}});
}

void SayCorrection(Core& core, const Correction& correction, const std::string& text,
                   const std::string& actor) {
  core.Say(AccountNote(core, correction.budget.account,
                       {ReasonCode::kCorrection,
                        {{"id", std::to_string(correction.id)},
                         {"account", core.PathOf(correction.budget.account)},
                         {"amount", quota::GpuHoursText(correction.amount)},
                         {"state", std::string(NameOf(correction.state))},
                         {"text", text}}},
                       actor));
}

void BookUsage(Core& core, const LedgerEntry& entry) {
  core.engine.Book({.project = entry.project,
                    .user = entry.user,
                    .gpu_type = entry.gpu_type,
                    .date_ms = entry.date_ms,
                    .amount = entry.amount,
                    .above = core.AboveAt(entry.project, entry.settings_version)});
}

quota::Cost CostOf(const Job& job, const Attempt& attempt) {
  return {.project = job.spec->project,
          .gpu_type = job.spec->shape.gpu_type,
          .counted_milli = attempt.counted_milli,
          .limit_ms = attempt.limit_ms,
          .rate_milli = attempt.rate_milli,
          .factor_milli = attempt.factor_milli};
}

}  // namespace

void BookEntry(Core& core, LedgerEntry entry) {
  if (entry.book == Book::kUsage) BookUsage(core, entry);
  if (entry.book == Book::kBudget) {
    core.engine.BookBudget(entry);
    core.budgets_touched.insert(entry.budget);
    core.tick_wanted = true;
  }
  core.ready.changes.ledger.push_back(std::move(entry));
}

void BookCompleted(Core& core, const LedgerEntry& entry) {
  for (LedgerEntry& part :
       quota::Completed(core.state.tree(), core.engine.budgets(), entry, core.now)) {
    BookEntry(core, std::move(part));
  }
}

quota::Payer PayerOf(const Core& core, const Job& job, const Attempt& attempt) {
  const ClassRules& rules = core.ClassOf(job.spec->job_class);
  return {.project = job.spec->project,
          .user = job.user,
          .job_class = job.spec->job_class,
          .gpu_type = job.spec->shape.gpu_type,
          .scavenger = rules.scavenger || attempt.as_scavenger,
          .checkpointed = job.checkpointed_ms != 0};
}

quota::Draw DrawOf(const Core& core, const Job& job, const Attempt& attempt) {
  if (PayerOf(core, job, attempt).scavenger) return {};
  return quota::DrawOf(core.state.tree(), core.engine.budgets(), CostOf(job, attempt), core.now, {},
                       core.config.charge);
}

quota::Draw DrawOfRaise(const Core& core, const Job& job, const Attempt& attempt,
                        DurationMs limit_ms, const quota::Taken& taken) {
  if (PayerOf(core, job, attempt).scavenger) return {};
  quota::Cost cost = CostOf(job, attempt);
  cost.limit_ms = limit_ms;
  // What is more begins where the holds end.
  const auto follow = core.follow.find(attempt.ref);
  const quota::ChargeRules rules =
      follow == core.follow.end()
          ? core.config.charge
          : quota::WithHeldMargin(attempt, follow->second.booked, core.config.charge);
  return quota::DrawOfRaise(core.state.tree(), core.engine.budgets(), cost, attempt, core.now,
                            taken, rules);
}

void BookHolds(Core& core, const Job& job, const Attempt& attempt, const quota::Draw& draw) {
  for (LedgerEntry& entry :
       quota::HoldEntries(attempt, PayerOf(core, job, attempt), draw, core.now)) {
    core.follow[attempt.ref].booked.Add(entry);
    BookEntry(core, std::move(entry));
  }
}

void EndBudgets(Core& core) {
  if (!core.budget_end_known) {
    core.budget_end_ms = quota::NextEnd(core.state.tree(), core.engine.budgets());
    core.budget_end_known = true;
  }
  if (!core.budget_end_ms || core.now < *core.budget_end_ms) return;
  const std::vector<LedgerEntry> entries =
      quota::EndsDue(core.state.tree(), core.engine.budgets(), core.now);
  for (const LedgerEntry& entry : entries) BookEntry(core, entry);
  for (const LedgerEntry& entry : entries) {
    if (entry.kind == EntryKind::kExpiry) SayEnded(core, entry.budget, entries);
  }
  core.budget_end_ms = quota::NextEnd(core.state.tree(), core.engine.budgets());
}

void WarnOfBudgets(Core& core) {
  for (const BudgetRef& budget : core.budgets_touched) Warn(core, budget);
  if (!core.budgets_touched.empty()) core.budgets_shown.reset();
  core.budgets_touched.clear();
}

void WarnOfWaiting(Core& core) {
  core.waiting_for_budget.clear();
  const bool some = std::any_of(core.plan.stopped.begin(), core.plan.stopped.end(),
                                [](const auto& one) { return one.second.by_budgets > 0; });
  if (!some) return;
  const Directory& directory = *core.state.directory();
  core.plan.waiting.ForEachOwn([&](const JobRef& ref, const Reason& reason) {
    if (reason.code != ReasonCode::kBudgetExhausted) return;
    const auto& fields = reason.fields;
    const auto account = directory.account_by_path.find(fields.at("account"));
    if (account == directory.account_by_path.end()) return;
    const BudgetRef budget{account->second, fields.at("budget")};
    ++core.waiting_for_budget[budget];
    const BudgetBalance& balance = core.engine.budgets().Of(budget);
    const quota::Int128 all = quota::Int128{balance.granted} + balance.carried_in;
    const auto known = core.waited_for.find(budget);
    if (known != core.waited_for.end() && known->second == balance.granted) return;
    core.waited_for[budget] = balance.granted;
    const quota::Int128 percent = all == 0 ? 100 : quota::Int128{balance.spent} * 100 / all;
    SayWarning(core, budget, static_cast<std::int64_t>(percent), ToText(ref));
  });
}

std::shared_ptr<const std::vector<BudgetStanding>> ShowBudgets(Core& core) {
  if (core.budgets_shown != nullptr && !core.directory_changed) return core.budgets_shown;
  auto shown = std::make_shared<std::vector<BudgetStanding>>();
  const quota::AccountTree& tree = core.state.tree();
  for (quota::AccountIndex i = 0; i < tree.size(); ++i) {
    std::vector<BudgetSpec> specs = tree.account(i).settings.budgets;
    std::stable_sort(specs.begin(), specs.end(),
                     [](const auto& a, const auto& b) { return a.start_ms < b.start_ms; });
    for (BudgetSpec& spec : specs) {
      BudgetRef ref{tree.id(i), spec.name};
      const BudgetBalance& balance = core.engine.budgets().Of(ref);
      shown->push_back({std::move(ref), std::move(spec), balance});
    }
  }
  core.budgets_shown = std::move(shown);
  return core.budgets_shown;
}

Result<CommandOutcome> ExecuteProposal(Core& core, const ProposeCorrection& propose,
                                       const Command& command) {
  Correction correction = propose.draft;
  // What could not be booked now is not proposed; whether it can be then is looked at again.
  const auto could = quota::AdjustmentEntries(core.state.tree(), core.engine.budgets(), correction,
                                              core.state.directory()->settings_version, core.now);
  if (!could) return could.error();
  correction.id = ++core.last_correction;
  correction.state = CorrectionState::kProposed;
  correction.proposed_by = command.actor_name;
  correction.proposed_ms = core.now;
  SayCorrection(core, correction, correction.reason, command.actor_name);
  core.corrections[correction.id] = correction;
  core.ready.changes.corrections.push_back(correction);
  return CommandOutcome{.ids = {correction.id}};
}

Result<CommandOutcome> ExecuteDecision(Core& core, const DecideCorrection& decide,
                                       const Command& command) {
  const auto found = core.corrections.find(decide.id);
  // Who guesses the id of a proposal that is not committed yet has not seen it.
  const auto& drafts = core.ready.changes.corrections;
  const bool draft = found != core.corrections.end() &&
                     std::any_of(drafts.begin(), drafts.end(),
                                 [&](const Correction& one) { return one.id == decide.id; });
  if (draft || found == core.corrections.end()) {
    if (!draft && decide.id > 0 && decide.id <= core.last_correction) {
      return Refused(Code::kFailedPrecondition, "CORRECTION_DECIDED",
                     "this correction has been decided", decide.id);
    }
    return Refused(Code::kNotFound, "CORRECTION_NOT_FOUND", "there is no such correction",
                   decide.id);
  }
  Correction correction = found->second;
  if (decide.approve && correction.proposed_by == command.actor_name) {
    return Refused(Code::kPermissionDenied, "SECOND_PERSON_NEEDED",
                   "who proposed a correction does not approve it: another admin does", decide.id);
  }
  correction.state = decide.approve ? CorrectionState::kBooked : CorrectionState::kDeclined;
  correction.decided_by = command.actor_name;
  correction.decided_ms = core.now;
  correction.decision = decide.text;
  if (decide.approve) {
    const auto entries =
        quota::AdjustmentEntries(core.state.tree(), core.engine.budgets(), correction,
                                 core.state.directory()->settings_version, core.now);
    if (!entries) return entries.error();
    for (const LedgerEntry& entry : *entries) BookEntry(core, entry);
  }
  SayCorrection(core, correction, decide.text, command.actor_name);
  core.corrections.erase(found);
  core.ready.changes.corrections.push_back(std::move(correction));
  return CommandOutcome{.ids = {decide.id}};
}

}  // namespace kezek::control
