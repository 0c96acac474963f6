// The account tree and its settings; classes of service. All quantities are integers.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "kezek/ids.h"
#include "kezek/resources.h"
#include "kezek/time.h"

namespace kezek {

inline constexpr AccountId kRootAccount{1};

// Of one GPU type.
struct Share {
  std::int64_t weight_milli = 1000;
  MilliGpus guarantee_milli = 0;
  std::optional<MilliGpus> borrow_max_milli;  // above the own guarantee; none: no cap
  std::optional<MilliGpus> lend_max_milli;    // none: lends all
  // Part of its parent's that policy aims at over time, millionths; for reports, steers nothing.
  std::optional<std::int64_t> target_ppm;
  bool operator==(const Share&) const = default;
};

// Absent: no limit.
struct Limits {
  std::optional<MilliGpus> running_milli;  // counted GPUs running
  std::optional<std::int64_t> jobs_running;
  std::optional<std::int64_t> jobs_queued;
  std::optional<MilliGpus> job_milli;  // counted GPUs of one job
  std::optional<DurationMs> time_limit_ms;
  bool operator==(const Limits&) const = default;
};

enum class ProjectRule : std::uint8_t { kFair, kFifo, kShortest };

// A budget by the account that has it and its name there.
struct BudgetRef {
  AccountId account;
  std::string name;  // empty: none
  auto operator<=>(const BudgetRef&) const = default;
  explicit operator bool() const { return !name.empty(); }
};

// When a budget does not hold a start: it waits, or goes on as a scavenger, at nobody's cost.
enum class AtExhaustion : std::uint8_t { kStop, kScavenge };

// GPU-hours for one period. Times without a budget have no bound.
struct BudgetSpec {
  std::string name;                  // unique in its account
  std::string gpu_type;              // empty: all types together, each by its rate
  std::int64_t milli_gpu_hours = 0;  // GPU-hours in thousandths
  TimeMs start_ms = 0;
  TimeMs end_ms = 0;  // exclusive
  AtExhaustion at_exhaustion = AtExhaustion::kStop;
  std::int32_t carry_over_percent = 0;  // of what is neither spent nor held at the end
  bool operator==(const BudgetSpec&) const = default;
};

// What an account's entitlement stopped at.
enum class EntitledBy : std::uint8_t {
  kShare,         // its weight's share of what its parent got
  kGuarantee,     // the floor: its share would be less
  kDemand,        // it asks for no more
  kBorrowMax,     // guarantee + borrow_max
  kRunningLimit,  // the limit on GPUs running
  kScaled,        // even guarantees had to be cut
};

// One version of an account's settings. Versions are never edited.
struct AccountSettings {
  std::map<std::string, Share> shares;    // by GPU type; a missing type: Share{}
  Limits account_limits;                  // of all in it together
  Limits user_limits;                     // of each user in it
  std::vector<std::string> classes;       // allowed; empty: what the parent allows
  std::string highest_classification;     // empty: what the parent allows
  std::string default_class;              // of jobs that name none; empty: the parent's
  DurationMs default_time_limit_ms = 0;   // projects; 0: the class's
  ProjectRule rule = ProjectRule::kFair;  // projects
  std::vector<BudgetSpec> budgets;        // by start; of one GPU type they do not overlap
  std::string slurm_account;              // empty: the parent's
  std::string slurm_qos;                  // empty: the parent's
  // Nodes that only jobs of this account and of those below it start on. Sorted, each once.
  std::vector<std::string> dedicated_nodes;
  bool operator==(const AccountSettings&) const = default;
};

struct Account {
  AccountId id;
  AccountId parent;                               // none for the root
  std::string name;                               // unique among siblings: [a-z0-9][a-z0-9._-]*
  std::string kind;                               // label: cluster, sector, institution, project…
  std::string title;                              // for people
  std::map<std::string, std::string> attributes;  // ownership, country, funding
  bool closed = false;
  std::int64_t version = 1;  // of the settings, counted over all accounts
  AccountSettings settings;
  bool operator==(const Account&) const = default;
};

// What an account became by one version of the settings, and who made it so.
struct AccountVersion {
  Account account;  // `version` says which
  UserId actor;     // none: Kezek itself
  TimeMs time_ms = 0;
  std::string reason;
  bool operator==(const AccountVersion&) const = default;
};

// Where an account hangs from a version on, until the next one of the same account.
struct AccountPlace {
  AccountId account;
  std::int64_t version = 0;
  AccountId parent;
  bool operator==(const AccountPlace&) const = default;
};

// Rules of a class of service; configuration.
struct ClassRules {
  std::string name;
  std::int32_t rank = 0;             // inside a project, lower first
  std::int64_t factor_milli = 1000;  // of the charge
  DurationMs longest_limit_ms = 0;   // 0: no limit of its own
  DurationMs default_limit_ms = kHourMs;
  DurationMs grace_max_ms = 5 * kMinuteMs;
  DurationMs min_run_ms = 10 * kMinuteMs;
  bool preemptible = true;
  bool preempts_lower = false;  // inside its project: jobs of classes with a higher rank
  bool scavenger = false;       // after all others; in no guarantee, usage or demand
  Limits user_limits;
  std::vector<std::string> nodes;  // its lane: it alone starts on them, and on no other of the type
  bool operator==(const ClassRules&) const = default;
};

}  // namespace kezek
