// Small worlds for the engine's tests: short words for accounts, nodes, jobs and attempts.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kezek/account.h"
#include "kezek/desk.h"
#include "kezek/job.h"
#include "kezek/node.h"
#include "scheduler/engine/engine.h"

namespace kezek::engine {

inline constexpr TimeMs kNoon = 1'790'000'000'000;

// Root, and what Add makes below it. Classes: debug, realtime (not preemptible), normal, scavenger.
class SmallTree {
 public:
  SmallTree() {
    Account root{.id = kRootAccount, .parent = {}, .name = "root", .kind = "cluster"};
    root.settings.shares["h200"].guarantee_milli = 1'000'000;
    directory_.accounts[kRootAccount] = root;
    directory_.classes["debug"] = {.name = "debug", .rank = 0};
    directory_.classes["realtime"] = {
        .name = "realtime", .rank = 1, .preemptible = false, .preempts_lower = true};
    directory_.classes["normal"] = {.name = "normal", .rank = 2};
    directory_.classes["scavenger"] = {.name = "scavenger", .rank = 3, .scavenger = true};
    directory_.rate_milli["h200"] = 1000;
    directory_.default_gpu_type = "h200";
  }

  AccountSettings& Add(std::int64_t id, std::int64_t parent, MilliGpus guarantee_gpus = 0,
                       const std::string& kind = "project") {
    Account account{.id = AccountId{id}, .parent = AccountId{parent}, .kind = kind};
    account.name = "a" + std::to_string(id);
    account.settings.shares["h200"].guarantee_milli = guarantee_gpus * 1000;
    return directory_.accounts.insert_or_assign(account.id, account).first->second.settings;
  }
  Directory& directory() { return directory_; }
  std::shared_ptr<const Directory> Make() const {
    Directory directory = directory_;
    directory.owners = OwnersOf(directory.accounts, directory.classes);
    return std::make_shared<const Directory>(std::move(directory));
  }

 private:
  Directory directory_;
};

inline Node H200(const std::string& name, const std::string& leaf = "l1",
                 const std::string& block = "b1") {
  return {.name = name,
          .gpu_type = "h200",
          .gpus = 8,
          .cpus = 64,
          .memory_mib = 1024 * 1024,
          .leaf = leaf,
          .block = block,
          .health = NodeHealth::kUp};
}

// Shares of CPUs and memory are those of its GPUs, so that it counts as its GPUs.
inline JobSpec Gang(std::int64_t project, std::int32_t nodes, std::int32_t gpus_per_node) {
  JobSpec spec;
  spec.project = AccountId{project};
  spec.shape = {.nodes = nodes,
                .gpus_per_node = gpus_per_node,
                .gpu_type = "h200",
                .cpus_per_node = 8 * gpus_per_node,
                .memory_mib_per_node = 1024 * gpus_per_node};
  spec.time_limit_ms = kHourMs;
  return spec;
}

inline Waiting Queued(std::int64_t id, JobSpec spec, std::int64_t user = 1) {
  Waiting job;
  job.ref = {JobId{id}};
  job.user = UserId{user};
  job.submitted_ms = job.queued_since_ms = kNoon + id;
  if (spec.array) {
    for (const IndexRange& range : spec.array->indices) {
      for (auto i = range.first; i <= range.last; i += range.step) job.elements.push_back(i);
    }
  }
  job.spec = std::make_shared<const JobSpec>(std::move(spec));
  return job;
}

inline SmallTree TwoProjects(MilliGpus first = 0, MilliGpus second = 0) {
  SmallTree tree;
  tree.Add(2, 1, first);
  tree.Add(3, 1, second);
  return tree;
}

// An engine with the nodes n1, n2, ...
inline Engine EngineWith(const SmallTree& tree, int nodes, const EngineConfig& config = {}) {
  Engine engine(config, tree.Make());
  for (int i = 1; i <= nodes; ++i) engine.SetNode(H200("n" + std::to_string(i)));
  return engine;
}

// The attempt that a start becomes.
inline Holding HoldingOf(const Start& start, const Waiting& job, TimeMs start_ms = kNoon) {
  return {.attempt = {start.job, 1},
          .user = job.user,
          .project = job.spec->project,
          .job_class = job.spec->job_class,
          .shape = job.spec->shape,
          .placement = start.placement,
          .counted_milli = start.counted_milli,
          .start_ms = start_ms,
          .limit_ms = job.spec->time_limit_ms};
}

// "1@n1 2@n2,n3": jobs of a plan in order of decision, and their nodes.
inline std::string StartsText(const Plan& plan) {
  std::string text;
  for (const Start& start : plan.starts) {
    text += (text.empty() ? "" : " ") + ToText(start.job);
    for (std::size_t i = 0; i < start.placement.size(); ++i) {
      text += (i == 0 ? "@" : ",") + start.placement[i].node;
    }
  }
  return text;
}

inline Reason ReasonOf(const Plan& plan, std::int64_t job) {
  const auto all = plan.waiting.All();
  const auto found = all.find({JobId{job}});
  return found == all.end() ? Reason{} : found->second.reason;
}

}  // namespace kezek::engine
