#include "quota/order.h"

#include <algorithm>
#include <map>
#include <utility>

#include "kezek/check.h"

namespace kezek::quota {
namespace {

constexpr MilliGpus kNothing = SizedOrders::kNothing;
constexpr MilliGpus kAny = kNothing - 1;
constexpr SizedOrders::Item kNone = SizedOrders::kNone;

}  // namespace

// All least figures anew, from below; whoever has one joins its siblings.
void OrderTree::BeginPhase(bool scavengers) {
  scavengers_ = scavengers;
  for (AccountWalk& account : accounts_) {
    account.least_milli = kNothing;
    account.children = kNone;
    if (scavengers) account.usage = account.started;
  }
  for (ProjectWalk& walk : projects_) {
    if (scavengers && walk.own != nullptr) BeginScavengers(&walk);
  }
  for (auto i = static_cast<AccountIndex>(accounts_.size()) - 1; i >= 0; --i) {
    AccountWalk& account = At(i);
    account.least_milli =
        account.project >= 0 ? Least(ProjectAt(i)) : siblings_.Least(account.children);
    Join(i);
  }
}

// Users' usage is without what is blocked, and their groups stand by that; nothing else is left.
void OrderTree::BeginScavengers(ProjectWalk* walk) {
  walk->others = walk->scavengers = kNone;
  for (UserWalk& user : walk->users) user.usage = user.started;
  for (std::size_t i = 0; i < walk->groups.size(); ++i) {
    if (!walk->groups[i].scavenger) walk->groups[i].least_milli = kNothing;
    PutIn(walk, static_cast<Item>(i));
  }
}

MilliGpus OrderTree::Least(const ProjectWalk& walk) const {
  if (walk.own != nullptr) return walk.order.Least(scavengers_ ? walk.scavengers : walk.others);
  return scavengers_ ? walk.least_of_scavengers : walk.least_of_others;
}

// Groups and users of a project. A group is one of the waiting ones, or with a rule other than fair
// all of a class.
void OrderTree::Open(ProjectWalk* walk, AccountIndex project) const {
  if (walk->own != nullptr) return;
  if (input_.own_orders) walk->own = input_.own_orders(project);
  if (walk->own == nullptr) walk->own = OwnOrderOf(project);
  const std::vector<OwnOrder::Group>& groups = walk->own->groups();
  walk->users.reserve(walk->own->usage().size());
  for (const UsageValue& usage : walk->own->usage()) {
    walk->users.push_back({.usage = usage, .started = usage});
  }
  walk->groups.reserve(groups.size());
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const OwnOrder::Group& waiting = groups[i];
    const bool joins = waiting.user == OwnOrder::kAll && !walk->groups.empty() &&
                       walk->groups.back().scavenger == waiting.scavenger &&
                       walk->groups.back().class_rank == waiting.class_rank;
    const WaitingJobs::Place& first = waiting.rows->rows.front().place;
    if (!joins) {
      walk->groups.push_back({.scavenger = waiting.scavenger,
                              .class_rank = waiting.class_rank,
                              .begin = i,
                              .first = first});
    }
    GroupWalk& group = walk->groups.back();
    group.end = i + 1;
    group.least_milli = std::min(group.least_milli, waiting.rows->sizes.front().counted_milli);
    group.first = std::min(group.first, first);
    if (waiting.user == OwnOrder::kAll) continue;
    group.user = static_cast<Item>(waiting.user);
    UserWalk& own = walk->users[waiting.user];
    group.next = own.groups;
    own.groups = static_cast<Item>(walk->groups.size()) - 1;
  }
  walk->order = SizedOrders(walk->groups.size());
  for (std::size_t i = 0; i < walk->groups.size(); ++i) PutIn(walk, static_cast<Item>(i));
}

void OrderTree::Detach(decltype(OrderInput::own_orders) own_orders) {
  input_ = {};
  input_.own_orders = std::move(own_orders);
  for (ProjectWalk& walk : projects_) walk.project = nullptr;
}

// By class, then with rule fair by the user's usage, then by their first jobs.
bool OrderTree::GroupBefore(const ProjectWalk& walk, Item a, Item b) {
  const GroupWalk& left = walk.groups[static_cast<std::size_t>(a)];
  const GroupWalk& right = walk.groups[static_cast<std::size_t>(b)];
  if (left.class_rank != right.class_rank) return left.class_rank < right.class_rank;
  if (left.user != kNone && left.user != right.user) {
    const auto usage = walk.users[static_cast<std::size_t>(left.user)].usage <=>
                       walk.users[static_cast<std::size_t>(right.user)].usage;
    if (usage != 0) return usage < 0;
  }
  return left.first < right.first;
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
  siblings_.Erase(&At(Parent(account)).children, account,
                  [this](AccountIndex a, AccountIndex b) { return Before(a, b); });
}

void OrderTree::Join(AccountIndex account) {
  if (account == kRootIndex || At(account).least_milli == kNothing) return;
  siblings_.Insert(&At(Parent(account)).children, account, At(account).least_milli,
                   [this](AccountIndex a, AccountIndex b) { return Before(a, b); });
}

// After a project's runs have changed and nothing else: least figures up to the first that stays.
void OrderTree::Refresh(AccountIndex project) {
  MilliGpus least = Least(ProjectAt(project));
  for (AccountIndex i = project; i != kNoAccount && At(i).least_milli != least;) {
    Leave(i);
    At(i).least_milli = least;
    Join(i);
    i = Parent(i);
    if (i != kNoAccount) least = siblings_.Least(At(i).children);
  }
}

Candidate OrderTree::Head(AccountIndex project, const GroupWalk& group, const RunWalk& run) const {
  Candidate candidate{.job = run.Head().job,
                      .row = &run.Head(),
                      .nth = run.used,
                      .project = project,
                      .inside = !group.scavenger};
  for (AccountIndex i = project; i != kRootIndex && i != kNoAccount; i = Parent(i)) {
    if (run.run->counted_milli > At(i).slack_milli) candidate.inside = false;
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
  Open(&walk, i);
  last_project_ = i;
  last_group_ = walk.order.First(scavengers_ ? walk.scavengers : walk.others, most);
  KEZEK_CHECK(last_group_ != kNone, "a project with jobs has a group with jobs");
  GroupWalk& group = GroupAt(&walk, last_group_);
  OpenGroup(walk, &group);
  last_run_ = group.order.First(group.top, most);
  current_ = Head(i, group, RunAt(&group, last_run_));
  return current_;
}

// All runs of a group, their heads at the beginning.
void OrderTree::OpenGroup(const ProjectWalk& walk, GroupWalk* group) {
  if (group->open) return;
  group->open = true;
  for (std::size_t i = group->begin; i < group->end; ++i) {
    const WaitingJobs::Rows& rows = *walk.own->groups()[i].rows;
    for (const WaitingJobs::Rows::Sized& run : rows.sizes) {
      group->runs.push_back({.rows = &rows, .run = &run, .place = {}});
    }
  }
  group->order = SizedOrders(group->runs.size());
  for (std::size_t i = 0; i < group->runs.size(); ++i) PutRun(group, static_cast<Item>(i));
}

void OrderTree::PutRun(GroupWalk* group, Item run) {
  RunWalk& put = RunAt(group, run);
  if (put.head == put.run->at.size()) return;
  put.place = put.Head().place;
  group->order.Insert(&group->top, run, put.run->counted_milli,
                      [group](Item a, Item b) { return RunBefore(group, a, b); });
}

// Over one element, or all that are left of the head's.
void OrderTree::StepRun(GroupWalk* group, Item run, bool whole) {
  RunWalk& stepped = RunAt(group, run);
  if (!whole && ++stepped.used < stepped.Head().count) return;
  group->order.Erase(&group->top, run, [group](Item a, Item b) { return RunBefore(group, a, b); });
  ++stepped.head;
  stepped.used = 0;
  PutRun(group, run);
  group->least_milli = group->order.Least(group->top);
  if (group->top == kNone) return;
  group->first = RunAt(group, group->order.First(group->top, kAny)).place;
}

// Out of its project's order, before what that looks at changes.
void OrderTree::TakeOut(ProjectWalk* walk, Item group) {
  if (GroupAt(walk, group).least_milli == kNothing) return;
  walk->order.Erase(GroupAt(walk, group).scavenger ? &walk->scavengers : &walk->others, group,
                    [walk](Item a, Item b) { return GroupBefore(*walk, a, b); });
}

void OrderTree::PutIn(ProjectWalk* walk, Item group) {
  const GroupWalk& put = GroupAt(walk, group);
  if (put.least_milli == kNothing) return;
  walk->order.Insert(put.scavenger ? &walk->scavengers : &walk->others, group, put.least_milli,
                     [walk](Item a, Item b) { return GroupBefore(*walk, a, b); });
}

// Steps over one element, or all that are left of the head's, and charges the user.
void OrderTree::Step(ProjectWalk* walk, Item group, Item run, bool whole,
                     const UsageValue& charge) {
  const Item user = GroupAt(walk, group).user;
  if (user == kNone || charge == UsageValue{}) {
    TakeOut(walk, group);
    StepRun(&GroupAt(walk, group), run, whole);
    PutIn(walk, group);
    return;
  }
  UserWalk& own = walk->users[static_cast<std::size_t>(user)];
  for (Item i = own.groups; i != kNone; i = GroupAt(walk, i).next) TakeOut(walk, i);
  own.usage += charge;
  StepRun(&GroupAt(walk, group), run, whole);
  for (Item i = own.groups; i != kNone; i = GroupAt(walk, i).next) PutIn(walk, i);
}

void OrderTree::Take(bool starts) {
  KEZEK_CHECK(current_.has_value(), "nothing to take");
  const RunWalk& run = RunAt(&GroupAt(&ProjectAt(last_project_), last_group_), last_run_);
  Take(starts, {run.run->counted_milli, run.Head().expected_charge});
}

void OrderTree::Start(const Given& given) {
  KEZEK_CHECK(current_.has_value(), "nothing to start");
  Take(true, given);
}

void OrderTree::Take(bool starts, const Given& given) {
  current_.reset();
  ProjectWalk& walk = ProjectAt(last_project_);
  const UsageValue charge = ChargeOf(given.expected_charge);
  Step(&walk, last_group_, last_run_, false, charge);
  const Item user = GroupAt(&walk, last_group_).user;
  if (starts && user != kNone) walk.users[static_cast<std::size_t>(user)].started += charge;
  MilliGpus least = Least(walk);
  for (AccountIndex i = last_project_; i != kNoAccount; i = Parent(i)) {
    if (i != last_project_) least = siblings_.Least(At(i).children);
    Leave(i);
    At(i).usage += charge;
    if (starts) At(i).started += charge;
    if (starts && !scavengers_) At(i).slack_milli -= given.counted_milli;
    At(i).least_milli = least;
    Join(i);
  }
}

void OrderTree::PassOver() {
  KEZEK_CHECK(current_.has_value(), "nothing to pass over");
  current_.reset();
  Step(&ProjectAt(last_project_), last_group_, last_run_, false, {});
  Refresh(last_project_);
}

void OrderTree::DropRest() {
  KEZEK_CHECK(!current_ && last_project_ != kNoAccount, "answer the candidate first");
  ProjectWalk& walk = ProjectAt(last_project_);
  // None is used: that was its last element.
  if (RunAt(&GroupAt(&walk, last_group_), last_run_).used == 0) return;
  Step(&walk, last_group_, last_run_, true, {});
  Refresh(last_project_);
}

void OrderTree::SkipToScavengers() {
  KEZEK_CHECK(!current_, "answer the candidate first");
  if (!scavengers_) BeginPhase(true);
}

void OrderTree::CloseProject(AccountIndex project) {
  KEZEK_CHECK(!current_, "answer the candidate first");
  if (At(project).project < 0) return;
  ProjectWalk& walk = ProjectAt(project);
  Open(&walk, project);
  for (GroupWalk& group : walk.groups) {
    if (group.scavenger == scavengers_) group.least_milli = kNothing;
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
  Open(&walk, project);
  for (const bool at_them : {false, true}) {
    if (scavengers_ && !at_them) continue;
    if (at_them && !scavengers_) BeginScavengers(&walk);
    const Item& top = at_them ? walk.scavengers : walk.others;
    while (top != kNone) {
      const Item at = walk.order.First(top, kAny);
      GroupWalk& group = GroupAt(&walk, at);
      OpenGroup(walk, &group);
      const Item run = group.order.First(group.top, kAny);
      remaining.push_back(Head(project, group, RunAt(&group, run)));
      Step(&walk, at, run, true, ChargeOf(remaining.back().row->expected_charge));
    }
  }
  return remaining;
}

}  // namespace kezek::quota
