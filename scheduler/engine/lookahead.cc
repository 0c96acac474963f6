#include "scheduler/engine/lookahead.h"

#include <algorithm>
#include <limits>

#include "scheduler/engine/placement.h"
#include "scheduler/engine/spread.h"
#include "scheduler/engine/stops.h"

namespace kezek::engine {
namespace {

constexpr std::int32_t kAll = std::numeric_limits<std::int32_t>::max();

// Stands last among equals.
constexpr JobRef kNew{JobId{std::numeric_limits<std::int64_t>::max()}};

// The longest limit that its budgets hold, if they hold any.
std::optional<DurationMs> LimitHeld(const Reason& reason) {
  const auto fits = reason.fields.find("fits");
  if (!IsOfBudget(reason) || fits == reason.fields.end()) return std::nullopt;
  return std::stoll(fits->second) / kMinuteMs * kMinuteMs;
}

// The most that accounts beside a project's keep idle for themselves, whatever it asks for: what
// they keep, were it not scaled, by what they ask for (`demand`) or by what they run alone, if what
// it draws on limits and budgets may stop others.
MilliGpus KeptAtMost(const quota::AccountTree& tree, const std::string& gpu_type,
                     const std::vector<MilliGpus>& demand, quota::AccountIndex project) {
  std::vector<char> on_path(demand.size(), 0);
  for (auto i = project; i != quota::kNoAccount; i = tree.parent(i)) {
    on_path[static_cast<std::size_t>(i)] = 1;
  }
  MilliGpus kept = 0;
  for (quota::AccountIndex i = 0; i < tree.size(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    const auto& lend_max = tree.share(i, gpu_type).lend_max_milli;
    if (on_path[at] != 0 || !lend_max) continue;
    kept += std::max<MilliGpus>(0, tree.Guarantee(i, gpu_type) - *lend_max - demand[at]);
  }
  return kept;
}

}  // namespace

Lookahead::Lookahead(Facts facts, std::shared_ptr<const Directory> directory,
                     const Standings& standings, TimeMs now)
    : complete_(facts.left_out == 0),
      world_(Prepared(std::move(facts)), std::move(directory)),
      draft_(Refreshed(world_, now), now) {
  draft_.one_more_passes = true;
  PlanUpToWalk(standings);
  standings_ = draft_.plan.waiting.All();
  for (const JobRef& ref : draft_.plan.waiting.Ranked()) {
    const Waiting& job = world_.waiting().at(ref);
    waiting_[PoolsFor(world_.apart(), world_.tree(), *job.spec).back()].push_back(&job);
  }
}

const World& Lookahead::Refreshed(World& world, TimeMs now) {
  world.Refresh(now);
  return world;
}

Facts Lookahead::Prepared(Facts facts) {
  facts.config.starts_max = kAll;
  facts.config.exact_ranks = kAll;
  return facts;
}

// The passes of a tick up to the walk.
void Lookahead::PlanUpToWalk(const Standings& standings) {
  const bool promises = world_.LooksAhead();
  if (promises) KeepApart(world_, draft_);
  WalkApart(world_, draft_);
  basis_ = {draft_.running, draft_.taken, draft_.started};
  Entitle(world_, draft_);
  for (const auto& [type, entitled] : draft_.entitled) {
    for (const quota::Entitlement& account : entitled) {
      demand_[type].push_back(account.demand_milli);
    }
  }
  for (const auto& [key, standing] : standings) {
    const quota::AccountIndex index = world_.tree().IndexOf(key.first);
    const auto found = draft_.entitled.find(key.second);
    if (complete_ || index == quota::kNoAccount || found == draft_.entitled.end()) continue;
    quota::Entitlement& account = found->second.at(static_cast<std::size_t>(index));
    account.demand_milli = standing.demand_milli;
    account.entitled_milli = standing.entitled_milli;
    account.entitled_gpus = standing.entitled_gpus;
    account.idle_milli = standing.idle_milli;
    account.by = standing.entitled_by;
    account.guarantee_milli = standing.guarantee_now_milli;
  }
  if (promises) Keep(world_, draft_);
  WalkInOrder(world_, draft_);
}

// As it waits; of an array that is not in the queue, one element.
Waiting Lookahead::JobOf(const OutlookQuestion& question) const {
  for (const JobRef& ref : {question.job, JobRef{question.job.id, kNoElement}}) {
    const auto found = world_.waiting().find(ref);
    if (found != world_.waiting().end()) return found->second;
  }
  const TimeMs now = draft_.now_ms;
  Waiting job{.ref = question.job.id ? question.job : kNew,
              .user = question.user,
              .spec = question.spec,
              .submitted_ms = question.submitted_ms == 0 ? now : question.submitted_ms,
              .queued_since_ms = question.queued_since_ms == 0 ? now : question.queued_since_ms,
              .elements = {}};
  if (IsArrayRow(job.ref, *job.spec)) job.elements = {0};
  return job;
}

bool Lookahead::StartsByPlan(const Waiting& job, Outlook& outlook) const {
  for (const Start& start : draft_.plan.starts) {
    if (start.row != job.ref) continue;
    outlook.start.start_ms = draft_.now_ms;
    outlook.start.placement = start.placement;
    return true;
  }
  return false;
}

// What the walk does about a job of this pool, reclaim and new promises excepted.
Lookahead::Verdict Lookahead::TryIn(const Waiting& job, const PoolKey& key,
                                    Agendas& agendas) const {
  const Pool* pool = draft_.free.FindPool(key);
  if (pool == nullptr) return {{}, WhyNeverFits(draft_.configured, *job.spec, key)};
  quota::JobCount count = world_.CountOf(job);
  count.apart = !key.shared();
  const quota::AccountIndex project = world_.tree().IndexOf(job.spec->project);
  const auto entitled = draft_.entitled.find(key.gpu_type);
  const bool shared = key.shared() && entitled != draft_.entitled.end();
  const std::vector<quota::Entitlement> none(static_cast<std::size_t>(world_.tree().size()));
  const auto& entitlements = shared ? entitled->second : none;
  const bool may_be_stopped = world_.MayBeStopped(project, count.job_class);
  auto allocated = draft_.running.AllocatedByIndex(world_.tree(), key.gpu_type);
  if (!shared) std::fill(allocated.begin(), allocated.end(), 0);
  if (may_be_stopped) {
    const bool guarantees_stop = shared && !world_.ClassOf(count.job_class).preemptible;
    const std::vector<MilliGpus> guarantees = guarantees_stop
                                                  ? GuaranteesWith(job, count, key.gpu_type)
                                                  : quota::GuaranteesNow(entitlements);
    Reason stop = StopOf(world_, draft_.running, allocated, count, guarantees);
    if (stop.code == ReasonCode::kNone) stop = StopOf(world_, world_.DrawOf(job, draft_.taken));
    if (stop.code != ReasonCode::kNone) return {{}, std::move(stop)};
  }
  const Request request =
      RequestOf(*job.spec, job.queued_since_ms, draft_.now_ms, world_.config().topology_wait_ms);
  const auto agenda = agendas.find(key);
  auto placement =
      agenda == agendas.end()
          ? Place(*pool, request)
          : agenda->second.PlaceNow(request, world_.StayOf(job, draft_.now_ms), job.ref);
  if (!placement && agenda != agendas.end() && Fits(*pool, request)) {
    const Stay stay = world_.StayOf(job, draft_.now_ms);
    auto reserved = agenda->second.ReservedAhead(request, stay);
    if (reserved) return {{}, std::move(*reserved)};
    return {{}, {ReasonCode::kReservationAhead, {}}};
  }
  if (!placement) return {{}, WhyNoRoom(draft_.free, draft_.configured, request, key)};
  std::vector<MilliGpus> demand = allocated;
  for (std::size_t i = 0; i < demand.size(); ++i) {
    const MilliGpus asked = entitlements[i].demand_milli;
    demand[i] = may_be_stopped ? std::min(demand[i], asked) : asked;
  }
  const MilliGpus kept = shared ? KeptAtMost(world_.tree(), key.gpu_type, demand, project) : 0;
  if (kept > 0 && pool->free_gpus * 1000 - count.counted_milli < kept) {
    return {{}, {ReasonCode::kGuaranteeProtected, {}}};
  }
  const auto room = [&]() -> const Pool& {
    return agenda == agendas.end()
               ? *pool
               : agenda->second.RoomNow(world_.StayOf(job, draft_.now_ms), job.ref);
  };
  if (job.spec->spread != Spread::kNone) {
    Replicas replicas(world_, draft_, *pool->layout);
    placement = replicas.Apart(room(), request, job.ref, std::move(*placement));
  }
  return {std::move(placement), {}};
}

Lookahead::Verdict Lookahead::TryNow(const Waiting& job, Agendas& agendas) const {
  if (job.spec->begin_ms > draft_.now_ms) {
    return {{}, {ReasonCode::kBeginTime, {{"at_ms", std::to_string(job.spec->begin_ms)}}}};
  }
  Verdict last;
  for (const PoolKey& key : PoolsFor(world_.apart(), world_.tree(), *job.spec)) {
    if (!ComesToDedicated(key)) continue;
    Verdict verdict = TryIn(job, key, agendas);
    if (verdict.placement) return verdict;
    // Dedicated nodes that could never hold it say nothing about those that could.
    if (last.reason.code == ReasonCode::kNone || !IsNever(verdict.reason)) {
      last = std::move(verdict);
    }
  }
  return last;
}

// Another length has been learned of other shapes: one may stand behind what it stands before now.
// So does what a budget makes a scavenger only as it is, or only as it is changed: the walk leaves
// scavengers and others of a project apart from each other.
bool Lookahead::WalkStillComesTo(const Waiting& job, const Waiting& changed) const {
  const quota::AccountIndex project = world_.tree().IndexOf(changed.spec->project);
  const bool shortest = world_.tree().account(project).settings.rule == ProjectRule::kShortest;
  const bool scavenges = world_.CountOf(changed).scavenger;
  if (!shortest && world_.CountOf(job).scavenger == scavenges) return true;
  return WalkComesToBehindAll(changed);
}

bool Lookahead::WalkComesToBehindAll(const Waiting& job) const {
  const auto walked = waiting_.find(PoolsFor(world_.apart(), world_.tree(), *job.spec).back());
  return walked == waiting_.end() || ComesTo(job, walked->second);
}

bool Lookahead::AddIfNow(Inquiry& inquiry, const Variant& variant) const {
  if (!WalkStillComesTo(inquiry.job, variant.job)) return false;
  Verdict verdict = TryNow(variant.job, inquiry.agendas);
  if (!verdict.placement) return false;
  inquiry.outlook.advice.push_back(
      {variant.change, {.start_ms = draft_.now_ms, .placement = std::move(*verdict.placement)}});
  return true;
}

// As large as starts now: more nodes need more room, so the largest is found by halving.
void Lookahead::AdviseSmaller(Inquiry& inquiry) const {
  const Waiting& job = inquiry.job;
  const Shape& shape = job.spec->shape;
  const bool by_nodes = shape.nodes > 1;
  const auto variant = [&](std::int32_t size) {
    return by_nodes ? OnNodes(job, size) : WithGpus(world_, job, size);
  };
  std::int32_t good = 0;
  std::int32_t bad = by_nodes ? shape.nodes : shape.gpus_per_node;
  if (bad > 1 && !TryNow(variant(1).job, inquiry.agendas).placement) return;
  if (bad > 1) good = 1;
  while (bad - good > 1) {
    const std::int32_t middle = good + (bad - good) / 2;
    (TryNow(variant(middle).job, inquiry.agendas).placement ? good : bad) = middle;
  }
  if (good > 0) AddIfNow(inquiry, variant(good));
}

// As long as ends before a promise begins, or as its budgets hold.
void Lookahead::AdviseShorter(Inquiry& inquiry) const {
  const Waiting& job = inquiry.job;
  const DurationMs asked = job.spec->time_limit_ms;
  std::set<DurationMs> limits;
  const auto add = [&](TimeMs begin_ms) {
    const DurationMs margin = world_.StaysFor(kMinuteMs) - kMinuteMs;
    limits.insert((begin_ms - draft_.now_ms - margin) / kMinuteMs * kMinuteMs);
  };
  for (const auto& [key, agenda] : draft_.agendas) {
    if (key.gpu_type != job.spec->shape.gpu_type) continue;
    for (const auto& [row, promise] : agenda.promises()) add(promise->from_ms);
  }
  for (const auto& [name, reservation] : world_.directory().reservations) {
    const auto next = NextOccurrence(reservation, draft_.now_ms);
    if (next) add(next->begin_ms);
  }
  if (const auto held = LimitHeld(inquiry.outlook.reason)) limits.insert(*held);
  for (auto limit = limits.rbegin(); limit != limits.rend(); ++limit) {
    if (*limit < kMinuteMs || *limit >= asked) continue;
    if (AddIfNow(inquiry, WithLimit(job, *limit))) return;
  }
}

void Lookahead::AdviseNow(Inquiry& inquiry) const {
  if (const auto anywhere = Anywhere(inquiry.job)) AddIfNow(inquiry, *anywhere);
  AdviseSmaller(inquiry);
  AdviseShorter(inquiry);
  std::set<bool> told;  // one class that may be preempted by anybody, one that may not
  for (const Variant& variant : InOtherClasses(world_, inquiry.job)) {
    const bool scavenger = world_.ClassOf(variant.job.spec->job_class).scavenger;
    if (told.contains(scavenger) || (scavenger && !complete_)) continue;
    if (!WalkComesToBehindAll(variant.job)) continue;
    if (AddIfNow(inquiry, variant)) told.insert(scavenger);
  }
}

// What its budgets do not hold waits for other budgets; what they would hold, for room.
void Lookahead::ForeseeShorter(Inquiry& inquiry) const {
  const auto held = LimitHeld(inquiry.outlook.reason);
  if (!held || *held < kMinuteMs || !inquiry.front.known) return;
  const bool told = std::any_of(
      inquiry.outlook.advice.begin(), inquiry.outlook.advice.end(),
      [](const auto& advice) { return advice.change.code == ReasonCode::kShorterLimit; });
  if (told) return;
  const Variant shorter = WithLimit(inquiry.job, *held);
  Forecast forecast(world_, draft_, inquiry.job.spec->shape.gpu_type, inquiry.job.ref);
  const auto answer = forecast.Run(inquiry.front.jobs, {shorter.job});
  if (answer.starts.front() == 0) return;
  inquiry.outlook.advice.push_back(
      {shorter.change, {answer.starts.front(), {}, false, Assumed(inquiry)}});
}

Reason Lookahead::Assumed(const Inquiry& inquiry) {
  const std::size_t ahead = inquiry.front.jobs.size();
  if (!inquiry.front.known) return {ReasonCode::kNotBefore, {{"ahead", std::to_string(ahead)}}};
  if (ahead == 0) return {ReasonCode::kUntilLimits, {}};
  return {ReasonCode::kUntilLimits, {{"ahead", std::to_string(ahead)}}};
}

// What has no room now, and those variants that start clearly sooner.
void Lookahead::Foresee(Inquiry& inquiry) const {
  const Waiting& job = inquiry.job;
  const Shape& shape = job.spec->shape;
  std::vector<OutlookAdvice>& advice = inquiry.outlook.advice;
  std::vector<Waiting> asked{job};
  std::vector<Reason> changes{{}};
  const auto ask = [&](const Variant& variant) {
    const auto same = [&](const auto& told) { return told.change.code == variant.change.code; };
    if (std::any_of(advice.begin(), advice.end(), same)) return;
    asked.push_back(variant.job);
    changes.push_back(variant.change);
  };
  if (const auto anywhere = Anywhere(job)) ask(*anywhere);
  if (shape.nodes > 1) {
    ask(OnNodes(job, shape.nodes / 2));
  } else if (shape.gpus_per_node > 1) {
    ask(WithGpus(world_, job, shape.gpus_per_node / 2));
  }
  Forecast forecast(world_, draft_, shape.gpu_type, job.ref);
  const Forecast::Answer answer = forecast.Run(inquiry.front.jobs, asked);
  StartTime& start = inquiry.outlook.start;
  start.start_ms = answer.starts.front();
  start.earliest = !answer.complete || (start.start_ms != 0 && !inquiry.front.known);
  if (!answer.complete) start.start_ms = answer.until_ms;
  if (start.start_ms != 0) start.assumption = Assumed(inquiry);
  if (start.earliest) start.assumption.code = ReasonCode::kNotBefore;
  UsePromise(job, start);
  if (!inquiry.front.known) return;
  for (std::size_t i = 1; i < asked.size(); ++i) {
    const TimeMs at = answer.starts[i];
    const DurationMs least = std::max(10 * kMinuteMs, (start.start_ms - draft_.now_ms) / 4);
    if (at == 0 || (start.start_ms != 0 && at + least > start.start_ms)) continue;
    advice.push_back({changes[i], {at, {}, false, Assumed(inquiry)}});
  }
}

// What is promised is kept.
void Lookahead::UsePromise(const Waiting& job, StartTime& start) const {
  for (const auto& [key, agenda] : draft_.agendas) {
    const Reservation* own = agenda.Of(job.ref);
    if (own == nullptr || (start.start_ms != 0 && start.start_ms < own->from_ms)) continue;
    const TimeMs from = std::max(own->from_ms, draft_.now_ms);
    Reason assumption{ReasonCode::kReservedAt, {{"at_ms", std::to_string(from)}}};
    // It would be promised this if a later job were about to pass it: it does not have it yet.
    if (!world_.reservations().contains(job.ref)) assumption = {ReasonCode::kUntilLimits, {}};
    start = {
        .start_ms = from, .placement = {}, .earliest = false, .assumption = std::move(assumption)};
  }
}

// What settings bar for good, or for now: an array that runs as many elements as it may.
Reason Lookahead::BarOf(const Waiting& job) const {
  const JobSpec& spec = *job.spec;
  if (StartableCount(job) == 0) return {ReasonCode::kArrayLimit, {}};
  const auto bar = [&](bool apart) {
    return NeverFits(world_.tree(), world_.ClassOf(spec.job_class), spec, world_.CountedOf(spec),
                     world_.directory().classifications, apart)
        .reason;
  };
  Reason reason = bar(false);
  if (reason.code == ReasonCode::kNone || world_.apart().empty()) return reason;
  for (const PoolKey& key : PoolsFor(world_.apart(), world_.tree(), spec)) {
    const bool fits = WhyNeverFits(world_.configured(), spec, key).code == ReasonCode::kNone;
    if (!key.shared() && fits) return bar(true);
  }
  return reason;
}

// In the admin's reservation that it asks for.
bool Lookahead::WaitsForTurn(const Waiting& job, Outlook& outlook) const {
  const DurationMs stays = world_.StaysFor(job.spec->time_limit_ms);
  WindowTurn turn = TurnOf(world_.directory(), *job.spec, job.user, stays, draft_.now_ms);
  if (turn.reason.code == ReasonCode::kNone) return false;
  if (turn.reason.code == ReasonCode::kWaitsForReservation) {
    outlook.start = {.start_ms = turn.again_ms,
                     .placement = {},
                     .earliest = true,
                     .assumption = {ReasonCode::kNotBefore, {}}};
  }
  outlook.reason = std::move(turn.reason);
  return true;
}

Outlook Lookahead::Of(const OutlookQuestion& question) const {
  Inquiry inquiry{.job = JobOf(question), .agendas = draft_.agendas, .front = {}, .outlook = {}};
  Outlook& outlook = inquiry.outlook;
  outlook.as_of_ms = draft_.now_ms;
  if (world_.tree().IndexOf(inquiry.job.spec->project) == quota::kNoAccount) return outlook;
  outlook.reason = BarOf(inquiry.job);
  if (outlook.reason.code != ReasonCode::kNone) return outlook;
  if (StartsByPlan(inquiry.job, outlook) || WaitsForTurn(inquiry.job, outlook)) return outlook;
  inquiry.front = FrontOf(inquiry.job);
  Verdict verdict = TryNow(inquiry.job, inquiry.agendas);
  if (verdict.placement && inquiry.front.looked) {
    outlook.start = {.start_ms = draft_.now_ms, .placement = std::move(*verdict.placement)};
    return outlook;
  }
  const auto standing = StandingOf(inquiry.job.ref);
  outlook.reason = standing != nullptr ? standing->reason : std::move(verdict.reason);
  if (verdict.placement) outlook.reason = {ReasonCode::kNotLookedAt, {}};
  if (IsNever(outlook.reason) || !inquiry.job.spec->reservation.empty()) return outlook;
  if (inquiry.front.looked) AdviseNow(inquiry);
  IsOfBudget(outlook.reason) ? ForeseeShorter(inquiry) : Foresee(inquiry);
  return outlook;
}

std::map<JobRef, TimeMs> Lookahead::Starts() const {
  std::map<JobRef, TimeMs> starts;
  for (const auto& [key, agenda] : draft_.agendas) {
    for (const auto& [row, promise] : agenda.promises()) {
      starts[row] = std::max(promise->from_ms, draft_.now_ms);
    }
  }
  for (const auto& [key, jobs] : waiting_) {
    Forecast forecast(world_, draft_, key.gpu_type, {});
    std::vector<const Waiting*> ahead;
    for (const Waiting* job : jobs) {
      if (!HeldBack(*job)) ahead.push_back(job);
    }
    for (const auto& [ref, at] : forecast.Run(ahead, {}).ahead) starts.try_emplace(ref, at);
  }
  return starts;
}

}  // namespace kezek::engine
