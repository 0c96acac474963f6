// AccountTree::Validate: settings against each other and against the machine.
#include <algorithm>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "kezek/bounds.h"
#include "kezek/node_owners.h"
#include "quota/account_tree.h"
#include "quota/budget.h"
#include "quota/counted.h"
#include "quota/wide.h"

namespace kezek::quota {
namespace {

Error Problem(const AccountTree& tree, AccountIndex i, const std::string& field, std::string reason,
              std::string message, std::map<std::string, std::string> values = {}) {
  values.emplace("account", tree.path(i));
  return FieldProblem(Code::kInvalidArgument, FieldError{.field = "settings." + field,
                                                         .reason = std::move(reason),
                                                         .message = std::move(message),
                                                         .values = std::move(values)});
}

constexpr MilliGpus kGpu = 1000;

std::string ShareField(const std::string& gpu_type, const std::string& name) {
  return "shares[" + gpu_type + "]." + name;
}

bool InRange(std::int64_t value, std::int64_t least, std::int64_t most) {
  return value >= least && value <= most;
}

bool InRange(const std::optional<std::int64_t>& value, std::int64_t most) {
  return !value || InRange(*value, 0, most);
}

// The field of the first limit out of range, or "".
std::string BadLimit(const Limits& limits) {
  constexpr std::int64_t kMaxJobs = 1'000'000'000;
  if (!InRange(limits.running_milli, kMaxMilliGpus)) return "running_milli_gpus";
  if (!InRange(limits.jobs_running, kMaxJobs)) return "jobs_running";
  if (!InRange(limits.jobs_queued, kMaxJobs)) return "jobs_queued";
  if (!InRange(limits.job_milli, kMaxMilliGpus)) return "job_milli_gpus";
  if (!InRange(limits.time_limit_ms, kLongestJobMs)) return "time_limit_ms";
  return "";
}

Result<void> CheckLimits(const AccountTree& tree, AccountIndex i) {
  const AccountSettings& settings = tree.account(i).settings;
  for (const auto& [name, limits] : {std::pair{"account_limits", &settings.account_limits},
                                     std::pair{"user_limits", &settings.user_limits}}) {
    if (const std::string field = BadLimit(*limits); !field.empty()) {
      return Problem(tree, i, std::string(name) + "." + field, "OUT_OF_RANGE",
                     "a limit is 0 or more; leave it out for none");
    }
  }
  if (!InRange(settings.default_time_limit_ms, 0, kLongestJobMs)) {
    return Problem(tree, i, "default_time_limit_ms", "OUT_OF_RANGE",
                   "a time limit is from 0 to 366 days; 0 takes the class's");
  }
  return {};
}

// Of the open accounts below this one.
MilliGpus SumOfGuarantees(const AccountTree& tree, AccountIndex parent, const std::string& type) {
  Int128 sum = 0;
  for (const AccountIndex child : tree.children(parent)) {
    if (!tree.account(child).closed) sum += tree.share(child, type).guarantee_milli;
  }
  return static_cast<MilliGpus>(std::min<Int128>(sum, std::numeric_limits<MilliGpus>::max()));
}

// "nlp 4, vision 1": the largest five.
std::string Guaranteed(const AccountTree& tree, AccountIndex parent, const std::string& type) {
  constexpr std::size_t kMost = 5;
  std::vector<std::pair<MilliGpus, std::string>> all;
  for (const AccountIndex child : tree.children(parent)) {
    const MilliGpus guarantee = tree.share(child, type).guarantee_milli;
    if (tree.account(child).closed || guarantee == 0) continue;
    all.emplace_back(guarantee, tree.account(child).name);
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::string text;
  for (std::size_t i = 0; i < std::min(all.size(), kMost); ++i) {
    text += (i > 0 ? ", " : "") + all[i].second + " " + GpusText(all[i].first);
  }
  if (all.size() > kMost) text += " and " + std::to_string(all.size() - kMost) + " more";
  return text;
}

// GPUs of the machine, by type, less those on dedicated nodes and lanes.
std::map<std::string, MilliGpus> SharedMilli(const AccountTree& tree, const TreeRules& rules) {
  std::vector<NodeGiver> givers;
  for (AccountIndex i = 0; i < tree.size(); ++i) {
    const Account& account = tree.account(i);
    if (account.settings.dedicated_nodes.empty() || tree.IsClosed(i)) continue;
    givers.push_back({tree.depth(i), &account});
  }
  std::map<std::string, MilliGpus> shared = rules.configured_milli;
  for (const auto& [name, owner] : OwnersOf(std::move(givers), rules.classes)) {
    const auto node = rules.nodes.find(name);
    if (node != rules.nodes.end()) shared[node->second.gpu_type] -= node->second.gpus * kGpu;
  }
  return shared;
}

}  // namespace

Result<void> AccountTree::Validate(const TreeRules& rules) const {
  const std::vector<SettingProblem> problems = Problems(rules);
  if (problems.empty()) return {};
  return problems.front().error;
}

std::vector<SettingProblem> AccountTree::Problems(const TreeRules& rules) const {
  std::vector<SettingProblem> problems;
  const auto note = [&problems](AccountIndex i, const Result<void>& checked) {
    if (!checked) problems.push_back({checked.error(), i});
  };
  const std::map<std::string, MilliGpus> shared = SharedMilli(*this, rules);
  std::map<std::string, AccountIndex> lowest;  // account so far that has the node
  for (AccountIndex i = 0; i < size(); ++i) {
    note(i, ValidateShares(i, rules));
    AddGuarantees(i, shared, &problems);
    AddTargets(i, rules, &problems);
    AddNodes(i, rules, lowest, &problems);
    note(i, CheckLimits(*this, i));
    note(i, CheckBudgets(*this, i, rules));
    AddClasses(i, rules, &problems);
    AddClassification(i, rules, &problems);
  }
  return problems;
}

Result<void> AccountTree::ValidateShares(AccountIndex i, const TreeRules& rules) const {
  for (const auto& [type, own] : account(i).settings.shares) {
    if (!rules.configured_milli.contains(type)) {
      return Problem(*this, i, "shares[" + type + "]", "NO_SUCH_GPU_TYPE",
                     "the machine has no GPU type \"" + type + "\"");
    }
    if (!InRange(own.weight_milli, 1, kMaxWeightMilli)) {
      return Problem(*this, i, ShareField(type, "weight_milli"), "OUT_OF_RANGE",
                     "a weight is from 0.001 to 1000000");
    }
    if (!InRange(own.guarantee_milli, 0, kMaxMilliGpus)) {
      return Problem(*this, i, ShareField(type, "guarantee_milli_gpus"), "OUT_OF_RANGE",
                     "a guarantee is from 0 to 1000000 GPUs");
    }
    if (!InRange(own.borrow_max_milli, kMaxMilliGpus)) {
      return Problem(*this, i, ShareField(type, "borrow_max_milli_gpus"), "OUT_OF_RANGE",
                     "borrow_max is from 0 to 1000000 GPUs; leave it out for no cap");
    }
    if (!InRange(own.lend_max_milli, kMaxMilliGpus)) {
      return Problem(*this, i, ShareField(type, "lend_max_milli_gpus"), "OUT_OF_RANGE",
                     "lend_max is from 0 to 1000000 GPUs; leave it out to lend all");
    }
  }
  return {};
}

void AccountTree::AddTargets(AccountIndex i, const TreeRules& rules,
                             std::vector<SettingProblem>* problems) const {
  constexpr std::int64_t kWhole = 1'000'000;
  for (const auto& [type, configured] : rules.configured_milli) {
    Int128 sum = 0;
    AccountIndex first_above = kNoAccount;
    for (const AccountIndex child : children(i)) {
      const std::int64_t target = share(child, type).target_ppm.value_or(0);
      if (account(child).closed || target == 0) continue;
      sum += target;
      if (sum > kWhole && first_above == kNoAccount) first_above = child;
    }
    if (first_above == kNoAccount) continue;
    problems->push_back(
        {Problem(*this, first_above, ShareField(type, "target_ppm"), "TARGETS_ABOVE_WHOLE",
                 "with its siblings' targets it passes the whole of the account above"),
         i, static_cast<std::int64_t>(sum) - kWhole});
  }
}

void AccountTree::AddNodes(AccountIndex i, const TreeRules& rules,
                           std::map<std::string, AccountIndex>& lowest,
                           std::vector<SettingProblem>* problems) const {
  if (IsClosed(i)) return;
  for (const std::string& name : account(i).settings.dedicated_nodes) {
    const auto problem = [&](std::string reason, std::string message) {
      problems->push_back({Problem(*this, i, "dedicated_nodes", std::move(reason),
                                   std::move(message), {{"node", name}}),
                           i});
    };
    if (!rules.nodes.contains(name)) {
      problem("NO_SUCH_NODE", "the machine has no node \"" + name + "\"");
      continue;
    }
    for (const auto& [job_class, lane] : rules.classes) {
      if (std::find(lane.nodes.begin(), lane.nodes.end(), name) == lane.nodes.end()) continue;
      problem("NODE_TAKEN", name + " is kept for class " + job_class);
    }
    const auto [above, first] = lowest.try_emplace(name, i);
    if (!first && !IsAncestor(above->second, i)) {
      problem("NODE_TAKEN", name + " is dedicated to \"" + path(above->second) + "\"");
      continue;
    }
    above->second = i;
  }
}

void AccountTree::AddGuarantees(AccountIndex i,
                                const std::map<std::string, MilliGpus>& shared_milli,
                                std::vector<SettingProblem>* problems) const {
  for (const auto& [type, configured] : shared_milli) {
    const MilliGpus own = share(i, type).guarantee_milli;
    if (i == kRootIndex && own > configured) {
      problems->push_back(
          {Problem(*this, i, ShareField(type, "guarantee_milli_gpus"), "ABOVE_MACHINE",
                   "the root's guarantee of " + GpusText(own) + " GPUs is above the machine's " +
                       GpusText(configured) + " on nodes that are everybody's",
                   {{"guarantee", GpusText(own)}, {"machine", GpusText(configured)}}),
           i, own - configured});
    }
    Int128 sum = 0;
    AccountIndex first_above = kNoAccount;
    for (const AccountIndex child : children(i)) {
      if (account(child).closed) continue;
      sum += share(child, type).guarantee_milli;
      if (sum > own && first_above == kNoAccount) first_above = child;
    }
    if (first_above == kNoAccount) continue;
    const MilliGpus all = SumOfGuarantees(*this, i, type);
    problems->push_back(
        {Problem(*this, first_above, ShareField(type, "guarantee_milli_gpus"), "ABOVE_PARENT",
                 "the guarantees below " + (path(i).empty() ? "the root" : path(i)) + " come to " +
                     GpusText(all) + " GPUs, and it has " + GpusText(own) + ": " +
                     Guaranteed(*this, i, type),
                 {{"guarantee", GpusText(share(first_above, type).guarantee_milli)},
                  {"parent", GpusText(own)},
                  {"sum", GpusText(all)},
                  {"parent_account", path(i)}}),
         i, all - own});
  }
}

void AccountTree::AddClasses(AccountIndex i, const TreeRules& rules,
                             std::vector<SettingProblem>* problems) const {
  const AccountSettings& settings = account(i).settings;
  const auto problem = [&](const char* field, const char* reason, const std::string& name,
                           std::string message) {
    problems->push_back(
        {Problem(*this, i, field, reason, std::move(message), {{"class", name}}), i});
  };
  const auto allowed = [this](AccountIndex account, const std::string& name) {
    const std::vector<std::string>& all = Classes(account);
    return all.empty() || std::find(all.begin(), all.end(), name) != all.end();
  };
  const AccountIndex above = parent(i);
  for (const std::string& name : settings.classes) {
    if (!rules.classes.contains(name)) {
      problem("job_classes", "NO_SUCH_CLASS", name, "there is no class \"" + name + "\"");
    }
    if (above != kNoAccount && !allowed(above, name)) {
      problem("job_classes", "CLASS_NOT_ALLOWED", name,
              "the account above does not allow the class \"" + name + "\"");
    }
  }
  const std::string& usual = settings.default_class;
  if (usual.empty()) return;
  if (!rules.classes.contains(usual)) {
    problem("default_class", "NO_SUCH_CLASS", usual, "there is no class \"" + usual + "\"");
  }
  if (!allowed(i, usual)) {
    problem("default_class", "CLASS_NOT_ALLOWED", usual,
            "the account does not allow the class \"" + usual + "\"");
  }
}

void AccountTree::AddClassification(AccountIndex i, const TreeRules& rules,
                                    std::vector<SettingProblem>* problems) const {
  const std::string& highest = account(i).settings.highest_classification;
  if (highest.empty()) return;
  const auto& order = rules.classifications;
  const auto own = std::find(order.begin(), order.end(), highest);
  if (own == order.end()) {
    problems->push_back({Problem(*this, i, "highest_classification", "NO_SUCH_CLASSIFICATION",
                                 "there is no classification \"" + highest + "\""),
                         i});
    return;
  }
  const AccountIndex above = parent(i);
  const std::string bound = above == kNoAccount ? "" : HighestClassification(above);
  const auto most = std::find(order.begin(), order.end(), bound);
  if (bound.empty() || own <= most) return;
  problems->push_back(
      {Problem(*this, i, "highest_classification", "ABOVE_PARENT",
               "the account above goes up to \"" + bound + "\" only", {{"highest", bound}}),
       i, own - most});
}

}  // namespace kezek::quota
