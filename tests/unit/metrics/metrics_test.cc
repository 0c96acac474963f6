// Goal: /metrics says what is so: every figure of a known state, every measure where it belongs;
// nothing is exposed that the table does not have with its type and labels, and docs/metrics.md has
// the table. Method: one tree and machine by hand, whose text is read line by line.
// KEZEK_REWRITE=1 writes the table into the page anew.

#include "metrics/metrics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "kezek/reason_text.h"
#include "metrics/families.h"

namespace kezek::metrics {
namespace {

constexpr AccountId kUniversities{2};
constexpr AccountId kKaznu{3};

Account MakeAccount(AccountId id, AccountId parent, const std::string& name,
                    const std::string& kind) {
  Account account;
  account.id = id;
  account.parent = parent;
  account.name = name;
  account.kind = kind;
  return account;
}

Node MakeNode(const std::string& name, NodeHealth health, std::int32_t foreign = 0) {
  Node node;
  node.name = name;
  node.gpu_type = "h200";
  node.gpus = 8;
  node.health = health;
  node.foreign_gpus = foreign;
  return node;
}

// universities/kaznu on four nodes: 5 GPUs are Kezek's, 2 foreign, one node drains, one is down.
std::shared_ptr<const View> KnownView() {
  auto directory = std::make_shared<Directory>();
  directory->accounts[kRootAccount] = MakeAccount(kRootAccount, {}, "", "cluster");
  directory->accounts[kUniversities] =
      MakeAccount(kUniversities, kRootAccount, "universities", "sector");
  directory->accounts[kKaznu] = MakeAccount(kKaznu, kUniversities, "kaznu", "institution");
  directory->reservations["maint"] = {.name = "maint",
                                      .start_ms = 1'795'000'000'000,
                                      .duration_ms = kHourMs,
                                      .nodes = {"n1", "n2"}};
  directory->reservations["over"] = {
      .name = "over", .start_ms = 1'795'000'000, .duration_ms = kHourMs, .nodes = {"n1"}};
  auto view = std::make_shared<View>();
  view->now_ms = 1'795'000'000'500;
  view->epoch = 7;
  view->cluster_answers = true;
  view->directory = directory;
  view->nodes["n1"] = MakeNode("n1", NodeHealth::kUp);
  view->nodes["n2"] = MakeNode("n2", NodeHealth::kUp, 2);
  view->nodes["n3"] = MakeNode("n3", NodeHealth::kDraining);
  view->nodes["n4"] = MakeNode("n4", NodeHealth::kDown);
  auto alive = std::make_shared<std::vector<Alive>>(2);
  (*alive)[0].placement = {{"n1", 4, {}}};
  (*alive)[1].placement = {{"n3", 1, {}}};
  view->alive = alive;
  view->standings[{kRootAccount, "h200"}] = {.guarantee_milli = 32'000};
  view->standings[{kKaznu, "h200"}] = {.guarantee_milli = 8'000,
                                       .entitled_milli = 12'500,
                                       .allocated_milli = 5'000,
                                       .demand_milli = 20'000,
                                       .usage_gpu_hours = 1.5,
                                       .guarantee_now_milli = 4'000,
                                       .lent_milli = 500,
                                       .idle_milli = 250,
                                       .entitled_by = EntitledBy::kScaled,
                                       .apart_milli = 3'000};
  // A current budget of one type, one of all types, and one whose period is over.
  const auto budget = [&](const char* name, const char* type, TimeMs end_ms) {
    BudgetStanding standing{.ref = {kKaznu, name}, .spec = {.name = name, .gpu_type = type}};
    standing.spec.start_ms = end_ms - 10 * kDayMs;
    standing.spec.end_ms = end_ms;
    standing.balance = {.granted = 7'000'000'000,
                        .carried_in = 500'000'000,
                        .left = 4'000'000'000,
                        .held = 2'000'000'000,
                        .spent = 1'500'000'000,
                        .warned_percent = 80};
    return standing;
  };
  BudgetStanding scarce = budget("scarce", "h200", view->now_ms + kDayMs);
  scarce.balance = {.granted = 9'500'000'000, .left = 500'000'000, .spent = 9'000'000'000};
  view->budgets = std::make_shared<const std::vector<BudgetStanding>>(std::vector<BudgetStanding>{
      budget("past", "h200", view->now_ms), budget("2026-Q4", "h200", view->now_ms + kDayMs),
      budget("all", "", view->now_ms + 1), std::move(scarce)});
  return view;
}

DaemonState KnownState() {
  return {.view = KnownView(), .leads = true, .schema_version = 4, .http_connections = 2};
}

// The value of a series as it is written, "" if it is not there.
std::string Value(const std::string& text, const std::string& series) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(series + " ")) return line.substr(series.size() + 1);
  }
  return "";
}

// Everything that can be told, once.
void TellAll(Metrics& metrics) {
  metrics.Begins(Worker::kCommitter);
  metrics.Rests(Worker::kCommitter);
  metrics.OnCommit(
      {.submissions = 3, .bytes = 5000, .stored = true, .took_us = 4'000, .waiting = 9});
  metrics.OnClusterCall({.call = "jobs", .took_us = 30'000});
  metrics.OnRpc({.method = "kezek.v1.JobService/Submit", .code = Code::kOk, .took_us = 1'500});
  metrics.OnEstimateTested(-120'000);
  metrics.OnEstimateTested(30'000);
  metrics.OnHttp("/metrics", 200);
  Event event;
  event.reason.code = ReasonCode::kStarted;
  event.reason.fields[kOverrideField] = kOverrideLimit;
  Event other;
  other.subject = Subject::kNode;
  metrics.OnRound({.ticked = true,
                   .took_us = 20'000,
                   .phases = {{"walk", 15'000}, {"commit", 5'000}},
                   .events = {event, other},
                   .first_runs = {{"normal", 90'000}},
                   .charged = {{kKaznu, "h200", 2'000LL * 1'000'000},
                               {kKaznu, "h200", 2'000LL * 800'000, true}},
                   .preempted = {{"normal", 8'000LL * 600'000}},
                   .promises = {.given = 2,
                                .earlier = 1,
                                .later = 1,
                                .ended = 1,
                                .reserved = 5,
                                .reclaims = 1,
                                .oldest_reclaim_ms = 90'000,
                                .reclaimed_ms = {200'000}},
                   .directory = KnownView()->directory.get()});
  metrics.SetQueue({.queued = {{"normal", ReasonCode::kWaitsForGpus, 12, 48'000}},
                    .alive = {{"debug", false, 1, 500}, {"normal", true, 3, 24'000}}});
}

TEST(Exposition, SaysHowTheMachineAndItsAccountsStand) {
  const Metrics metrics("0.1", 1'794'000'000'250);
  const std::string text = metrics.Expose(KnownState());
  const std::string kaznu = "{account=\"universities/kaznu\",gpu_type=\"h200\"}";
  const std::string q4 = "{account=\"universities/kaznu\",budget=\"2026-Q4\",gpu_type=\"h200\"}";
  const std::map<std::string, std::string> wanted = {
      {"kezek_account_guarantee_gpus" + kaznu, "8"},
      {"kezek_account_entitlement_gpus" + kaznu, "12.5"},
      {"kezek_account_allocated_gpus" + kaznu, "5"},
      {"kezek_account_demand_gpus" + kaznu, "20"},
      {"kezek_account_guarantee_now_gpus" + kaznu, "4"},
      {"kezek_account_borrowed_gpus" + kaznu, "1"},
      {"kezek_account_lent_gpus" + kaznu, "0.5"},
      {"kezek_account_kept_idle_gpus" + kaznu, "0.25"},
      {"kezek_account_owed_gpus" + kaznu, "7.5"},
      {"kezek_account_apart_gpus" + kaznu, "3"},
      {"kezek_account_entitlement_bound{account=\"universities/kaznu\",gpu_type=\"h200\","
       "by=\"scaled\"}",
       "1"},
      {"kezek_account_usage_gpu_seconds" + kaznu, "5400"},
      {"kezek_account_guarantee_gpus{account=\"/\",gpu_type=\"h200\"}", "32"},
      {"kezek_account_info{account=\"universities\",kind=\"sector\"}", "1"},
      {"kezek_budget_granted_gpu_seconds" + q4, "7500"},
      {"kezek_budget_spent_gpu_seconds" + q4, "1500"},
      {"kezek_budget_held_gpu_seconds" + q4, "2000"},
      {"kezek_budget_left_gpu_seconds" + q4, "4000"},
      {"kezek_budget_end_timestamp_seconds" + q4, "1795086400.5"},
      {"kezek_budget_warned_percent" + q4, "80"},
      // In nine days 1,500 GPU-seconds: in the day to come less than the 2,000 that are held.
      {"kezek_budget_will_expire_gpu_seconds" + q4, "4000"},
      // A ninth of that a day: half a day.
      {"kezek_budget_runs_out_timestamp_seconds{account=\"universities/kaznu\",budget=\"scarce\","
       "gpu_type=\"h200\"}",
       "1795043200.5"},
      {"kezek_budget_left_gpu_seconds{account=\"universities/kaznu\",budget=\"all\",gpu_type=\"\"}",
       "4000"},
      {"kezek_nodes{gpu_type=\"h200\",state=\"up\"}", "2"},
      {"kezek_nodes{gpu_type=\"h200\",state=\"draining\"}", "1"},
      {"kezek_nodes{gpu_type=\"h200\",state=\"down\"}", "1"},
      {"kezek_nodes{gpu_type=\"h200\",state=\"unknown\"}", "0"},
      {"kezek_gpus{gpu_type=\"h200\",state=\"allocated\"}", "5"},
      {"kezek_gpus{gpu_type=\"h200\",state=\"foreign\"}", "2"},
      {"kezek_gpus{gpu_type=\"h200\",state=\"free\"}", "10"},
      {"kezek_gpus{gpu_type=\"h200\",state=\"draining\"}", "7"},
      {"kezek_gpus{gpu_type=\"h200\",state=\"down\"}", "8"},
      {"kezek_last_tick_timestamp_seconds", "1795000000.5"},
      {"kezek_leader", "1"},
      {"kezek_epoch", "7"},
      {"kezek_schema_version", "4"},
      {"kezek_slurm_up", "1"},
      {"kezek_http_connections", "2"},
      {"kezek_build_info{version=\"0.1\"}", "1"},
      {"kezek_start_time_seconds", "1794000000.25"},
      {"kezek_commit_seconds_count", "0"},
      {"kezek_commit_failures_total", "0"},
  };
  for (const auto& [series, value] : wanted) {
    EXPECT_EQ(Value(text, series), value) << series << " in:\n" << text;
  }
  EXPECT_EQ(text.find("budget=\"past\""), std::string::npos) << text;
  EXPECT_EQ(text.find("kezek_slurm_follower_lag_seconds"), std::string::npos) << "nothing listed";
}

TEST(Exposition, SaysWhatWasTold) {
  Metrics metrics("0.1", 1);
  TellAll(metrics);
  const std::string text = metrics.Expose(KnownState());
  const std::map<std::string, std::string> wanted = {
      {"kezek_queue_jobs{class=\"normal\",reason=\"WAITS_FOR_GPUS\"}", "12"},
      {"kezek_queue_gpus{class=\"normal\",reason=\"WAITS_FOR_GPUS\"}", "48"},
      {"kezek_attempts{class=\"debug\",state=\"starting\"}", "1"},
      {"kezek_attempt_gpus{class=\"debug\",state=\"starting\"}", "0.5"},
      {"kezek_attempts{class=\"normal\",state=\"running\"}", "3"},
      {"kezek_job_wait_seconds_bucket{class=\"normal\",le=\"60\"}", "0"},
      {"kezek_job_wait_seconds_bucket{class=\"normal\",le=\"300\"}", "1"},
      {"kezek_job_wait_seconds_sum{class=\"normal\"}", "90"},
      {"kezek_job_events_total{reason=\"STARTED\"}", "1"},
      {"kezek_overrides_total{kind=\"limit\"}", "1"},
      {"kezek_overrides_total{kind=\"hold\"}", "0"},
      {"kezek_tick_seconds_count", "1"},
      {"kezek_tick_seconds_sum", "0.02"},
      {"kezek_tick_phase_seconds_sum{phase=\"walk\"}", "0.015"},
      {"kezek_commit_submissions_bucket{le=\"2\"}", "0"},
      {"kezek_commit_submissions_bucket{le=\"4\"}", "1"},
      {"kezek_commit_bytes_sum", "5000"},
      {"kezek_commit_queue_submissions", "9"},
      {"kezek_slurm_requests_total{call=\"jobs\",outcome=\"answered\"}", "1"},
      {"kezek_slurm_request_seconds_sum{call=\"jobs\"}", "0.03"},
      {"kezek_rpc_requests_total{code=\"OK\",method=\"kezek.v1.JobService/Submit\"}", "1"},
      {"kezek_rpc_request_seconds_count{method=\"kezek.v1.JobService/Submit\"}", "1"},
      {"kezek_http_requests_total{code=\"200\",route=\"/metrics\"}", "1"},
      // 2 GPUs for half an hour, for the project and all above it.
      {"kezek_account_charged_gpu_seconds_total{account=\"universities/kaznu\",gpu_type=\"h200\"}",
       "3600"},
      {"kezek_account_charged_gpu_seconds_total{account=\"universities\",gpu_type=\"h200\"}",
       "3600"},
      {"kezek_account_charged_gpu_seconds_total{account=\"/\",gpu_type=\"h200\"}", "3600"},
      {"kezek_foreign_charged_gpu_seconds_total{gpu_type=\"h200\"}", "1600"},
      {"kezek_reservations{kind=\"reserved\"}", "5"},
      {"kezek_reservations{kind=\"reclaim\"}", "1"},
      {"kezek_reservation_changes_total{change=\"given\"}", "2"},
      {"kezek_reservation_changes_total{change=\"ended\"}", "1"},
      {"kezek_oldest_reclaim_seconds", "90"},
      {"kezek_reclaim_seconds_sum", "200"},
      {"kezek_start_estimate_error_seconds_sum", "-90"},
      {"kezek_admin_reservation_gpus{reservation=\"maint\",kind=\"maintenance\"}", "16"},
      {"kezek_start_estimate_error_seconds_count", "2"},
      {"kezek_start_estimate_error_seconds_bucket{le=\"-60\"}", "1"},
      {"kezek_preempted_attempts_total{class=\"normal\"}", "1"},
      {"kezek_preempted_gpu_seconds_total{class=\"normal\"}", "4800"},
  };
  for (const auto& [series, value] : wanted) {
    EXPECT_EQ(Value(text, series), value) << series << " in:\n" << text;
  }
  EXPECT_NE(Value(text, "kezek_slurm_follower_lag_seconds"), "");
  metrics.OnCommit({.stored = false});
  metrics.OnRound({.reloaded = true,
                   .stopped = true,
                   .phases = {},
                   .events = {},
                   .first_runs = {},
                   .charged = {},
                   .preempted = {},
                   .promises = {}});
  const std::string later = metrics.Expose({});
  EXPECT_EQ(Value(later, "kezek_commit_failures_total"), "1");
  EXPECT_EQ(Value(later, "kezek_controller_reloads_total"), "1");
  EXPECT_EQ(Value(later, "kezek_controller_stopped"), "1");
  EXPECT_EQ(Value(later, "kezek_tick_seconds_count"), "1") << "a round without a tick";
  EXPECT_EQ(Value(later, "kezek_leader"), "0");
}

// Types and label names of a text, by family.
struct Shape {
  std::string type;
  std::set<std::string> labels;
};
std::map<std::string, Shape> ShapesOf(const std::string& text) {
  std::map<std::string, Shape> shapes;
  std::istringstream lines(text);
  std::string family;
  const std::regex label("([a-z_]+)=\"");
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string hash, what;
    words >> hash >> what;
    if (hash == "#" && what == "TYPE") {
      words >> family;
      words >> shapes[family].type;
    }
    if (hash == "#") continue;
    EXPECT_TRUE(line.starts_with(family)) << line;
    for (std::sregex_iterator it(line.begin(), line.end(), label), end; it != end; ++it) {
      if ((*it)[1] != "le") shapes[family].labels.insert((*it)[1]);
    }
  }
  return shapes;
}

TEST(Exposition, IsWhatTheTableSays) {
  Metrics metrics("0.1", 1);
  TellAll(metrics);
  const auto shapes = ShapesOf(metrics.Expose(KnownState()));
  std::set<std::string> names;
  for (const FamilyInfo& family : Families()) {
    const std::string name(family.name);
    SCOPED_TRACE(name);
    EXPECT_TRUE(names.insert(name).second) << "twice";
    ASSERT_TRUE(shapes.contains(name)) << "in the table, not exposed";
    const char* types[] = {"counter", "gauge", "histogram"};
    EXPECT_EQ(shapes.at(name).type, types[static_cast<std::size_t>(family.kind)]);
    const auto labels = LabelsOf(family);
    EXPECT_EQ(shapes.at(name).labels, std::set<std::string>(labels.begin(), labels.end()));
    EXPECT_EQ(family.kind == Kind::kHistogram, !family.buckets.empty());
    EXPECT_TRUE(std::ranges::is_sorted(family.buckets));
    EXPECT_TRUE(name.starts_with("kezek_"));
    EXPECT_EQ(family.kind == Kind::kCounter, name.ends_with("_total"));
    EXPECT_TRUE(family.help.ends_with('.'));
  }
  for (const auto& [name, shape] : shapes) {
    EXPECT_TRUE(names.contains(name)) << name << " is exposed, and not in the table";
  }
}

TEST(Exposition, IsWhatThePageSays) {
  const char* source = std::getenv("KEZEK_SOURCE_DIR");
  ASSERT_NE(source, nullptr) << "run it by ctest, or set KEZEK_SOURCE_DIR";
  const std::string path = std::string(source) + "/docs/metrics.md";
  std::ifstream in(path);
  std::stringstream page;
  page << in.rdbuf();
  const std::string text = page.str();
  const std::string mark = "<!-- the table of src/metrics/families.cc -->\n";
  const std::size_t at = text.find(mark);
  ASSERT_NE(at, std::string::npos) << path;
  const std::string wanted = text.substr(0, at + mark.size()) + "\n" + FamiliesAsMarkdown();
  if (std::getenv("KEZEK_REWRITE") != nullptr) std::ofstream(path) << wanted;
  EXPECT_EQ(text == wanted || std::getenv("KEZEK_REWRITE") != nullptr, true)
      << "docs/metrics.md differs from the table: run this test with KEZEK_REWRITE=1";
}

TEST(Workers, AreBusyFromTheirBeginningToTheirRest) {
  Metrics metrics("0.1", 1);
  EXPECT_TRUE(metrics.Busy().empty());
  metrics.Begins(Worker::kFollower);
  metrics.Begins(Worker::kFollower);
  ASSERT_EQ(metrics.Busy().size(), 1U);
  EXPECT_EQ(metrics.Busy()[0].first, Worker::kFollower);
  EXPECT_GE(metrics.Busy()[0].second, 0);
  metrics.Rests(Worker::kFollower);
  metrics.Rests(Worker::kFollower);
  EXPECT_TRUE(metrics.Busy().empty());
}

TEST(Metrics, BearManyThreads) {
  Metrics metrics("0.1", 1);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&metrics, i] {
      for (int n = 0; n < 500; ++n) {
        TellAll(metrics);
        metrics.OnHttp("/" + std::to_string((n + i) % 7), 200);
      }
    });
  }
  for (int n = 0; n < 20; ++n) EXPECT_FALSE(metrics.Expose(KnownState()).empty());
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Value(metrics.Expose(KnownState()), "kezek_commit_seconds_count"), "2000");
}

}  // namespace
}  // namespace kezek::metrics
