// What became of a group whose answer was lost: the part of Session that Recover stands on.
#include <algorithm>
#include <utility>

#include "kezek/intake.h"
#include "postgres/connection.h"
#include "postgres/rows.h"
#include "postgres/session.h"

namespace kezek::postgres {
namespace {

Error NotStored() {
  return Error{Code::kUnavailable,
               "the database went away; nothing was stored: try again with the same key",
               {}};
}

Error OlderCopy() {
  return Error{Code::kUnavailable,
               "the database is an older copy of itself, put back; nothing was stored: try again "
               "with the same key",
               {}};
}

}  // namespace

void AnswerRows(Write& write, const std::vector<Submitted>& rows) {
  const Batch& batch = *write.batch;
  for (std::size_t i = 0; i < batch.row_of.size(); ++i) {
    write.submitted.push_back(rows[batch.row_of[i]]);
    write.submitted.back().existed |= batch.repeated[i];
  }
}

Error Session::Refusal() const {
  if (state_ == State::kDeposed) {
    return Error{Code::kAborted, "another kezekd leads now: this one must end", {}};
  }
  if (older_copy_) return OlderCopy();
  return Error{Code::kUnavailable, "the database does not answer: try again with the same key", {}};
}

void Session::AnswerFromStore(pqxx::transaction_base& work, Write& write, const Counters& before) {
  if (!write.batch) {
    write.error = Error{Code::kUnavailable, "the database went away: lead again", {}};
    return;
  }
  const Batch& batch = *write.batch;
  std::vector<Submitted> rows;
  for (const Submission& row : batch.rows) {
    ArrayLiteral hash;
    hash.AddBytes(row.request_hash);
    std::string bytes = hash.Text();
    bytes = bytes.substr(3, bytes.size() - 5);  // {"\\x…"} as \x…
    const pqxx::result known =
        work.exec_prepared("known", row.user.value, row.idempotency_key, bytes);
    if (known.empty()) {
      write.error = NotStored();
      return;
    }
    if (!known[0][1].as<bool>()) {
      write.error = KeyMismatch(row.idempotency_key);
      return;
    }
    const JobId id{known[0][0].as<std::int64_t>()};
    rows.push_back({id, known[0][2].as<TimeMs>(), id.value < before.next_job});
  }
  AnswerRows(write, rows);
}

// What is stored behind the counters.
Committed Session::ReadMissed(pqxx::transaction_base& work, const Counters& before) {
  Committed missed;
  SpecCache specs;
  for (const auto& row : work.exec(std::string("select ") + kJobFields +
                                   " from jobs j where j.element = -1 and j.id >= " +
                                   std::to_string(before.next_job) + " order by j.id")) {
    RowCursor cursor(row);
    missed.submitted.push_back(ReadJob(cursor, specs));
  }
  for (const auto& row :
       work.exec(std::string("select ") + kEventFields + " from events e where e.seq > " +
                 std::to_string(before.last_event_seq) + " order by e.seq")) {
    RowCursor cursor(row);
    missed.events.push_back(ReadEvent(cursor));
  }
  return missed;
}

// Epochs tell nothing of a copy that was made under this one. Numbers of jobs are not compared:
// they may begin above what is stored, and every job has its event.
bool Session::LacksCommitted(const Counters& stored) const {
  return stored.last_event_seq < counters_.last_event_seq ||
         stored.last_ledger_seq < counters_.last_ledger_seq;
}

void Session::RefuseOlderCopy(std::span<Write* const> group) {
  older_copy_ = true;
  state_ = State::kFollower;
  for (Write* write : group) write->error = OlderCopy();
}

std::vector<Committed> Session::Recover(std::span<Write* const> in_doubt) {
  try {
    if (connection_ == nullptr) {
      const int old_pid = backend_pid_;
      Open();
      // The server may not have noticed yet that the old session's client is gone.
      pqxx::nontransaction(*connection_)
          .exec(
              "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'"
              " and classid = 7443 and objid = 2 and granted and pid = " +
              std::to_string(old_pid));
    }
    const bool locked = TakeLock();
    pqxx::work work(*connection_);
    if (StoredEpoch(work) != epoch_) {
      work.abort();
      Depose(in_doubt);
      return {};
    }
    if (!locked) return {};
    // The old session has ended: what it has not committed by now it never will.
    const Counters before = counters_;
    const Counters stored = ReadCounters(work);
    if (LacksCommitted(stored)) {
      RefuseOlderCopy(in_doubt);
      return {};
    }
    Committed missed = ReadMissed(work, before);
    for (Write* write : in_doubt) {
      write->error.reset();
      write->submitted.clear();
      AnswerFromStore(work, *write, before);
    }
    counters_ = stored;
    counters_.next_job = std::max(counters_.next_job, before.next_job);
    counters_.last_time_ms = std::max(counters_.last_time_ms, before.last_time_ms);
    missed.time_ms = counters_.last_time_ms;
    work.commit();
    KeepPlans();
    state_ = State::kLeads;
    return {std::move(missed)};
  } catch (const std::exception&) {
    connection_.reset();
    return {};
  }
}

}  // namespace kezek::postgres
