#include "quota/order.h"

#include <algorithm>
#include <limits>
#include <tuple>

#include "kezek/check.h"

namespace kezek::quota {
namespace {

constexpr MilliGpus kNothing = std::numeric_limits<MilliGpus>::max();
constexpr MilliGpus kAny = kNothing - 1;
constexpr std::size_t kNoRun = std::numeric_limits<std::size_t>::max();

using Jobs = std::vector<const OrderJob*>;

// The rule's order inside one class; users' own priorities come afterwards.
bool RuleBefore(ProjectRule rule, const OrderJob& a, const OrderJob& b) {
  const auto key = [rule](const OrderJob& job) {
    const bool by_length = rule == ProjectRule::kShortest && !job.aged;
    return std::tuple(by_length, by_length ? job.predicted : 0, job.submitted_ms, job.ref);
  };
  return key(a) < key(b);
}

// Places 0…n-1 of one class's jobs: by the rule, then each user's jobs change places among
// themselves as their own priorities say. Sorted by place.
Jobs InPlaces(ProjectRule rule, Jobs jobs) {
  const auto before = [rule](const OrderJob* a, const OrderJob* b) {
    return RuleBefore(rule, *a, *b);
  };
  std::sort(jobs.begin(), jobs.end(), before);
  std::map<UserId, std::vector<std::size_t>> places;
  for (std::size_t i = 0; i < jobs.size(); ++i) places[jobs[i]->user].push_back(i);
  for (const auto& [user, of_user] : places) {
    Jobs own;
    for (const std::size_t place : of_user) own.push_back(jobs[place]);
    std::stable_sort(own.begin(), own.end(), [](const OrderJob* a, const OrderJob* b) {
      return a->user_priority > b->user_priority;
    });
    for (std::size_t i = 0; i < own.size(); ++i) jobs[of_user[i]] = own[i];
  }
  return jobs;
}

std::vector<WaitingJobs::Run> MakeRuns(const WaitingJobs::Project& project) {
  std::map<std::pair<bool, std::int32_t>, Jobs> classes;
  for (const auto& [ref, job] : project.jobs) {
    classes[{job.scavenger, job.class_rank}].push_back(&job);
  }
  std::map<std::tuple<bool, std::int32_t, UserId, MilliGpus>, WaitingJobs::Run> runs;
  for (const auto& [job_class, jobs] : classes) {
    const Jobs placed = InPlaces(project.rule, jobs);
    for (std::size_t i = 0; i < placed.size(); ++i) {
      const OrderJob& job = *placed[i];
      WaitingJobs::Run& run = runs[{job.scavenger, job.class_rank, job.user, job.counted_milli}];
      run.class_rank = job.class_rank;
      run.user = job.user;
      run.counted_milli = job.counted_milli;
      run.scavenger = job.scavenger;
      run.slots.push_back({static_cast<std::int64_t>(i), &job});
    }
  }
  std::vector<WaitingJobs::Run> made;
  made.reserve(runs.size());
  for (auto& [key, run] : runs) made.push_back(std::move(run));
  return made;
}

}  // namespace

void WaitingJobs::Set(const OrderJob& job) {
  KEZEK_CHECK(job.count >= 1 && job.counted_milli >= 0, "a waiting job without jobs or size");
  Remove(job.ref);
  projects_[job.project].jobs.emplace(job.ref, job);
  project_of_.emplace(job.ref, job.project);
  changed_.insert(job.project);
}

void WaitingJobs::Remove(const JobRef& ref) {
  const auto found = project_of_.find(ref);
  if (found == project_of_.end()) return;
  projects_.at(found->second).jobs.erase(ref);
  changed_.insert(found->second);
  project_of_.erase(found);
}

const OrderJob* WaitingJobs::Find(const JobRef& ref) const {
  const auto found = project_of_.find(ref);
  return found == project_of_.end() ? nullptr : &projects_.at(found->second).jobs.at(ref);
}

void WaitingJobs::Arrange(const AccountTree& tree) {
  for (auto it = projects_.begin(); it != projects_.end();) {
    auto& [id, project] = *it;
    if (project.jobs.empty()) {
      it = projects_.erase(it);
      continue;
    }
    const AccountIndex index = tree.IndexOf(id);
    const ProjectRule rule = index == kNoAccount ? project.rule : tree.account(index).settings.rule;
    if (rule != project.rule || changed_.contains(id)) {
      project.rule = rule;
      project.runs = MakeRuns(project);
    }
    ++it;
  }
  changed_.clear();
}

OrderTree::OrderTree(OrderInput input) : input_(std::move(input)) {
  const AccountTree& tree = *input_.tree;
  KEZEK_CHECK(input_.waiting->arranged(), "waiting jobs must be arranged first");
  KEZEK_CHECK(input_.running_milli.size() == static_cast<std::size_t>(tree.size()),
              "one running figure per account");
  const std::int64_t period = input_.usage->decay().PeriodOf(input_.now_ms);
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
    ProjectWalk walk{.project = &project, .cursors = {}, .users = {}};
    walk.cursors.resize(project.runs.size());
    for (const WaitingJobs::Run& run : project.runs) {
      walk.users.try_emplace(run.user, input_.usage->OfUser(id, run.user).At(period));
    }
    projects_.emplace(index, std::move(walk));
  }
  BeginPhase(false);
}

// All least figures anew, from below.
void OrderTree::BeginPhase(bool scavengers) {
  scavengers_ = scavengers;
  for (AccountWalk& account : accounts_) account.least_milli = kNothing;
  for (auto i = static_cast<AccountIndex>(accounts_.size()) - 1; i >= 0; --i) {
    AccountWalk& account = At(i);
    const auto project = projects_.find(i);
    if (project != projects_.end()) account.least_milli = Least(project->second);
    if (i == kRootIndex) continue;
    AccountWalk& above = At(input_.tree->parent(i));
    above.least_milli = std::min(above.least_milli, account.least_milli);
  }
}

MilliGpus OrderTree::Least(const ProjectWalk& walk) const {
  MilliGpus least = kNothing;
  for (std::size_t i = 0; i < walk.cursors.size(); ++i) {
    const WaitingJobs::Run& run = walk.project->runs[i];
    if (run.scavenger != scavengers_ || walk.cursors[i].slot == run.slots.size()) continue;
    least = std::min(least, run.counted_milli);
  }
  return least;
}

// After a project has changed: its least figure and those above it.
void OrderTree::Refresh(AccountIndex project) {
  At(project).least_milli = Least(projects_.at(project));
  for (AccountIndex i = input_.tree->parent(project); i != kNoAccount; i = input_.tree->parent(i)) {
    MilliGpus least = kNothing;
    for (const AccountIndex child : input_.tree->children(i)) {
      least = std::min(least, At(child).least_milli);
    }
    At(i).least_milli = least;
  }
}

bool OrderTree::Before(AccountIndex a, AccountIndex b) const {
  const AccountWalk& left = At(a);
  const AccountWalk& right = At(b);
  const auto usage =
      CompareUsagePerWeight(left.usage, left.weight_milli, right.usage, right.weight_milli);
  return usage != 0 ? usage < 0 : a < b;  // siblings' indices ascend with their ids
}

bool OrderTree::HasInside(AccountIndex i, MilliGpus most_milli) const {
  return !scavengers_ && At(i).least_milli <= std::min(most_milli, At(i).slack_milli);
}

// The child whose turn it is among those with a job of at most `most_milli`, which becomes its
// slack if it comes first for a job inside its guarantee.
AccountIndex OrderTree::PickChild(AccountIndex parent, MilliGpus* most_milli) const {
  AccountIndex best = kNoAccount;
  bool best_inside = false;
  for (const AccountIndex child : input_.tree->children(parent)) {
    if (At(child).least_milli > *most_milli) continue;
    const bool inside = HasInside(child, *most_milli);
    const bool better = best == kNoAccount || (inside && !best_inside) ||
                        (inside == best_inside && Before(child, best));
    if (!better) continue;
    best = child;
    best_inside = inside;
  }
  KEZEK_CHECK(best != kNoAccount, "an account with jobs has a child with jobs");
  if (best_inside) *most_milli = std::min(*most_milli, At(best).slack_milli);
  return best;
}

// The run whose head is next among those of at most `most_milli`: by class, then with rule fair by
// the user's usage, then by place.
std::size_t OrderTree::PickRun(const ProjectWalk& walk, MilliGpus most_milli,
                               bool scavengers) const {
  std::size_t best = kNoRun;
  const auto before = [&walk](std::size_t a, std::size_t b) {
    const WaitingJobs::Run& left = walk.project->runs[a];
    const WaitingJobs::Run& right = walk.project->runs[b];
    if (left.class_rank != right.class_rank) return left.class_rank < right.class_rank;
    if (walk.project->rule == ProjectRule::kFair) {
      const UsageValue& left_usage = walk.users.at(left.user);
      const UsageValue& right_usage = walk.users.at(right.user);
      if (left_usage != right_usage) return left_usage < right_usage;
    }
    return left.slots[walk.cursors[a].slot].place < right.slots[walk.cursors[b].slot].place;
  };
  for (std::size_t i = 0; i < walk.cursors.size(); ++i) {
    const WaitingJobs::Run& run = walk.project->runs[i];
    if (run.scavenger != scavengers || run.counted_milli > most_milli) continue;
    if (walk.cursors[i].slot == run.slots.size()) continue;
    if (best == kNoRun || before(i, best)) best = i;
  }
  return best;
}

Candidate OrderTree::Head(AccountIndex project, const ProjectWalk& walk, std::size_t run) const {
  const Cursor& cursor = walk.cursors[run];
  Candidate candidate{.job = walk.project->runs[run].slots[cursor.slot].job,
                      .nth = cursor.used,
                      .project = project,
                      .inside = !walk.project->runs[run].scavenger};
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
  while (!input_.tree->children(i).empty()) i = PickChild(i, &most);
  const ProjectWalk& walk = projects_.at(i);
  last_run_ = PickRun(walk, most, scavengers_);
  KEZEK_CHECK(last_run_ != kNoRun, "a project with jobs has a run with jobs");
  last_project_ = i;
  current_ = Head(i, walk, last_run_);
  return current_;
}

// Steps over one element, to the next job after the last one.
void OrderTree::Step(ProjectWalk* walk, std::size_t run) {
  Cursor& cursor = walk->cursors[run];
  if (++cursor.used < walk->project->runs[run].slots[cursor.slot].job->count) return;
  ++cursor.slot;
  cursor.used = 0;
}

void OrderTree::Take(bool starts) {
  KEZEK_CHECK(current_.has_value(), "nothing to take");
  const OrderJob& job = *current_->job;
  const UsageValue charge =
      UsageOfBooking(input_.usage->decay(), input_.now_ms, job.expected_charge);
  projects_.at(last_project_).users.at(job.user) += charge;
  for (AccountIndex i = last_project_; i != kNoAccount; i = input_.tree->parent(i)) {
    At(i).usage += charge;
    if (starts && !job.scavenger) At(i).slack_milli -= job.counted_milli;
  }
  PassOver();
}

void OrderTree::PassOver() {
  KEZEK_CHECK(current_.has_value(), "nothing to pass over");
  current_.reset();
  Step(&projects_.at(last_project_), last_run_);
  Refresh(last_project_);
}

void OrderTree::DropRest() {
  KEZEK_CHECK(!current_ && last_project_ != kNoAccount, "answer the candidate first");
  Cursor& cursor = projects_.at(last_project_).cursors[last_run_];
  if (cursor.used == 0) return;  // that was its last element
  ++cursor.slot;
  cursor.used = 0;
  Refresh(last_project_);
}

void OrderTree::CloseProject(AccountIndex project) {
  KEZEK_CHECK(!current_, "answer the candidate first");
  const auto found = projects_.find(project);
  if (found == projects_.end()) return;
  ProjectWalk& walk = found->second;
  for (std::size_t i = 0; i < walk.cursors.size(); ++i) {
    if (walk.project->runs[i].scavenger != scavengers_) continue;
    walk.cursors[i] = {.slot = walk.project->runs[i].slots.size(), .used = 0};
  }
  Refresh(project);
}

MilliGpus OrderTree::Slack(AccountIndex account) const { return At(account).slack_milli; }

std::vector<std::int64_t> OrderTree::Places() const {
  std::vector<std::int64_t> places(accounts_.size(), 0);
  for (AccountIndex i = 0; i < input_.tree->size(); ++i) {
    std::vector<AccountIndex> order;
    for (const AccountIndex child : input_.tree->children(i)) {
      if (At(child).least_milli != kNothing) order.push_back(child);
    }
    std::sort(order.begin(), order.end(), [this](AccountIndex a, AccountIndex b) {
      const bool inside_a = HasInside(a, kAny);
      const bool inside_b = HasInside(b, kAny);
      return inside_a != inside_b ? inside_a : Before(a, b);
    });
    for (std::size_t at = 0; at < order.size(); ++at) {
      places[static_cast<std::size_t>(order[at])] = static_cast<std::int64_t>(at) + 1;
    }
  }
  return places;
}

std::vector<Candidate> OrderTree::Remaining(AccountIndex project) const {
  std::vector<Candidate> remaining;
  const auto found = projects_.find(project);
  if (found == projects_.end()) return remaining;
  ProjectWalk walk = found->second;
  for (const bool scavengers : {false, true}) {
    for (std::size_t run = PickRun(walk, kAny, scavengers); run != kNoRun;
         run = PickRun(walk, kAny, scavengers)) {
      remaining.push_back(Head(project, walk, run));
      const OrderJob& job = *remaining.back().job;
      walk.users.at(job.user) +=
          UsageOfBooking(input_.usage->decay(), input_.now_ms, job.expected_charge);
      ++walk.cursors[run].slot;
      walk.cursors[run].used = 0;
    }
  }
  return remaining;
}

}  // namespace kezek::quota
