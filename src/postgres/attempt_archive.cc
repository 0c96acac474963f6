#include "postgres/attempt_archive.h"

#include <exception>
#include <pqxx/pqxx>
#include <utility>

#include "postgres/array_literal.h"
#include "postgres/connection.h"
#include "postgres/rows.h"

namespace kezek::postgres {
namespace {

std::string ArchiveSql(const std::string& where) {
  return std::string("select ") + kAttemptFields +
         ", j.project_id, u.unix_account, l.settled, l.settlements from attempts a"
         " join jobs j on j.id = a.job_id and j.element = a.element"
         " join users u on u.id = j.user_id"
         " cross join lateral (select coalesce(sum(amount), 0)::bigint as settled,"
         " count(*)::integer as settlements from ledger l where l.job_id = a.job_id"
         " and l.element = a.element and l.attempt = a.number and l.book = 'charge'"
         " and l.kind = 'settlement') l where " +
         where;
}

ChargedAttempt ReadCharged(const pqxx::row& row) {
  RowCursor cursor(row);
  ChargedAttempt one;
  one.attempt = ReadAttempt(cursor);
  one.project.value = cursor.Int();
  one.unix_account = cursor.String();
  one.settled = cursor.Int();
  one.settlements = cursor.Int32();
  return one;
}

std::vector<ChargedAttempt> ReadRunAs(pqxx::transaction_base& work,
                                      const std::vector<std::int64_t>& ids) {
  ArrayLiteral numbers;
  for (const std::int64_t id : ids) numbers.AddInt(id);
  std::vector<ChargedAttempt> known;
  for (const auto& row :
       work.exec_params(ArchiveSql("a.cluster_job_id > 0 and a.cluster_job_id = any($1::bigint[])"),
                        numbers.Text())) {
    known.push_back(ReadCharged(row));
  }
  return known;
}

// The order comes from the server, which sorts on its disk what its memory does not hold.
class Reading final : public AttemptReading {
 public:
  Reading(std::unique_ptr<pqxx::connection> connection, TimeMs since_ms, TimeMs until_ms)
      : connection_(std::move(connection)), work_(*connection_) {
    work_.exec0("declare ended no scroll cursor for " +
                ArchiveSql("a.state = 'ended' and a.end_ms >= " + std::to_string(since_ms) +
                           " and a.end_ms < " + std::to_string(until_ms) +
                           " order by a.end_ms, a.job_id, a.element, a.number"));
  }

  Result<std::vector<ChargedAttempt>> Next(std::int32_t limit) override {
    try {
      std::vector<ChargedAttempt> some;
      for (const auto& row : work_.exec("fetch " + std::to_string(limit) + " from ended")) {
        some.push_back(ReadCharged(row));
      }
      return some;
    } catch (const std::exception& problem) {
      return ErrorOf(problem);
    }
  }

  Result<std::vector<ChargedAttempt>> RunAs(const std::vector<std::int64_t>& ids) override {
    try {
      return ReadRunAs(work_, ids);
    } catch (const std::exception& problem) {
      return ErrorOf(problem);
    }
  }

  Result<ForeignCharged> Foreign(TimeMs since_ms, TimeMs until_ms) override {
    try {
      ForeignCharged charged;
      const auto read = work_.exec1("select foreign_since_ms, foreign_until_ms from leader");
      charged.read = {read[0].as<std::int64_t>(), read[1].as<std::int64_t>()};
      for (const auto& row :
           work_.exec_params("select distinct cluster_job_id, start_ms from foreign_runs"
                             " where end_ms >= $1::bigint and end_ms < $2::bigint",
                             since_ms, until_ms)) {
        charged.runs.insert({row[0].as<std::int64_t>(), row[1].as<std::int64_t>()});
      }
      return charged;
    } catch (const std::exception& problem) {
      return ErrorOf(problem);
    }
  }

  Result<ChargedAttempt> Find(const AttemptRef& attempt) override {
    try {
      const auto rows =
          work_.exec(ArchiveSql("a.job_id = " + std::to_string(attempt.job.id.value) +
                                " and a.element = " + std::to_string(attempt.job.element) +
                                " and a.number = " + std::to_string(attempt.number)));
      if (rows.empty()) return Error{Code::kNotFound, "no such attempt", {}};
      return ReadCharged(rows[0]);
    } catch (const std::exception& problem) {
      return ErrorOf(problem);
    }
  }

 private:
  std::unique_ptr<pqxx::connection> connection_;
  pqxx::transaction<pqxx::repeatable_read, pqxx::readwrite_policy::read_only> work_;
};

}  // namespace

Result<std::unique_ptr<AttemptReading>> PostgresArchive::Open(TimeMs since_ms, TimeMs until_ms) {
  try {
    return std::unique_ptr<AttemptReading>(
        std::make_unique<Reading>(Connect(conninfo_, "kezekd reconcile"), since_ms, until_ms));
  } catch (const std::exception& problem) {
    return ErrorOf(problem);
  }
}

Result<std::vector<ChargedAttempt>> PostgresArchive::RunAs(const std::vector<std::int64_t>& ids) {
  try {
    const auto connection = Connect(conninfo_, "kezekd foreign");
    pqxx::read_transaction work(*connection);
    return ReadRunAs(work, ids);
  } catch (const std::exception& problem) {
    return ErrorOf(problem);
  }
}

Result<std::vector<ChargedAttempt>> PostgresArchive::Named(
    const std::vector<AttemptRef>& attempts) {
  ArrayLiteral jobs;
  ArrayLiteral elements;
  ArrayLiteral numbers;
  for (const AttemptRef& one : attempts) {
    jobs.AddInt(one.job.id.value);
    elements.AddInt(one.job.element);
    numbers.AddInt(one.number);
  }
  try {
    const auto connection = Connect(conninfo_, "kezekd foreign");
    pqxx::read_transaction work(*connection);
    std::vector<ChargedAttempt> known;
    for (const auto& row :
         work.exec_params(ArchiveSql("(a.job_id, a.element, a.number) in (select * from"
                                     " unnest($1::bigint[], $2::integer[], $3::integer[]))"),
                          jobs.Text(), elements.Text(), numbers.Text())) {
      known.push_back(ReadCharged(row));
    }
    return known;
  } catch (const std::exception& problem) {
    return ErrorOf(problem);
  }
}

}  // namespace kezek::postgres
