#include "tests/property/naive_agenda.h"

#include <algorithm>
#include <set>

namespace kezek::test {
namespace {

void Take(const Shape& shape, const Placement& placement, NaiveNodes& nodes) {
  for (NaiveNode& node : nodes) {
    for (const NodeGrant& grant : placement) {
      if (grant.node != node.node.name) continue;
      node.gpus -= grant.gpus;
      node.cpus -= shape.cpus_per_node;
      node.memory_mib -= shape.memory_mib_per_node;
      node.idle = false;
    }
  }
}

NaiveNodes Least(NaiveNodes nodes, const NaiveNodes& others) {
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    nodes[i].gpus = std::max(0, std::min(nodes[i].gpus, others[i].gpus));
    nodes[i].cpus = std::max(0, std::min(nodes[i].cpus, others[i].cpus));
    nodes[i].memory_mib =
        std::max<std::int64_t>(0, std::min(nodes[i].memory_mib, others[i].memory_mib));
    nodes[i].idle &= others[i].idle;
  }
  return nodes;
}

}  // namespace

NaiveAgenda::NaiveAgenda(const engine::EngineConfig& rules, const std::vector<Node>& nodes,
                         TimeMs now)
    : rules_(rules), nodes_(nodes), now_(now) {}

// The limit in whole minutes, and the time that it takes to kill.
DurationMs NaiveAgenda::Occupies(DurationMs limit_ms) const {
  return (limit_ms + kMinuteMs - 1) / kMinuteMs * kMinuteMs + rules_.charge.kill_margin_ms;
}

TimeMs NaiveAgenda::BeginOf(const Reservation& promise) const {
  return std::max(now_, promise.from_ms);
}

TimeMs NaiveAgenda::EndOf(const Reservation& promise) const {
  return std::max(now_, promise.from_ms + rules_.late_ms) + Occupies(promise.limit_ms);
}

void NaiveAgenda::Hold(const engine::Holding& attempt, bool scavenger) {
  Span span{.attempt = attempt.attempt, .shape = attempt.shape, .placement = attempt.placement};
  const bool starting = attempt.start_ms == 0;
  const bool ending = attempt.ends_by_ms != 0;
  const TimeMs by_limit = (starting ? now_ : attempt.start_ms) + Occupies(attempt.limit_ms);
  span.end_ms = std::max(now_, ending ? attempt.ends_by_ms : by_limit);
  span.gone_by_ms = span.end_ms;
  if (scavenger && !ending) {
    span.gone_by_ms = std::min(span.end_ms, now_ + attempt.grace_ms);
  }
  span.late_ms = starting ? rules_.late_ms : 0;
  const bool is_told = span.gone_by_ms < span.end_ms;
  span.free_from_ms = span.gone_by_ms + (is_told ? rules_.improve_ms : span.late_ms);
  spans_.push_back(std::move(span));
}

void NaiveAgenda::End(const AttemptRef& attempt, TimeMs by_ms) {
  for (Span& span : spans_) {
    if (span.attempt != attempt) continue;
    span.gone_by_ms = span.end_ms = by_ms;
    span.free_from_ms = by_ms + span.late_ms;
  }
}

void NaiveAgenda::Start(const JobSpec& spec, const Placement& placement,
                        std::optional<DurationMs> leaves_within) {
  Span span{.attempt = {}, .shape = spec.shape, .placement = placement};
  span.end_ms = now_ + Occupies(spec.time_limit_ms) + rules_.late_ms;
  span.gone_by_ms = leaves_within ? std::min(span.end_ms, now_ + *leaves_within) : span.end_ms;
  span.free_from_ms = span.gone_by_ms;
  spans_.push_back(std::move(span));
}

void NaiveAgenda::StartAsPromised(const Reservation& promise) {
  const TimeMs end = EndOf(promise);
  spans_.push_back({.attempt = {},
                    .shape = promise.shape,
                    .placement = promise.placement,
                    .gone_by_ms = end,
                    .end_ms = end,
                    .free_from_ms = end});
}

NaiveNodes NaiveAgenda::Left(std::optional<TimeMs> at_ms, Until until) const {
  NaiveNodes nodes;
  for (const Node& node : nodes_) {
    const bool up = node.health == NodeHealth::kUp;
    nodes.push_back(
        {node, up ? node.gpus : 0, up ? node.cpus : 0, up ? node.memory_mib : 0, up, up});
  }
  for (const Span& span : spans_) {
    if (!at_ms || span.*until > *at_ms) Take(span.shape, span.placement, nodes);
  }
  return nodes;
}

NaiveNodes NaiveAgenda::Beside(NaiveNodes nodes, TimeMs at_ms, const JobRef& but) const {
  for (const Reservation& promise : promises_) {
    if (promise.row == but || BeginOf(promise) > at_ms || at_ms >= EndOf(promise)) continue;
    Take(promise.shape, promise.placement, nodes);
  }
  return nodes;
}

// For what is being made room for nobody but its victims is ended.
void NaiveAgenda::Limit(NaiveNodes& nodes, const Stay& stay, const JobRef& but) const {
  for (const Reservation& promise : promises_) {
    const bool claim = !promise.victims.empty();
    const TimeMs begin = BeginOf(promise);
    if (promise.row == but || begin < stay.from_ms) continue;
    if (begin >= (claim ? stay.end_ms : stay.gone_by_ms)) continue;
    const Until until = claim ? &Span::end_ms : &Span::gone_by_ms;
    const NaiveNodes then = Beside(Left(begin, until), begin, but);
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      const auto on = [&](const NodeGrant& grant) { return grant.node == nodes[i].node.name; };
      const Placement& its = promise.placement;
      if (std::none_of(its.begin(), its.end(), on)) continue;  // nothing begins there
      nodes[i] = Least({nodes[i]}, {then[i]}).front();
    }
  }
}

std::optional<NaiveAgenda::Slot> NaiveAgenda::Earliest(const JobSpec& spec,
                                                       const JobRef& row) const {
  std::set<TimeMs> times{now_};
  for (const Span& span : spans_) times.insert(span.free_from_ms);
  for (const Reservation& promise : promises_) {
    if (promise.row != row) times.insert(EndOf(promise));
  }
  for (const TimeMs from : times) {
    const TimeMs until = from + Occupies(spec.time_limit_ms) + rules_.late_ms;
    NaiveNodes nodes =
        Least(Left(from, &Span::free_from_ms), Beside(Left(from, &Span::gone_by_ms), from, row));
    Limit(nodes, {from, until, until}, row);
    if (auto placement = NaivePlace(nodes, spec, spec.within)) {
      return Slot{from, std::move(*placement)};
    }
  }
  return std::nullopt;
}

std::optional<Placement> NaiveAgenda::Now(const JobSpec& spec, const JobRef& row,
                                          std::optional<DurationMs> leaves_within) const {
  const TimeMs end = now_ + Occupies(spec.time_limit_ms) + rules_.late_ms;
  const TimeMs gone_by = leaves_within ? std::min(end, now_ + *leaves_within) : end;
  NaiveNodes nodes = Left(std::nullopt, &Span::end_ms);
  Limit(nodes, {now_, gone_by, end}, row);
  return NaivePlace(nodes, spec, spec.within);
}

bool NaiveAgenda::Keeps(const Reservation& promise) const {
  const TimeMs begin = BeginOf(promise);
  const Until until = promise.victims.empty() ? &Span::gone_by_ms : &Span::end_ms;
  NaiveNodes nodes = Beside(Left(begin, until), begin, promise.row);
  Limit(nodes, {begin, EndOf(promise), EndOf(promise)}, promise.row);
  return std::all_of(
      promise.placement.begin(), promise.placement.end(), [&](const NodeGrant& grant) {
        const auto node = std::find_if(nodes.begin(), nodes.end(), [&](const NaiveNode& one) {
          return one.node.name == grant.node;
        });
        return node != nodes.end() && node->in_service && node->gpus >= grant.gpus &&
               node->cpus >= promise.shape.cpus_per_node &&
               node->memory_mib >= promise.shape.memory_mib_per_node;
      });
}

}  // namespace kezek::test
