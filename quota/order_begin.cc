// How an order begins: accounts where they stand, with what they have used; projects' own orders.
#include <map>
#include <memory>
#include <utility>

#include "kezek/check.h"
#include "quota/order.h"

namespace kezek::quota {
namespace {

constexpr MilliGpus kNothingLeft = SizedOrders::kNothing;

}  // namespace

OrderTree::OrderTree(OrderInput input, Kept* kept)
    : input_(std::move(input)),
      period_(input_.usage->decay().PeriodOf(input_.now_ms)),
      unit_(UsageOfBooking(input_.usage->decay(), input_.now_ms, 1)) {
  const AccountTree& tree = *input_.tree;
  const auto size = static_cast<std::size_t>(tree.size());
  KEZEK_CHECK(input_.waiting->arranged(), "waiting jobs must be arranged first");
  KEZEK_CHECK(input_.running_milli.size() == size, "one running figure per account");
  parents_.reserve(size);
  for (AccountIndex i = 0; i < tree.size(); ++i) parents_.push_back(tree.parent(i));
  if (kept != nullptr && kept->accounts_.size() == size) {
    accounts_ = std::move(kept->accounts_);
    siblings_ = std::move(kept->siblings_);
  } else {
    accounts_.reserve(size);
    for (AccountIndex i = 0; i < tree.size(); ++i) {
      const std::int64_t weight = tree.share(i, input_.gpu_type).weight_milli;
      accounts_.push_back({.weight_milli = weight, .least_milli = kNothingLeft});
    }
    siblings_ = SizedOrders(size);
  }
  FindProjects();
  PutAccounts();
  if (kept == nullptr) return;
  kept->accounts_ = accounts_;
  kept->siblings_ = siblings_;
}

void OrderTree::FindProjects() {
  const AccountTree& tree = *input_.tree;
  for (AccountWalk& account : accounts_) account.project = -1;
  projects_.reserve(input_.waiting->heads().size());
  for (const WaitingJobs::Head& head : input_.waiting->heads()) {
    const AccountIndex index = tree.IndexOf(head.id);
    if (index == kNoAccount || !tree.children(index).empty()) continue;
    At(index).project = static_cast<std::int32_t>(projects_.size());
    ProjectWalk& walk = projects_.emplace_back();
    walk.project = head.project;
    walk.least_of_others = head.least_of_others.value_or(kNothingLeft);
    walk.least_of_scavengers = head.least_of_scavengers.value_or(kNothingLeft);
  }
}

// By index, with what other orders of this tick have started.
std::vector<UsageValue> OrderTree::UsageNow() const {
  std::vector<UsageValue> usage;
  usage.reserve(accounts_.size());
  for (AccountIndex i = 0; i < input_.tree->size(); ++i) usage.push_back(SumOf(i).At(period_));
  for (const auto& [whose, expected_charge] : input_.started) {
    const UsageValue charge = ChargeOf(expected_charge);
    for (auto i = input_.tree->IndexOf(whose.first); i != kNoAccount; i = Parent(i)) {
      usage[static_cast<std::size_t>(i)] += charge;
    }
  }
  return usage;
}

// Each where it belongs among its siblings, from below: those that stand as they did stay.
void OrderTree::PutAccounts() {
  const AccountTree& tree = *input_.tree;
  const std::vector<UsageValue> usage = UsageNow();
  for (auto i = static_cast<AccountIndex>(accounts_.size()) - 1; i >= 0; --i) {
    const auto at = static_cast<std::size_t>(i);
    AccountWalk& account = At(i);
    const MilliGpus guarantee = input_.guarantee_milli.empty() ? tree.Guarantee(i, input_.gpu_type)
                                                               : input_.guarantee_milli.at(at);
    const MilliGpus slack = guarantee - input_.running_milli[at];
    const MilliGpus least =
        account.project >= 0 ? Least(ProjectAt(i)) : siblings_.Least(account.children);
    if (account.slack_milli == slack && account.usage == usage[at] && account.least_milli == least)
      continue;
    Leave(i);
    account.slack_milli = slack;
    account.started = account.usage = usage[at];
    account.least_milli = least;
    Join(i);
  }
}

const UsageSum& OrderTree::SumOf(AccountIndex i) const {
  if (!input_.sums.empty()) return *input_.sums[static_cast<std::size_t>(i)];
  return input_.usage->OfAccount(input_.tree->id(i));
}

UsageValue OrderTree::ChargeOf(MilliGpuMs expected_charge) const {
  UsageValue charge = unit_;
  charge *= static_cast<std::uint64_t>(expected_charge);
  return charge;
}

UsageValue OrderTree::UsageOfUser(AccountId project, UserId user,
                                  const WaitingJobs::Group& group) const {
  UsageValue usage = group.UsageIn(*input_.usage, project, user).At(period_);
  if (input_.started.empty()) return usage;
  const auto started = input_.started.find({project, user});
  if (started != input_.started.end()) usage += ChargeOf(started->second);
  return usage;
}

std::shared_ptr<const OwnOrder> OrderTree::OwnOrderOf(AccountIndex project) const {
  auto order = std::make_shared<OwnOrder>(unit_);
  if (At(project).project < 0) return order;
  const ProjectWalk& walk = projects_[static_cast<std::size_t>(At(project).project)];
  if (walk.own != nullptr) return walk.own;
  const AccountId id = input_.tree->id(project);
  std::map<UserId, std::size_t> users;
  for (const auto& [key, group] : walk.project->groups) {
    std::size_t user = OwnOrder::kAll;
    if (walk.project->rule == ProjectRule::kFair) {
      const auto [known, is_new] = users.try_emplace(key.user);
      if (is_new) known->second = order->AddUser(UsageOfUser(id, key.user, group));
      user = known->second;
    }
    order->AddGroup(key, user, group.rows());
  }
  return order;
}

}  // namespace kezek::quota
