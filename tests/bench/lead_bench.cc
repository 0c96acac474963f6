// How long a leader takes to begin with a ledger of much usage: lead_bench ENTRIES, with the server
// of KEZEK_PG_DIR. Books so many entries of usage of attempts that are settled, then leads and
// begins from the snapshot; prints one JSON object.
//
// 200 projects of 20 institutions, 1,000 users. Half of the attempts are short (a piece, moved to
// Slurm's start, corrected), half have three hours. None is older than 200 days.
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "postgres/postgres_store.h"
#include "scheduler/control/controller.h"
#include "tests/support/postgres_server.h"

namespace {

using namespace kezek;

constexpr TimeMs kNow = 20'000 * kDayMs;

class FixedClock : public Clock {
 public:
  TimeMs Now() override { return kNow; }
};

// Without the triggers, which keep totals that usage is not in.
void Fill(const std::string& admin, const std::string& entries) {
  test::Sql(
      admin,
      "set session_replication_role = replica;"
      "insert into accounts select id, case when id < 22 then 1 else 2 + id % 20 end, 'a' || id,"
      "  case when id < 22 then 'institution' else 'project' end, '', '{}', false, id"
      "  from generate_series(2, 221) as id;"
      "insert into account_settings (account_id, version, settings, actor_id, time_ms, reason,"
      "    parent_id, name, kind, title, attributes, closed)"
      "  select id, version, '{}', 0, 1, 'bench', parent_id, name, kind, title, attributes, closed"
      "  from accounts where id > 1;");
  test::Sql(
      admin,
      "set session_replication_role = replica;"
      "insert into ledger (seq, time_ms, book, kind, job_id, element, attempt, project_id, user_id,"
      "    contra, job_class, gpu_type, date_ms, amount, settings_version)"
      "  select row_number() over (order by job, part), start + part * 1000, 'usage', kind, job, "
      "-1,"
      "    1, 22 + job % 200, 1 + job % 1000, 'machine', 'normal', 'h200', date, amount, 221"
      "  from (select job, " +
          std::to_string(kNow) +
          " - (job * 7919 % 17280000) * 1000 as start"
          "    from generate_series(1::bigint, " +
          entries +
          " / 5) as job) jobs,"
          "  lateral (values (1, 'piece', start - 7000, 28800000000), (2, 'redate', start - 7000,"
          "      -28800000000), (3, 'redate', start, 28800000000), (4, 'correction', start + case"
          "      when job % 2 = 0 then 0 else 7200000 end, -9000000000), (5, 'piece', start +"
          "      3600000, 28800000000), (6, 'piece', start + 7200000, 28800000000))"
          "    as parts (part, kind, date, amount) where job % 2 = 1 or part < 5");
  test::Sql(admin, "analyze ledger");
}

double Seconds(std::chrono::steady_clock::time_point since) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - since).count();
}

long PeakMib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss / 1024;
}

control::ControlConfig ConfigOf() {
  control::ControlConfig config;
  config.classes["normal"] = {.name = "normal"};
  config.keyed_hash = [](std::string_view) { return std::string(64, 'a'); };
  config.output_root = "/output";
  config.cluster_name = "bench";
  return config;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: KEZEK_PG_DIR=DIR lead_bench ENTRIES\n");
    return 2;
  }
  const test::Database database = test::FreshDatabase(test::ServerFolder());
  Fill(database.admin, argv[1]);
  FixedClock clock;
  const long before = PeakMib();
  postgres::PostgresStore store({.conninfo = database.app}, clock, {});
  const auto loading = std::chrono::steady_clock::now();
  const auto snapshot = store.Lead();
  if (!snapshot) {
    std::fprintf(stderr, "lead_bench: %s\n", snapshot.error().message.c_str());
    return 1;
  }
  const double load_s = Seconds(loading);
  std::size_t sums = snapshot->usage.size();
  for (const auto& [whose, dated] : snapshot->settled_usage) sums += dated.size();
  const auto beginning = std::chrono::steady_clock::now();
  const control::Controller controller(ConfigOf(), *snapshot, kNow);
  std::printf(
      "{\"entries\": %s, \"sums\": %zu, \"load_s\": %.2f, \"begin_s\": %.2f, \"peak_mib\": %ld}\n",
      argv[1], sums, load_s, Seconds(beginning), PeakMib() - before);
  return 0;
}
