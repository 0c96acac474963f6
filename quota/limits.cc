#include "quota/limits.h"

#include <algorithm>
#include <optional>
#include <tuple>

#include "kezek/check.h"
#include "quota/counted.h"

namespace kezek::quota {
namespace {

std::string Number(std::int64_t value) { return std::to_string(value); }

// One limit met or not: what runs, what is asked besides, what is allowed.
std::optional<Reason> Over(ReasonCode code, const std::string& whose_field,
                           const std::string& whose, std::optional<std::int64_t> limit,
                           std::int64_t running, std::int64_t asked, bool gpus) {
  if (!limit || running + asked <= *limit) return std::nullopt;
  const auto text = [gpus](std::int64_t value) { return gpus ? GpusText(value) : Number(value); };
  return Reason{code,
                {{whose_field, whose},
                 {"limit", text(*limit)},
                 {"running", text(running)},
                 {"asked", text(asked)}}};
}

std::optional<Reason> OverUser(const std::string& whose_field, const std::string& whose,
                               const Limits& limits, const RunningTable::Count& running,
                               const JobCount& job) {
  if (auto over = Over(ReasonCode::kLimitUserGpus, whose_field, whose, limits.running_milli,
                       running.counted_milli, job.counted_milli, true)) {
    return over;
  }
  return Over(ReasonCode::kLimitUserJobs, whose_field, whose, limits.jobs_running, running.jobs, 1,
              false);
}

std::optional<Reason> OverAccount(const AccountTree& tree, AccountIndex i,
                                  const RunningTable& running, const JobCount& job) {
  const AccountSettings& settings = tree.account(i).settings;
  const std::string& path = tree.path(i);
  const auto counts = [](const Limits& limits) {
    return limits.running_milli || limits.jobs_running;
  };
  const RunningTable::Count now =
      counts(settings.account_limits) ? running.OfAccount(tree.id(i)) : RunningTable::Count{};
  if (auto over =
          Over(ReasonCode::kLimitAccountGpus, "account", path,
               settings.account_limits.running_milli, now.counted_milli, job.counted_milli, true)) {
    return over;
  }
  if (auto over = Over(ReasonCode::kLimitAccountJobs, "account", path,
                       settings.account_limits.jobs_running, now.jobs, 1, false)) {
    return over;
  }
  if (counts(settings.user_limits)) {
    const RunningTable::Count of_user = running.OfUser(tree.id(i), job.user);
    if (auto over = OverUser("account", path, settings.user_limits, of_user, job)) return over;
  }
  const auto cap = tree.ShareCap(i, job.gpu_type);
  if (!cap || !job.IsShared()) return std::nullopt;
  return Over(ReasonCode::kLimitBorrow, "account", path, cap,
              running.Allocated(tree.id(i), job.gpu_type), job.counted_milli, true);
}

// The most GPUs a job like this one could have now, by all limits; 0 where limits of jobs stop it.
MilliGpus MostNow(const AccountTree& tree, const RunningTable& running, const ClassRules& job_class,
                  const JobCount& job) {
  MilliGpus most = job.counted_milli;
  const auto within = [&most](const Limits& limits, const auto& count) {
    if (!limits.running_milli && !limits.jobs_running) return;
    const RunningTable::Count now = count();
    if (limits.running_milli) most = std::min(most, *limits.running_milli - now.counted_milli);
    if (limits.jobs_running && now.jobs + 1 > *limits.jobs_running) most = 0;
  };
  for (AccountIndex i = tree.IndexOf(job.project); i != kNoAccount; i = tree.parent(i)) {
    const AccountId id = tree.id(i);
    const AccountSettings& settings = tree.account(i).settings;
    within(settings.account_limits, [&] { return running.OfAccount(id); });
    within(settings.user_limits, [&] { return running.OfUser(id, job.user); });
    const auto cap = tree.ShareCap(i, job.gpu_type);
    if (cap && job.IsShared()) most = std::min(most, *cap - running.Allocated(id, job.gpu_type));
  }
  within(job_class.user_limits, [&] { return running.OfClassUser(job_class.name, job.user); });
  return std::max<MilliGpus>(0, most);
}

// Says how many GPUs would fit, if any would.
Reason WithFits(Reason reason, MilliGpus fits) {
  if (fits > 0) reason.fields["fits"] = GpusText(fits);
  return reason;
}

bool IsOfGpus(ReasonCode code) {
  return code == ReasonCode::kLimitAccountGpus || code == ReasonCode::kLimitUserGpus ||
         code == ReasonCode::kLimitBorrow;
}

Reason Never(ReasonCode code, std::map<std::string, std::string> fields) {
  return Reason{code, std::move(fields)};
}

// A limit that the job alone passes.
std::optional<Refusal> TooLarge(const std::string& whose_field, const std::string& whose,
                                const Limits& limits, MilliGpus counted) {
  for (const auto& limit : {limits.job_milli, limits.running_milli}) {
    if (limit && counted > *limit) {
      return Refusal{"shape", Never(ReasonCode::kNeverFitsLimit, {{whose_field, whose},
                                                                  {"limit", GpusText(*limit)},
                                                                  {"asked", GpusText(counted)}})};
    }
  }
  if (limits.jobs_running && *limits.jobs_running < 1) {
    return Refusal{"project", Never(ReasonCode::kNeverFitsLimit,
                                    {{whose_field, whose}, {"limit", "0"}, {"asked", "1"}})};
  }
  return std::nullopt;
}

Refusal TooLong(const std::string& whose, DurationMs limit, DurationMs asked) {
  return Refusal{"time_limit_ms",
                 Never(ReasonCode::kTimeLimitTooLong,
                       {{"whose", whose}, {"limit", Number(limit)}, {"asked", Number(asked)}})};
}

std::optional<Refusal> NeverInAccount(const AccountTree& tree, AccountIndex i,
                                      const ClassRules& job_class, const JobSpec& spec,
                                      MilliGpus counted, bool apart) {
  const AccountSettings& settings = tree.account(i).settings;
  const std::string& path = tree.path(i);
  for (const Limits* limits : {&settings.account_limits, &settings.user_limits}) {
    if (limits->time_limit_ms && spec.time_limit_ms > *limits->time_limit_ms) {
      return TooLong(path, *limits->time_limit_ms, spec.time_limit_ms);
    }
    if (auto refusal = TooLarge("account", path, *limits, counted)) return refusal;
  }
  if (job_class.scavenger || apart) return std::nullopt;
  std::optional<MilliGpus> most = tree.ShareCap(i, spec.shape.gpu_type);
  if (!job_class.preemptible) most = tree.Guarantee(i, spec.shape.gpu_type);
  if (!most || counted <= *most) return std::nullopt;
  return Refusal{"shape", Never(ReasonCode::kNeverFitsLimit, {{"account", path},
                                                              {"limit", GpusText(*most)},
                                                              {"asked", GpusText(counted)}})};
}

std::string Joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

std::optional<Refusal> NotAllowed(const AccountTree& tree, AccountIndex project,
                                  const JobSpec& spec,
                                  const std::vector<std::string>& classifications) {
  const std::string& path = tree.path(project);
  if (!tree.HoldsJobs(project) || tree.IsClosed(project)) {
    Reason closed = Never(ReasonCode::kProjectClosed, {{"account", path}});
    for (AccountIndex i = tree.parent(project); i != kNoAccount; i = tree.parent(i)) {
      if (tree.account(i).closed) closed.fields["above"] = tree.path(i);
    }
    return Refusal{"project", std::move(closed)};
  }
  const std::vector<std::string>& allowed = tree.Classes(project);
  if (!allowed.empty() &&
      std::find(allowed.begin(), allowed.end(), spec.job_class) == allowed.end()) {
    return Refusal{
        "job_class",
        Never(ReasonCode::kClassNotAllowed,
              {{"account", path}, {"class", spec.job_class}, {"allowed", Joined(allowed)}})};
  }
  if (spec.classification.empty()) return std::nullopt;
  const std::string& highest = tree.HighestClassification(project);
  const auto rank = [&classifications](const std::string& name) {
    return std::find(classifications.begin(), classifications.end(), name);
  };
  const auto asked = rank(spec.classification);
  if (asked == classifications.end() || (!highest.empty() && asked > rank(highest))) {
    return Refusal{
        "data_classification",
        Never(ReasonCode::kClassificationNotAllowed,
              {{"account", path}, {"asked", spec.classification}, {"highest", highest}})};
  }
  return std::nullopt;
}

bool SameLimits(const Limits& before, const Limits& after) {
  const auto parts = [](const Limits& limits) {
    return std::tie(limits.running_milli, limits.jobs_running, limits.job_milli,
                    limits.time_limit_ms);
  };
  return parts(before) == parts(after);
}

// What caps a single job, by GPU type.
std::map<std::string, std::pair<MilliGpus, std::optional<MilliGpus>>> Caps(
    const AccountSettings& settings) {
  std::map<std::string, std::pair<MilliGpus, std::optional<MilliGpus>>> caps;
  for (const auto& [type, share] : settings.shares) {
    const std::pair cap{share.guarantee_milli, share.borrow_max_milli};
    if (cap != std::pair{Share{}.guarantee_milli, Share{}.borrow_max_milli}) caps[type] = cap;
  }
  return caps;
}

bool SameBars(const Account& before, const Account& after) {
  const AccountSettings& then = before.settings;
  const AccountSettings& now = after.settings;
  return before.id == after.id && before.name == after.name && before.closed == after.closed &&
         SameLimits(then.account_limits, now.account_limits) &&
         SameLimits(then.user_limits, now.user_limits) && then.classes == now.classes &&
         then.highest_classification == now.highest_classification && Caps(then) == Caps(now);
}

}  // namespace

void RunningTable::Change(const AccountTree& tree, const JobCount& job, std::int64_t jobs) {
  const MilliGpus milli = jobs * job.counted_milli;
  const auto change = [this, milli, jobs](auto* counts, const auto& key) {
    Count& count = (*counts)[key];
    count.counted_milli += milli;
    count.jobs += jobs;
    KEZEK_CHECK(under_ != nullptr || (count.jobs >= 0 && count.counted_milli >= 0),
                "more was taken out than ran");
    if (count == Count{}) counts->erase(key);
  };
  change(&class_users_, std::pair{job.job_class, job.user});
  AccountIndex i = tree.IndexOf(job.project);
  KEZEK_CHECK(i != kNoAccount, "a job of a project that is not in the tree");
  for (; i != kNoAccount; i = tree.parent(i)) {
    const AccountId id = tree.id(i);
    change(&accounts_, id);
    change(&users_, std::pair{id, job.user});
    if (milli == 0 || (job.scavenger && !job.apart)) continue;
    const std::pair key{id, job.gpu_type};
    auto& table = job.apart ? apart_ : allocated_;
    MilliGpus& sum = table[key];
    sum += milli;
    KEZEK_CHECK(under_ != nullptr || sum >= 0, "more was taken out than ran");
    if (sum == 0) table.erase(key);
  }
}

RunningTable RunningTable::Over() const {
  RunningTable over;
  over.under_ = this;
  return over;
}

RunningTable::Count RunningTable::OfAccount(AccountId account) const {
  Count count = under_ == nullptr ? Count{} : under_->OfAccount(account);
  if (const auto found = accounts_.find(account); found != accounts_.end()) count += found->second;
  return count;
}

RunningTable::Count RunningTable::OfUser(AccountId account, UserId user) const {
  Count count = under_ == nullptr ? Count{} : under_->OfUser(account, user);
  const auto found = users_.find({account, user});
  if (found != users_.end()) count += found->second;
  return count;
}

RunningTable::Count RunningTable::OfClassUser(const std::string& job_class, UserId user) const {
  Count count = under_ == nullptr ? Count{} : under_->OfClassUser(job_class, user);
  if (class_users_.empty()) return count;
  const auto found = class_users_.find({job_class, user});
  if (found != class_users_.end()) count += found->second;
  return count;
}

MilliGpus RunningTable::Allocated(AccountId account, const std::string& gpu_type) const {
  const MilliGpus milli = under_ == nullptr ? 0 : under_->Allocated(account, gpu_type);
  if (allocated_.empty()) return milli;
  const auto found = allocated_.find({account, gpu_type});
  return found == allocated_.end() ? milli : milli + found->second;
}

MilliGpus RunningTable::Apart(AccountId account, const std::string& gpu_type) const {
  const MilliGpus milli = under_ == nullptr ? 0 : under_->Apart(account, gpu_type);
  if (apart_.empty()) return milli;
  const auto found = apart_.find({account, gpu_type});
  return found == apart_.end() ? milli : milli + found->second;
}

std::vector<MilliGpus> RunningTable::AllocatedByIndex(const AccountTree& tree,
                                                      const std::string& gpu_type) const {
  if (under_ != nullptr) {
    const auto known = by_index_.find(gpu_type);
    std::vector<MilliGpus> allocated =
        known == by_index_.end() ? under_->AllocatedByIndex(tree, gpu_type) : known->second;
    for (const auto& [key, milli] : allocated_) {
      const AccountIndex i = key.second == gpu_type ? tree.IndexOf(key.first) : kNoAccount;
      if (i != kNoAccount) allocated[static_cast<std::size_t>(i)] += milli;
    }
    return allocated;
  }
  std::vector<MilliGpus> allocated(static_cast<std::size_t>(tree.size()), 0);
  for (const auto& [key, milli] : allocated_) {
    const AccountIndex i = key.second == gpu_type ? tree.IndexOf(key.first) : kNoAccount;
    if (i != kNoAccount) allocated[static_cast<std::size_t>(i)] = milli;
  }
  return allocated;
}

void RunningTable::KeepByIndex(const AccountTree& tree, const std::string& gpu_type) {
  if (under_ != nullptr) by_index_[gpu_type] = under_->AllocatedByIndex(tree, gpu_type);
}

bool IsLimited(const AccountTree& tree, const RunningTable& running, const ClassRules& job_class,
               const JobCount& job) {
  const auto passed = [&job](const Limits& limits, const auto& count) {
    if (!limits.running_milli && !limits.jobs_running) return false;
    const RunningTable::Count now = count();
    return (limits.running_milli &&
            now.counted_milli + job.counted_milli > *limits.running_milli) ||
           (limits.jobs_running && now.jobs + 1 > *limits.jobs_running);
  };
  for (AccountIndex i = tree.IndexOf(job.project); i != kNoAccount; i = tree.parent(i)) {
    const AccountId id = tree.id(i);
    const AccountSettings& settings = tree.account(i).settings;
    if (passed(settings.account_limits, [&] { return running.OfAccount(id); }) ||
        passed(settings.user_limits, [&] { return running.OfUser(id, job.user); })) {
      return true;
    }
    const auto cap = job.IsShared() ? tree.ShareCap(i, job.gpu_type) : std::nullopt;
    if (cap && running.Allocated(id, job.gpu_type) + job.counted_milli > *cap) return true;
  }
  return passed(job_class.user_limits,
                [&] { return running.OfClassUser(job_class.name, job.user); });
}

Reason FirstLimit(const AccountTree& tree, const RunningTable& running, const ClassRules& job_class,
                  const JobCount& job) {
  AccountIndex i = tree.IndexOf(job.project);
  KEZEK_CHECK(i != kNoAccount, "a job of a project that is not in the tree");
  if (!IsLimited(tree, running, job_class, job)) return {};
  std::optional<Reason> over;
  for (; i != kNoAccount && !over; i = tree.parent(i)) over = OverAccount(tree, i, running, job);
  if (!over) {
    over = OverUser("class", job_class.name, job_class.user_limits,
                    running.OfClassUser(job_class.name, job.user), job);
  }
  if (!over) return {};
  if (!IsOfGpus(over->code)) return *over;
  return WithFits(std::move(*over), MostNow(tree, running, job_class, job));
}

Reason OutsideGuarantee(const AccountTree& tree, const ClassRules& job_class, const JobCount& job,
                        const std::vector<MilliGpus>& allocated,
                        const std::vector<MilliGpus>& guarantees) {
  if (job_class.preemptible || !job.IsShared()) return {};
  Reason reason;
  MilliGpus fits = job.counted_milli;
  for (AccountIndex i = tree.IndexOf(job.project); i != kNoAccount; i = tree.parent(i)) {
    const auto at = static_cast<std::size_t>(i);
    const MilliGpus set = tree.Guarantee(i, job.gpu_type);
    const MilliGpus now = guarantees.empty() ? set : guarantees.at(at);
    fits = std::min(fits, now - allocated[at]);
    if (allocated[at] + job.counted_milli <= now || reason.code != ReasonCode::kNone) continue;
    reason = {ReasonCode::kClassNotPreemptible,
              {{"account", tree.path(i)}, {"asked", GpusText(job.counted_milli)}}};
    if (now < set) reason.fields["guarantee_now"] = GpusText(now);
  }
  if (reason.code == ReasonCode::kNone) return reason;
  return WithFits(std::move(reason), fits);
}

Refusal NeverFits(const AccountTree& tree, const ClassRules& job_class, const JobSpec& spec,
                  MilliGpus counted_milli, const std::vector<std::string>& classifications,
                  bool apart) {
  const AccountIndex project = tree.IndexOf(spec.project);
  if (project == kNoAccount) return {"project", Never(ReasonCode::kProjectClosed, {})};
  if (auto refusal = NotAllowed(tree, project, spec, classifications)) return *refusal;
  if (job_class.longest_limit_ms > 0 && spec.time_limit_ms > job_class.longest_limit_ms) {
    return TooLong(job_class.name, job_class.longest_limit_ms, spec.time_limit_ms);
  }
  if (auto limit = job_class.user_limits.time_limit_ms; limit && spec.time_limit_ms > *limit) {
    return TooLong(job_class.name, *limit, spec.time_limit_ms);
  }
  for (AccountIndex i = project; i != kNoAccount; i = tree.parent(i)) {
    if (auto refusal = NeverInAccount(tree, i, job_class, spec, counted_milli, apart))
      return *refusal;
  }
  auto refusal = TooLarge("class", job_class.name, job_class.user_limits, counted_milli);
  return refusal ? *refusal : Refusal{};
}

bool IsBar(ReasonCode code) {
  constexpr ReasonCode kBars[] = {ReasonCode::kProjectClosed, ReasonCode::kClassNotAllowed,
                                  ReasonCode::kClassificationNotAllowed,
                                  ReasonCode::kTimeLimitTooLong, ReasonCode::kNeverFitsLimit};
  return std::find(std::begin(kBars), std::end(kBars), code) != std::end(kBars);
}

bool SameBars(const AccountTree& before, const AccountTree& after, AccountId project) {
  AccountIndex i = before.IndexOf(project);
  AccountIndex j = after.IndexOf(project);
  if (i != kNoAccount && j != kNoAccount && before.HoldsJobs(i) != after.HoldsJobs(j)) return false;
  for (; i != kNoAccount && j != kNoAccount; i = before.parent(i), j = after.parent(j)) {
    if (!SameBars(before.account(i), after.account(j))) return false;
  }
  return i == j;
}

namespace {

template <class Counts, class Key>
std::int64_t CountOf(const Counts& counts, const Key& key) {
  const auto found = counts.find(key);
  return found == counts.end() ? 0 : found->second;
}

std::optional<Reason> Full(ReasonCode code, const std::string& whose_field,
                           const std::string& whose, std::optional<std::int64_t> limit,
                           std::int64_t queued, std::int64_t jobs) {
  if (!limit || queued + jobs <= *limit) return std::nullopt;
  return Reason{code,
                {{whose_field, whose}, {"limit", Number(*limit)}, {"queued", Number(queued)}}};
}

}  // namespace

Reason QueueLimit(const AccountTree& tree, const ClassRules& job_class, AccountId project,
                  UserId user, std::int64_t jobs, const QueuedJobs& queued) {
  for (AccountIndex i = tree.IndexOf(project); i != kNoAccount; i = tree.parent(i)) {
    const AccountSettings& settings = tree.account(i).settings;
    const AccountId id = tree.id(i);
    if (auto full =
            Full(ReasonCode::kLimitAccountJobs, "account", tree.path(i),
                 settings.account_limits.jobs_queued, CountOf(queued.in_account, id), jobs)) {
      return *full;
    }
    if (auto full = Full(ReasonCode::kLimitUserJobs, "account", tree.path(i),
                         settings.user_limits.jobs_queued,
                         CountOf(queued.of_user, std::pair{id, user}), jobs)) {
      return *full;
    }
  }
  return ClassQueueLimit(job_class, user, jobs, queued);
}

Reason ClassQueueLimit(const ClassRules& job_class, UserId user, std::int64_t jobs,
                       const QueuedJobs& queued) {
  auto full =
      Full(ReasonCode::kLimitUserJobs, "class", job_class.name, job_class.user_limits.jobs_queued,
           CountOf(queued.of_class_user, std::pair{job_class.name, user}), jobs);
  return full ? std::move(*full) : Reason{};
}

}  // namespace kezek::quota
