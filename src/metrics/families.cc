#include "metrics/families.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <sstream>
#include <string>

#include "kezek/check.h"

namespace kezek::metrics {
namespace {

constexpr std::array kTickBuckets{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                  0.1,   0.25,   0.5,   1.0,  2.5,   5.0};
constexpr std::array kPhaseBuckets{0.0001, 0.001, 0.005, 0.01, 0.025, 0.05,
                                   0.1,    0.25,  0.5,   1.0,  2.5};
constexpr std::array kCommitBuckets{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                    0.1,    0.25,  0.5,    1.0,   2.5,  5.0};
constexpr std::array kBatchBuckets{0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0};
constexpr std::array kBytesBuckets{1024.0,    4096.0,      16'384.0,    65'536.0,
                                   262'144.0, 1'048'576.0, 2'097'152.0, 8'388'608.0};
constexpr std::array kSlurmBuckets{0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                   0.5,   1.0,   2.5,  5.0,   10.0, 30.0};
constexpr std::array kRpcBuckets{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                 0.1,    0.25,  0.5,    1.0,   2.5,  10.0};
constexpr std::array kWaitBuckets{1.0,      5.0,      15.0,      60.0,     300.0,
                                  900.0,    1800.0,   3600.0,    10'800.0, 21'600.0,
                                  43'200.0, 86'400.0, 259'200.0, 604'800.0};
constexpr std::array kEstimateBuckets{-86'400.0, -21'600.0, -3600.0, -900.0,   -60.0,   0.0,
                                      60.0,      900.0,     3600.0,  21'600.0, 86'400.0};

constexpr auto kC = Kind::kCounter;
constexpr auto kG = Kind::kGauge;
constexpr auto kH = Kind::kHistogram;

constexpr std::string_view kByAccount = "account, gpu_type";
constexpr std::string_view kAccounts = "accounts × GPU types";
constexpr std::string_view kByBudget = "account, budget, gpu_type";
constexpr std::string_view kBudgets = "current budgets";

// clang-format off
constexpr FamilyInfo kTable[] = {
    // Accounts.
    {"kezek_account_guarantee_gpus", kG, "GPUs", kByAccount, kAccounts,
     "GPUs the account gets back on demand."},
    {"kezek_account_entitlement_gpus", kG, "GPUs", kByAccount, kAccounts,
     "GPUs that weights, guarantees, caps and the demand of the last tick come to."},
    {"kezek_account_entitlement_bound", kG, "1", "account, gpu_type, by", kAccounts,
     "Always 1; what the entitlement stopped at: weight_share, guarantee, demand, borrow_max, "
     "running_limit, scaled."},
    {"kezek_account_guarantee_now_gpus", kG, "GPUs", kByAccount, kAccounts,
     "The guarantee that counts now: less than it is set to while guarantees in demand exceed the "
     "GPUs in service."},
    {"kezek_account_borrowed_gpus", kG, "GPUs", kByAccount, kAccounts,
     "Allocated GPUs above the guarantee that counts now."},
    {"kezek_account_lent_gpus", kG, "GPUs", kByAccount, kAccounts,
     "GPUs of the guarantee that others run."},
    {"kezek_account_kept_idle_gpus", kG, "GPUs", kByAccount, kAccounts,
     "GPUs of the guarantee that are kept free because lend_max bars lending them."},
    {"kezek_account_owed_gpus", kG, "GPUs", kByAccount, kAccounts,
     "GPUs of the entitlement that the account does not run."},
    {"kezek_account_allocated_gpus", kG, "GPUs", kByAccount, kAccounts,
     "Counted GPUs of the attempts that hold resources on nodes that are everybody's, scavengers "
     "excepted."},
    {"kezek_account_apart_gpus", kG, "GPUs", kByAccount, kAccounts,
     "Counted GPUs of the attempts that hold resources on dedicated nodes or lanes of classes."},
    {"kezek_account_demand_gpus", kG, "GPUs", kByAccount, kAccounts,
     "Counted GPUs of jobs that run, or that only GPUs keep from starting."},
    {"kezek_account_usage_gpu_seconds", kG, "GPU-seconds", kByAccount, kAccounts,
     "Charged GPU-time, decayed with the half-life: what fair-share order is based on."},
    {"kezek_account_charged_gpu_seconds_total", kC, "GPU-seconds", kByAccount, kAccounts,
     "GPU-time settled on the ledger since this process leads, times rate and factor."},
    {"kezek_foreign_charged_gpu_seconds_total", kC, "GPU-seconds", "gpu_type", "GPU types",
     "Of that, what ran in Slurm beside Kezek and is charged to slurm.foreign_account."},
    {"kezek_account_info", kG, "1", "account, kind", "accounts",
     "Always 1; the kind of every account."},
    // Budgets.
    {"kezek_budget_granted_gpu_seconds", kG, "GPU-seconds", kByBudget, kBudgets,
     "What the budget was granted for its period, with what was carried over into it."},
    {"kezek_budget_spent_gpu_seconds", kG, "GPU-seconds", kByBudget, kBudgets,
     "What jobs that have ended cost it, less what was given back."},
    {"kezek_budget_held_gpu_seconds", kG, "GPU-seconds", kByBudget, kBudgets,
     "What jobs that have not ended may still cost it."},
    {"kezek_budget_left_gpu_seconds", kG, "GPU-seconds", kByBudget, kBudgets,
     "What may still be held of it: granted, less spent and held."},
    {"kezek_budget_end_timestamp_seconds", kG, "seconds", kByBudget, kBudgets,
     "When its period ends, in Unix time."},
    {"kezek_budget_warned_percent", kG, "percent", kByBudget, kBudgets,
     "Highest warning given of what is granted: 80, 95, 100; 0: none."},
    {"kezek_budget_runs_out_timestamp_seconds", kG, "seconds", kByBudget, kBudgets,
     "When nothing of it is left at the pace of its period so far; absent if it lasts."},
    {"kezek_budget_will_expire_gpu_seconds", kG, "GPU-seconds", kByBudget, kBudgets,
     "What expires at its end at that pace; what is held now is not counted."},
    // The machine.
    {"kezek_nodes", kG, "nodes", "gpu_type, state", "GPU types × 4",
     "Nodes by state: up, draining, down, unknown."},
    {"kezek_gpus", kG, "GPUs", "gpu_type, state", "GPU types × 6",
     "GPUs of all nodes by state: allocated, foreign (in use by jobs that are not Kezek's), free, "
     "and what is idle on nodes that are draining, down, unknown. They add up to the machine."},
    // The queue.
    {"kezek_queue_jobs", kG, "jobs", "class, reason", "classes × 70 reasons",
     "Jobs that wait, by why; elements of arrays count one by one. At most five seconds old."},
    {"kezek_queue_gpus", kG, "GPUs", "class, reason", "classes × 70 reasons",
     "Counted GPUs of the jobs that wait. At most five seconds old."},
    {"kezek_attempts", kG, "attempts", "class, state", "classes × 2",
     "Attempts that hold resources: starting, running. At most five seconds old."},
    {"kezek_attempt_gpus", kG, "GPUs", "class, state", "classes × 2",
     "Counted GPUs of the attempts that hold resources. At most five seconds old."},
    {"kezek_job_wait_seconds", kH, "seconds", "class", "classes",
     "From a job's first submission until it first runs; holds, begin times and dependencies are "
     "part of it.", kWaitBuckets},
    {"kezek_job_events_total", kC, "events", "reason", "70 reasons",
     "Events of jobs that were committed by the controller, by reason code."},
    {"kezek_overrides_total", kC, "overrides", "kind", "4 kinds",
     "What admins did to others' jobs besides the rules: priority, hold, reservation, limit."},
    // Admins' reservations.
    {"kezek_admin_reservation_gpus", kG, "GPUs", "reservation, kind",
     "admins' reservations that are not over",
     "GPUs of its nodes; kind: maintenance, or use: some may run there."},
    {"kezek_admin_reservation_begin_timestamp_seconds", kG, "seconds", "reservation",
     "admins' reservations that are not over",
     "When it begins, seconds since 1970; while it is on, when it began."},
    {"kezek_admin_reservation_end_timestamp_seconds", kG, "seconds", "reservation",
     "admins' reservations that are not over", "When it ends then."},
    // Promises to jobs that wait.
    {"kezek_reservations", kG, "reservations", "kind", "2 kinds",
     "Jobs that have nodes promised to them; kind: reserved, or reclaim: others are being ended "
     "for them."},
    {"kezek_reservation_changes_total", kC, "changes", "change", "4 changes",
     "What became of reservations: given, earlier, later, ended (though the job had not started)."},
    {"kezek_oldest_reclaim_seconds", kG, "seconds", "", "1",
     "Since the oldest reclaim under way was decided; 0: there is none."},
    {"kezek_reclaim_seconds", kH, "seconds", "", "1",
     "From the decision to end others for a job until it was planned.", kWaitBuckets},
    {"kezek_start_estimate_error_seconds", kH, "seconds", "", "1",
     "From the first estimate of a job's start, made while it waited, to its start; below 0: it "
     "started sooner. The sum may become smaller.", kEstimateBuckets},
    {"kezek_preempted_attempts_total", kC, "attempts", "class", "classes",
     "Attempts that were ended for other jobs."},
    {"kezek_preempted_gpu_seconds_total", kC, "GPU-seconds", "class", "classes",
     "Counted GPUs of these, times what they had run since their last checkpoint, or at all."},
    // The controller.
    {"kezek_tick_seconds", kH, "seconds", "", "1",
     "Rounds of the controller with a tick, commit included.", kTickBuckets},
    {"kezek_tick_phase_seconds", kH, "seconds", "phase", "15 phases",
     "Phases of these rounds: take_in, prepare, apart, entitle, walk, verify, stand, plan, commit, "
     "publish, act; with reservations or reclaim besides keep_apart, keep, improve, clear.",
     kPhaseBuckets},
    {"kezek_last_tick_timestamp_seconds", kG, "seconds", "", "1",
     "When the last tick was, in Unix time."},
    {"kezek_controller_reloads_total", kC, "reloads", "", "1",
     "How often all was read anew because the store had failed."},
    {"kezek_controller_stopped", kG, "bool", "", "1",
     "1: nothing is started or cancelled until an admin decides."},
    {"kezek_worker_busy_seconds_total", kC, "seconds", "worker", "3 workers",
     "Time that controller, committer and follower spent working."},
    // The committer.
    {"kezek_commit_seconds", kH, "seconds", "", "1",
     "Transactions of the committer.", kCommitBuckets},
    {"kezek_commit_submissions", kH, "submissions", "", "1",
     "Submissions in one transaction; 0: the controller's changes alone.", kBatchBuckets},
    {"kezek_commit_bytes", kH, "bytes", "", "1",
     "Bytes of the rows of one transaction.", kBytesBuckets},
    {"kezek_commit_failures_total", kC, "transactions", "", "1",
     "Transactions that failed, or of which it was not known at first whether they did."},
    {"kezek_commit_queue_submissions", kG, "submissions", "", "1",
     "Submissions that waited for the next transaction when the last one ended."},
    // The cluster below.
    {"kezek_slurm_requests_total", kC, "requests", "call, outcome", "12 calls × 4",
     "Requests to slurmrestd; outcome: answered, error, not_sent, lost."},
    {"kezek_slurm_request_seconds", kH, "seconds", "call", "12 calls",
     "Time of requests to slurmrestd, whatever their outcome.", kSlurmBuckets},
    {"kezek_slurm_up", kG, "bool", "", "1", "1: Slurm answers."},
    {"kezek_slurm_follower_lag_seconds", kG, "seconds", "", "1",
     "Since Slurm's list of jobs was last read. Up to some seconds is by design."},
    // People and programs.
    {"kezek_rpc_requests_total", kC, "calls", "method, code", "57 methods × 17 codes",
     "Calls of the API by method and canonical code; a stream counts at its end."},
    {"kezek_rpc_request_seconds", kH, "seconds", "method", "57 methods",
     "Time of calls of the API; of a stream as a whole.", kRpcBuckets},
    {"kezek_http_requests_total", kC, "requests", "route, code", "routes × 20 codes",
     "Requests over HTTP by route and status; route other: none of ours."},
    {"kezek_http_connections", kG, "connections", "", "1", "Open HTTP connections."},
    // The daemon.
    {"kezek_leader", kG, "bool", "", "1", "1: this daemon leads; 0: it stands by."},
    {"kezek_epoch", kG, "1", "", "1", "Number of the leadership; grows with every new leader."},
    {"kezek_schema_version", kG, "1", "", "1", "Version of the database's schema."},
    {"kezek_build_info", kG, "1", "version", "1", "Always 1; the version of the program."},
    {"kezek_start_time_seconds", kG, "seconds", "", "1",
     "When this process started, in Unix time."},
};
// clang-format on

// Series that Prometheus keeps of one histogram: each bucket, the one without end, sum and count.
std::int64_t SeriesOf(const FamilyInfo& family) {
  return family.kind == Kind::kHistogram ? static_cast<std::int64_t>(family.buckets.size()) + 3 : 1;
}

// Adds up the bounds of all families by what they grow with: "57 methods × 17 codes" is a number,
// "classes × 70 reasons" a number for each class. A word without a number is what they grow with.
std::map<std::string, std::int64_t> SeriesByGrowth() {
  std::map<std::string, std::int64_t> series;
  for (const FamilyInfo& family : kTable) {
    std::int64_t count = SeriesOf(family);
    std::string grows;
    std::string rest(family.bound);
    while (!rest.empty()) {
      const std::string_view times = " × ";
      const std::size_t end = rest.find(times);
      const std::string factor = rest.substr(0, end);
      rest = end == std::string::npos ? "" : rest.substr(end + times.size());
      if (factor.front() >= '0' && factor.front() <= '9') {
        count *= std::stoll(factor);
      } else {
        grows += (grows.empty() ? "" : " × ") + factor;
      }
    }
    series[grows] += count;
  }
  return series;
}

std::string_view KindName(Kind kind) {
  switch (kind) {
    case Kind::kCounter:
      return "counter";
    case Kind::kGauge:
      return "gauge";
    case Kind::kHistogram:
      return "histogram";
  }
  return "";
}

}  // namespace

std::span<const FamilyInfo> Families() { return kTable; }

const FamilyInfo& FamilyNamed(std::string_view name) {
  const auto* found = std::ranges::find(kTable, name, &FamilyInfo::name);
  KEZEK_CHECK(found != std::end(kTable), "no metric of this name: " + std::string(name));
  return *found;
}

std::vector<std::string> LabelsOf(const FamilyInfo& family) {
  std::vector<std::string> labels;
  std::istringstream words{std::string(family.labels)};
  for (std::string word; words >> word;) {
    if (word.ends_with(',')) word.pop_back();
    labels.push_back(word);
  }
  return labels;
}

std::string FamiliesAsMarkdown() {
  std::ostringstream text;
  text << "| series at most | for each |\n| --- | --- |\n";
  for (const auto& [grows, count] : SeriesByGrowth()) {
    text << "| " << count << " | " << (grows.empty() ? "daemon" : grows) << " |\n";
  }
  text << "\n| name | type | unit | labels | series at most | meaning |\n"
          "| --- | --- | --- | --- | --- | --- |\n";
  for (const FamilyInfo& family : kTable) {
    text << "| `" << family.name << "` | " << KindName(family.kind) << " | " << family.unit << " | "
         << family.labels << " | " << family.bound << " | " << family.help << " |\n";
  }
  text << "\n| histogram | upper bounds of its buckets |\n| --- | --- |\n";
  for (const FamilyInfo& family : kTable) {
    if (family.kind != Kind::kHistogram) continue;
    text << "| `" << family.name << "` |";
    for (const double bound : family.buckets) text << " " << bound;
    text << " |\n";
  }
  return std::move(text).str();
}

}  // namespace kezek::metrics
