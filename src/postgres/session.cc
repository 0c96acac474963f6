#include "postgres/session.h"

#include <algorithm>
#include <map>
#include <utility>

#include "kezek/intake.h"
#include "postgres/connection.h"
#include "postgres/environments.h"
#include "postgres/rows.h"

namespace kezek::postgres {
namespace {

// Two keys of one number space: 7443 is Kezek, 1 migrates, 2 leads.
constexpr const char* kTryLead = "select pg_try_advisory_lock(7443, 2)";

// Thrown inside a transaction so that it is rolled back; caught in this file.
struct Deposed {};

pqxx::result Run(pqxx::transaction_base& work, const char* statement,
                 const std::vector<std::string>& params) {
  return work.exec_prepared(statement, pqxx::prepare::make_dynamic_params(params));
}

bool HasChanges(std::span<Write* const> group) {
  return std::ranges::any_of(group, [](const Write* write) { return !write->batch; });
}

}  // namespace

void Session::Open() {
  connection_ = Connect(options_.conninfo, "kezekd-committer");
  locked_ = false;
  connection_->prepare("submit", SubmitSql());
  connection_->prepare("submit_new", SubmitNewSql());
  connection_->prepare("guard", "select epoch from leader for share");
  connection_->prepare("known",
                       "select job_id, request_hash = $3::bytea, time_ms from submission_keys"
                       " where user_id = $1::bigint and key = $2");
  ForEachChangeStatement(
      [this](const char* name, const std::string& sql) { connection_->prepare(name, sql); });
  backend_pid_ = connection_->backendpid();
}

// One plan for every size of group, and never one that reads a whole table because it was small
// once: a merge or a hash join would do that through the index, too.
void Session::KeepPlans() {
  pqxx::nontransaction(*connection_)
      .exec(
          "set enable_seqscan = off; set enable_mergejoin = off; set enable_hashjoin = off;"
          " set plan_cache_mode = force_generic_plan");
}

bool Session::TakeLock() {
  if (locked_) return true;
  pqxx::nontransaction work(*connection_);
  locked_ = work.exec1(kTryLead)[0].as<bool>();
  return locked_;
}

std::int64_t Session::StoredEpoch(pqxx::transaction_base& work) {
  return work.exec1("select epoch from leader")[0].as<std::int64_t>();
}

// A copy of this database that is restored goes on counting where it was copied; by the time it
// leads it is later than every epoch of the lost one, so that no number is given twice.
std::int64_t Session::IssueEpoch() {
  pqxx::work work(*connection_);
  const TimeMs now_ms = clock_.Now();
  const auto epoch = work.exec_params1(
                             "update leader set epoch = greatest(epoch + 1, $1), address = $2"
                             " returning epoch",
                             now_ms, options_.address)[0]
                         .as<std::int64_t>();
  work.exec_params0("insert into epochs (epoch, time_ms, host, issued) values ($1, $2, $3, true)",
                    epoch, now_ms, options_.host);
  work.commit();
  return epoch;
}

TimeMs Session::Now(const Counters& counters) {
  return std::max(clock_.Now(), counters.last_time_ms);
}

// The lock goes with the connection: another, on a host where nothing hangs, may lead.
Error Session::GiveUp(const Error& error) {
  connection_.reset();
  state_ = State::kFollower;
  return error;
}

Result<Snapshot> Session::Lead() {
  if (state_ == State::kDeposed) return Refusal();
  try {
    if (connection_ == nullptr || !connection_->is_open()) Open();
    if (!TakeLock()) return Error{Code::kUnavailable, "another kezekd leads", {}};
    if (options_.cipher != nullptr) {
      const auto prepared = PrepareEnvironments(*connection_, *options_.cipher);
      if (!prepared) return GiveUp(prepared.error());
    }
    Result<JobId> highest = JobId{};
    if (options_.highest_job) highest = options_.highest_job();
    if (!highest) return GiveUp(highest.error());
    const std::int64_t epoch = IssueEpoch();
    Snapshot snapshot;
    {
      pqxx::transaction<pqxx::repeatable_read> work(*connection_);
      const std::int64_t next_job = counters_.next_job;  // a copy put back may know of fewer
      counters_ = ReadCounters(work);
      counters_.next_job = std::max({counters_.next_job, highest->value + 1, next_job});
      const TimeMs now_ms = Now(counters_);
      work.exec_params0("delete from submission_keys where time_ms < $1",
                        now_ms - options_.idempotency_ms);
      snapshot = ReadSnapshot(work, now_ms - options_.usage_horizon_ms);
      work.commit();
    }
    KeepPlans();
    snapshot.epoch = epoch_ = epoch;
    older_copy_ = false;
    state_ = State::kLeads;
    return snapshot;
  } catch (const std::exception& problem) {
    if (connection_ == nullptr || IsLost(*connection_, problem)) connection_.reset();
    state_ = State::kFollower;
    Error error = ErrorOf(problem);
    if (connection_ == nullptr) error.code = Code::kUnavailable;
    return error;
  }
}

Session::Known Session::RunSubmit(pqxx::transaction_base& work, std::span<Write* const> group,
                                  const Counters& counters, TimeMs now_ms) {
  Bulk values{0};
  ArrayLiteral batch_of_row;
  std::int32_t number = 0;
  bool warned = false;
  for (const Write* write : group) {
    if (!write->batch) continue;
    if (number == 0) {
      values = write->batch->values;
    } else {
      values.Append(write->batch->values);
    }
    for (const Submission& row : write->batch->rows) {
      batch_of_row.AddInt(number);
      warned |= !row.warnings.empty();
    }
    ++number;
  }
  if (number == 0) return {};
  std::vector<std::string> params = {std::to_string(epoch_),
                                     std::to_string(now_ms),
                                     std::to_string(now_ms - options_.idempotency_ms),
                                     std::to_string(counters.next_job),
                                     std::to_string(counters.last_event_seq + 1),
                                     batch_of_row.Text()};
  values.AddTo(params);
  if (!warned) {
    const auto answer = Run(work, "submit_new", params);
    if (answer[0][0].as<std::int64_t>() != epoch_) throw Deposed{};
    if (!answer[0][1].as<bool>()) return {};
  }
  Known known;
  std::int64_t epoch = 0;
  for (const auto& row : Run(work, "submit", params)) {
    const auto ord = row[0].as<std::int64_t>();
    const auto value = row[1].as<std::int64_t>();
    if (ord == 0) {
      epoch = value;
    } else {
      known[ord] = {value, row[2].as<bool>(), row[3].as<TimeMs>()};
    }
  }
  if (epoch != epoch_) throw Deposed{};
  return known;
}

void Session::SubmitAll(pqxx::transaction_base& work, std::span<Write* const> group,
                        Counters& counters, Committed& committed) {
  const TimeMs now_ms = Now(counters);
  const Known known = RunSubmit(work, group, counters, now_ms);
  std::int64_t first = 1;  // row of the batch
  for (Write* write : group) {
    if (!write->batch) continue;
    const Batch& batch = *write->batch;
    write->error.reset();
    write->submitted.clear();
    std::vector<Submitted> rows;
    for (const Submission& row : batch.rows) {
      const auto at = known.find(first++);
      if (at == known.end()) {
        rows.push_back({.submitted_ms = now_ms});
        continue;
      }
      rows.push_back({JobId{at->second.id}, at->second.time_ms, true});
      if (!at->second.same) write->error = KeyMismatch(row.idempotency_key);
    }
    if (write->error) continue;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (rows[i].existed) continue;
      rows[i].id = JobId{counters.next_job++};
      committed.submitted.push_back(JobOf(batch.rows[i], rows[i].id, now_ms));
      const auto events = EventsOf(batch.rows[i], rows[i].id, now_ms, counters.last_event_seq + 1);
      committed.events.insert(committed.events.end(), events.begin(), events.end());
      counters.last_event_seq += static_cast<std::int64_t>(events.size());
    }
    AnswerRows(*write, rows);
  }
  committed.time_ms = counters.last_time_ms = now_ms;
}

void Session::RunCalls(pqxx::transaction_base& work, Write& write, Counters& counters,
                       Committed& committed) {
  const TimeMs now_ms = Now(counters);
  committed.time_ms = now_ms;
  for (const Call& call : write.calls) {
    std::vector<std::string> params = call.params;
    switch (call.front) {
      case Call::Front::kNothing:
        break;
      case Call::Front::kEventSeq:
        params.insert(params.begin(), std::to_string(counters.last_event_seq + 1));
        break;
      case Call::Front::kLedgerSeq:
        params.insert(params.begin(), std::to_string(counters.last_ledger_seq + 1));
        break;
      case Call::Front::kTime:
        params.insert(params.begin(), std::to_string(now_ms));
        break;
    }
    const pqxx::result result = Run(work, call.statement, params);
    if (call.front == Call::Front::kLedgerSeq) {
      counters.last_ledger_seq += static_cast<std::int64_t>(result.affected_rows());
    }
  }
  for (const Event& event : write.events) {
    committed.events.push_back(event);
    committed.events.back().seq = ++counters.last_event_seq;
    committed.time_ms = std::max(committed.time_ms, event.time_ms);
  }
  counters.last_time_ms = committed.time_ms;
}

std::vector<Committed> Session::WriteTogether(std::span<Write* const> group) {
  Counters counters = counters_;
  std::vector<Committed> committed(1);
  if (!HasChanges(group)) {
    // The statement is a transaction of its own: one round trip and one flush for the group.
    pqxx::nontransaction work(*connection_);
    SubmitAll(work, group, counters, committed[0]);
  } else {
    pqxx::work work(*connection_);
    if (Run(work, "guard", {})[0][0].as<std::int64_t>() != epoch_) throw Deposed{};
    SubmitAll(work, group, counters, committed[0]);
    for (Write* write : group) {
      if (!write->batch) RunCalls(work, *write, counters, committed.emplace_back());
    }
    work.commit();
  }
  counters_ = counters;
  return committed;
}

std::vector<Committed> Session::WriteOneByOne(std::span<Write* const> group) {
  Counters counters = counters_;
  std::vector<Committed> committed;
  pqxx::work work(*connection_);
  if (Run(work, "guard", {})[0][0].as<std::int64_t>() != epoch_) throw Deposed{};
  for (std::size_t i = 0; i < group.size(); ++i) {
    Counters after = counters;
    Committed one;
    try {
      pqxx::subtransaction savepoint(work, "item");
      if (group[i]->batch) {
        SubmitAll(savepoint, group.subspan(i, 1), after, one);
      } else {
        RunCalls(savepoint, *group[i], after, one);
      }
      savepoint.commit();
      counters = after;
      committed.push_back(std::move(one));
    } catch (const pqxx::sql_error& problem) {
      if (IsLost(*connection_, problem)) throw;
      group[i]->error = ErrorOf(problem);
    }
  }
  work.commit();
  counters_ = counters;
  return committed;
}

void Session::Depose(std::span<Write* const> group) {
  state_ = State::kDeposed;
  connection_.reset();
  for (Write* write : group) write->error = Refusal();
}

std::vector<Committed> Session::WriteGroup(std::span<Write* const> group) {
  KEZEK_CHECK(state_ == State::kLeads, "only the leader writes");
  try {
    try {
      return WriteTogether(group);
    } catch (const pqxx::sql_error& problem) {
      if (IsLost(*connection_, problem)) throw;
      if (group.size() == 1) {
        group[0]->error = ErrorOf(problem);
        return {};
      }
      return WriteOneByOne(group);
    }
  } catch (const Deposed&) {
    Depose(group);
  } catch (const std::exception& problem) {
    state_ = State::kInDoubt;
    connection_.reset();
  }
  return {};
}

}  // namespace kezek::postgres
