#include "postgres/changes.h"

#include <array>
#include <map>
#include <utility>

#include "kezek/names.h"
#include "postgres/bulk.h"
#include "postgres/codec.h"
#include "postgres/foreign_changes.h"
#include "postgres/history_changes.h"
#include "postgres/reservation_changes.h"

namespace kezek::postgres {
namespace {

constexpr auto kJobColumns = std::to_array<Column>({{"id", "bigint"},
                                                    {"element", "integer"},
                                                    {"user_id", "bigint"},
                                                    {"project_id", "bigint"},
                                                    {"name", "text"},
                                                    {"job_class", "text"},
                                                    {"spec", "jsonb"},
                                                    {"depends_on", "bigint[]"},
                                                    {"state", "text"},
                                                    {"hold", "text"},
                                                    {"hold_reason", "jsonb"},
                                                    {"pending", "jsonb"},
                                                    {"submitted_ms", "bigint"},
                                                    {"queued_since_ms", "bigint"},
                                                    {"not_before_ms", "bigint"},
                                                    {"started_ms", "bigint"},
                                                    {"ended_ms", "bigint"},
                                                    {"attempts", "integer"},
                                                    {"failed_runs", "integer"},
                                                    {"launch_failures", "integer"},
                                                    {"preemptions", "integer"},
                                                    {"checkpointed_ms", "bigint"},
                                                    {"resume_from", "text"},
                                                    {"reason", "jsonb"}});

constexpr auto kAttemptColumns = std::to_array<Column>({{"job_id", "bigint"},
                                                        {"element", "integer"},
                                                        {"number", "integer"},
                                                        {"state", "text"},
                                                        {"outcome", "text"},
                                                        {"ending", "text"},
                                                        {"placement", "jsonb"},
                                                        {"nodes", "text[]"},
                                                        {"cluster_job_id", "bigint"},
                                                        {"released", "boolean"},
                                                        {"planned_ms", "bigint"},
                                                        {"released_ms", "bigint"},
                                                        {"start_ms", "bigint"},
                                                        {"end_ms", "bigint"},
                                                        {"last_seen_ms", "bigint"},
                                                        {"ending_since_ms", "bigint"},
                                                        {"signalled", "boolean"},
                                                        {"exit_code", "integer"},
                                                        {"exit_signal", "integer"},
                                                        {"limit_ms", "bigint"},
                                                        {"counted_milli", "bigint"},
                                                        {"rate_milli", "bigint"},
                                                        {"factor_milli", "bigint"},
                                                        {"settings_version", "bigint"},
                                                        {"epoch", "bigint"},
                                                        {"as_scavenger", "boolean"},
                                                        {"last_checkpoint_ms", "bigint"},
                                                        {"preempted_for_job", "bigint"},
                                                        {"preempted_for_element", "integer"},
                                                        {"ends_by_ms", "bigint"},
                                                        {"warned", "boolean"},
                                                        {"reason", "jsonb"}});

constexpr auto kEventColumns = std::to_array<Column>({{"time_ms", "bigint"},
                                                      {"subject", "text"},
                                                      {"job_id", "bigint"},
                                                      {"element", "integer"},
                                                      {"attempt", "integer"},
                                                      {"name", "text"},
                                                      {"project_id", "bigint"},
                                                      {"user_id", "bigint"},
                                                      {"from_state", "text"},
                                                      {"to_state", "text"},
                                                      {"reason", "jsonb"},
                                                      {"actor", "text"}});

constexpr auto kLedgerColumns = std::to_array<Column>({{"time_ms", "bigint"},
                                                       {"book", "text"},
                                                       {"kind", "text"},
                                                       {"job_id", "bigint"},
                                                       {"element", "integer"},
                                                       {"attempt", "integer"},
                                                       {"project_id", "bigint"},
                                                       {"user_id", "bigint"},
                                                       {"contra", "text"},
                                                       {"job_class", "text"},
                                                       {"gpu_type", "text"},
                                                       {"date_ms", "bigint"},
                                                       {"amount", "bigint"},
                                                       {"settings_version", "bigint"},
                                                       {"budget_account_id", "bigint"},
                                                       {"budget", "text"},
                                                       {"pot", "text"},
                                                       {"reason", "jsonb"},
                                                       {"actor", "text"},
                                                       {"correction", "bigint"},
                                                       {"foreign_job", "bigint"}});

constexpr auto kWarningColumns =
    std::to_array<Column>({{"account_id", "bigint"}, {"name", "text"}, {"percent", "integer"}});

constexpr auto kCorrectionColumns = std::to_array<Column>({{"id", "bigint"},
                                                           {"account_id", "bigint"},
                                                           {"budget", "text"},
                                                           {"gpu_type", "text"},
                                                           {"amount", "bigint"},
                                                           {"job_id", "bigint"},
                                                           {"element", "integer"},
                                                           {"user_id", "bigint"},
                                                           {"reason", "text"},
                                                           {"state", "text"},
                                                           {"proposed_by", "text"},
                                                           {"proposed_ms", "bigint"},
                                                           {"decided_by", "text"},
                                                           {"decided_ms", "bigint"},
                                                           {"decision", "text"}});

constexpr auto kAccountColumns = std::to_array<Column>({{"id", "bigint"},
                                                        {"parent_id", "bigint"},
                                                        {"name", "text"},
                                                        {"kind", "text"},
                                                        {"title", "text"},
                                                        {"attributes", "jsonb"},
                                                        {"closed", "boolean"},
                                                        {"version", "bigint"}});

// Of account_settings: the account as that version made it, whole.
constexpr auto kHistoryColumns = std::to_array<Column>({{"account_id", "bigint"},
                                                        {"version", "bigint"},
                                                        {"settings", "jsonb"},
                                                        {"actor_id", "bigint"},
                                                        {"time_ms", "bigint"},
                                                        {"reason", "text"},
                                                        {"parent_id", "bigint"},
                                                        {"name", "text"},
                                                        {"kind", "text"},
                                                        {"title", "text"},
                                                        {"attributes", "jsonb"},
                                                        {"closed", "boolean"}});

constexpr auto kUserColumns = std::to_array<Column>({{"id", "bigint"},
                                                     {"name", "text"},
                                                     {"display_name", "text"},
                                                     {"unix_account", "text"},
                                                     {"unix_uid", "bigint"},
                                                     {"disabled", "boolean"}});

constexpr auto kTokenColumns = std::to_array<Column>({{"id", "bigint"},
                                                      {"user_id", "bigint"},
                                                      {"label", "text"},
                                                      {"hash", "bytea"},
                                                      {"created_ms", "bigint"},
                                                      {"expires_ms", "bigint"},
                                                      {"revoked_ms", "bigint"},
                                                      {"created_by", "bigint"},
                                                      {"limits", "jsonb"}});

constexpr auto kNodeColumns = std::to_array<Column>({{"name", "text"},
                                                     {"gpu_type", "text"},
                                                     {"gpus", "integer"},
                                                     {"cpus", "integer"},
                                                     {"memory_mib", "bigint"},
                                                     {"leaf", "text"},
                                                     {"block", "text"},
                                                     {"labels", "jsonb"},
                                                     {"health", "text"},
                                                     {"health_reason", "text"},
                                                     {"drained_by_kezek", "boolean"},
                                                     {"set_aside_until_ms", "bigint"},
                                                     {"foreign_gpus", "integer"},
                                                     {"foreign_cpus", "integer"},
                                                     {"foreign_memory_mib", "bigint"}});

// The calls that have rows, in order.
class Calls {
 public:
  void Add(const char* statement, const Bulk& rows, Call::Front front = Call::Front::kNothing,
           std::vector<std::string> more = {}) {
    if (rows.rows() == 0) return;
    Call call{statement, front, std::move(more)};
    rows.AddTo(call.params);
    calls_.push_back(std::move(call));
  }
  void Add(Call call) { calls_.push_back(std::move(call)); }
  std::vector<Call> Take() && { return std::move(calls_); }

 private:
  std::vector<Call> calls_;
};

void AddJobs(const Changes& changes, Calls& calls) {
  Bulk rows(kJobColumns.size());
  const JobSpec* last_spec = nullptr;  // the elements of an array share one
  std::string spec;
  for (const Job& job : changes.jobs) {
    if (job.spec.get() != last_spec) spec = Encode(*job.spec);
    last_spec = job.spec.get();
    ArrayLiteral depends_on;
    for (const Dependency& on : job.spec->dependencies) depends_on.AddInt(on.on.id.value);
    rows.Int(job.ref.id.value).Int(job.ref.element).Int(job.user.value);
    rows.Int(job.spec->project.value).Text(job.spec->name).Text(job.spec->job_class).Text(spec);
    rows.Text(depends_on.Text()).Text(NameOf(job.state)).Text(NameOf(job.hold));
    rows.Text(Encode(job.hold_reason));
    rows.Text(Encode(job.pending));
    rows.Int(job.submitted_ms).Int(job.queued_since_ms).Int(job.not_before_ms);
    rows.Int(job.started_ms).Int(job.ended_ms);
    rows.Int(job.attempts).Int(job.failed_runs).Int(job.launch_failures).Int(job.preemptions);
    rows.Int(job.checkpointed_ms).Text(MakeStorable(job.resume_from)).Text(Encode(job.reason));
  }
  calls.Add("put_jobs", rows);
}

void AddAttempts(const Changes& changes, Calls& calls) {
  Bulk rows(kAttemptColumns.size());
  for (const Attempt& attempt : changes.attempts) {
    ArrayLiteral nodes;
    for (const NodeGrant& grant : attempt.placement) nodes.AddText(grant.node);
    rows.Int(attempt.ref.job.id.value).Int(attempt.ref.job.element).Int(attempt.ref.number);
    rows.Text(NameOf(attempt.state)).Text(NameOf(attempt.outcome)).Text(NameOf(attempt.ending));
    rows.Text(Encode(attempt.placement)).Text(nodes.Text());
    rows.Int(attempt.cluster_job_id).Bool(attempt.released).Int(attempt.planned_ms);
    rows.Int(attempt.released_ms).Int(attempt.start_ms).Int(attempt.end_ms);
    rows.Int(attempt.last_seen_ms).Int(attempt.ending_since_ms).Bool(attempt.signalled);
    rows.Int(attempt.exit_code).Int(attempt.exit_signal).Int(attempt.limit_ms);
    rows.Int(attempt.counted_milli).Int(attempt.rate_milli).Int(attempt.factor_milli);
    rows.Int(attempt.settings_version).Int(attempt.epoch).Bool(attempt.as_scavenger);
    rows.Int(attempt.last_checkpoint_ms).Int(attempt.preempted_for.id.value);
    rows.Int(attempt.preempted_for.element).Int(attempt.ends_by_ms).Bool(attempt.warned);
    rows.Text(Encode(attempt.reason));
  }
  calls.Add("put_attempts", rows);
}

void AddEvents(const Changes& changes, Calls& calls) {
  Bulk rows(kEventColumns.size());
  for (const Event& event : changes.events) {
    rows.Int(event.time_ms).Text(NameOf(event.subject)).Int(event.job.id.value);
    rows.Int(event.job.element).Int(event.attempt).Text(event.name).Int(event.project.value);
    rows.Int(event.user.value).Text(event.from).Text(event.to);
    rows.Text(Encode(event.reason)).Text(event.actor);
  }
  calls.Add("add_events", rows, Call::Front::kEventSeq);
}

// Also marks as settled what has nothing left to charge.
void AddLedger(const Changes& changes, Calls& calls) {
  Bulk rows(kLedgerColumns.size());
  Bulk settled(3);
  for (const LedgerEntry& entry : changes.ledger) {
    const JobRef& job = entry.attempt.job;
    rows.Int(entry.time_ms).Text(NameOf(entry.book)).Text(NameOf(entry.kind)).Int(job.id.value);
    rows.Int(job.element).Int(entry.attempt.number).Int(entry.project.value).Int(entry.user.value);
    rows.Text(entry.contra).Text(entry.job_class).Text(entry.gpu_type).Int(entry.date_ms);
    rows.Int(entry.amount).Int(entry.settings_version);
    rows.Int(entry.budget.account.value).Text(entry.budget.name).Text(NameOf(entry.pot));
    rows.Text(Encode(entry.reason)).Text(entry.actor).Int(entry.correction).Int(entry.foreign_job);
    if (entry.book == Book::kCharge && entry.kind == EntryKind::kSettlement) {
      settled.Int(job.id.value).Int(job.element).Int(entry.attempt.number);
    }
  }
  for (const Attempt& attempt : changes.attempts) {
    if (attempt.state == AttemptState::kEnded && attempt.start_ms == 0) {
      settled.Int(attempt.ref.job.id.value).Int(attempt.ref.job.element).Int(attempt.ref.number);
    }
  }
  calls.Add("add_ledger", rows, Call::Front::kLedgerSeq);
  calls.Add("settle_attempts", settled);
}

void AddBudgets(const Changes& changes, Calls& calls) {
  Bulk warnings(kWarningColumns.size());
  for (const BudgetWarning& warning : changes.budget_warnings) {
    warnings.Int(warning.budget.account.value).Text(warning.budget.name).Int(warning.percent);
  }
  Bulk corrections(kCorrectionColumns.size());
  for (const Correction& one : changes.corrections) {
    corrections.Int(one.id).Int(one.budget.account.value).Text(one.budget.name);
    corrections.Text(one.gpu_type).Int(one.amount).Int(one.job.id.value).Int(one.job.element);
    corrections.Int(one.user.value).Text(MakeStorable(one.reason)).Text(NameOf(one.state));
    corrections.Text(one.proposed_by).Int(one.proposed_ms).Text(one.decided_by);
    corrections.Int(one.decided_ms).Text(MakeStorable(one.decision));
  }
  calls.Add("add_budget_warnings", warnings, Call::Front::kTime);
  calls.Add("put_corrections", corrections);
}

void AddAccounts(const Changes& changes, Calls& calls) {
  std::map<AccountId, const Account*> last;  // a row is written once
  Bulk history(kHistoryColumns.size());
  for (const AccountVersion& version : changes.accounts) {
    const Account& account = version.account;
    last[account.id] = &account;
    history.Int(account.id.value).Int(account.version).Text(Encode(account.settings));
    history.Int(version.actor.value).Int(version.time_ms).Text(version.reason);
    history.Int(account.parent.value).Text(account.name).Text(account.kind).Text(account.title);
    history.Text(Encode(account.attributes)).Bool(account.closed);
  }
  Bulk rows(kAccountColumns.size());
  for (const auto& [id, account] : last) {
    rows.Int(id.value).Int(account->parent.value).Text(account->name).Text(account->kind);
    rows.Text(account->title).Text(Encode(account->attributes));
    rows.Bool(account->closed).Int(account->version);
  }
  calls.Add("put_accounts", rows);
  calls.Add("add_settings", history);
}

void AddUsersAndTokens(const Changes& changes, Calls& calls) {
  Bulk users(kUserColumns.size());
  Bulk ids(1);
  Bulk roles(3);
  for (const User& user : changes.users) {
    users.Int(user.id.value).Text(user.name).Text(user.display_name).Text(user.unix_account);
    users.Int(user.unix_uid).Bool(user.disabled);
    ids.Int(user.id.value);
    for (const RoleGrant& grant : user.roles) {
      roles.Int(user.id.value).Text(NameOf(grant.role)).Int(grant.account.value);
    }
  }
  Bulk tokens(kTokenColumns.size());
  for (const Token& token : changes.tokens) {
    tokens.Int(token.id.value).Int(token.user.value).Text(token.label).Bytes(token.hash);
    tokens.Int(token.created_ms).Int(token.expires_ms).Int(token.revoked_ms);
    tokens.Int(token.created_by.value).Text(Encode(token.limits));
  }
  calls.Add("put_users", users);
  calls.Add("drop_roles", ids);
  calls.Add("add_roles", roles);
  calls.Add("put_tokens", tokens);
}

void AddNodes(const Changes& changes, Calls& calls) {
  Bulk rows(kNodeColumns.size());
  for (const Node& node : changes.nodes) {
    rows.Text(node.name).Text(node.gpu_type).Int(node.gpus).Int(node.cpus).Int(node.memory_mib);
    rows.Text(node.leaf).Text(node.block).Text(Encode(node.labels));
    rows.Text(NameOf(node.health)).Text(node.health_reason).Bool(node.drained_by_kezek);
    rows.Int(node.set_aside_until_ms).Int(node.foreign_gpus).Int(node.foreign_cpus);
    rows.Int(node.foreign_memory_mib);
  }
  calls.Add("put_nodes", rows);
}

}  // namespace

void AddIfAny(const char* statement, const Bulk& rows, std::vector<Call>& calls) {
  if (rows.rows() == 0) return;
  Call& call = calls.emplace_back();
  call.statement = statement;
  rows.AddTo(call.params);
}

std::vector<Call> EncodeChanges(const Changes& changes) {
  Calls calls;
  AddAccounts(changes, calls);
  AddUsersAndTokens(changes, calls);
  AddNodes(changes, calls);
  AddJobs(changes, calls);
  AddAttempts(changes, calls);
  AddEvents(changes, calls);
  AddLedger(changes, calls);
  AddBudgets(changes, calls);
  for (Call& call : ReservationCalls(changes)) calls.Add(std::move(call));
  for (Call& call : HistoryCalls(changes.history)) calls.Add(std::move(call));
  for (Call& call : ForeignCalls(changes)) calls.Add(std::move(call));
  Bulk final_jobs(1);
  for (const JobId& job : changes.final_jobs) final_jobs.Int(job.value);
  calls.Add("drop_environments", final_jobs);
  Bulk epochs(1);
  for (const std::int64_t epoch : changes.accepted_epochs) epochs.Int(epoch);
  calls.Add("accept_epochs", epochs, Call::Front::kTime);
  Bulk stop(1);
  if (changes.stop) stop.Text(*changes.stop);
  calls.Add("set_stop", stop);
  return std::move(calls).Take();
}

void ForEachChangeStatement(
    const std::function<void(const char* name, const std::string& sql)>& take) {
  take("put_jobs", InsertSql("jobs", kJobColumns, "id, element"));
  take("put_attempts", InsertSql("attempts", kAttemptColumns, "job_id, element, number"));
  take("add_events", NumberedInsertSql("events", kEventColumns));
  take("add_ledger", NumberedInsertSql("ledger", kLedgerColumns));
  take("add_budget_warnings",
       "insert into budget_warnings (account_id, name, percent, time_ms, granted) select " +
           SelectSql(kWarningColumns) + ", $1::bigint, coalesce(t.granted, 0) from " +
           UnnestSql(kWarningColumns, 2) +
           " left join budget_totals t using (account_id, name) on conflict do nothing");
  take("put_corrections", InsertSql("corrections", kCorrectionColumns, "id"));
  take("settle_attempts",
       "update attempts a set settled = true"
       " from unnest($1::bigint[], $2::integer[], $3::integer[]) u(job_id, element, number)"
       " where a.job_id = u.job_id and a.element = u.element and a.number = u.number"
       " and not a.settled");
  take("put_accounts", InsertSql("accounts", kAccountColumns, "id"));
  // The same version with the same settings is no new version; with others it fails on the key.
  take("add_settings",
       InsertSql("account_settings", kHistoryColumns, "") +
           " where not exists (select from account_settings s where s.account_id = u.account_id"
           " and s.version = u.version and s.settings = u.settings)");
  take("put_users", InsertSql("users", kUserColumns, "id"));
  take("drop_roles", "delete from user_roles where user_id = any($1::bigint[])");
  take("add_roles",
       "insert into user_roles (user_id, role, account_id)"
       " select * from unnest($1::bigint[], $2::text[], $3::bigint[])");
  take("put_tokens", InsertSql("tokens", kTokenColumns, "id"));
  take("put_nodes", InsertSql("nodes", kNodeColumns, "name"));
  take("accept_epochs",
       "insert into epochs (epoch, time_ms, host, issued)"
       " select u.epoch, $1::bigint, '', false from unnest($2::bigint[]) u(epoch)"
       " on conflict do nothing");
  ForEachReservationStatement(take);
  ForEachHistoryStatement(take);
  ForEachForeignStatement(take);
  take("set_stop", "update leader set stop = ($1::text[])[1]");
  take("drop_environments",
       "update job_payloads set environment = null where job_id = any($1::bigint[])"
       " and environment is not null");
}

}  // namespace kezek::postgres
