// What reports are made from, summed up by the database.
#include <utility>

#include "kezek/names.h"
#include "postgres/array_literal.h"
#include "postgres/database_reader.h"
#include "postgres/ledger_query.h"
#include "postgres/rows.h"

namespace kezek::postgres {
namespace {

using Work = pqxx::transaction_base;

std::string PeriodSql(ReportPeriod period, const std::string& time_ms) {
  if (period == ReportPeriod::kNone) return "''";
  const char* form = period == ReportPeriod::kDay ? "YYYY-MM-DD" : "YYYY-MM";
  return "to_char(to_timestamp(" + time_ms + " / 1000) at time zone 'UTC', '" + form + "')";
}

// Where a query has what rows are told apart by.
struct KeySql {
  const char* user;
  const char* job_class;
  const char* gpu_type;
  const char* time_ms;
  const char* kind = "coalesce(j.spec ->> 'kind', 'batch')";
};

// What ran beside Kezek has no class, and no kind.
constexpr KeySql kOfEntry = {"l.user_id",
                             "case when l.kind = 'foreign' then 'foreign' else l.job_class end",
                             "l.gpu_type", "l.time_ms",
                             "case when l.kind = 'foreign' then 'foreign'"
                             " else coalesce(j.spec ->> 'kind', 'batch') end"};
constexpr KeySql kOfEnd = {"j.user_id", "j.job_class", "j.spec -> 'shape' ->> 'gpu_type'",
                           "j.ended_ms"};
constexpr KeySql kOfStart = {"j.user_id", "j.job_class", "j.spec -> 'shape' ->> 'gpu_type'",
                             "j.started_ms"};
constexpr KeySql kOfAttempt = {"j.user_id", "j.job_class", "j.spec -> 'shape' ->> 'gpu_type'",
                               "a.end_ms"};

// "g, u, c, t, k, p": what is not asked for is the same in all rows.
std::string KeysOf(const ReportQuery& query, const KeySql& at) {
  const auto text = [](bool wanted, const std::string& sql) { return wanted ? sql : "''"; };
  return "m.g, " + (query.by_user ? std::string(at.user) : "0") + " as u, " +
         text(query.by_class, at.job_class) + " as c, " + text(query.by_gpu_type, at.gpu_type) +
         " as t, " + text(query.by_kind, at.kind) + " as k, " +
         PeriodSql(query.period, at.time_ms) + " as p";
}

// In the time asked for ($1, $2) and of the type ($3); `m` maps projects ($4) to groups ($5).
std::string WhereFor(const KeySql& at) {
  const std::string time = at.time_ms;
  return " where " + time + " >= $1::bigint and " + time + " < $2::bigint and ($3::text = '' or " +
         at.gpu_type + " = $3::text)";
}

std::string Groups(const std::string& project) {
  return " join unnest($4::bigint[], $5::integer[]) as m(project, g) on m.project = " + project;
}

// An array's row is not a job that ran: its elements are.
constexpr const char* kNoArrayRow = " and not (j.element = -1 and j.spec ? 'array')";
constexpr const char* kJobOf = " join jobs j on j.id = a.job_id and j.element = a.element";
// What counts up to the entry asked for ($6).
constexpr const char* kBooked = " and ($6::bigint = 0 or l.seq <= $6::bigint)";
constexpr const char* kSettled =
    " and ($6::bigint = 0 or not exists (select from ledger s where s.job_id = a.job_id"
    " and s.element = a.element and s.attempt = a.number and s.kind = 'settlement'"
    " and s.book = 'charge' and s.seq > $6::bigint))";
// By a refund, or a correction that two people decided.
constexpr const char* kGivenBack = "(l.kind = 'refund' or l.kind = 'adjustment' and l.amount < 0)";
constexpr const char* kRunMs = "greatest(0, (a.end_ms - a.start_ms) / 1000 * 1000)";

ReportKey ReadKey(RowCursor& row) {
  ReportKey key;
  key.group = row.Int32();
  key.user.value = row.Int();
  key.job_class = row.String();
  key.gpu_type = row.String();
  key.kind = row.String();
  key.period = row.String();
  return key;
}

WaitSums ReadWaits(RowCursor& row) {
  WaitSums waits;
  waits.jobs = row.Int();
  waits.sum_ms = row.Int();
  waits.p50_ms = row.Int();
  waits.p95_ms = row.Int();
  waits.max_ms = row.Int();
  return waits;
}

// One report's queries, in one transaction.
class ReportReading {
 public:
  ReportReading(Work& work, const ReportQuery& query) : work_(work), query_(query) {
    ArrayLiteral projects;
    ArrayLiteral groups;
    for (const auto& [project, group] : query.projects) {
      projects.AddInt(project.value);
      groups.AddInt(group);
    }
    params_ = {std::to_string(query.since_ms), std::to_string(query.until_ms), query.gpu_type,
               projects.Text(), groups.Text()};
    with_seq_ = params_;
    with_seq_.push_back(std::to_string(query.last_ledger_seq));
  }

  ReportFigures Read() {
    ReadCharges();
    ReadEnds();
    ReadExpiries();
    ReadLosses();
    ReadStarts();
    ReadRange();
    return std::move(figures_);
  }

 private:
  template <class Take>
  void ForEach(const std::string& sql, Take take, bool with_seq = false) {
    const std::vector<std::string>& params = with_seq ? with_seq_ : params_;
    for (const auto& row : work_.exec_params(sql, pqxx::prepare::make_dynamic_params(params))) {
      RowCursor cursor(row);
      take(cursor);
    }
  }

  void ReadCharges() {
    ForEach(
        "select " + KeysOf(query_, kOfEntry) + ", coalesce(sum(l.amount) filter (where not " +
            kGivenBack +
            "), 0)::bigint,"
            " coalesce(-sum(l.amount) filter (where " +
            kGivenBack +
            "), 0)::bigint,"
            " (coalesce(sum(a.counted_milli * " +
            kRunMs +
            ") filter (where l.kind = 'settlement' and a.start_ms > 0), 0)"
            " + coalesce(sum(f.counted_milli * (f.end_ms - f.start_ms)), 0))::bigint,"
            " coalesce(sum(l.amount) filter (where l.kind = 'foreign'), 0)::bigint"
            " from ledger l left join foreign_runs f on l.kind = 'foreign'"
            " and f.cluster_job_id = l.foreign_job and f.start_ms = l.date_ms"
            " and f.gpu_type = l.gpu_type left join attempts a on a.job_id = l.job_id"
            " and a.element = l.element and a.number = l.attempt"
            " left join jobs j on j.id = l.job_id and j.element = l.element" +
            Groups("l.project_id") + WhereFor(kOfEntry) + " and l.book = 'charge'" + kBooked +
            " group by 1, 2, 3, 4, 5, 6",
        [this](RowCursor& row) {
          ReportSums& sums = figures_.rows[ReadKey(row)];
          sums.charged = row.Int();
          sums.refunded = row.Int();
          sums.used = row.Int();
          sums.foreign = row.Int();
        },
        true);
  }

  // Of budgets, whose entries name nobody's job.
  void ReadExpiries() {
    if (query_.by_user || query_.by_class || query_.by_kind) return;
    ForEach(
        "select " + KeysOf(query_, kOfEntry) + ", sum(l.amount)::bigint from ledger l" +
            Groups("l.budget_account_id") + WhereFor(kOfEntry) +
            " and l.book = 'budget' and l.kind = 'expiry'" + kBooked + " group by 1, 2, 3, 4, 5, 6",
        [this](RowCursor& row) {
          ReportSums& sums = figures_.rows[ReadKey(row)];
          sums.expired = row.Int();
        },
        true);
  }

  void ReadEnds() {
    ForEach("select " + KeysOf(query_, kOfEnd) +
                ", count(*), count(*) filter (where j.state in ('failed', 'timed_out'))"
                " from jobs j" +
                Groups("j.project_id") + WhereFor(kOfEnd) + kNoArrayRow +
                " and j.ended_ms > 0 and j.state in"
                " ('succeeded', 'failed', 'timed_out', 'cancelled') group by 1, 2, 3, 4, 5, 6",
            [this](RowCursor& row) {
              ReportSums& sums = figures_.rows[ReadKey(row)];
              sums.jobs = row.Int();
              sums.failed = row.Int();
            });
  }

  void ReadLosses() {
    ForEach(
        "select " + KeysOf(query_, kOfAttempt) +
            ", count(*) filter (where a.outcome = 'preempted'),"
            " coalesce(sum(a.counted_milli * " +
            kRunMs + ") filter (where a.start_ms > 0), 0)::bigint from attempts a" + kJobOf +
            Groups("j.project_id") + WhereFor(kOfAttempt) +
            " and a.outcome in ('preempted', 'node_failed')" + kSettled +
            " group by 1, 2, 3, 4, 5, 6",
        [this](RowCursor& row) {
          ReportSums& sums = figures_.rows[ReadKey(row)];
          sums.preempted = row.Int();
          sums.lost = row.Int();
        },
        true);
  }

  // Percentiles by nearest rank: the least wait that so many of a hundred do not exceed.
  void ReadStarts() {
    ForEach(
        "select g, u, c, t, k, p, grouping(g), count(*), sum(w)::bigint,"
        " (percentile_disc(array[0.5, 0.95]::float8[]) within group (order by w))[1],"
        " (percentile_disc(array[0.5, 0.95]::float8[]) within group (order by w))[2], max(w) from"
        " (select " +
            KeysOf(query_, kOfStart) +
            ", greatest(0, j.started_ms - j.submitted_ms) as w from jobs j" +
            Groups("j.project_id") + WhereFor(kOfStart) + kNoArrayRow +
            " and j.started_ms > 0) s group by grouping sets ((g, u, c, t, k, p), ())",
        [this](RowCursor& row) {
          const ReportKey key = ReadKey(row);
          const bool all = row.Int() != 0;
          (all ? figures_.waits : figures_.rows[key].waits) = ReadWaits(row);
        });
  }

  void ReadRange() {
    const Sql range = LedgerRangeSql(query_.since_ms, query_.until_ms, query_.last_ledger_seq);
    const auto row =
        work_.exec_params1(range.text, pqxx::prepare::make_dynamic_params(range.params));
    figures_.first_ledger_seq = row[0].as<std::int64_t>();
    figures_.last_ledger_seq = row[1].as<std::int64_t>();
  }

  Work& work_;
  const ReportQuery& query_;
  std::vector<std::string> params_;
  std::vector<std::string> with_seq_;  // with $6
  ReportFigures figures_;
};

}  // namespace

Result<ReportFigures> DatabaseReader::Report(const ReportQuery& query) {
  return With<ReportFigures>([&](Work& work) { return ReportReading(work, query).Read(); });
}

Result<HistoryKept> DatabaseReader::Kept() {
  return With<HistoryKept>([&](Work& work) {
    const auto row = work.exec1("select history_until_ms, history_days_before_ms from leader");
    return HistoryKept{row[0].as<std::int64_t>(), row[1].as<std::int64_t>()};
  });
}

Result<std::vector<HistoryRow>> DatabaseReader::History(const HistoryQuery& query) {
  ArrayLiteral accounts;
  for (const AccountId& account : query.accounts) accounts.AddInt(account.value);
  const std::vector<std::string> params = {std::to_string(query.since_ms),
                                           std::to_string(query.until_ms), query.gpu_type,
                                           accounts.Text()};
  std::string sql = "select account_id, gpu_type, " + PeriodSql(query.period, "from_ms");
  for (const char* figure : {"due", "entitled", "held", "demanded", "borrowed", "lent", "no_demand",
                             "by_limits", "by_budgets", "unfit", "taken", "away", "apart"}) {
    sql += std::string(", sum(") + figure + ")::bigint";
  }
  sql +=
      ", min(first_version), max(last_version)"
      " from account_hours where from_ms >= $1::bigint and from_ms + 3600000 <= $2::bigint"
      " and ($3::text = '' or gpu_type = $3::text) and account_id = any($4::bigint[])"
      " group by 1, 2, 3 order by 1, 2, 3";
  return With<std::vector<HistoryRow>>([&](Work& work) {
    std::vector<HistoryRow> rows;
    for (const auto& row : work.exec_params(sql, pqxx::prepare::make_dynamic_params(params))) {
      RowCursor cursor(row);
      HistoryRow& one = rows.emplace_back();
      one.account.value = cursor.Int();
      one.gpu_type = cursor.String();
      one.period = cursor.String();
      for (const auto member : kAccountFigures) one.figures.*member = cursor.Int();
      one.versions.first = cursor.Int();
      one.versions.last = cursor.Int();
    }
    return rows;
  });
}

Result<std::vector<OverrideCount>> DatabaseReader::Overrides(TimeMs since_ms, TimeMs until_ms) {
  return With<std::vector<OverrideCount>>([&](Work& work) {
    std::vector<OverrideCount> counts;
    // In the words of the index events_of_overrides, or it does not serve.
    const std::string has = "reason -> 'fields' ? '" + std::string(kOverrideField) + "'";
    const std::string sql =
        "select project_id, reason -> 'fields' ->> '" + std::string(kOverrideField) +
        "' as kind, count(*) from events where " + has + " and time_ms >= $1::bigint" +
        " and ($2::bigint = 0 or time_ms < $2::bigint)" + " group by 1, 2 order by 1, 2";
    for (const auto& row : work.exec_params(sql, since_ms, until_ms)) {
      RowCursor cursor(row);
      OverrideCount& one = counts.emplace_back();
      one.project.value = cursor.Int();
      one.kind = cursor.String();
      one.count = cursor.Int();
    }
    return counts;
  });
}

}  // namespace kezek::postgres
