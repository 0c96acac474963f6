#include "scheduler/engine/variants.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "kezek/names.h"
#include "quota/limits.h"

namespace kezek::engine {
namespace {

template <class Change>
Variant Changed(const Waiting& job, Reason reason, Change change) {
  JobSpec spec = *job.spec;
  change(spec);
  Variant variant{std::move(reason), job};
  variant.job.spec = std::make_shared<const JobSpec>(std::move(spec));
  return variant;
}

}  // namespace

Variant OnNodes(const Waiting& job, std::int32_t nodes) {
  return Changed(job, {ReasonCode::kFewerNodes, {{"nodes", std::to_string(nodes)}}},
                 [&](JobSpec& spec) {
                   spec.shape.nodes = nodes;
                   spec.ntasks = std::min(spec.ntasks, nodes * spec.ntasks_per_node);
                 });
}

Variant WithGpus(const World& world, const Waiting& job, std::int32_t gpus) {
  return Changed(
      job, {ReasonCode::kFewerGpus, {{"gpus", std::to_string(gpus)}}}, [&](JobSpec& spec) {
        Shape& shape = spec.shape;
        const auto type = world.types().find(shape.gpu_type);
        if (type != world.types().end() && type->second.size.gpus > 0 && !shape.exclusive) {
          const quota::NodeSize& node = type->second.size;
          const auto part = [&](std::int64_t whole, std::int32_t of) {
            return whole * of / node.gpus;
          };
          if (shape.cpus_per_node == part(node.cpus, shape.gpus_per_node)) {
            const std::int64_t cpus = std::max<std::int64_t>(1, part(node.cpus, gpus));
            shape.cpus_per_node = static_cast<std::int32_t>(cpus);
          }
          if (shape.memory_mib_per_node == part(node.memory_mib, shape.gpus_per_node)) {
            shape.memory_mib_per_node = std::max<std::int64_t>(1, part(node.memory_mib, gpus));
          }
        }
        shape.gpus_per_node = gpus;
      });
}

Variant WithLimit(const Waiting& job, DurationMs limit_ms) {
  return Changed(job, {ReasonCode::kShorterLimit, {{"limit", std::to_string(limit_ms)}}},
                 [&](JobSpec& spec) {
                   spec.time_limit_ms = limit_ms;
                   spec.time_min_ms = std::min(spec.time_min_ms, limit_ms);
                 });
}

std::optional<Variant> Anywhere(const Waiting& job) {
  const JobSpec& asked = *job.spec;
  if (asked.within == Domain::kAny && asked.prefer == Domain::kAny) return std::nullopt;
  const bool demand = asked.within != Domain::kAny;
  const std::string domain{NameOf(demand ? asked.within : asked.prefer)};
  Reason reason{ReasonCode::kNoWithin, {{"within", domain}}};
  if (!demand) reason = {ReasonCode::kNoPrefer, {{"prefer", domain}}};
  return Changed(job, std::move(reason),
                 [](JobSpec& spec) { spec.within = spec.prefer = Domain::kAny; });
}

std::vector<Variant> InOtherClasses(const World& world, const Waiting& job) {
  std::vector<Variant> variants;
  for (const auto& [name, rules] : world.directory().classes) {
    if (name == job.spec->job_class) continue;
    Reason reason{ReasonCode::kOtherClass, {{"class", name}}};
    if (rules.scavenger) reason.fields["scavenger"] = "1";
    Variant variant =
        Changed(job, std::move(reason), [&name = name](JobSpec& spec) { spec.job_class = name; });
    const JobSpec& spec = *variant.job.spec;
    const auto refusal = NeverFits(world.tree(), rules, spec, world.CountedOf(spec),
                                   world.directory().classifications);
    if (refusal.reason.code == ReasonCode::kNone) variants.push_back(std::move(variant));
  }
  std::stable_sort(variants.begin(), variants.end(), [&](const Variant& a, const Variant& b) {
    return world.ClassOf(a.job.spec->job_class).rank < world.ClassOf(b.job.spec->job_class).rank;
  });
  return variants;
}

}  // namespace kezek::engine
