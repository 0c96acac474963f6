#include "scheduler/engine/recount.h"

#include <algorithm>

#include "kezek/node_parts.h"

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
    : world_(world),
      entitled_(entitled),
      counted_(static_cast<std::size_t>(world.tree().size()), 0),
      accounts_(static_cast<std::size_t>(world.tree().size())) {}

NodeUse& Recount::Use(const std::string& node) const {
  const auto [use, first] = used_.try_emplace(node);
  if (!first) return use->second;
  for (const AttemptRef& ref : world_.on(node)) {
    const Holding& attempt = world_.holdings().at(ref);
    for (const NodeGrant& grant : attempt.placement) {
      if (grant.node != node) continue;
      use->second.gpus += grant.gpus;
      use->second.cpus += attempt.shape.cpus_per_node;
      use->second.memory_mib += attempt.shape.memory_mib_per_node;
      ++use->second.attempts;
      if (attempt.shape.exclusive) ++use->second.exclusive;
    }
  }
  return use->second;
}

NodeUse Recount::UseOf(const std::string& node) const { return Use(node); }

void Recount::Apply(const Start& start, int sign) {
  const Shape& shape = world_.waiting().at(start.row).spec->shape;
  for (const NodeGrant& grant : start.placement) {
    NodeUse& use = Use(grant.node);
    use.gpus += sign * grant.gpus;
    use.cpus += sign * shape.cpus_per_node;
    use.memory_mib += sign * shape.memory_mib_per_node;
    use.attempts += sign;
    if (shape.exclusive) use.exclusive += sign;
  }
  Count(world_.CountOf(start), sign);
}

// Into what was counted before; what is counted later heeds the changes.
void Recount::Count(const quota::JobCount& job, int sign) {
  const quota::AccountTree& tree = world_.tree();
  changes_.push_back({job, sign});
  const quota::AccountIndex project = tree.IndexOf(job.project);
  if (project == quota::kNoAccount || counted_[static_cast<std::size_t>(project)] == 0) return;
  auto& allocated = allocated_[job.gpu_type];
  allocated.resize(accounts_.size(), 0);
  for (auto i = project; i != quota::kNoAccount; i = tree.parent(i)) {
    const auto index = static_cast<std::size_t>(i);
    accounts_[index].Add(job.counted_milli, sign);
    if (job.IsShared()) allocated[index] += sign * job.counted_milli;
    if (!all_counted_) return;
  }
}

void Recount::CountProject(quota::AccountIndex project) const {
  const auto index = static_cast<std::size_t>(project);
  if (counted_[index] != 0) return;
  counted_[index] = 1;
  const AccountId id = world_.tree().id(project);
  const auto add = [&](const std::string& type, MilliGpus milli, bool shared, int sign) {
    accounts_[index].Add(milli, sign);
    if (!shared) return;
    auto& allocated = allocated_[type];
    allocated.resize(accounts_.size(), 0);
    allocated[index] += sign * milli;
  };
  const auto& runs = world_.runs();
  for (auto it = runs.lower_bound({id, {}}); it != runs.end() && it->first.first == id; ++it) {
    for (const World::Run& run : it->second) {
      if (run.counts) add(it->first.second, run.counted_milli, run.shared(), 1);
    }
  }
  for (const Change& change : changes_) {
    const quota::JobCount& job = change.job;
    if (job.project == id) add(job.gpu_type, job.counted_milli, job.IsShared(), change.sign);
  }
}

// Of what lies above projects all is counted at once.
void Recount::CountAll() const {
  if (all_counted_) return;
  const quota::AccountTree& tree = world_.tree();
  for (const auto& [key, runs] : world_.runs()) {
    const quota::AccountIndex project = tree.IndexOf(key.first);
    if (project != quota::kNoAccount) CountProject(project);
  }
  for (const Change& change : changes_) {
    const quota::AccountIndex project = tree.IndexOf(change.job.project);
    if (project != quota::kNoAccount) CountProject(project);
  }
  for (auto i = tree.size() - 1; i > quota::kRootIndex; --i) {  // those below come after it
    const auto index = static_cast<std::size_t>(i);
    const auto above = static_cast<std::size_t>(tree.parent(i));
    accounts_[above].counted_milli += accounts_[index].counted_milli;
    accounts_[above].jobs += accounts_[index].jobs;
    for (auto& [type, allocated] : allocated_) allocated[above] += allocated[index];
  }
  std::fill(counted_.begin(), counted_.end(), 1);
  all_counted_ = true;
}

Recount::Total Recount::AllOf(quota::AccountIndex account) const {
  world_.tree().children(account).empty() ? CountProject(account) : CountAll();
  return accounts_[static_cast<std::size_t>(account)];
}

Recount::Total Recount::UserOf(quota::AccountIndex account, UserId user) const {
  const quota::AccountTree& tree = world_.tree();
  const auto below = [&](AccountId project) {
    const quota::AccountIndex index = tree.IndexOf(project);
    return index != quota::kNoAccount && tree.IsAncestor(account, index);
  };
  Total total;
  for (const Holding* attempt : world_.of_user(user)) {
    if (attempt->counts && below(attempt->project)) total.Add(attempt->counted_milli, 1);
  }
  for (const Change& change : changes_) {
    if (change.job.user != user || !below(change.job.project)) continue;
    total.Add(change.job.counted_milli, change.sign);
  }
  return total;
}

Recount::Total Recount::ClassUserOf(const std::string& job_class, UserId user) const {
  Total total;
  for (const Holding* attempt : world_.of_user(user)) {
    if (attempt->counts && attempt->job_class == job_class) total.Add(attempt->counted_milli, 1);
  }
  for (const Change& change : changes_) {
    if (change.job.user != user || change.job.job_class != job_class) continue;
    total.Add(change.job.counted_milli, change.sign);
  }
  return total;
}

MilliGpus Recount::Allocated(quota::AccountIndex account, const std::string& gpu_type) const {
  AllOf(account);
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
    const NodeUse counted = Use(name);
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
    const Total counted = AllOf(i);
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
  std::map<std::string, NodeUse> used;
  std::map<std::string, std::int32_t> hosts;  // all nodes of one are in one part
  for (const auto& [name, node] : world_.nodes()) {
    const auto at =
        hosts.try_emplace(std::string(HostOf(name)), static_cast<std::int32_t>(hosts.size())).first;
    if (at->second % parts != part) continue;
    nodes.emplace(name, node);
    used.emplace(name, Use(name));
  }
  const Machine anew(nodes, used, now, world_.owners());
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
  if (Any(settings.account_limits)) {
    const Total all = AllOf(account);
    if (Passes(settings.account_limits, all.counted_milli, all.jobs, job.counted_milli)) {
      return "a limit of account '" + world_.tree().path(account) + "' is passed";
    }
  }
  if (Any(settings.user_limits)) {
    const Total user = UserOf(account, job.user);
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
    const Total user = ClassUserOf(job.job_class, job.user);
    if (Passes(rules.user_limits, user.counted_milli, user.jobs, job.counted_milli)) {
      return "a limit per user of class '" + job.job_class + "' is passed";
    }
  }
  return std::nullopt;
}

}  // namespace kezek::engine
