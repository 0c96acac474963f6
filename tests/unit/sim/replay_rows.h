// Rows of made-up traces, and who started when.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "scheduler/sim/replay/job_list.h"
#include "scheduler/sim/replay/policies.h"
#include "scheduler/sim/replay/replay.h"

namespace kezek::replay {

struct RowText {
  std::int64_t submit_s = 0;
  std::int64_t duration_s = 1;
  std::int64_t gpus = 1;
  std::string group = {};
  std::string user = {};
  std::int64_t requested_s = 0;  // 0: nothing
};

inline std::vector<TraceRow> RowsOf(const std::vector<RowText>& texts) {
  std::vector<TraceRow> rows;
  for (const RowText& text : texts) {
    TraceRow row;
    row.id = std::to_string(rows.size());
    row.submit_s = text.submit_s;
    row.duration_s = text.duration_s;
    row.milli_gpus = text.gpus * 1000;
    row.user = text.user;
    row.group = text.group;
    if (text.requested_s > 0) row.requested_s = text.requested_s;
    rows.push_back(std::move(row));
  }
  return rows;
}

// `nodes` nodes of `gpus_per_node`.
inline JobList ListOf(const std::vector<RowText>& texts, std::int32_t nodes,
                      std::int32_t gpus_per_node, ListOptions options = {}) {
  options.capacity_gpus = std::int64_t{nodes} * gpus_per_node;
  options.gpus_per_node = gpus_per_node;
  return MakeJobList(RowsOf(texts), options).value();
}

inline std::vector<std::int64_t> StartsOf(const ReplayResult& result) {
  std::vector<std::int64_t> starts;
  for (const JobRecord& job : result.jobs) starts.push_back(job.start_s);
  return starts;
}

inline std::vector<std::int64_t> StartsBy(const std::string& policy, const JobList& list,
                                          const KezekRules& rules = {}) {
  return StartsOf(Replay(list, *MakePolicy(policy, list, rules)));
}

}  // namespace kezek::replay
