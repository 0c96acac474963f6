#include "postgres/database_reader.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "kezek/index_ranges.h"
#include "postgres/array_literal.h"
#include "postgres/event_query.h"
#include "postgres/job_query.h"
#include "postgres/rows.h"

namespace kezek::postgres {
namespace {

using Work = pqxx::transaction_base;

// IsCharge in SQL.
constexpr const char* kCharged = "l.book = 'charge'";

pqxx::result Run(Work& work, const Sql& sql) {
  return work.exec_params(sql.text, pqxx::prepare::make_dynamic_params(sql.params));
}

template <class T>
std::vector<T> ReadAll(Work& work, const Sql& sql, T (*read)(RowCursor& row)) {
  std::vector<T> values;
  for (const auto& row : Run(work, sql)) {
    RowCursor cursor(row);
    values.push_back(read(cursor));
  }
  return values;
}

std::string IdsOf(const std::vector<JobRecord>& records) {
  ArrayLiteral ids;
  for (const JobRecord& record : records) ids.AddInt(record.job.ref.id.value);
  return ids.Text();
}

std::string IdsOf(const std::set<JobId>& jobs) {
  ArrayLiteral ids;
  for (const JobId& id : jobs) ids.AddInt(id.value);
  return ids.Text();
}

std::string ElementsOf(const std::vector<JobRecord>& records) {
  ArrayLiteral elements;
  for (const JobRecord& record : records) elements.AddInt(record.job.ref.element);
  return elements.Text();
}

void AddCharges(Work& work, std::vector<JobRecord>& records) {
  std::map<JobRef, JobRecord*> by_ref;
  for (JobRecord& record : records) by_ref[record.job.ref] = &record;
  for (const auto& row :
       Run(work,
           {std::string("select l.job_id, l.element, l.attempt, sum(l.amount)::bigint,"
                        " -coalesce(sum(l.amount) filter (where l.kind = 'refund'), 0)::bigint"
                        " from ledger l join unnest($1::bigint[], $2::integer[])"
                        " as r(id, element) on l.job_id = r.id and l.element = r.element"
                        " where ") +
                kCharged + " group by 1, 2, 3",
            {IdsOf(records), ElementsOf(records)}})) {
    RowCursor cursor(row);
    const JobId id{cursor.Int()};
    const JobRef ref{id, static_cast<std::int32_t>(cursor.Int())};
    const auto attempt = static_cast<std::int32_t>(cursor.Int());
    by_ref[ref]->charged[attempt] = cursor.Int();
    const MilliGpuMs refunded = cursor.Int();
    if (refunded != 0) by_ref[ref]->refunded[attempt] = refunded;
  }
}

// Elements with rows as they are, pending ones as queued, the rest as cancelled.
void AddElements(Work& work, std::vector<JobRecord>& records) {
  if (std::ranges::none_of(records, [](const auto& record) { return IsArrayRow(record.job); })) {
    return;
  }
  std::map<JobId, std::map<JobState, std::int64_t>> counts;
  for (const auto& row :
       Run(work, {"select j.id, j.state, count(*) from jobs j where j.element >= 0"
                  " and j.id = any($1::bigint[]) group by 1, 2",
                  {IdsOf(records)}})) {
    RowCursor cursor(row);
    const JobId id{cursor.Int()};
    const auto state = cursor.Enum<JobState>();
    counts[id][state] = cursor.Int();
  }
  for (JobRecord& record : records) {
    if (!IsArrayRow(record.job)) continue;
    record.elements = counts[record.job.ref.id];
    std::int64_t left = CountIndices(record.job.spec->array->indices);
    for (const auto& [state, count] : record.elements) left -= count;
    const std::int64_t pending = CountIndices(record.job.pending);
    if (pending > 0) record.elements[JobState::kQueued] += pending;
    if (left > pending) record.elements[JobState::kCancelled] += left - pending;
  }
}

// All attempts by number, or only the last of each job.
void AddAttempts(Work& work, std::vector<JobRecord>& records, bool only_last) {
  std::map<JobRef, JobRecord*> by_ref;
  for (JobRecord& record : records) by_ref[record.job.ref] = &record;
  const std::string distinct = only_last ? "distinct on (a.job_id, a.element) " : "";
  const std::string order = only_last ? " desc" : "";
  const auto attempts = ReadAll<Attempt>(
      work,
      {"select " + distinct + kAttemptFields +
           " from attempts a where (a.job_id, a.element) in (select r.id, r.element from"
           " unnest($1::bigint[], $2::integer[]) as r(id, element))"
           " order by a.job_id, a.element, a.number" +
           order,
       {IdsOf(records), ElementsOf(records)}},
      ReadAttempt);
  for (const Attempt& attempt : attempts) by_ref[attempt.ref.job]->attempts.push_back(attempt);
}

// Of a job or an array's row, which the last event of an element concerns too: the end of the
// index. For many elements that would be a walk through all events of their array each: one walk
// through them serves all.
void AddLastEvents(Work& work, std::vector<JobRecord>& records) {
  ArrayLiteral rows;
  std::set<JobId> arrays;
  std::map<JobRef, std::int64_t> last;
  for (const JobRecord& record : records) {
    const JobRef& ref = record.job.ref;
    if (ref.element == kNoElement) {
      rows.AddInt(ref.id.value);
    } else {
      arrays.insert(ref.id);
    }
  }
  for (const auto& row :
       Run(work, {"select r.id, -1, coalesce((select e.seq from events e where e.job_id = r.id"
                  " and e.job_id > 0 order by e.seq desc limit 1), 0)"
                  " from unnest($1::bigint[]) r(id)"
                  " union all select e.job_id, e.element, max(e.seq) from events e"
                  " where e.job_id = any($2::bigint[]) and e.job_id > 0 and e.element >= 0"
                  " group by 1, 2",
                  {rows.Text(), IdsOf(arrays)}})) {
    RowCursor cursor(row);
    const JobId id{cursor.Int()};
    const JobRef ref{id, static_cast<std::int32_t>(cursor.Int())};
    last[ref] = cursor.Int();
  }
  for (JobRecord& record : records) record.last_seq = last[record.job.ref];
}

std::vector<JobRecord> ReadRecords(Work& work, const JobQuery& query) {
  std::vector<JobRecord> records;
  SpecCache specs;
  for (const auto& row : Run(work, JobQuerySql(query, kJobFields))) {
    RowCursor cursor(row);
    records.push_back({.job = ReadJob(cursor, specs)});
  }
  if (records.empty()) return records;
  AddAttempts(work, records, !query.all_attempts);
  AddCharges(work, records);
  AddElements(work, records);
  AddLastEvents(work, records);
  return records;
}

// Its number, or the next one to come. Times never fall with numbers, which have no gaps: halves
// what is left of them, so that events need no index by time.
std::int64_t FirstEventSince(Work& work, TimeMs since_ms) {
  std::int64_t first = 1;
  std::int64_t end =
      work.exec1("select coalesce(max(seq), 0) + 1 from events")[0].as<std::int64_t>();
  while (first < end) {
    const std::int64_t middle = first + (end - first) / 2;
    const auto row = work.exec_params1("select time_ms from events where seq = $1", middle);
    if (row[0].as<TimeMs>() < since_ms) {
      first = middle + 1;
    } else {
      end = middle;
    }
  }
  return first;
}

Error NoSuchJob(const JobRef& job) {
  return Error{Code::kNotFound, "there is no job " + ToText(job), {}};
}

Error TooLong(DurationMs given_ms) {
  const std::string seconds = std::to_string((given_ms + kSecondMs - 1) / kSecondMs);
  return FieldProblem(Code::kDeadlineExceeded,
                      {"",
                       "READ_TOO_LONG",
                       "the database was given " + seconds +
                           " s for it: ask for a shorter time, or for fewer accounts",
                       {{"seconds", seconds}}});
}

}  // namespace

void DatabaseReader::Open() {
  connection_ = Connect(options_.conninfo, "kezekd-reader");
  pqxx::nontransaction(*connection_)
      .exec("set default_transaction_read_only = on; set statement_timeout = " +
            std::to_string(options_.statement_timeout_ms));
}

Result<void> DatabaseReader::InTransaction(
    const std::function<void(pqxx::transaction_base&)>& read) {
  for (bool again = true;; again = false) {
    try {
      if (connection_ == nullptr) Open();
      pqxx::transaction<pqxx::repeatable_read> work(*connection_);
      read(work);
      return {};
    } catch (const std::exception& problem) {
      const bool lost = connection_ == nullptr || IsLost(*connection_, problem);
      if (lost) connection_.reset();
      if (lost && again) continue;
      Error error = ErrorOf(problem);
      if (error.code == Code::kDeadlineExceeded) return TooLong(options_.statement_timeout_ms);
      if (lost) error.code = Code::kUnavailable;
      return error;
    }
  }
}

Result<std::vector<JobRecord>> DatabaseReader::ListJobs(const JobQuery& query) {
  return With<std::vector<JobRecord>>([&](Work& work) { return ReadRecords(work, query); });
}

Result<JobRecord> DatabaseReader::GetJob(const JobRef& job) {
  return With<JobRecord>([&](Work& work) -> Result<JobRecord> {
    JobQuery query;
    query.refs = {job};
    query.elements = job.element != kNoElement;
    query.all_attempts = true;
    auto records = ReadRecords(work, query);
    if (records.empty()) return NoSuchJob(job);
    return std::move(records.front());
  });
}

Result<std::string> DatabaseReader::GetScript(JobId job) {
  return With<std::string>([&](Work& work) -> Result<std::string> {
    const auto rows =
        work.exec_params("select script from job_payloads where job_id = $1", job.value);
    if (rows.empty()) return NoSuchJob({job, kNoElement});
    return rows[0][0].as<std::string>();
  });
}

Result<std::vector<Event>> DatabaseReader::Events(std::int64_t after_seq, std::int32_t limit) {
  return With<std::vector<Event>>([&](Work& work) {
    return ReadAll<Event>(work,
                          {std::string("select ") + kEventFields +
                               " from events e where e.seq > $1::bigint order by e.seq"
                               " limit $2::bigint",
                           {std::to_string(after_seq), std::to_string(limit)}},
                          ReadEvent);
  });
}

Result<std::vector<Event>> DatabaseReader::ListEvents(const EventQuery& query) {
  return With<std::vector<Event>>([&](Work& work) {
    EventRange range;
    if (query.since_ms > 0) range.first = FirstEventSince(work, query.since_ms);
    if (query.until_ms > 0) range.end = FirstEventSince(work, query.until_ms);
    return ReadAll<Event>(work, EventListSql(query, range, kEventFields), ReadEvent);
  });
}

// One walk through the events of each array, however many of its elements are wanted.
Result<std::vector<Event>> DatabaseReader::JobEvents(const std::vector<JobRef>& jobs) {
  return With<std::vector<Event>>([&](Work& work) {
    ArrayLiteral ids;
    ArrayLiteral elements;
    for (const JobRef& job : jobs) {
      ids.AddInt(job.id.value);
      elements.AddInt(job.element);
    }
    return ReadAll<Event>(
        work,
        {std::string("select ") + kEventFields +
             " from events e where e.job_id = any($1::bigint[]) and e.job_id > 0"
             " and (e.job_id, e.element) in (select r.id, r.element from"
             " unnest($1::bigint[], $2::integer[]) as r(id, element)) order by e.seq",
         {ids.Text(), elements.Text()}},
        ReadEvent);
  });
}

Result<std::int64_t> DatabaseReader::LastEventSeq() {
  return With<std::int64_t>([&](Work& work) {
    return work.exec1("select coalesce(max(seq), 0) from events")[0].as<std::int64_t>();
  });
}

Result<std::optional<KnownKey>> DatabaseReader::FindKey(UserId user, const std::string& key) {
  using Found = std::optional<KnownKey>;
  if (!IsStorable(key)) return Found();
  return With<Found>([&](Work& work) -> Found {
    const auto rows = work.exec_params(
        "select job_id, request_hash from submission_keys"
        " where user_id = $1 and key = $2 and time_ms >= $3",
        user.value, key, clock_.Now() - options_.idempotency_ms);
    if (rows.empty()) return std::nullopt;
    RowCursor cursor(rows[0]);
    KnownKey known{.id = JobId{cursor.Int()}};
    const std::string hash = cursor.Bytes();
    if (hash.size() != known.request_hash.size()) {
      throw std::runtime_error("a request's hash has 32 bytes");
    }
    std::ranges::transform(hash, known.request_hash.begin(),
                           [](char c) { return static_cast<std::uint8_t>(c); });
    return known;
  });
}

Result<std::vector<LedgerEntry>> DatabaseReader::Ledger(const JobRef& job) {
  return With<std::vector<LedgerEntry>>([&](Work& work) {
    return ReadAll<LedgerEntry>(work,
                                {std::string("select ") + kLedgerFields +
                                     " from ledger l where l.job_id = $1::bigint"
                                     " and $2::integer in (-1, l.element) order by l.seq",
                                 {std::to_string(job.id.value), std::to_string(job.element)}},
                                ReadLedgerEntry);
  });
}

// In the words of the index events_of_roles, or it does not serve.
Result<std::vector<Event>> DatabaseReader::RoleChanges(TimeMs since_ms, TimeMs until_ms) {
  return With<std::vector<Event>>([&](Work& work) {
    return ReadAll<Event>(work,
                          {std::string("select ") + kEventFields +
                               " from events e where e.subject = 'user'"
                               " and e.reason -> 'fields' ->> 'field' = 'roles'"
                               " and e.time_ms >= $1::bigint"
                               " and ($2::bigint = 0 or e.time_ms < $2::bigint) order by e.seq",
                           {std::to_string(since_ms), std::to_string(until_ms)}},
                          ReadEvent);
  });
}

Result<std::vector<AccountVersion>> DatabaseReader::AccountHistory() {
  return With<std::vector<AccountVersion>>([&](Work& work) {
    return ReadAll<AccountVersion>(
        work,
        {"select a.account_id, a.parent_id, a.name, a.kind, a.title, a.attributes, a.closed,"
         " a.version, a.settings, a.actor_id, a.time_ms, a.reason from account_settings a"
         " order by a.version, a.account_id",
         {}},
        [](RowCursor& row) {
          AccountVersion version{.account = ReadAccount(row)};
          version.actor.value = row.Int();
          version.time_ms = row.Int();
          version.reason = row.String();
          return version;
        });
  });
}

}  // namespace kezek::postgres
