#include "rpc/outlook_convert.h"

#include <algorithm>
#include <set>
#include <string>

#include "kezek/names.h"
#include "kezek/reason_text.h"
#include "rpc/job_convert.h"
#include "rpc/node_convert.h"

namespace kezek::rpc {
namespace {

// "1:30:00", "2-00:00:00".
std::string SlurmTime(DurationMs length_ms) {
  const std::int64_t minutes = length_ms / kMinuteMs;
  const std::int64_t hours = minutes / 60;
  const auto clock = [&](std::int64_t hour) {
    return std::to_string(hour) + ":" + reason_text::Padded(minutes % 60, 2) + ":00";
  };
  if (hours < 24) return clock(hours);
  return std::to_string(hours / 24) + "-" + clock(hours % 24);
}

const std::string& Field(const Reason& reason, const char* name) {
  static const std::string kNone;
  const auto found = reason.fields.find(name);
  return found == reason.fields.end() ? kNone : found->second;
}

// Of `kezek submit`, in place of what the job asks for.
std::vector<std::string> OptionsOf(const Reason& change) {
  using enum ReasonCode;
  const ReasonCode code = change.code;
  if (code == kFewerNodes) return {"--nodes " + Field(change, "nodes")};
  if (code == kFewerGpus) return {"--gpus-per-node " + Field(change, "gpus")};
  if (code == kNoWithin) return {"without", "--within " + Field(change, "within")};
  if (code == kNoPrefer) return {"without", "--prefer " + Field(change, "prefer")};
  if (code == kOtherClass) return {"--class " + Field(change, "class")};
  if (code == kShorterLimit) return {"--time " + SlurmTime(std::stoll(Field(change, "limit")))};
  return {};
}

// In service, less what others use, on nodes that are everybody's.
MilliGpus SharedCapacity(const View& view, const std::string& gpu_type) {
  std::int64_t gpus = 0;
  for (const auto& [name, node] : view.nodes) {
    const bool shared = !view.directory->owners.contains(name);
    if (!shared || node.gpu_type != gpu_type || node.health != NodeHealth::kUp) continue;
    if (!node.drained_by_kezek) gpus += std::max(0, node.gpus - node.foreign_gpus);
  }
  return gpus * 1000;
}

// Whether nodes of its own may take it: no guarantee is about them.
bool MayRunApart(const Directory& directory, const std::set<AccountId>& path, const JobSpec& spec) {
  return std::any_of(directory.owners.begin(), directory.owners.end(), [&](const auto& owned) {
    const NodeOwner& owner = owned.second;
    return owner.job_class == spec.job_class || (owner.account && path.contains(owner.account));
  });
}

}  // namespace

Reason Untold(const View& view, const Job& job) {
  if (job.hold != Hold::kNone) return HoldReason(job.hold);
  if (!view.stop_reason.empty()) {
    return {ReasonCode::kSchedulingStopped, {{"text", view.stop_reason}}};
  }
  if (!view.cluster_answers) return ClusterReason(view.cluster_silent_since_ms);
  const auto standing = view.FindWaiting(job.ref, *job.spec);
  if (standing) {
    constexpr ReasonCode kUntold[] = {ReasonCode::kDependency,    ReasonCode::kArrayLimit,
                                      ReasonCode::kHeldByUser,    ReasonCode::kHeldByAdmin,
                                      ReasonCode::kHeldByCluster, ReasonCode::kLaunchBackoff,
                                      ReasonCode::kSetAside};
    const ReasonCode code = standing->reason.code;
    const bool untold =
        std::find(std::begin(kUntold), std::end(kUntold), code) != std::end(kUntold);
    return untold ? standing->reason : Reason{};
  }
  if (job.spec->dependencies.empty()) return {};
  const Dependency& first = job.spec->dependencies.front();
  return {ReasonCode::kDependency,
          {{"on", ToText(first.on)}, {"kind", std::string(NameOf(first.kind))}}};
}

void FillEstimate(const Outlook& outlook, const std::optional<EstimateTest::Errors>& errors,
                  v1::StartEstimate* wire) {
  wire->set_start_ms(outlook.start.start_ms);
  wire->set_earliest(outlook.start.earliest);
  wire->set_as_of_ms(outlook.as_of_ms);
  if (outlook.start.assumption.code != ReasonCode::kNone) {
    *wire->mutable_assumption() = ToWire(outlook.start.assumption);
  }
  if (!errors) return;
  v1::EstimateErrors& told = *wire->mutable_errors();
  told.set_jobs(errors->jobs);
  told.set_p10_ms(errors->p10_ms);
  told.set_p50_ms(errors->p50_ms);
  told.set_p90_ms(errors->p90_ms);
}

v1::Advice ToWire(const View& view, const OutlookAdvice& advice) {
  v1::Advice wire;
  *wire.mutable_reason() = ToWire(advice.change);
  for (std::string& option : OptionsOf(advice.change)) wire.add_options(std::move(option));
  const bool now = !advice.start.placement.empty();
  if (now) FillPlacement(view.nodes, advice.start.placement, wire.mutable_placement());
  if (!now) wire.set_start_ms(advice.start.start_ms);
  return wire;
}

void FillDryRun(const View& view, const Outlook& outlook,
                const std::optional<EstimateTest::Errors>& errors, v1::DryRun* wire) {
  if (!outlook.start.placement.empty()) {
    wire->set_starts_now(true);
    FillPlacement(view.nodes, outlook.start.placement, wire->mutable_placement());
    return;
  }
  if (outlook.as_of_ms != 0) FillEstimate(outlook, errors, wire->mutable_estimate());
  if (outlook.reason.code != ReasonCode::kNone) *wire->mutable_reason() = ToWire(outlook.reason);
  for (const OutlookAdvice& advice : outlook.advice) {
    *wire->add_advice() = ToWire(view, advice);
  }
}

Reason TooWide(const View& view, const JobSpec& spec, MilliGpus counted_milli) {
  if (spec.shape.nodes < 2 || counted_milli <= 0) return {};
  const Directory& directory = *view.directory;
  std::set<AccountId> path;
  for (AccountId at = spec.project; at && directory.accounts.contains(at);) {
    if (!path.insert(at).second) break;
    at = directory.accounts.at(at).parent;
  }
  const auto ruled = directory.classes.find(spec.job_class);
  if (ruled != directory.classes.end() && ruled->second.scavenger) return {};
  if (MayRunApart(directory, path, spec)) return {};
  MilliGpus available = SharedCapacity(view, spec.shape.gpu_type);
  for (const auto& [whose, standing] : view.standings) {
    if (whose.second != spec.shape.gpu_type || path.contains(whose.first)) continue;
    const auto account = directory.accounts.find(whose.first);
    if (account == directory.accounts.end() || !path.contains(account->second.parent)) continue;
    available -= std::min(standing.guarantee_now_milli, standing.demand_milli);
  }
  available = std::max<MilliGpus>(0, available);
  if (counted_milli <= available) return {};
  Reason reason{ReasonCode::kWiderThanUnguaranteed,
                {{"asked", GpuText(counted_milli)}, {"available", GpuText(available)}}};
  const std::int64_t nodes =
      available / ((counted_milli + spec.shape.nodes - 1) / spec.shape.nodes);
  if (nodes > 0) reason.fields["nodes"] = std::to_string(nodes);
  return reason;
}

}  // namespace kezek::rpc
