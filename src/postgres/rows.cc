#include "postgres/rows.h"

#include <algorithm>

namespace kezek::postgres {
namespace {

std::uint8_t Nibble(char c) {
  if (c >= '0' && c <= '9') return static_cast<std::uint8_t>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<std::uint8_t>(c - 'a' + 10);
  throw std::runtime_error("not a bytea in hexadecimal form");
}

}  // namespace

std::string RowCursor::Bytes() {
  std::string_view text = Text();
  if (!text.starts_with("\\x") || text.size() % 2 != 0) {
    throw std::runtime_error("not a bytea in hexadecimal form");
  }
  std::string bytes;
  bytes.reserve(text.size() / 2);
  for (text.remove_prefix(2); !text.empty(); text.remove_prefix(2)) {
    bytes += static_cast<char>(Nibble(text[0]) << 4 | Nibble(text[1]));
  }
  return bytes;
}

std::shared_ptr<const JobSpec> SpecCache::Get(std::string_view json) {
  if (last_ != nullptr && json == last_json_) return last_;
  auto spec = Decode<JobSpec>(json);
  if (!spec) throw std::runtime_error(spec.error().message);
  last_ = std::make_shared<const JobSpec>(*std::move(spec));
  last_json_ = json;
  return last_;
}

const char* const kJobFields =
    "j.id, j.element, j.user_id, j.spec, j.state, j.hold, j.hold_reason, j.pending,"
    " j.submitted_ms, j.queued_since_ms, j.not_before_ms, j.started_ms, j.ended_ms, j.attempts,"
    " j.failed_runs, j.launch_failures, j.preemptions, j.checkpointed_ms, j.resume_from, j.reason";

Job ReadJob(RowCursor& row, SpecCache& specs) {
  Job job;
  job.ref.id.value = row.Int();
  job.ref.element = row.Int32();
  job.user.value = row.Int();
  job.spec = specs.Get(row.Text());
  job.state = row.Enum<JobState>();
  job.hold = row.Enum<Hold>();
  job.hold_reason = row.Json<Reason>();
  job.pending = row.Json<IndexRanges>();
  job.submitted_ms = row.Int();
  job.queued_since_ms = row.Int();
  job.not_before_ms = row.Int();
  job.started_ms = row.Int();
  job.ended_ms = row.Int();
  job.attempts = row.Int32();
  job.failed_runs = row.Int32();
  job.launch_failures = row.Int32();
  job.preemptions = row.Int32();
  job.checkpointed_ms = row.Int();
  job.resume_from = row.String();
  job.reason = row.Json<Reason>();
  return job;
}

const char* const kAttemptFields =
    "a.job_id, a.element, a.number, a.state, a.outcome, a.ending, a.placement, a.cluster_job_id,"
    " a.released, a.planned_ms, a.released_ms, a.start_ms, a.end_ms, a.last_seen_ms,"
    " a.ending_since_ms, a.signalled, a.exit_code, a.exit_signal, a.limit_ms, a.counted_milli,"
    " a.rate_milli, a.factor_milli, a.settings_version, a.epoch, a.as_scavenger,"
    " a.last_checkpoint_ms, a.preempted_for_job, a.preempted_for_element, a.ends_by_ms, a.warned,"
    " a.reason";

Attempt ReadAttempt(RowCursor& row) {
  Attempt attempt;
  attempt.ref.job.id.value = row.Int();
  attempt.ref.job.element = row.Int32();
  attempt.ref.number = row.Int32();
  attempt.state = row.Enum<AttemptState>();
  attempt.outcome = row.Enum<AttemptOutcome>();
  attempt.ending = row.Enum<Ending>();
  attempt.placement = row.Json<Placement>();
  attempt.cluster_job_id = row.Int();
  attempt.released = row.Bool();
  attempt.planned_ms = row.Int();
  attempt.released_ms = row.Int();
  attempt.start_ms = row.Int();
  attempt.end_ms = row.Int();
  attempt.last_seen_ms = row.Int();
  attempt.ending_since_ms = row.Int();
  attempt.signalled = row.Bool();
  attempt.exit_code = row.Int32();
  attempt.exit_signal = row.Int32();
  attempt.limit_ms = row.Int();
  attempt.counted_milli = row.Int();
  attempt.rate_milli = row.Int();
  attempt.factor_milli = row.Int();
  attempt.settings_version = row.Int();
  attempt.epoch = row.Int();
  attempt.as_scavenger = row.Bool();
  attempt.last_checkpoint_ms = row.Int();
  attempt.preempted_for.id.value = row.Int();
  attempt.preempted_for.element = row.Int32();
  attempt.ends_by_ms = row.Int();
  attempt.warned = row.Bool();
  attempt.reason = row.Json<Reason>();
  return attempt;
}

const char* const kEventFields =
    "e.seq, e.time_ms, e.subject, e.job_id, e.element, e.attempt, e.name, e.project_id, e.user_id,"
    " e.from_state, e.to_state, e.reason, e.actor";

Event ReadEvent(RowCursor& row) {
  Event event;
  event.seq = row.Int();
  event.time_ms = row.Int();
  event.subject = row.Enum<Subject>();
  event.job.id.value = row.Int();
  event.job.element = row.Int32();
  event.attempt = row.Int32();
  event.name = row.String();
  event.project.value = row.Int();
  event.user.value = row.Int();
  event.from = row.String();
  event.to = row.String();
  event.reason = row.Json<Reason>();
  event.actor = row.String();
  return event;
}

const char* const kLedgerFields =
    "l.seq, l.time_ms, l.book, l.kind, l.job_id, l.element, l.attempt, l.project_id, l.user_id,"
    " l.contra, l.job_class, l.gpu_type, l.date_ms, l.amount, l.settings_version,"
    " l.budget_account_id, l.budget, l.pot, l.reason, l.actor, l.correction,"
    " l.foreign_job";

LedgerEntry ReadLedgerEntry(RowCursor& row) {
  LedgerEntry entry;
  entry.seq = row.Int();
  entry.time_ms = row.Int();
  entry.book = row.Enum<Book>();
  entry.kind = row.Enum<EntryKind>();
  entry.attempt.job.id.value = row.Int();
  entry.attempt.job.element = row.Int32();
  entry.attempt.number = row.Int32();
  entry.project.value = row.Int();
  entry.user.value = row.Int();
  entry.contra = row.String();
  entry.job_class = row.String();
  entry.gpu_type = row.String();
  entry.date_ms = row.Int();
  entry.amount = row.Int();
  entry.settings_version = row.Int();
  entry.budget.account.value = row.Int();
  entry.budget.name = row.String();
  entry.pot = row.Enum<Pot>();
  entry.reason = row.Json<Reason>();
  entry.actor = row.String();
  entry.correction = row.Int();
  entry.foreign_job = row.Int();
  return entry;
}

const char* const kBudgetFields =
    "b.account_id, b.name, b.left_amount, b.held, b.spent, b.expired, b.granted, b.carried_in,"
    " b.carried_out, b.refunded, b.closed, (select max(w.percent) from budget_warnings w"
    " where w.account_id = b.account_id and w.name = b.name and w.granted = b.granted)";

std::pair<BudgetRef, BudgetBalance> ReadBudget(RowCursor& row) {
  std::pair<BudgetRef, BudgetBalance> budget;
  budget.first.account.value = row.Int();
  budget.first.name = row.String();
  BudgetBalance& balance = budget.second;
  balance.left = row.Int();
  balance.held = row.Int();
  balance.spent = row.Int();
  balance.expired = row.Int();
  balance.granted = row.Int();
  balance.carried_in = row.Int();
  balance.carried_out = row.Int();
  balance.refunded = row.Int();
  balance.closed = row.Bool();
  balance.warned_percent = row.Int32();
  return budget;
}

const char* const kCorrectionFields =
    "c.id, c.account_id, c.budget, c.gpu_type, c.amount, c.job_id, c.element, c.user_id, c.reason,"
    " c.state, c.proposed_by, c.proposed_ms, c.decided_by, c.decided_ms, c.decision,"
    " (select min(l.seq) from ledger l where l.correction = c.id and l.correction > 0)";

Correction ReadCorrection(RowCursor& row) {
  Correction one;
  one.id = row.Int();
  one.budget.account.value = row.Int();
  one.budget.name = row.String();
  one.gpu_type = row.String();
  one.amount = row.Int();
  one.job.id.value = row.Int();
  one.job.element = row.Int32();
  one.user.value = row.Int();
  one.reason = row.String();
  one.state = row.Enum<CorrectionState>();
  one.proposed_by = row.String();
  one.proposed_ms = row.Int();
  one.decided_by = row.String();
  one.decided_ms = row.Int();
  one.decision = row.String();
  one.ledger_seq = row.Int();
  return one;
}

const char* const kAccountFields =
    "a.id, a.parent_id, a.name, a.kind, a.title, a.attributes, a.closed, a.version, s.settings";

Account ReadAccount(RowCursor& row) {
  Account account;
  account.id.value = row.Int();
  account.parent.value = row.Int();
  account.name = row.String();
  account.kind = row.String();
  account.title = row.String();
  account.attributes = row.Json<TextMap>();
  account.closed = row.Bool();
  account.version = row.Int();
  account.settings = row.Json<AccountSettings>();
  return account;
}

const char* const kUserFields =
    "u.id, u.name, u.display_name, u.unix_account, u.unix_uid, u.disabled";

User ReadUser(RowCursor& row) {
  User user;
  user.id.value = row.Int();
  user.name = row.String();
  user.display_name = row.String();
  user.unix_account = row.String();
  user.unix_uid = row.Int();
  user.disabled = row.Bool();
  return user;
}

const char* const kTokenFields =
    "t.id, t.user_id, t.label, t.hash, t.created_ms, t.expires_ms, t.revoked_ms, t.created_by,"
    " t.limits";

Token ReadToken(RowCursor& row) {
  Token token;
  token.id.value = row.Int();
  token.user.value = row.Int();
  token.label = row.String();
  const std::string hash = row.Bytes();
  if (hash.size() != token.hash.size()) throw std::runtime_error("a token's hash has 32 bytes");
  std::ranges::transform(hash, token.hash.begin(),
                         [](char c) { return static_cast<std::uint8_t>(c); });
  token.created_ms = row.Int();
  token.expires_ms = row.Int();
  token.revoked_ms = row.Int();
  token.created_by.value = row.Int();
  token.limits = row.Json<TokenLimits>();
  return token;
}

const char* const kNodeFields =
    "n.name, n.gpu_type, n.gpus, n.cpus, n.memory_mib, n.leaf, n.block, n.labels, n.health,"
    " n.health_reason, n.drained_by_kezek, n.set_aside_until_ms, n.foreign_gpus, n.foreign_cpus,"
    " n.foreign_memory_mib";

Node ReadNode(RowCursor& row) {
  Node node;
  node.name = row.String();
  node.gpu_type = row.String();
  node.gpus = row.Int32();
  node.cpus = row.Int32();
  node.memory_mib = row.Int();
  node.leaf = row.String();
  node.block = row.String();
  node.labels = row.Json<TextList>();
  node.health = row.Enum<NodeHealth>();
  node.health_reason = row.String();
  node.drained_by_kezek = row.Bool();
  node.set_aside_until_ms = row.Int();
  node.foreign_gpus = row.Int32();
  node.foreign_cpus = row.Int32();
  node.foreign_memory_mib = row.Int();
  return node;
}

}  // namespace kezek::postgres
