// Orders by what groups and users have had lately.

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "scheduler/sim/replay/order.h"

namespace kezek::replay {
namespace {

// Decayed GPU time of one group or user: grows while it runs, halves every half-life.
class Used {
 public:
  double At(std::int64_t now_s, double half_life_s) {
    if (now_s != at_s_) {
      const double decay = std::exp2(-static_cast<double>(now_s - at_s_) / half_life_s);
      const double rate = std::log(2.0) / half_life_s;
      gpu_s_ = gpu_s_ * decay + static_cast<double>(gpus_) * (1.0 - decay) / rate;
      at_s_ = now_s;
    }
    return gpu_s_;
  }
  void Run(std::int64_t gpus, std::int64_t now_s, double half_life_s) {
    At(now_s, half_life_s);
    gpus_ += gpus;
  }

 private:
  double gpu_s_ = 0;
  std::int64_t gpus_ = 0;  // that run now
  std::int64_t at_s_ = 0;
};

std::string Days(double seconds) { return std::to_string(std::llround(seconds / 86400.0)) + " d"; }

class ByFairShare : public Order {
 public:
  ByFairShare(const JobList& list, std::int64_t half_life_s)
      : list_(list),
        half_life_s_(static_cast<double>(half_life_s)),
        used_(list.groups.size()),
        waiting_(list.groups.size()),
        ranked_(list.groups.size()) {}

  void Add(JobIndex job, std::int64_t /*now_s*/) override {
    std::vector<JobIndex>& waiting = waiting_[GroupOf(job)];
    waiting.insert(std::upper_bound(waiting.begin(), waiting.end(), job), job);
  }

  void Started(std::int32_t /*part*/, std::span<const JobIndex> jobs, std::int64_t now_s) override {
    for (const JobIndex job : jobs) {
      std::vector<JobIndex>& waiting = waiting_[GroupOf(job)];
      waiting.erase(std::lower_bound(waiting.begin(), waiting.end(), job));
      used_[GroupOf(job)].Run(JobOf(job).gpus, now_s, half_life_s_);
    }
  }
  void Ended(JobIndex job, std::int64_t now_s) override {
    used_[GroupOf(job)].Run(-JobOf(job).gpus, now_s, half_life_s_);
  }

  std::span<const JobIndex> Of(std::int32_t part, std::int64_t now_s) override {
    ranked_.clear();
    for (std::size_t group = 0; group < used_.size(); ++group) {
      if (waiting_[group].empty()) continue;
      if (list_.split && group != static_cast<std::size_t>(part)) continue;
      const auto weight = static_cast<double>(list_.groups[group].weight_milli);
      ranked_.push_back({used_[group].At(now_s, half_life_s_) / weight, group});
    }
    std::sort(ranked_.begin(), ranked_.end());
    flat_.clear();
    for (const auto& [usage, group] : ranked_) {
      flat_.insert(flat_.end(), waiting_[group].begin(), waiting_[group].end());
    }
    return flat_;
  }

  std::vector<std::pair<std::string, std::string>> Parameters() const override {
    return {{"half-life", Days(half_life_s_)}};
  }

 private:
  const Job& JobOf(JobIndex job) const { return list_.jobs[static_cast<std::size_t>(job)]; }
  std::size_t GroupOf(JobIndex job) const { return static_cast<std::size_t>(JobOf(job).group); }

  const JobList& list_;
  double half_life_s_;
  std::vector<Used> used_;                      // by group
  std::vector<std::vector<JobIndex>> waiting_;  // by group, by submission
  std::vector<std::pair<double, std::size_t>> ranked_;
  std::vector<JobIndex> flat_;
};

class ByMultifactor : public Order {
 public:
  ByMultifactor(const JobList& list, const MultifactorRules& rules)
      : list_(list),
        rules_(rules),
        group_used_(list.groups.size()),
        user_used_(list.users.size()),
        group_of_user_(list.users.size(), 0),
        factor_(list.users.size(), 0.0),
        waiting_(list.parts.size()) {
    for (const Job& job : list.jobs) group_of_user_[At(job.user)] = At(job.group);
  }

  void Add(JobIndex job, std::int64_t now_s) override {
    if (now_s >= next_s_) WorkOut(now_s);
    auto& waiting = waiting_[At(JobOf(job).part)];
    const Entry entry{-Priority(job, now_s), job};
    waiting.insert(std::upper_bound(waiting.begin(), waiting.end(), entry), entry);
  }

  void Started(std::int32_t part, std::span<const JobIndex> jobs, std::int64_t now_s) override {
    std::vector<JobIndex> gone(jobs.begin(), jobs.end());
    std::sort(gone.begin(), gone.end());
    std::erase_if(waiting_[At(part)], [&](const Entry& entry) {
      return std::binary_search(gone.begin(), gone.end(), entry.second);
    });
    for (const JobIndex job : gone) Run(job, JobOf(job).gpus, now_s);
  }
  void Ended(JobIndex job, std::int64_t now_s) override { Run(job, -JobOf(job).gpus, now_s); }

  std::span<const JobIndex> Of(std::int32_t part, std::int64_t now_s) override {
    if (now_s >= next_s_) WorkOut(now_s);
    flat_.clear();
    for (const Entry& entry : waiting_[At(part)]) flat_.push_back(entry.second);
    return flat_;
  }

  std::vector<std::pair<std::string, std::string>> Parameters() const override {
    const auto number = [](double value) { return std::to_string(std::llround(value)); };
    return {{"PriorityWeightFairshare", number(rules_.weight_fairshare)},
            {"PriorityWeightAge", number(rules_.weight_age)},
            {"PriorityWeightJobSize", number(rules_.weight_size)},
            {"PriorityFavorSmall", "NO"},
            {"PriorityMaxAge", Days(static_cast<double>(rules_.age_max_s))},
            {"PriorityDecayHalfLife", Days(static_cast<double>(rules_.half_life_s))},
            {"PriorityCalcPeriod", std::to_string(rules_.period_s) + " s"},
            {"PriorityFlags", "FAIR_TREE"}};
  }

 private:
  using Entry = std::pair<double, JobIndex>;  // less is earlier
  static std::size_t At(std::int32_t index) { return static_cast<std::size_t>(index); }
  const Job& JobOf(JobIndex job) const { return list_.jobs[At(job)]; }

  void Run(JobIndex job, std::int64_t gpus, std::int64_t now_s) {
    const auto half_life_s = static_cast<double>(rules_.half_life_s);
    group_used_[At(JobOf(job).group)].Run(gpus, now_s, half_life_s);
    user_used_[At(JobOf(job).user)].Run(gpus, now_s, half_life_s);
  }

  double Priority(JobIndex job, std::int64_t now_s) const {
    const Job& of = JobOf(job);
    const double age =
        static_cast<double>(now_s - of.submit_s) / static_cast<double>(rules_.age_max_s);
    const double size = static_cast<double>(of.gpus) / static_cast<double>(list_.capacity_gpus());
    return rules_.weight_fairshare * factor_[At(of.user)] +
           rules_.weight_age * std::clamp(age, 0.0, 1.0) + rules_.weight_size * size;
  }

  // Users in the order of the tree: least usage per weight first. Parts of the siblings' sums do
  // not change the order among siblings.
  void Rank(std::int64_t now_s) {
    const auto half_life_s = static_cast<double>(rules_.half_life_s);
    std::vector<std::pair<std::pair<double, double>, std::pair<std::size_t, std::size_t>>> ranked;
    for (std::size_t user = 0; user < user_used_.size(); ++user) {
      const std::size_t group = group_of_user_[user];
      const auto weight = static_cast<double>(list_.groups[group].weight_milli);
      ranked.push_back({{group_used_[group].At(now_s, half_life_s) / weight, 0.0}, {group, user}});
      ranked.back().first.second = user_used_[user].At(now_s, half_life_s);
    }
    std::sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) {
      if (a.first.first != b.first.first) return a.first.first < b.first.first;
      if (a.second.first != b.second.first) return a.second.first < b.second.first;
      if (a.first.second != b.first.second) return a.first.second < b.first.second;
      return a.second.second < b.second.second;
    });
    const auto count = static_cast<double>(ranked.size());
    for (std::size_t i = 0; i < ranked.size(); ++i) {
      factor_[ranked[i].second.second] = (count - static_cast<double>(i)) / count;
    }
  }

  void WorkOut(std::int64_t now_s) {
    next_s_ = now_s + rules_.period_s;
    Rank(now_s);
    for (std::vector<Entry>& waiting : waiting_) {
      for (Entry& entry : waiting) entry.first = -Priority(entry.second, now_s);
      std::sort(waiting.begin(), waiting.end());
    }
  }

  const JobList& list_;
  MultifactorRules rules_;
  std::vector<Used> group_used_;
  std::vector<Used> user_used_;
  std::vector<std::size_t> group_of_user_;
  std::vector<double> factor_;               // by user
  std::vector<std::vector<Entry>> waiting_;  // by part, in order
  std::int64_t next_s_ = 0;
  std::vector<JobIndex> flat_;
};

}  // namespace

std::unique_ptr<Order> OrderByFairShare(const JobList& list, std::int64_t half_life_s) {
  return std::make_unique<ByFairShare>(list, half_life_s);
}

std::unique_ptr<Order> OrderByMultifactor(const JobList& list, const MultifactorRules& rules) {
  return std::make_unique<ByMultifactor>(list, rules);
}

}  // namespace kezek::replay
