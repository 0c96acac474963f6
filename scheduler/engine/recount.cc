#include "scheduler/engine/recount.h"

namespace kezek::engine {
namespace {

bool Any(const Limits& limits) {
  return limits.running_milli || limits.jobs_running || limits.job_milli;
}

// Whether a limit is passed once the job is added to these totals.
bool Passes(const Limits& limits, MilliGpus counted_milli, std::int64_t jobs, MilliGpus job_milli) {
  return (limits.running_milli && counted_milli + job_milli > *limits.running_milli) ||
         (limits.jobs_running && jobs + 1 > *limits.jobs_running) ||
         (limits.job_milli && job_milli > *limits.job_milli);
}

}  // namespace

Recount::Recount(const World& world, const Entitled* entitled)
    : world_(world), entitled_(entitled), accounts_(static_cast<std::size_t>(world.tree().size())) {
  for (const auto& [ref, attempt] : world.holdings()) {
    AddUse(attempt.shape, attempt.placement, 1, used_);
    if (attempt.counts) Count(world.CountOf(attempt), 1);
  }
}

void Recount::Remove(const Holding& attempt) {
  AddUse(attempt.shape, attempt.placement, -1, used_);
  Count(world_.CountOf(attempt), -1);
}

void Recount::Change(const Start& start, int sign) {
  const Waiting& job = world_.waiting().at(start.row);
  AddUse(job.spec->shape, start.placement, sign, used_);
  Count(world_.CountOf(start), sign);
}

void Recount::Count(const quota::JobCount& job, int sign) {
  const quota::AccountTree& tree = world_.tree();
  auto& allocated = allocated_[job.gpu_type];
  allocated.resize(accounts_.size(), 0);
  for (auto i = tree.IndexOf(job.project); i != quota::kNoAccount; i = tree.parent(i)) {
    const auto index = static_cast<std::size_t>(i);
    accounts_[index].counted_milli += sign * job.counted_milli;
    accounts_[index].jobs += sign;
    if (job.IsShared()) allocated[index] += sign * job.counted_milli;
    if (!Any(tree.account(i).settings.user_limits)) continue;
    Total& user = users_[{i, job.user}];
    user.counted_milli += sign * job.counted_milli;
    user.jobs += sign;
  }
  if (!Any(world_.ClassOf(job.job_class).user_limits)) return;
  Total& user = class_users_[{job.job_class, job.user}];
  user.counted_milli += sign * job.counted_milli;
  user.jobs += sign;
}

MilliGpus Recount::Allocated(quota::AccountIndex account, const std::string& gpu_type) const {
  const auto found = allocated_.find(gpu_type);
  return found == allocated_.end() ? 0 : found->second[static_cast<std::size_t>(account)];
}

bool Recount::Inside(quota::AccountIndex account, const quota::JobCount& job) const {
  return Allocated(account, job.gpu_type) + job.counted_milli <= Guarantee(account, job.gpu_type);
}

MilliGpus Recount::Guarantee(quota::AccountIndex account, const std::string& gpu_type) const {
  if (entitled_ != nullptr) {
    const auto found = entitled_->find(gpu_type);
    if (found != entitled_->end()) {
      return found->second.at(static_cast<std::size_t>(account)).guarantee_milli;
    }
  }
  return world_.tree().Guarantee(account, gpu_type);
}

std::vector<std::string> Recount::Differences(const std::map<std::string, NodeUse>& used,
                                              const quota::RunningTable& running, std::int32_t part,
                                              std::int32_t parts) const {
  std::vector<std::string> found;
  const auto of = [](const std::map<std::string, NodeUse>& uses, const std::string& node) {
    const auto use = uses.find(node);
    return use == uses.end() ? NodeUse{} : use->second;
  };
  std::int32_t at = 0;
  for (const auto& [name, node] : world_.nodes()) {
    if (at++ % parts != part) continue;
    const NodeUse counted = of(used_, name);
    const NodeUse kept = of(used, name);
    if (counted != kept) {
      found.push_back("the totals have " + std::to_string(kept.gpus) + " GPUs of " + name +
                      " in use by " + std::to_string(kept.attempts) + ", counted are " +
                      std::to_string(counted.gpus) + " by " + std::to_string(counted.attempts));
    }
    if (counted.gpus > node.gpus) {
      found.push_back("GPUs of " + name + " twice: " + std::to_string(counted.gpus) +
                      " in use, of " + std::to_string(node.gpus));
    }
  }
  const quota::AccountTree& tree = world_.tree();
  for (quota::AccountIndex i = 0; i < tree.size(); ++i) {
    if (i % parts != part) continue;
    const Total& counted = accounts_[static_cast<std::size_t>(i)];
    const quota::RunningTable::Count kept = running.OfAccount(tree.account(i).id);
    if (kept == quota::RunningTable::Count{counted.counted_milli, counted.jobs}) continue;
    found.push_back("the totals of account '" + tree.path(i) + "' have " +
                    std::to_string(kept.counted_milli) + " milli-GPUs and " +
                    std::to_string(kept.jobs) + " jobs, counted are " +
                    std::to_string(counted.counted_milli) + " and " + std::to_string(counted.jobs));
  }
  return found;
}

std::vector<std::string> Recount::FreeDifferences(const Machine& free, TimeMs now,
                                                  std::int32_t part, std::int32_t parts) const {
  std::map<std::string, Node> nodes;
  std::int32_t at = 0;
  for (const auto& [name, node] : world_.nodes()) {
    if (at++ % parts == part) nodes.emplace(name, node);
  }
  const Machine anew(nodes, used_, now, world_.owners());
  std::vector<std::string> found;
  for (const auto& [name, node] : nodes) {
    const FreeNode kept = free.FreeOf(name).value_or(FreeNode{});
    const FreeNode counted = anew.FreeOf(name).value_or(FreeNode{});
    if (kept == counted) continue;
    found.push_back(std::to_string(kept.gpus) + " GPUs of " + name + " are kept as free, counted " +
                    "are " + std::to_string(counted.gpus) + "; or its CPUs or memory differ");
  }
  return found;
}

std::optional<std::string> Recount::ForbidsAt(quota::AccountIndex account,
                                              const quota::JobCount& job) const {
  const AccountSettings& settings = world_.tree().account(account).settings;
  const Total& all = accounts_[static_cast<std::size_t>(account)];
  if (Passes(settings.account_limits, all.counted_milli, all.jobs, job.counted_milli)) {
    return "a limit of account '" + world_.tree().path(account) + "' is passed";
  }
  if (Any(settings.user_limits)) {
    const auto found = users_.find({account, job.user});
    const Total user = found == users_.end() ? Total{} : found->second;
    if (Passes(settings.user_limits, user.counted_milli, user.jobs, job.counted_milli)) {
      return "a limit per user of account '" + world_.tree().path(account) + "' is passed";
    }
  }
  const std::optional<MilliGpus> cap = world_.tree().ShareCap(account, job.gpu_type);
  if (job.IsShared() && cap && Allocated(account, job.gpu_type) + job.counted_milli > *cap) {
    return "borrow_max of account '" + world_.tree().path(account) + "' is passed";
  }
  return std::nullopt;
}

std::optional<std::string> Recount::Forbids(const quota::JobCount& job) const {
  const quota::AccountTree& tree = world_.tree();
  const ClassRules& rules = world_.ClassOf(job.job_class);
  const bool needs_guarantee = !rules.preemptible && job.IsShared();
  for (auto i = tree.IndexOf(job.project); i != quota::kNoAccount; i = tree.parent(i)) {
    if (auto forbids = ForbidsAt(i, job)) return forbids;
    if (needs_guarantee && !Inside(i, job)) {
      return "a job that may not be preempted is outside the guarantee of '" + tree.path(i) + "'";
    }
  }
  if (Any(rules.user_limits)) {
    const auto found = class_users_.find({job.job_class, job.user});
    const Total user = found == class_users_.end() ? Total{} : found->second;
    if (Passes(rules.user_limits, user.counted_milli, user.jobs, job.counted_milli)) {
      return "a limit per user of class '" + job.job_class + "' is passed";
    }
  }
  return std::nullopt;
}

}  // namespace kezek::engine
