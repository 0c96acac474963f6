#include "quota/order.h"

#include <map>
#include <utility>

#include "kezek/check.h"

namespace kezek::quota {
namespace {

constexpr MilliGpus kNothing = SizedOrders::kNothing;
constexpr MilliGpus kAny = kNothing - 1;
constexpr SizedOrders::Item kNone = SizedOrders::kNone;

}  // namespace

OrderTree::OrderTree(OrderInput input)
    : input_(std::move(input)),
      unit_(UsageOfBooking(input_.usage->decay(), input_.now_ms, 1)),
      siblings_(static_cast<std::size_t>(input_.tree->size())) {
  const AccountTree& tree = *input_.tree;
  KEZEK_CHECK(input_.waiting->arranged(), "waiting jobs must be arranged first");
  KEZEK_CHECK(input_.running_milli.size() == static_cast<std::size_t>(tree.size()),
              "one running figure per account");
  const std::int64_t period = input_.usage->decay().PeriodOf(input_.now_ms);
  accounts_.reserve(static_cast<std::size_t>(tree.size()));
  for (AccountIndex i = 0; i < tree.size(); ++i) {
    const Share& share = tree.share(i, input_.gpu_type);
    accounts_.push_back(
        {.weight_milli = share.weight_milli,
         .slack_milli = share.guarantee_milli - input_.running_milli[static_cast<std::size_t>(i)],
         .usage = input_.usage->OfAccount(tree.id(i)).At(period),
         .least_milli = kNothing});
  }
  for (const auto& [id, project] : input_.waiting->projects()) {
    const AccountIndex index = tree.IndexOf(id);
    if (index == kNoAccount || !tree.children(index).empty()) continue;
    At(index).project = static_cast<std::int32_t>(projects_.size());
    projects_.emplace_back().project = &project;
  }
  BeginPhase(false);
}

// All least figures anew, from below; whoever has one joins its siblings.
void OrderTree::BeginPhase(bool scavengers) {
  scavengers_ = scavengers;
  for (AccountWalk& account : accounts_) {
    account.least_milli = kNothing;
    account.children = kNone;
  }
  for (auto i = static_cast<AccountIndex>(accounts_.size()) - 1; i >= 0; --i) {
    AccountWalk& account = At(i);
    account.least_milli =
        account.project >= 0 ? Least(ProjectAt(i)) : siblings_.Least(account.children);
    Join(i);
  }
}

MilliGpus OrderTree::Least(const ProjectWalk& walk) const {
  if (walk.open) return walk.order.Least(scavengers_ ? walk.scavengers : walk.others);
  const auto& sizes = scavengers_ ? walk.project->scavenger_sizes : walk.project->sizes;
  return sizes.empty() ? kNothing : sizes.begin()->first;
}

// Runs and users of a project, all heads at their beginning.
void OrderTree::Open(ProjectWalk* walk, AccountId id) const {
  if (walk->open) return;
  walk->open = true;
  const std::int64_t period = input_.usage->decay().PeriodOf(input_.now_ms);
  std::map<UserId, std::size_t> users;
  for (const auto& [key, group] : walk->project->groups) {
    const auto [user, added] = users.try_emplace(key.user, walk->users.size());
    if (added) {
      walk->users.push_back(
          {.id = key.user, .usage = input_.usage->OfUser(id, key.user).At(period), .runs = {}});
    }
    for (const auto& [counted, run] : group.runs) {
      walk->users[user->second].runs.push_back(static_cast<Item>(walk->runs.size()));
      walk->runs.push_back({.key = key,
                            .run = &run,
                            .counted_milli = counted,
                            .head = run.begin(),
                            .used = 0,
                            .user = user->second});
    }
  }
  walk->order = SizedOrders(walk->runs.size());
  for (std::size_t i = 0; i < walk->runs.size(); ++i) PutIn(walk, static_cast<Item>(i));
}

// By class, then with rule fair by the user's usage, then by place.
bool OrderTree::RunBefore(const ProjectWalk& walk, Item a, Item b) {
  const RunWalk& left = walk.runs[static_cast<std::size_t>(a)];
  const RunWalk& right = walk.runs[static_cast<std::size_t>(b)];
  if (left.key.class_rank != right.key.class_rank) {
    return left.key.class_rank < right.key.class_rank;
  }
  if (walk.project->rule == ProjectRule::kFair && left.user != right.user) {
    const auto usage = walk.users[left.user].usage <=> walk.users[right.user].usage;
    if (usage != 0) return usage < 0;
  }
  return left.head->first < right.head->first;
}

bool OrderTree::Before(AccountIndex a, AccountIndex b) const {
  const bool inside = Inside(a);
  if (inside != Inside(b)) return inside;
  const AccountWalk& left = At(a);
  const AccountWalk& right = At(b);
  const auto usage =
      CompareUsagePerWeight(left.usage, left.weight_milli, right.usage, right.weight_milli);
  return usage != 0 ? usage < 0 : a < b;  // siblings' indices ascend with their ids
}

// Out of its siblings' order, before what that looks at changes.
void OrderTree::Leave(AccountIndex account) {
  if (account == kRootIndex || At(account).least_milli == kNothing) return;
  siblings_.Erase(&At(input_.tree->parent(account)).children, account,
                  [this](AccountIndex a, AccountIndex b) { return Before(a, b); });
}

void OrderTree::Join(AccountIndex account) {
  if (account == kRootIndex || At(account).least_milli == kNothing) return;
  siblings_.Insert(&At(input_.tree->parent(account)).children, account, At(account).least_milli,
                   [this](AccountIndex a, AccountIndex b) { return Before(a, b); });
}

// After a project's runs have changed and nothing else: least figures up to the first that stays.
void OrderTree::Refresh(AccountIndex project) {
  MilliGpus least = Least(ProjectAt(project));
  for (AccountIndex i = project; i != kNoAccount && At(i).least_milli != least;) {
    Leave(i);
    At(i).least_milli = least;
    Join(i);
    i = input_.tree->parent(i);
    if (i != kNoAccount) least = siblings_.Least(At(i).children);
  }
}

Candidate OrderTree::Head(AccountIndex project, const RunWalk& run) const {
  Candidate candidate{
      .job = run.head->second, .nth = run.used, .project = project, .inside = !run.key.scavenger};
  for (AccountIndex i = project; i != kRootIndex && i != kNoAccount; i = input_.tree->parent(i)) {
    if (candidate.job->counted_milli > At(i).slack_milli) candidate.inside = false;
  }
  return candidate;
}

std::optional<Candidate> OrderTree::Next() {
  KEZEK_CHECK(!current_, "the last candidate was neither taken nor passed over");
  if (accounts_.empty()) return std::nullopt;
  if (At(kRootIndex).least_milli == kNothing && !scavengers_) BeginPhase(true);
  if (At(kRootIndex).least_milli == kNothing) return std::nullopt;
  AccountIndex i = kRootIndex;
  MilliGpus most = kAny;
  while (At(i).project < 0) {
    i = siblings_.First(At(i).children, most);
    KEZEK_CHECK(i != kNone, "an account with jobs has a child with jobs");
    if (Inside(i) && At(i).slack_milli < most) most = At(i).slack_milli;
  }
  ProjectWalk& walk = ProjectAt(i);
  Open(&walk, input_.tree->id(i));
  last_run_ = walk.order.First(scavengers_ ? walk.scavengers : walk.others, most);
  KEZEK_CHECK(last_run_ != kNone, "a project with jobs has a run with jobs");
  last_project_ = i;
  current_ = Head(i, walk.runs[static_cast<std::size_t>(last_run_)]);
  return current_;
}

OrderTree::Item* OrderTree::TopOf(ProjectWalk* walk, Item run) {
  return RunAt(walk, run).key.scavenger ? &walk->scavengers : &walk->others;
}

// Out of its project's order, before what that looks at changes.
void OrderTree::TakeOut(ProjectWalk* walk, Item run) {
  if (RunAt(walk, run).head == RunAt(walk, run).run->end()) return;
  walk->order.Erase(TopOf(walk, run), run,
                    [walk](Item a, Item b) { return RunBefore(*walk, a, b); });
}

void OrderTree::PutIn(ProjectWalk* walk, Item run) {
  if (RunAt(walk, run).head == RunAt(walk, run).run->end()) return;
  walk->order.Insert(TopOf(walk, run), run, RunAt(walk, run).counted_milli,
                     [walk](Item a, Item b) { return RunBefore(*walk, a, b); });
}

// Steps over one element, or all that are left of the head's, and charges the user.
void OrderTree::Step(ProjectWalk* walk, Item run, bool whole, const UsageValue& charge) {
  UserWalk& user = walk->users[RunAt(walk, run).user];
  const bool all = walk->project->rule == ProjectRule::kFair && charge != UsageValue{};
  if (!all) TakeOut(walk, run);
  for (std::size_t i = 0; all && i < user.runs.size(); ++i) TakeOut(walk, user.runs[i]);
  user.usage += charge;
  RunWalk& stepped = RunAt(walk, run);
  if (whole || ++stepped.used >= stepped.head->second->count) {
    ++stepped.head;
    stepped.used = 0;
  }
  if (!all) PutIn(walk, run);
  for (std::size_t i = 0; all && i < user.runs.size(); ++i) PutIn(walk, user.runs[i]);
}

void OrderTree::Take(bool starts) {
  KEZEK_CHECK(current_.has_value(), "nothing to take");
  const OrderJob job = *current_->job;
  current_.reset();
  UsageValue charge = unit_;
  charge *= static_cast<std::uint64_t>(job.expected_charge);
  ProjectWalk& walk = ProjectAt(last_project_);
  Step(&walk, last_run_, false, charge);
  MilliGpus least = Least(walk);
  for (AccountIndex i = last_project_; i != kNoAccount; i = input_.tree->parent(i)) {
    if (i != last_project_) least = siblings_.Least(At(i).children);
    Leave(i);
    At(i).usage += charge;
    if (starts && !job.scavenger) At(i).slack_milli -= job.counted_milli;
    At(i).least_milli = least;
    Join(i);
  }
}

void OrderTree::PassOver() {
  KEZEK_CHECK(current_.has_value(), "nothing to pass over");
  current_.reset();
  Step(&ProjectAt(last_project_), last_run_, false, {});
  Refresh(last_project_);
}

void OrderTree::DropRest() {
  KEZEK_CHECK(!current_ && last_project_ != kNoAccount, "answer the candidate first");
  ProjectWalk& walk = ProjectAt(last_project_);
  if (RunAt(&walk, last_run_).used == 0) return;  // that was its last element
  Step(&walk, last_run_, true, {});
  Refresh(last_project_);
}

void OrderTree::CloseProject(AccountIndex project) {
  KEZEK_CHECK(!current_, "answer the candidate first");
  if (At(project).project < 0) return;
  ProjectWalk& walk = ProjectAt(project);
  Open(&walk, input_.tree->id(project));
  for (RunWalk& run : walk.runs) {
    if (run.key.scavenger != scavengers_) continue;
    run.head = run.run->end();
    run.used = 0;
  }
  (scavengers_ ? walk.scavengers : walk.others) = kNone;
  Refresh(project);
}

MilliGpus OrderTree::Slack(AccountIndex account) const { return At(account).slack_milli; }

std::vector<std::int64_t> OrderTree::Places() const {
  std::vector<std::int64_t> places(accounts_.size(), 0);
  for (const AccountWalk& account : accounts_) {
    std::int64_t place = 0;
    siblings_.ForEach(account.children, [&places, &place](Item child) {
      places[static_cast<std::size_t>(child)] = ++place;
    });
  }
  return places;
}

std::vector<Candidate> OrderTree::Remaining(AccountIndex project) const {
  std::vector<Candidate> remaining;
  if (At(project).project < 0) return remaining;
  ProjectWalk walk = projects_[static_cast<std::size_t>(At(project).project)];
  Open(&walk, input_.tree->id(project));
  for (const Item* top : {&walk.others, &walk.scavengers}) {
    while (*top != kNone) {
      const Item run = walk.order.First(*top, kAny);
      remaining.push_back(Head(project, RunAt(&walk, run)));
      UsageValue charge = unit_;
      charge *= static_cast<std::uint64_t>(remaining.back().job->expected_charge);
      Step(&walk, run, true, charge);
    }
  }
  return remaining;
}

}  // namespace kezek::quota
