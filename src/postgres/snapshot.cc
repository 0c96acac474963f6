#include "postgres/snapshot.h"

#include <algorithm>
#include <map>
#include <pqxx/cursor>
#include <string>
#include <utility>

#include "postgres/foreign_changes.h"
#include "postgres/reservation_changes.h"
#include "postgres/rows.h"

namespace kezek::postgres {
namespace {

template <class T>
std::vector<T> ReadAll(pqxx::transaction_base& work, const std::string& sql,
                       T (*read)(RowCursor& row)) {
  const pqxx::result rows = work.exec(sql);
  std::vector<T> values;
  values.reserve(static_cast<std::size_t>(rows.size()));
  for (const auto& row : rows) {
    RowCursor cursor(row);
    values.push_back(read(cursor));
  }
  return values;
}

// Not final ones, and all rows of what a waiting job depends on.
std::vector<Job> ReadJobs(pqxx::transaction_base& work) {
  const std::string alive = "state in ('queued', 'starting', 'running')";
  const pqxx::result rows =
      work.exec(std::string("select ") + kJobFields + " from jobs j where j." + alive +
                " or j.id in (select unnest(w.depends_on) from jobs w where w." + alive +
                " and w.depends_on <> '{}') order by j.id, j.element");
  std::vector<Job> jobs;
  jobs.reserve(static_cast<std::size_t>(rows.size()));
  SpecCache specs;
  for (const auto& row : rows) {
    RowCursor cursor(row);
    jobs.push_back(ReadJob(cursor, specs));
  }
  return jobs;
}

std::vector<User> ReadUsers(pqxx::transaction_base& work) {
  auto users = ReadAll<User>(
      work, std::string("select ") + kUserFields + " from users u order by u.id", ReadUser);
  std::map<UserId, std::vector<RoleGrant>> roles;
  for (const auto& row : work.exec("select user_id, role, account_id from user_roles")) {
    RowCursor cursor(row);
    const UserId user{cursor.Int()};
    const Role role = cursor.Enum<Role>();
    roles[user].push_back({role, AccountId{cursor.Int()}});
  }
  for (User& user : users) {
    user.roles = std::move(roles[user.id]);
    std::ranges::sort(user.roles);
  }
  return users;
}

// The last ones of projects with rule `shortest`, oldest first. Most sites have no such project.
std::vector<EndedRun> ReadEndedRuns(pqxx::transaction_base& work,
                                    const std::vector<Account>& accounts) {
  constexpr int kMost = 20'000;
  std::string projects;
  for (const Account& account : accounts) {
    if (account.settings.rule != ProjectRule::kShortest) continue;
    projects += (projects.empty() ? "" : ", ") + std::to_string(account.id.value);
  }
  if (projects.empty()) return {};
  const pqxx::result rows = work.exec(
      "select j.project_id, j.user_id, j.spec, a.start_ms, a.end_ms, a.outcome"
      " from jobs j join attempts a on a.job_id = j.id and a.element = j.element"
      " where j.project_id in (" +
      projects +
      ") and a.state = 'ended' and a.start_ms > 0"
      " order by a.end_ms desc, a.job_id desc, a.element desc, a.number desc limit " +
      std::to_string(kMost));
  std::vector<EndedRun> runs;
  runs.reserve(static_cast<std::size_t>(rows.size()));
  SpecCache specs;
  for (const auto& row : rows) {
    RowCursor cursor(row);
    EndedRun run;
    run.project = AccountId{cursor.Int()};
    run.user = UserId{cursor.Int()};
    const auto spec = specs.Get(cursor.Text());
    run.name = spec->name;
    run.shape = spec->shape;
    run.start_ms = cursor.Int();
    run.end_ms = cursor.Int();
    run.typical = IsTypical(cursor.Enum<AttemptOutcome>());
    runs.push_back(std::move(run));
  }
  std::ranges::reverse(runs);
  return runs;
}

// Usage has the most entries of all books: the server adds up what was booked and taken back, and
// what is left of it comes in parts.
std::map<UsageOwner, DatedUsage> ReadSettledUsage(pqxx::transaction_base& work, TimeMs since_ms) {
  constexpr pqxx::icursorstream::difference_type kRows = 20'000;
  work.exec("set local work_mem = '256MB'");
  pqxx::icursorstream parts(
      work,
      "select l.project_id, l.user_id, l.gpu_type, l.settings_version, l.date_ms,"
      " sum(l.amount)::bigint from ledger l where l.book = 'usage' and l.date_ms >= " +
          std::to_string(since_ms) +
          " and not exists (select from attempts a where not a.settled and a.job_id = l.job_id"
          " and a.element = l.element and a.number = l.attempt)"
          " group by 1, 2, 3, 4, 5 having sum(l.amount) <> 0",
      "settled_usage", kRows);
  std::map<UsageOwner, DatedUsage> usage;
  for (pqxx::result rows; parts >> rows;) {
    for (const auto& row : rows) {
      RowCursor cursor(row);
      UsageOwner whose;
      whose.project.value = cursor.Int();
      whose.user.value = cursor.Int();
      whose.gpu_type = cursor.String();
      whose.settings_version = cursor.Int();
      const TimeMs date_ms = cursor.Int();
      usage[std::move(whose)].emplace_back(date_ms, cursor.Int());
    }
  }
  return usage;
}

void ReadReservations(pqxx::transaction_base& work, Snapshot& snapshot) {
  snapshot.reservations = ReadAll<Reservation>(work, kReservationsSql, ReadReservation);
  snapshot.admin_reservations =
      ReadAll<AdminReservation>(work, kAdminReservationsSql, ReadAdminReservation);
}

}  // namespace

Counters ReadCounters(pqxx::transaction_base& work) {
  const pqxx::row row = work.exec1(
      "select coalesce((select max(id) from jobs), 0) + 1,"
      " coalesce((select max(seq) from events), 0), coalesce((select max(seq) from ledger), 0),"
      " greatest((select time_ms from events order by seq desc limit 1),"
      " (select time_ms from ledger order by seq desc limit 1), 0)");
  RowCursor cursor(row);
  Counters counters;
  counters.next_job = cursor.Int();
  counters.last_event_seq = cursor.Int();
  counters.last_ledger_seq = cursor.Int();
  counters.last_time_ms = cursor.Int();
  return counters;
}

Snapshot ReadSnapshot(pqxx::transaction_base& work, TimeMs usage_since_ms) {
  const std::string select = "select ";
  Snapshot snapshot;
  snapshot.installation = work.exec1("select id from installation")[0].c_str();
  const pqxx::row leader = work.exec1("select stop, history_until_ms from leader");
  snapshot.stop = leader[0].c_str();
  snapshot.history_until_ms = leader[1].as<std::int64_t>();
  const Counters counters = ReadCounters(work);
  snapshot.last_time_ms = counters.last_time_ms;
  for (const auto& row : work.exec("select epoch, issued from epochs")) {
    auto& epochs = row[1].as<bool>() ? snapshot.issued_epochs : snapshot.accepted_epochs;
    epochs.insert(row[0].as<std::int64_t>());
  }
  snapshot.jobs = ReadJobs(work);
  snapshot.attempts = ReadAll<Attempt>(
      work,
      select + kAttemptFields +
          " from attempts a where not a.settled order by a.job_id, a.element, a.number",
      ReadAttempt);
  snapshot.accounts =
      ReadAll<Account>(work,
                       select + kAccountFields +
                           " from accounts a join account_settings s on s.account_id = a.id and"
                           " s.version = a.version order by a.id",
                       ReadAccount);
  snapshot.users = ReadUsers(work);
  snapshot.tokens =
      ReadAll<Token>(work, select + kTokenFields + " from tokens t order by t.id", ReadToken);
  snapshot.nodes =
      ReadAll<Node>(work, select + kNodeFields + " from nodes n order by n.name", ReadNode);
  ReadReservations(work, snapshot);
  // Of what is not settled all, however old: what is booked for it is the difference from what
  // stands there.
  snapshot.usage = ReadAll<LedgerEntry>(
      work,
      select + kLedgerFields +
          " from attempts a join ledger l on l.job_id = a.job_id and l.element = a.element and"
          " l.attempt = a.number where not a.settled and l.book = 'usage' order by l.seq",
      ReadLedgerEntry);
  snapshot.settled_usage = ReadSettledUsage(work, usage_since_ms);
  snapshot.holds = ReadAll<LedgerEntry>(
      work,
      select + kLedgerFields +
          " from ledger l join attempts a on a.job_id = l.job_id and a.element = l.element"
          " and a.number = l.attempt where l.book = 'budget' and not a.settled order by l.seq",
      ReadLedgerEntry);
  snapshot.budgets = ReadAll<std::pair<BudgetRef, BudgetBalance>>(
      work, select + kBudgetFields + " from budget_totals b order by b.account_id, b.name",
      ReadBudget);
  snapshot.corrections = ReadAll<Correction>(
      work,
      select + kCorrectionFields + " from corrections c where c.state = 'proposed' order by c.id",
      ReadCorrection);
  snapshot.last_correction =
      work.exec1("select coalesce(max(id), 0) from corrections")[0].as<std::int64_t>();
  snapshot.places = ReadAll<AccountPlace>(
      work,
      "select s.account_id, s.version, s.parent_id from account_settings s where s.account_id in"
      " (select account_id from account_settings group by account_id"
      " having count(distinct parent_id) > 1) order by s.version, s.account_id",
      [](RowCursor& row) {
        AccountPlace place{.account = AccountId{row.Int()}};
        place.version = row.Int();
        place.parent.value = row.Int();
        return place;
      });
  snapshot.ended_runs = ReadEndedRuns(work, snapshot.accounts);
  ReadForeign(work, snapshot);
  return snapshot;
}

}  // namespace kezek::postgres
