// Orders by a key that a job has for good: its submission, or its size.

#include <algorithm>
#include <functional>
#include <utility>

#include "kezek/time.h"
#include "quota/run_history.h"
#include "scheduler/sim/replay/order.h"

namespace kezek::replay {
namespace {

class KeyOrder : public Order {
 public:
  explicit KeyOrder(const JobList& list) : list_(list), entries_(list.parts.size()) {}

  void Add(JobIndex job, std::int64_t now_s) override {
    auto& entries = entries_[PartOf(job)];
    const std::pair<std::int64_t, JobIndex> entry{KeyOf(job, now_s), job};
    entries.insert(std::upper_bound(entries.begin(), entries.end(), entry), entry);
  }

  void Started(std::int32_t part, std::span<const JobIndex> jobs, std::int64_t now_s) override {
    std::vector<JobIndex> gone(jobs.begin(), jobs.end());
    std::sort(gone.begin(), gone.end());
    std::erase_if(entries_[static_cast<std::size_t>(part)], [&](const auto& entry) {
      return std::binary_search(gone.begin(), gone.end(), entry.second);
    });
    for (const JobIndex job : gone) Began(job, now_s);
  }

  std::span<const JobIndex> Of(std::int32_t part, std::int64_t /*now_s*/) override {
    flat_.clear();
    for (const auto& entry : entries_[static_cast<std::size_t>(part)]) {
      flat_.push_back(entry.second);
    }
    return flat_;
  }

 protected:
  virtual std::int64_t KeyOf(JobIndex job, std::int64_t now_s) const = 0;
  virtual void Began(JobIndex /*job*/, std::int64_t /*now_s*/) {}
  const Job& JobOf(JobIndex job) const { return list_.jobs[static_cast<std::size_t>(job)]; }
  const JobList& list() const { return list_; }

 private:
  std::size_t PartOf(JobIndex job) const { return static_cast<std::size_t>(JobOf(job).part); }

  const JobList& list_;
  std::vector<std::vector<std::pair<std::int64_t, JobIndex>>> entries_;  // by part, in order
  std::vector<JobIndex> flat_;
};

class BySubmission : public KeyOrder {
 public:
  using KeyOrder::KeyOrder;

 protected:
  std::int64_t KeyOf(JobIndex job, std::int64_t /*now_s*/) const override { return job; }
};

class BySize : public KeyOrder {
 public:
  BySize(const JobList& list, bool truth) : KeyOrder(list), truth_(truth) {}

 protected:
  std::int64_t KeyOf(JobIndex job, std::int64_t /*now_s*/) const override {
    return JobOf(job).gpus * (truth_ ? JobOf(job).duration_s : JobOf(job).limit_s);
  }

 private:
  bool truth_;
};

class ByPrediction : public KeyOrder {
 public:
  explicit ByPrediction(const JobList& list) : KeyOrder(list), since_s_(list.jobs.size(), 0) {}

  void Ended(JobIndex job, std::int64_t now_s) override {
    const std::int64_t since_s = since_s_[static_cast<std::size_t>(job)];
    learned_.Learn({.project = ProjectOf(job),
                    .user = UserOf(job),
                    .name = {},
                    .shape = ShapeOf(job),
                    .start_ms = since_s * kSecondMs,
                    .end_ms = now_s * kSecondMs,
                    .typical = true});
    sum_s_ += now_s - since_s;
    ++count_;
  }
  std::vector<std::pair<std::string, std::string>> Parameters() const override {
    return {{"prediction", "mean of the last 8 of group, user and shape; else of all that ended"}};
  }

 protected:
  std::int64_t KeyOf(JobIndex job, std::int64_t /*now_s*/) const override {
    const auto known = learned_.Predict(ProjectOf(job), UserOf(job), {}, ShapeOf(job));
    const std::int64_t all_s = count_ == 0 ? 3600 : sum_s_ / count_;
    return JobOf(job).gpus * (known ? *known / kSecondMs : all_s);
  }
  void Began(JobIndex job, std::int64_t now_s) override {
    since_s_[static_cast<std::size_t>(job)] = now_s;
  }

 private:
  AccountId ProjectOf(JobIndex job) const { return AccountId{JobOf(job).group + 1}; }
  UserId UserOf(JobIndex job) const { return UserId{JobOf(job).user + 1}; }
  Shape ShapeOf(JobIndex job) const {
    const GangShape& gang = list().ShapeOf(job);
    return {.nodes = gang.nodes, .gpus_per_node = gang.gpus, .gpu_type = {}};
  }

  quota::RunLengths learned_;
  std::vector<std::int64_t> since_s_;
  std::int64_t sum_s_ = 0;
  std::int64_t count_ = 0;
};

}  // namespace

std::unique_ptr<Order> OrderBySubmission(const JobList& list) {
  return std::make_unique<BySubmission>(list);
}

std::unique_ptr<Order> OrderByTrueSize(const JobList& list) {
  return std::make_unique<BySize>(list, true);
}

std::unique_ptr<Order> OrderByEstimatedSize(const JobList& list) {
  return std::make_unique<BySize>(list, false);
}

std::unique_ptr<Order> OrderByPredictedSize(const JobList& list) {
  return std::make_unique<ByPrediction>(list);
}

}  // namespace kezek::replay
