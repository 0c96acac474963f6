#include "scheduler/engine/world.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

#include "kezek/check.h"
#include "quota/charge.h"

namespace kezek::engine {
namespace {

bool Any(const Limits& limits) {
  return limits.running_milli || limits.jobs_running || limits.job_milli;
}

std::vector<AccountId> LimitedBy(const quota::AccountTree& tree) {
  std::vector<AccountId> limited(static_cast<std::size_t>(tree.size()));
  for (quota::AccountIndex i = 0; i < tree.size(); ++i) {
    const AccountSettings& settings = tree.account(i).settings;
    bool any = Any(settings.account_limits) || Any(settings.user_limits);
    for (const auto& [type, share] : settings.shares) any |= share.borrow_max_milli.has_value();
    any |= !settings.budgets.empty();
    AccountId& by = limited[static_cast<std::size_t>(i)];
    const quota::AccountIndex parent = tree.parent(i);
    if (parent != quota::kNoAccount) by = limited[static_cast<std::size_t>(parent)];
    if (!by && any) by = tree.id(i);
  }
  return limited;
}

std::vector<char> Budgeted(const quota::AccountTree& tree) {
  std::vector<char> budgeted(static_cast<std::size_t>(tree.size()), 0);
  for (quota::AccountIndex i = 0; i < tree.size(); ++i) {
    budgeted[static_cast<std::size_t>(i)] = quota::HasBudgets(tree, i) ? 1 : 0;
  }
  return budgeted;
}

// Whether a budget on the path lets what it does not hold go on as a scavenger.
bool MayScavenge(const quota::AccountTree& tree, AccountId project) {
  for (auto i = tree.IndexOf(project); i != quota::kNoAccount; i = tree.parent(i)) {
    for (const BudgetSpec& spec : tree.account(i).settings.budgets) {
      if (spec.at_exhaustion == AtExhaustion::kScavenge) return true;
    }
  }
  return false;
}

}  // namespace

std::int32_t StartableCount(const Waiting& job) {
  return IsArrayRow(job.ref, *job.spec) ? static_cast<std::int32_t>(job.elements.size()) : 1;
}

JobRef StartableRef(const Waiting& job, std::int32_t nth) {
  if (!IsArrayRow(job.ref, *job.spec)) return job.ref;
  return {job.ref.id, job.elements.at(static_cast<std::size_t>(nth))};
}

World::World(EngineConfig config, std::shared_ptr<const Directory> directory)
    : config_(std::move(config)), no_usage_(config_.half_life_ms) {
  SetDirectory(std::move(directory));
}

World::World(const Facts& facts, std::shared_ptr<const Directory> directory)
    : World(facts.config, std::move(directory)) {
  usage_ = facts.usage;
  budgets_ = facts.budgets;
  lengths_ = facts.lengths;
  for (const auto& [project, clock] : facts.clocks) paces_[project].clock = clock;
  for (const auto& [name, node] : facts.nodes) SetNode(node);
  for (const auto& [ref, attempt] : facts.holdings) SetHolding(attempt);
  for (const auto& [ref, job] : facts.waiting) SetWaiting(job);
  reservations_ = facts.reservations;
}

void World::SetDirectory(std::shared_ptr<const Directory> directory) {
  KEZEK_CHECK(directory != nullptr, "no directory");
  // A change of quota alone leaves the waiting jobs, and the sums of what runs, as they are.
  const bool ruled = directory_ == nullptr || directory_->classes != directory->classes;
  order_stale_ |= ruled || directory_->rate_milli != directory->rate_milli ||
                  directory_->classifications != directory->classifications;
  const bool moved = ruled || !quota::SameParents(directory_->accounts, directory->accounts);
  directory_ = std::move(directory);
  const quota::AccountTree before = std::move(tree_);
  auto tree = quota::AccountTree::Build(directory_->accounts);
  KEZEK_CHECK(tree.has_value(), "accounts that were committed make no tree");
  tree_ = std::move(*tree);
  rules_stale_ = true;
  guarantees_.clear();
  levels_.clear();
  order_kept_.clear();
  sums_.clear();
  const NodeOwners owned = std::exchange(owners_, directory_->owners);
  const bool given = owned != owners_;  // nodes, to others than before
  types_stale_ |= given;
  order_stale_ |= given;
  const std::vector<AccountId> limited_before = std::exchange(limited_by_, LimitedBy(tree_));
  budgeted_ = Budgeted(tree_);
  for (quota::AccountIndex i = 0; i < tree_.size(); ++i) {
    if (!IsShortest(tree_.id(i)) || paces_.contains(tree_.id(i))) continue;
    paces_[tree_.id(i)].clock = quota::RunClock(config_.age_max_ms);
  }
  for (auto& [project, pace] : paces_) pace.stale |= !IsShortest(project);
  FindScavengers();
  const auto stops_users = [](const auto& of) { return Any(of.user_limits); };
  limits_users_ = false;
  for (const auto& [name, rules] : directory_->classes) {
    limits_users_ |= stops_users(rules);
  }
  for (quota::AccountIndex i = 0; i < tree_.size(); ++i) {
    limits_users_ |= stops_users(tree_.account(i).settings);
  }
  blocks_.TouchAll();
  for (const auto& [project, rows] : waits_since_) {
    if (order_stale_) break;
    if (moved && !owners_.empty() && !quota::SamePath(before, tree_, project)) {
      OrderProject(project);  // other dedicated nodes may be on its path
    } else if (!quota::SameBars(before, tree_, project)) {
      JudgeProject(project);
    }
  }
  AskWhereLimitsMoved(before, limited_before);
  if (!moved && !given) return;
  CountHoldings();
}

void World::SetNode(const Node& node) {
  ++free_version_;
  Node& known = nodes_[node.name];
  types_stale_ |= known.name != node.name || known.gpu_type != node.gpu_type ||
                  quota::SizeOf(known) != quota::SizeOf(node) || known.labels != node.labels ||
                  known.leaf != node.leaf || known.block != node.block ||
                  known.above != node.above || known.cleared != node.cleared;
  if (!types_stale_) machine_.Change(known, node, now_ms_);
  if (node.drained_by_kezek && node.set_aside_until_ms != 0) {
    aside_.insert(node.name);
  } else {
    aside_.erase(node.name);
  }
  known = node;
  if (KeepsSeats()) seats_.Isolate(SeatsSource(), node.name);
}

void World::SetWaiting(const Waiting& job) {
  KEZEK_CHECK(job.spec != nullptr, "a waiting job without its spec");
  RemoveWaiting(job.ref);
  const Waiting& row = waiting_[job.ref] = job;
  waits_since_[job.spec->project].insert({job.queued_since_ms, job.ref});
  Alike& alike = asked_[job.spec->shape.gpu_type][job.spec];
  if (alike.id == 0) alike.id = ++last_asked_;
  ++alike.projects[job.spec->project];
  alike.by_limit[{job.spec->time_limit_ms, job.ref}] = &row;
  ++waits_of_[job.user][job.spec->project];
  ++waits_in_[job.spec->job_class];
  blocks_.Touch(job.spec->project);
  CountQueued(*job.spec, 1);
  if (StartableCount(job) == 0) resting_.insert(job.ref);
  if (DrawsOnBudgets(job.spec->project) && MayScavenge(tree_, job.spec->project)) {
    may_scavenge_.insert(job.ref);
  }
  if (order_stale_) return;
  Judge(row);
  Order(row);
  Ask(row);
}

void World::RemoveWaiting(const JobRef& job) {
  const auto found = waiting_.find(job);
  if (found == waiting_.end()) return;
  const auto waits = waits_since_.find(found->second.spec->project);
  waits->second.erase({found->second.queued_since_ms, job});
  if (waits->second.empty()) waits_since_.erase(waits);
  Unask(found->second);
  const auto of_user = waits_of_.find(found->second.user);
  const auto of_project = of_user->second.find(found->second.spec->project);
  if (--of_project->second == 0) of_user->second.erase(of_project);
  if (of_user->second.empty()) waits_of_.erase(of_user);
  const auto in_class = waits_in_.find(found->second.spec->job_class);
  if (--in_class->second == 0) waits_in_.erase(in_class);
  blocks_.Touch(found->second.spec->project);
  resting_.erase(job);
  Unorder(found->second);
  demand_.Remove(job);
  if (!IsBarred(job)) CountQueued(*found->second.spec, -1);
  barred_.Erase(job);
  waiting_.erase(found);
  scavenges_.erase(job);
  may_scavenge_.erase(job);
}

void World::Book(const UsageBooking& whose, std::span<const std::pair<TimeMs, MilliGpuMs>> dated) {
  blocks_.Touch(whose.project);
  quota::UsageBook& book = usage_.try_emplace(whose.gpu_type, config_.half_life_ms).first->second;
  if (!whose.above.empty()) return book.Book(whose.above, whose.project, whose.user, dated);
  book.Book(tree_, whose.project, whose.user, dated);
}

const std::vector<MilliGpus>& World::GuaranteesSet(const std::string& gpu_type) const {
  const auto [of_type, is_new] = guarantees_.try_emplace(gpu_type);
  if (is_new) of_type->second = tree_.Guarantees(gpu_type);
  return of_type->second;
}

const std::vector<const quota::UsageSum*>& World::UsageSums(const std::string& gpu_type) const {
  const quota::UsageBook& book = usage(gpu_type);
  const auto [found, is_new] = sums_.try_emplace(gpu_type);
  SumsByIndex& known = found->second;
  if (!is_new && known.accounts == book.accounts().size()) return known.sums;
  known.accounts = book.accounts().size();
  known.sums.clear();
  for (quota::AccountIndex i = 0; i < tree_.size(); ++i) {
    known.sums.push_back(&book.OfAccount(tree_.id(i)));
  }
  return known.sums;
}

std::map<AccountId, quota::RunClock> World::clocks() const {
  std::map<AccountId, quota::RunClock> clocks;
  for (const auto& [project, pace] : paces_) clocks.emplace(project, pace.clock);
  return clocks;
}

bool World::IsShortest(AccountId project) const {
  const quota::AccountIndex index = tree_.IndexOf(project);
  return index != quota::kNoAccount && tree_.children(index).empty() &&
         tree_.account(index).settings.rule == ProjectRule::kShortest;
}

void World::Ended(const EndedRun& run) {
  if (!IsShortest(run.project)) return;
  Pace& pace = paces_.at(run.project);
  pace.clock.Add(run.start_ms, run.end_ms);
  lengths_.Learn(run);
  pace.learned.insert(run.user);
}

// A holding of unknown nodes is in `used_`, too, and in no machine until they are told.
void World::RefreshMachine(TimeMs now) {
  now_ms_ = now;
  if (types_stale_ || !aside_.empty()) ++free_version_;
  if (types_stale_) {
    machine_ = Machine(nodes_, used_, now, owners_);
    configured_ = machine_.AsConfigured();
    seats_.Forget();
    return;
  }
  for (const std::string& name : aside_) {
    machine_.Change(nodes_.at(name), nodes_.at(name), now);
    if (seats_.known()) seats_.Isolate(SeatsSource(), name);
  }
}

Machine World::MachineAt(TimeMs now) const {
  if (types_stale_ || now != now_ms_) return {nodes_, used_, now, owners_};
  return machine_;
}

void World::Refresh(TimeMs now) {
  improves_ = now - improved_ms_ >= config_.improve_ms;
  if (improves_) improved_ms_ = now;
  RefreshMachine(now);
  if (types_stale_) {
    auto types = quota::GpuTypes(nodes_);
    if (types != types_) order_stale_ = true;
    types_ = std::move(types);
    RefreshPools();
    types_stale_ = false;
    asks_stale_ = true;
    blocks_.TouchAll();
  }
  asks_stale_ |= order_stale_;
  if (order_stale_) OrderAll();
  for (const auto& [project, pace] : paces_) {
    if (IsShortest(project)) RefreshShortest(project);
  }
  RefreshScavengers();
  if (asks_stale_) AskAll();
  const bool anew = std::exchange(rules_stale_, false);
  const auto arrange = [&](quota::WaitingJobs& jobs) {
    anew ? jobs.Arrange(tree_) : jobs.ArrangeChanged(tree_);
  };
  for (auto& [type, jobs] : order_) arrange(jobs);
  for (auto& [key, jobs] : apart_order_) arrange(jobs);
}

// After a change of budgets. What no budget lets go on any more is a scavenger no longer.
void World::FindScavengers() {
  may_scavenge_.clear();
  for (const auto& [project, rows] : waits_since_) {
    if (!MayScavenge(tree_, project)) continue;
    for (const auto& [queued_ms, ref] : rows) may_scavenge_.insert(ref);
  }
  for (auto it = scavenges_.begin(); it != scavenges_.end();) {
    const JobRef ref = it->first;
    const bool stays = may_scavenge_.contains(ref);
    it = stays ? std::next(it) : scavenges_.erase(it);
    if (stays || order_stale_) continue;
    Order(waiting_.at(ref));
    Ask(waiting_.at(ref));
  }
}

// Who goes on as a scavenger is in the order of scavengers.
void World::RefreshScavengers() {
  for (const JobRef& ref : may_scavenge_) {
    const Waiting& job = waiting_.at(ref);
    BudgetRef budget = FullDrawOf(job, CountedOf(*job.spec), {}).scavenges;
    const bool changes = bool{budget} != scavenges_.contains(ref);
    if (budget) {
      scavenges_[ref] = std::move(budget);
    } else {
      scavenges_.erase(ref);
    }
    if (!changes) continue;
    Order(job);
    Ask(job);
  }
}

bool World::DrawsOnBudgets(AccountId project) const {
  const quota::AccountIndex index = tree_.IndexOf(project);
  return index != quota::kNoAccount && budgeted_[static_cast<std::size_t>(index)] != 0;
}

quota::Draw World::FullDrawOf(const Waiting& job, MilliGpus counted_milli,
                              const quota::Taken& taken) const {
  const JobSpec& spec = *job.spec;
  const ClassRules& rules = ClassOf(spec.job_class);
  if (rules.scavenger || !DrawsOnBudgets(spec.project)) return {};
  const auto rate = directory_->rate_milli.find(spec.shape.gpu_type);
  const quota::Cost cost{.project = spec.project,
                         .gpu_type = spec.shape.gpu_type,
                         .counted_milli = counted_milli,
                         .limit_ms = spec.time_limit_ms,
                         .rate_milli = rate == directory_->rate_milli.end() ? 1000 : rate->second,
                         .factor_milli = rules.factor_milli};
  return quota::DrawOf(tree_, budgets_, cost, now_ms_, taken, config_.charge);
}

quota::Draw World::DrawOf(const Waiting& job, const quota::Taken& taken) const {
  if (Scavenges(job)) return {};
  return FullDrawOf(job, CountedOf(*job.spec), taken);
}

quota::Draw World::DrawOf(const Start& start, const quota::Taken& taken) const {
  if (start.scavenges) return {};
  return FullDrawOf(waiting_.at(start.row), start.counted_milli, taken);
}

bool World::Scavenges(const Waiting& job) const {
  if (!scavenges_.contains(job.ref)) return false;
  return waiting_.at(job.ref).spec == job.spec ||
         FullDrawOf(job, CountedOf(*job.spec), {}).scavenges;
}

BudgetRef World::ScavengesOf(const JobRef& waiting) const {
  const auto found = scavenges_.find(waiting);
  return found == scavenges_.end() ? BudgetRef{} : found->second;
}

const quota::UsageBook& World::usage(const std::string& gpu_type) const {
  const auto found = usage_.find(gpu_type);
  return found == usage_.end() ? no_usage_ : found->second;
}

std::set<std::string> World::AllTypes() const {
  std::set<std::string> types;
  for (const auto& [type, unused] : types_) types.insert(type);
  for (const auto& [type, jobs] : order_) {
    if (jobs.size() > 0) types.insert(type);
  }
  for (const auto& [type, ends] : ends_) {
    if (!ends.empty()) types.insert(type);
  }
  return types;
}

const ClassRules& World::ClassOf(const std::string& name) const {
  const auto found = directory_->classes.find(name);
  return found == directory_->classes.end() ? plain_class_ : found->second;
}

MilliGpus World::CountedOf(const JobSpec& spec) const {
  const auto type = types_.find(spec.shape.gpu_type);
  if (type == types_.end()) return quota::CountGpus(spec.shape, {});
  return quota::CountAtMost(spec, type->second);
}

MilliGpus World::CountedOn(const Shape& shape, const Placement& placement) const {
  return quota::CountPlaced(shape, placement, nodes_);
}

MilliGpuMs World::ExpectedChargeOf(const JobSpec& spec, MilliGpus counted_milli) const {
  const auto rate = directory_->rate_milli.find(spec.shape.gpu_type);
  return quota::ExpectedCharge(counted_milli, spec.time_limit_ms,
                               rate == directory_->rate_milli.end() ? 1000 : rate->second,
                               ClassOf(spec.job_class).factor_milli);
}

bool World::MayBeStoppedByClass(const std::string& job_class) const {
  const ClassRules& rules = ClassOf(job_class);
  return !rules.preemptible || Any(rules.user_limits);
}

bool World::MayBeStopped(quota::AccountIndex project, const std::string& job_class) const {
  return limited_by_[static_cast<std::size_t>(project)] || MayBeStoppedByClass(job_class);
}

quota::JobCount World::CountOf(const Waiting& job) const {
  const JobSpec& spec = *job.spec;
  return {spec.project,    job.user,
          spec.job_class,  spec.shape.gpu_type,
          CountedOf(spec), ClassOf(spec.job_class).scavenger || Scavenges(job)};
}

quota::JobCount World::CountOf(const Start& start) const {
  quota::JobCount count = CountOf(waiting_.at(start.row));
  count.counted_milli = start.counted_milli;
  count.apart = IsApart(start.placement, owners_);
  return count;
}

quota::JobCount World::CountOf(const Holding& attempt) const {
  return {attempt.project,
          attempt.user,
          attempt.job_class,
          attempt.shape.gpu_type,
          attempt.counted_milli,
          attempt.as_scavenger || ClassOf(attempt.job_class).scavenger,
          IsApart(attempt.placement, owners_)};
}

}  // namespace kezek::engine
