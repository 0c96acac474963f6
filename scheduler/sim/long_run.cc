#include "scheduler/sim/long_run.h"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "kezek/account.h"
#include "quota/account_tree.h"
#include "quota/entitlement.h"
#include "scheduler/sim/random.h"
#include "scheduler/sim/town.h"

namespace kezek::sim {
namespace {

constexpr TimeMs kBegin = 1'800'000'000'000;
constexpr std::int32_t kElements = 100;  // of each array
constexpr DurationMs kTick = kMinuteMs;  // every job starts and ends on one

const std::string kType = "h200";

// Of samples, one a tick. A week of 10,000 GPUs stays far below 2^63.
struct Sums {
  MilliGpus allocated = 0;
  MilliGpus entitled = 0;
};

class LongRun {
 public:
  explicit LongRun(const LongRunOptions& options)
      : options_(options), sizes_(options.sizes), random_(options.seed) {}
  LongRunResult Run();

 private:
  void MakeTree();
  void AddChildren(AccountId parent, std::int64_t count, const std::string& kind);
  void AddNodes();
  void SubmitRow(AccountId project, UserId user);
  DurationMs Start(const Started& started);
  void See(const engine::Plan& plan);
  void Sample();
  void AddLine(const std::string& path, std::int32_t level, const Sums& own, const Sums& parent);
  void AddLines(AccountId parent, const std::string& path, std::int32_t level);

  const LongRunOptions options_;
  const LongRunSizes sizes_;
  Random random_;
  Directory directory_;
  std::map<AccountId, std::vector<AccountId>> children_;
  quota::AccountTree tree_;
  std::unique_ptr<Town> town_;
  std::map<JobId, std::int32_t> left_;  // of each row: elements that have not started
  std::int64_t next_job_ = 1;
  // By the last plan, by index.
  std::vector<quota::Entitlement> entitled_;
  std::vector<MilliGpus> allocated_;
  std::map<UserId, MilliGpus> running_;
  std::multimap<TimeMs, std::pair<UserId, MilliGpus>> ends_;
  std::map<AccountId, Sums> sums_;
  std::map<UserId, MilliGpus> user_sums_;
  std::int64_t samples_ = 0;
  LongRunResult result_;
};

// Guarantees: a random part of the parent's is shared out at random.
void LongRun::AddChildren(AccountId parent, std::int64_t count, const std::string& kind) {
  MilliGpus left = directory_.accounts.at(parent).settings.shares.at(kType).guarantee_milli;
  for (std::int64_t i = 0; i < count; ++i) {
    Account account;
    account.id = AccountId{std::ssize(directory_.accounts) + 1};
    account.parent = parent;
    account.name = kind.substr(0, 1) + std::to_string(i + 1);
    account.kind = kind;
    Share share;
    share.weight_milli = random_.Between(1, 10) * 1000;
    if (random_.Permille(600)) {
      const MilliGpus drawn = random_.Between(0, 2 * left / (count - i)) / 1000 * 1000;
      share.guarantee_milli = std::min(drawn, left);
    }
    left -= share.guarantee_milli;
    account.settings.shares[kType] = share;
    children_[parent].push_back(account.id);
    directory_.accounts[account.id] = std::move(account);
  }
}

void LongRun::MakeTree() {
  Account root;
  root.id = kRootAccount;
  root.name = "cluster";
  root.kind = "cluster";
  root.settings.shares[kType].guarantee_milli = MilliGpus{1000} * options_.gpus;
  directory_.accounts[root.id] = root;
  directory_.classes["normal"] = {.name = "normal"};
  AddChildren(kRootAccount, sizes_.sectors, "sector");
  for (const AccountId sector : children_.at(kRootAccount)) {
    AddChildren(sector, sizes_.institutions, "institution");
    for (const AccountId institution : children_.at(sector)) {
      AddChildren(institution, sizes_.projects, "project");
    }
  }
}

void LongRun::AddNodes() {
  const std::int32_t size = options_.gpus_per_node > 0 ? options_.gpus_per_node : options_.gpus;
  for (std::int32_t i = 0; i < options_.gpus / size; ++i) {
    Node node;
    node.name = "n" + std::to_string(100'000 + i);
    node.gpu_type = kType;
    node.gpus = node.cpus = size;
    node.memory_mib = size;
    node.health = NodeHealth::kUp;
    town_->engine().SetNode(node);
  }
}

// What is wider than a node is of two.
void LongRun::SubmitRow(AccountId project, UserId user) {
  auto gpus = static_cast<std::int32_t>(random_.Between(1, sizes_.largest_job));
  JobSpec spec;
  spec.project = project;
  spec.shape.gpu_type = kType;
  if (options_.gpus_per_node > 0 && gpus > options_.gpus_per_node) {
    spec.shape.nodes = 2;
    gpus /= 2;
  }
  spec.shape.gpus_per_node = spec.shape.cpus_per_node = gpus;
  spec.shape.memory_mib_per_node = gpus;
  spec.time_limit_ms = random_.Between(5, 60) * kMinuteMs;
  spec.array = ArraySpec{{{0, kElements - 1, 1}}, 0};
  engine::Waiting row;
  row.ref = {JobId{next_job_++}, kNoElement};
  row.user = user;
  row.submitted_ms = row.queued_since_ms = town_->now_ms();
  for (std::int32_t i = 0; i < kElements; ++i) row.elements.push_back(i);
  row.spec = std::make_shared<const JobSpec>(std::move(spec));
  left_[row.ref.id] = kElements;
  town_->Submit(row);
}

DurationMs LongRun::Start(const Started& started) {
  ++result_.jobs;
  const DurationMs runs = random_.Permille(500)
                              ? started.limit_ms
                              : random_.Between(1, started.limit_ms / kMinuteMs) * kMinuteMs;
  running_[started.user] += started.counted_milli;
  ends_.emplace(started.at_ms + runs, std::pair{started.user, started.counted_milli});
  if (--left_.at(started.job.id) == 0) {
    left_.erase(started.job.id);
    SubmitRow(started.project, started.user);
  }
  return runs;
}

void LongRun::See(const engine::Plan& plan) {
  std::vector<MilliGpus> demand;
  allocated_.clear();
  for (quota::AccountIndex i = 0; i < tree_.size(); ++i) {
    const Standing& standing = plan.standings.at({tree_.id(i), kType});
    demand.push_back(standing.demand_milli);
    allocated_.push_back(standing.allocated_milli);
  }
  entitled_ = quota::Entitle(tree_, kType, plan.capacity_milli.at(kType), demand);
}

// What is held from the tick that has just been until the next.
void LongRun::Sample() {
  const TimeMs tick = town_->now_ms() - kTick;
  while (!ends_.empty() && ends_.begin()->first <= tick) {
    running_[ends_.begin()->second.first] -= ends_.begin()->second.second;
    ends_.erase(ends_.begin());
  }
  if (tick < kBegin + kDayMs) return;
  ++samples_;
  for (quota::AccountIndex i = 0; i < tree_.size(); ++i) {
    Sums& sums = sums_[tree_.id(i)];
    sums.allocated += allocated_[static_cast<std::size_t>(i)];
    sums.entitled += entitled_[static_cast<std::size_t>(i)].entitled_milli;
  }
  for (const auto& [user, milli] : running_) user_sums_[user] += milli;
}

void LongRun::AddLine(const std::string& path, std::int32_t level, const Sums& own,
                      const Sums& parent) {
  result_.lines.push_back(
      {.path = path,
       .level = level,
       .entitled_milli = own.entitled / samples_,
       .allocated_milli = own.allocated / samples_,
       .allowed_milli = std::max(parent.entitled / samples_ * options_.allowed_permille / 1000,
                                 sizes_.largest_job * 1000)});
}

void LongRun::AddLines(AccountId parent, const std::string& path, std::int32_t level) {
  const Sums& above = sums_[parent];
  for (const AccountId child : children_[parent]) {
    const std::string own = path + (path.empty() ? "" : "/") + directory_.accounts[child].name;
    AddLine(own, level, sums_[child], above);
    AddLines(child, own, level + 1);
  }
  if (!children_[parent].empty()) return;
  for (std::int64_t i = 0; i < sizes_.users; ++i) {
    const UserId user{parent.value * sizes_.users + i};
    AddLine(path + "/u" + std::to_string(i + 1), level,
            {.allocated = user_sums_[user], .entitled = above.entitled / sizes_.users}, above);
  }
}

LongRunResult LongRun::Run() {
  MakeTree();
  engine::EngineConfig config;
  config.half_life_ms = kDayMs;
  tree_ = quota::AccountTree::Build(directory_.accounts).value();
  Directory told = directory_;
  if (options_.mistell) options_.mistell(told);
  town_ = std::make_unique<Town>(config, std::make_shared<const Directory>(std::move(told)), kBegin,
                                 TownRules{.tick_ms = kTick});
  AddNodes();
  town_->OnStart([this](const Started& started) { return Start(started); });
  town_->OnPlan([this](const engine::Plan& plan) { See(plan); });
  for (const auto& [id, account] : directory_.accounts) {
    if (account.kind != "project") continue;
    for (std::int64_t i = 0; i < sizes_.users * sizes_.rows; ++i) {
      SubmitRow(id, UserId{id.value * sizes_.users + i % sizes_.users});
    }
  }
  const TimeMs end = kBegin + options_.days * kDayMs;
  while (town_->now_ms() < end) {
    town_->RunUntil(town_->now_ms() + kTick);
    Sample();
  }
  AddLines(kRootAccount, "", 1);
  result_.samples = samples_;
  result_.allocated_milli = sums_[kRootAccount].allocated / samples_;
  return std::move(result_);
}

}  // namespace

LongRunResult RunLong(const LongRunOptions& options) { return LongRun(options).Run(); }

}  // namespace kezek::sim
