// What is replayed: the rows of a trace as jobs on a machine of equal nodes, with what a scheduler
// is told of their run times, and the groups that hold shares of the machine.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kezek/result.h"
#include "scheduler/sim/replay/node_pool.h"
#include "scheduler/sim/replay/trace.h"

namespace kezek::replay {

// What stands for a job's limit.
enum class Estimates : std::uint8_t {
  kOracle,  // its run time
  kNoisy,   // its run time x e^(1.2 z), z of the standard normal distribution
  kNone,    // 24 h, whatever the job
  kUser,    // the limit that was asked for; 24 h where none was
};

// Whose the machine is, where nothing says how many nodes each group has.
enum class Shares : std::uint8_t {
  kEqual,   // to each the same
  kDemand,  // in proportion to the GPU time of its jobs
};

struct ListOptions {
  std::int64_t capacity_gpus = 0;
  std::int32_t gpus_per_node = 0;       // 0: 8, or 1 where every row has as many nodes as GPUs
  std::optional<std::int64_t> from_s;   // submitted then or later
  std::optional<std::int64_t> until_s;  // submitted before
  // Nodes of each group, by name; jobs of others are left out. Empty: all groups, by `shares`. Made
  // larger or smaller in proportion where their sum is not the machine.
  std::vector<std::pair<std::string, std::int64_t>> group_nodes;
  Shares shares = Shares::kEqual;
  bool split = false;  // each group runs on its own nodes only
  Estimates estimates = Estimates::kOracle;
  bool unfinished = false;  // what has no run time runs for as long as it asked for; else left out
  std::optional<double> load;  // submissions are moved until JobList::load is this
  std::uint64_t seed = 1;
};

using JobIndex = std::int32_t;
inline constexpr JobIndex kNoJob = -1;

struct Job {
  std::string id;
  std::int64_t submit_s = 0;
  std::int64_t duration_s = 0;  // at least 1
  std::int64_t limit_s = 0;     // what is known of it before: see Estimates; at least 1
  std::int32_t group = 0;
  std::int32_t user = 0;   // one for each group and user
  std::int32_t part = 0;   // of the machine
  std::int32_t shape = 0;  // of JobList::shapes
  std::int64_t gpus = 0;
  std::optional<std::int64_t> waited_s;  // on the real cluster
};

struct Group {
  std::string name;  // "-": rows that name none
  std::int64_t weight_milli = 1000;
};

// Nodes [first, first + nodes), numbered over the machine.
struct Part {
  std::int32_t first = 0;
  std::int32_t nodes = 0;
};

struct JobList {
  std::int32_t nodes = 0;
  std::int32_t gpus_per_node = 0;
  std::vector<Part> parts;  // one, or with `split` one for each group
  std::vector<Group> groups;
  std::vector<std::string> users;
  std::vector<GangShape> shapes;
  std::vector<Job> jobs;  // by submission, of equal times in the order of the trace
  bool split = false;
  std::int64_t first_submit_s = 0;
  // What would be held on average between the first and the last submission if every job started at
  // once, as a part of the machine.
  double load = 0;
  std::vector<std::pair<std::string, std::int64_t>> left_out;  // why, how many rows
  std::vector<std::string> notes;                              // what else to know of it

  std::int64_t capacity_gpus() const { return std::int64_t{nodes} * gpus_per_node; }
  const GangShape& ShapeOf(JobIndex job) const {
    return shapes[static_cast<std::size_t>(jobs[static_cast<std::size_t>(job)].shape)];
  }
};

// The fewest nodes with equally many GPUs on each. None: no number of nodes up to `nodes` has that.
std::optional<GangShape> ShapeFor(std::int64_t gpus, std::int32_t gpus_per_node,
                                  std::int32_t nodes);

// INVALID_ARGUMENT: nothing is left to replay, or the options do not fit each other or the rows.
Result<JobList> MakeJobList(const std::vector<TraceRow>& rows, const ListOptions& options);

}  // namespace kezek::replay
