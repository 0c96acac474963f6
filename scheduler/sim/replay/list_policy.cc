#include "scheduler/sim/replay/list_policy.h"

#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "scheduler/sim/replay/node_pool.h"

namespace kezek::replay {
namespace {

// Shapes that found no room in one pass over the queue: room only becomes less.
class Full {
 public:
  explicit Full(std::size_t shapes) : full_(shapes, 0) {}
  void Clear() { ++pass_; }
  bool Contains(std::int32_t shape) const {
    return full_[static_cast<std::size_t>(shape)] == pass_;
  }
  void Insert(std::int32_t shape) { full_[static_cast<std::size_t>(shape)] = pass_; }

 private:
  std::vector<std::int64_t> full_;
  std::int64_t pass_ = 1;
};

// When the first blocked job starts by what is known, whatever starts now and runs longer leaving
// it room.
struct Reservation {
  std::int64_t from_s = 0;
  GangShape shape;
  NodePool then;  // what is free at that time, without it

  // Nodes that hold the shape then, beyond those it needs.
  std::int32_t Beyond() const { return then.AtLeast(shape.gpus) - shape.nodes; }
  // Whether a node that holds the shape then still does with so many GPUs less, or never did.
  bool Spares(std::int32_t node, std::int32_t gpus) const {
    return then.free(node) < shape.gpus || then.free(node) - gpus >= shape.gpus;
  }
};

// Best fit, on nodes that the reservation can spare before others. None: no room now, or not enough
// would be left then.
std::optional<std::vector<std::int32_t>> FindBeside(const NodePool& free, const GangShape& shape,
                                                    std::int32_t gpus_per_node,
                                                    const Reservation& reservation) {
  if (!free.Holds(shape)) return std::nullopt;
  std::vector<std::int32_t> found;
  std::int32_t beyond = reservation.Beyond();
  for (const bool spared : {true, false}) {
    for (std::int32_t k = shape.gpus; k <= gpus_per_node; ++k) {
      for (std::int32_t node = 0; node < free.nodes(); ++node) {
        if (std::ssize(found) == shape.nodes) return found;
        if (free.free(node) != k || reservation.then.free(node) < shape.gpus) continue;
        if (reservation.Spares(node, shape.gpus) != spared) continue;
        if (!spared && --beyond < 0) return std::nullopt;
        found.push_back(node);
      }
    }
  }
  if (std::ssize(found) == shape.nodes) return found;
  return std::nullopt;
}

class ListPolicy : public Policy {
 public:
  ListPolicy(const JobList& list, std::unique_ptr<Order> order, WhenBlocked when_blocked)
      : list_(list),
        order_(std::move(order)),
        when_blocked_(when_blocked),
        runs_(list.jobs.size()),
        full_(list.shapes.size()),
        full_later_(list.shapes.size()) {
    for (const Part& part : list.parts)
      parts_.emplace_back(NodePool(part.nodes, list.gpus_per_node));
  }

  void Arrived(JobIndex job, std::int64_t now_s) override {
    order_->Add(job, now_s);
    PartOf(job).stale = true;
  }

  void Ended(JobIndex job, std::int64_t now_s, bool /*preempted*/) override {
    PartState& part = PartOf(job);
    Run& run = runs_[At(job)];
    part.free.Give(run.nodes, list_.ShapeOf(job).gpus);
    part.ends.erase({run.end_s, job});
    run.nodes.clear();
    part.stale = true;
    order_->Ended(job, now_s);
  }

  void Overran(JobIndex job, std::int64_t /*now_s*/, std::int64_t limit_s) override {
    PartState& part = PartOf(job);
    Run& run = runs_[At(job)];
    part.ends.erase({run.end_s, job});
    run.end_s = run.since_s + limit_s;
    part.ends.insert({run.end_s, job});
    part.stale = true;
  }

  Decision Decide(std::int64_t now_s) override {
    Decision decision;
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      if (!parts_[i].stale) continue;
      parts_[i].stale = false;
      DecidePart(static_cast<std::int32_t>(i), now_s, decision);
    }
    return decision;
  }

  JobIndex FirstBlocked(std::int32_t part) const override { return parts_[At(part)].blocked; }

  std::vector<std::pair<std::string, std::string>> Parameters() const override {
    auto parameters = order_->Parameters();
    if (when_blocked_ == WhenBlocked::kBackfill) {
      parameters.push_back({"backfill", "EASY: one reservation, for the first blocked"});
    }
    return parameters;
  }

 private:
  struct Run {
    std::int64_t since_s = 0;
    std::int64_t end_s = 0;           // by what is known of it
    std::vector<std::int32_t> nodes;  // numbered over its part
  };
  struct PartState {
    explicit PartState(NodePool pool) : free(std::move(pool)) {}
    NodePool free;
    std::set<std::pair<std::int64_t, JobIndex>> ends;  // of what runs
    JobIndex blocked = kNoJob;
    bool stale = false;  // something has happened since it was last looked at
  };
  static std::size_t At(std::int32_t index) { return static_cast<std::size_t>(index); }
  const Job& JobOf(JobIndex job) const { return list_.jobs[At(job)]; }
  PartState& PartOf(JobIndex job) { return parts_[At(JobOf(job).part)]; }

  void DecidePart(std::int32_t part, std::int64_t now_s, Decision& decision);
  void Backfill(PartState& part, std::span<const JobIndex> rest, std::int64_t now_s);
  Reservation Reserve(const PartState& part, const GangShape& shape) const;
  void Take(PartState& part, JobIndex job, std::vector<std::int32_t> nodes, std::int64_t now_s);

  const JobList& list_;
  std::unique_ptr<Order> order_;
  WhenBlocked when_blocked_;
  std::vector<Run> runs_;  // by job
  std::vector<PartState> parts_;
  Full full_;
  Full full_later_;  // for what would still run at the time of the reservation
  std::vector<JobIndex> started_;
};

void ListPolicy::DecidePart(std::int32_t index, std::int64_t now_s, Decision& decision) {
  PartState& part = parts_[At(index)];
  part.blocked = kNoJob;
  started_.clear();
  full_.Clear();
  const std::span<const JobIndex> queue = order_->Of(index, now_s);
  for (std::size_t i = 0; i < queue.size(); ++i) {
    if (part.blocked != kNoJob && part.free.free_gpus() == 0) break;
    const JobIndex job = queue[i];
    if (full_.Contains(JobOf(job).shape)) continue;
    auto nodes = part.free.Find(list_.ShapeOf(job));
    if (nodes) {
      Take(part, job, *std::move(nodes), now_s);
      continue;
    }
    full_.Insert(JobOf(job).shape);
    if (part.blocked == kNoJob) part.blocked = job;
    if (when_blocked_ == WhenBlocked::kPassOver) continue;
    if (when_blocked_ == WhenBlocked::kBackfill) Backfill(part, queue.subspan(i + 1), now_s);
    break;
  }
  if (started_.empty()) return;
  for (const JobIndex job : started_) {
    JobStart start{job, runs_[At(job)].nodes};
    for (std::int32_t& node : start.nodes) node += list_.parts[At(index)].first;
    decision.starts.push_back(std::move(start));
  }
  order_->Started(index, started_, now_s);
}

void ListPolicy::Take(PartState& part, JobIndex job, std::vector<std::int32_t> nodes,
                      std::int64_t now_s) {
  part.free.Take(nodes, list_.ShapeOf(job).gpus);
  runs_[At(job)] = {now_s, now_s + JobOf(job).limit_s, std::move(nodes)};
  part.ends.insert({runs_[At(job)].end_s, job});
  started_.push_back(job);
}

Reservation ListPolicy::Reserve(const PartState& part, const GangShape& shape) const {
  Reservation reservation{0, shape, part.free};
  for (const auto& [end_s, job] : part.ends) {
    if (reservation.then.Holds(shape)) break;
    reservation.then.Give(runs_[At(job)].nodes, list_.ShapeOf(job).gpus);
    reservation.from_s = end_s;
  }
  return reservation;
}

void ListPolicy::Backfill(PartState& part, std::span<const JobIndex> rest, std::int64_t now_s) {
  if (rest.empty() || part.free.free_gpus() == 0) return;
  Reservation reservation = Reserve(part, list_.ShapeOf(part.blocked));
  full_later_.Clear();
  for (const JobIndex job : rest) {
    const bool before = now_s + JobOf(job).limit_s <= reservation.from_s;
    Full& full = before ? full_ : full_later_;
    if (full.Contains(JobOf(job).shape)) continue;
    const GangShape& shape = list_.ShapeOf(job);
    auto nodes = before ? part.free.Find(shape)
                        : FindBeside(part.free, shape, list_.gpus_per_node, reservation);
    if (!nodes) {
      full.Insert(JobOf(job).shape);
      continue;
    }
    if (!before) reservation.then.Take(*nodes, shape.gpus);
    Take(part, job, *std::move(nodes), now_s);
    if (part.free.free_gpus() == 0) return;
  }
}

}  // namespace

std::unique_ptr<Policy> MakeListPolicy(const JobList& list, std::unique_ptr<Order> order,
                                       WhenBlocked when_blocked) {
  return std::make_unique<ListPolicy>(list, std::move(order), when_blocked);
}

}  // namespace kezek::replay
