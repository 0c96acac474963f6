#include "quota/foreign.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>

#include "quota/counted.h"

namespace kezek::quota {
namespace {

// Of each of `nodes` equal parts, rounded up.
std::int64_t EvenPart(std::int64_t in_all, std::int64_t nodes) {
  return (std::max<std::int64_t>(in_all, 0) + nodes - 1) / nodes;
}

}  // namespace

std::map<std::string, ForeignPart> CountForeign(const BookedRun& run,
                                                const std::map<std::string, Node>& nodes) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  std::map<std::string, ForeignPart> parts;
  const auto hosts = std::ssize(run.granted);
  std::int64_t left = std::max<std::int64_t>(run.gpus, 0);  // where they do not come out even
  for (const NodeGrant& grant : run.granted) {
    const std::int64_t gpus = std::min(EvenPart(run.gpus, hosts), left);
    left -= gpus;
    const auto node = nodes.find(grant.node);
    if (node == nodes.end() || node->second.gpus <= 0) continue;
    const NodeSize size = SizeOf(node->second);
    const std::int64_t cpus = std::min(EvenPart(run.cpus, hosts), kMost);
    const Shape shape{.gpus_per_node = static_cast<std::int32_t>(std::min(gpus, kMost)),
                      .cpus_per_node = static_cast<std::int32_t>(cpus),
                      .memory_mib_per_node = EvenPart(run.memory_mib, hosts)};
    const MilliGpus whole = CountOnNode({.exclusive = true}, size);
    const MilliGpus counted = std::min(CountOnNode(shape, size), whole);
    if (counted == 0) continue;
    ForeignPart& part = parts[node->second.gpu_type];
    part.nodes.push_back(grant.node);
    part.counted_milli += counted;
  }
  return parts;
}

std::vector<LedgerEntry> ForeignEntries(const ForeignCharge& charge, TimeMs now,
                                        const ChargeRules& rules) {
  const auto due = [&charge](DurationMs time_ms) {
    return Charge(charge.counted_milli, time_ms, charge.rate_milli, 1000);
  };
  LedgerEntry entry;
  entry.time_ms = now;
  entry.kind = EntryKind::kForeign;
  entry.project = charge.project;
  entry.contra = "machine";
  entry.gpu_type = charge.gpu_type;
  entry.settings_version = charge.settings_version;
  entry.foreign_job = charge.run.cluster_job_id;
  std::vector<LedgerEntry> entries;
  const DurationMs time_ms = charge.end_ms - charge.run.start_ms;
  entry.book = Book::kUsage;
  MilliGpuMs before = 0;
  for (DurationMs from = 0; from < time_ms; from += rules.piece_ms) {
    const MilliGpuMs after = due(std::min(from + rules.piece_ms, time_ms));
    entry.date_ms = charge.run.start_ms + from;
    entry.amount = after - std::exchange(before, after);
    if (entry.amount != 0) entries.push_back(entry);
  }
  entry.book = Book::kCharge;
  entry.date_ms = charge.run.start_ms;
  entry.amount = due(time_ms);
  entries.push_back(std::move(entry));
  return entries;
}

}  // namespace kezek::quota
