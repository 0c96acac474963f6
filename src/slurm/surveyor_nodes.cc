// The nodes, and what tells cheaply which jobs something has happened to.
#include <algorithm>
#include <utility>

#include "slurm/asking.h"
#include "slurm/surveyor.h"

namespace kezek::slurm {
namespace {

constexpr DurationMs kHintsEvery = 700;    // of what tells which jobs to read
constexpr DurationMs kHintsCostShare = 4;  // at most a fifth of the time goes into that
constexpr DurationMs kNodesEvery = 2000;
constexpr DurationMs kQuiet = 10 * kSecondMs;  // nothing has started or ended for so long

}  // namespace

bool Surveyor::StatesAreTold() const {
  return codecs_.chosen()->can().lists_states && !no_states_ && !watch_.empty();
}

bool Surveyor::SurveyStates() {
  const DurationMs begin = SteadyMs();
  const HttpOutcome outcome = Get(Api("/jobs/state"), true);
  if (!Answered(outcome)) return Silent(NotAnswered(outcome)), false;
  const auto states = ParseJobStates(outcome.status, outcome.body);
  no_states_ = !states.has_value();  // the nodes tell instead
  if (!states) return true;
  const DurationMs now = SteadyMs();
  next_states_ms_ = now + std::max(kHintsEvery, kHintsCostShare * (now - begin));
  if (watch_.Hint(*states, now)) HurryListing();
  return true;
}

// Where jobs come and go, whether the nodes have changed is not worth a question of its own: 22.05
// answers with an error of no meaning that they have.
bool Surveyor::SurveyNodes(bool whole) {
  const bool since = !whole && nodes_at_ != 0 && SteadyMs() >= nodes_changed_ms_ + kQuiet;
  const auto path = since ? codecs_.chosen()->PathSince("/nodes", nodes_at_) : Api("/nodes");
  const std::int64_t at = UpdateTime();
  const DurationMs begin = SteadyMs();
  const HttpOutcome outcome = Get(path, true);
  if (!Answered(outcome)) return Silent(NotAnswered(outcome)), false;
  UsedGpus used;
  auto nodes = ParseNodes(outcome.status, outcome.body, &used);
  if (!nodes && since && outcome.status == 500) return SurveyNodes(true);
  if (!nodes) return Silent(nodes.error()), false;
  nodes_at_ = at;
  const DurationMs now = SteadyMs();
  const bool tell_all = !watch_.empty() && !StatesAreTold();
  const DurationMs every = tell_all ? kHintsEvery : kNodesEvery;
  next_nodes_ms_ = now + std::max(every, kHintsCostShare * (now - begin));
  if (nodes->has_value()) {
    if (used != used_) nodes_changed_ms_ = now;
    nodes_ = **std::move(nodes);
    used_ = std::move(used);
  }
  if (tell_all && watch_.Hint(used_, listing_, now)) HurryListing();
  ReportNodes(whole);
  return true;
}

// Before the first Follow it is not known which jobs are Kezek's.
void Surveyor::ReportNodes(bool always) {
  if (!follows_ || nodes_.empty()) return;
  auto nodes = watch_.WithForeignUse(nodes_, listing_);
  if (!always && nodes == reported_nodes_) return;
  reported_nodes_ = nodes;
  sink_(NodesObserved{std::move(nodes)});
}

}  // namespace kezek::slurm
