#include "scheduler/engine/engine.h"

#include <algorithm>
#include <set>
#include <utility>

#include "scheduler/engine/machine.h"
#include "scheduler/engine/passes.h"
#include "scheduler/engine/placement.h"
#include "scheduler/engine/pools.h"
#include "scheduler/engine/recount.h"
#include "scheduler/engine/reserve.h"
#include "scheduler/engine/windows.h"
#include "scheduler/engine/world.h"

namespace kezek::engine {
namespace {

// What jobs ask for that nothing but a lack of GPUs stops, counted anew from single rows of one of
// `parts` of the projects, beside the figure that is kept.
std::vector<std::string> DemandDifferences(const World& world, std::int32_t part,
                                           std::int32_t parts) {
  const quota::AccountTree& tree = world.tree();
  std::vector<std::string> found;
  const auto asked_by = [&](const Waiting& job, quota::AccountIndex project) -> MilliGpus {
    const quota::JobCount count = world.CountOf(job);
    const JobSpec& spec = *job.spec;
    const PoolKey shared{spec.shape.gpu_type, {}, {}};
    if (world.IsBarred(job.ref) || count.scavenger || world.MayBeStopped(project, spec.job_class) ||
        PoolsFor(world.apart(), tree, spec).back() != shared ||
        WhyNeverFits(world.configured(), spec, shared).code != ReasonCode::kNone) {
      return 0;
    }
    return count.counted_milli * (StartableCount(job) + job.more);
  };
  for (const auto& [type, projects] : world.queued()) {
    for (auto i = static_cast<quota::AccountIndex>(part); i < tree.size(); i += parts) {
      if (!projects.contains(tree.id(i))) continue;
      MilliGpus counted = 0;
      for (const auto& [queued_ms, row] : world.rows_of(tree.id(i))) {
        const Waiting& job = world.waiting().at(row);
        if (job.spec->shape.gpu_type == type) counted += asked_by(job, i);
      }
      const auto known = world.demand().plain().find({tree.id(i), type});
      const MilliGpus kept = known == world.demand().plain().end() ? 0 : known->second;
      if (counted == kept) continue;
      found.push_back("the totals have " + std::to_string(kept) + " milli-GPUs asked for by '" +
                      tree.path(i) + "', counted are " + std::to_string(counted));
    }
  }
  return found;
}

// Nodes of which it is kept that others hold them, or that more is promised, than placements say.
std::vector<std::string> SeatDifferences(const World& world, std::int32_t part,
                                         std::int32_t parts) {
  std::vector<std::string> found;
  if (!world.KeepsSeats()) return found;
  const Machine machine = world.MachineAt(world.now_ms());
  std::int32_t at = 0;
  for (const auto& [name, node] : world.nodes()) {
    const Layout::At* place = machine.Find(name);
    if (at++ % parts != part || place == nullptr) continue;
    const Cells& cells = world.seats().cells(place->pool);
    const Cell& cell = cells.at(cells.Of(place->spot));
    std::set<AttemptRef> held;
    for (const Cell::Held& one : cell.held) held.insert(one.attempt->attempt);
    const auto grants = [&name = name](const Placement& placement) {
      return std::count_if(placement.begin(), placement.end(),
                           [&](const NodeGrant& grant) { return grant.node == name; });
    };
    std::int64_t promised = 0;
    for (const auto& [row, promise] : world.reservations()) promised += grants(promise.placement);
    if (held == world.on(name) && promised == std::ssize(cell.reserved)) continue;
    found.push_back("what is held or promised of " + name + " is not what is kept of it");
  }
  return found;
}

}  // namespace

Engine::Engine(EngineConfig config, std::shared_ptr<const Directory> directory)
    : world_(std::make_unique<World>(std::move(config), std::move(directory))) {}
Engine::~Engine() = default;
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;

void Engine::SetDirectory(std::shared_ptr<const Directory> directory) {
  world_->SetDirectory(std::move(directory));
}
void Engine::SetNode(const Node& node) { world_->SetNode(node); }
void Engine::SetWaiting(const Waiting& job) { world_->SetWaiting(job); }
void Engine::RemoveWaiting(const JobRef& job) { world_->RemoveWaiting(job); }
void Engine::SetHolding(const Holding& attempt) { world_->SetHolding(attempt); }
void Engine::RemoveHolding(const AttemptRef& attempt) { world_->RemoveHolding(attempt); }
void Engine::SetReservation(const Reservation& reservation) { world_->SetReservation(reservation); }
void Engine::RemoveReservation(const JobRef& row) { world_->RemoveReservation(row); }
void Engine::Book(const UsageBooking& booking) {
  const std::pair<TimeMs, MilliGpuMs> one{booking.date_ms, booking.amount};
  world_->Book(booking, {&one, 1});
}
void Engine::Book(const UsageBooking& whose, std::span<const std::pair<TimeMs, MilliGpuMs>> dated) {
  world_->Book(whose, dated);
}
void Engine::Ended(const EndedRun& run) { world_->Ended(run); }

void Engine::SetBudget(const BudgetRef& ref, const BudgetBalance& balance) {
  world_->mutable_budgets().Restore(ref, balance);
}
void Engine::BookBudget(const LedgerEntry& entry) { world_->mutable_budgets().Book(entry); }
void Engine::WarnedOf(const BudgetWarning& warning) { world_->mutable_budgets().Warned(warning); }
const quota::Budgets& Engine::budgets() const { return world_->budgets(); }

Plan Engine::Decide(TimeMs now) const {
  world_->Refresh(now);
  return DecideAll(*world_, now);
}

std::optional<Reservation> Engine::DelayedBy(const AttemptRef& attempt, DurationMs limit_ms,
                                             TimeMs now) const {
  if (world_->reservations().empty()) return std::nullopt;
  world_->Refresh(now);
  return engine::DelayedBy(*world_, attempt, limit_ms, now);
}

Engine::WindowEffect Engine::EffectOf(const AdminReservation& reservation, TimeMs now) const {
  world_->Refresh(now);
  return engine::EffectOf(*world_, reservation, now);
}

std::vector<std::string> Engine::NodesFor(const AdminReservation& reservation, TimeMs now) const {
  world_->Refresh(now);
  return engine::NodesFor(*world_, reservation, now);
}

std::vector<std::string> Engine::Audit(std::int32_t part, std::int32_t parts) const {
  const World& world = *world_;
  const Recount recount(world);
  auto found = recount.Differences(world.used(), world.running(), part, parts);
  const TimeMs now = world.now_ms();
  for (std::string& text : recount.FreeDifferences(world.MachineAt(now), now, part, parts)) {
    found.push_back(std::move(text));
  }
  for (std::string& text : DemandDifferences(world, part, parts)) found.push_back(std::move(text));
  for (std::string& text : SeatDifferences(world, part, parts)) found.push_back(std::move(text));
  return found;
}

const std::map<AttemptRef, Holding>& Engine::holdings() const { return world_->holdings(); }

const std::map<JobRef, Reservation>& Engine::reservations() const { return world_->reservations(); }

bool Engine::IsApart(const Holding& attempt) const {
  return kezek::IsApart(attempt.placement, world_->owners());
}

std::size_t Engine::waiting() const { return world_->waiting().size(); }

std::int64_t Engine::keyed() const { return world_->keyed(); }

std::int64_t Engine::places_kept() const { return world_->blocks().held(); }

Facts Engine::CopyFacts() const {
  Facts facts = CopyFacts(std::vector<JobRef>{});
  facts.waiting = world_->waiting();
  facts.left_out = 0;
  return facts;
}

Facts Engine::CopyFacts(const std::vector<JobRef>& rows) const {
  Facts facts{.config = world_->config(),
              .nodes = world_->nodes(),
              .waiting = {},
              .holdings = world_->holdings(),
              .reservations = world_->reservations(),
              .usage = world_->usage(),
              .budgets = world_->budgets(),
              .lengths = world_->lengths(),
              .clocks = world_->clocks()};
  facts.config.phase_ended = nullptr;
  const auto add = [&](const JobRef& row) {
    const auto found = world_->waiting().find(row);
    if (found != world_->waiting().end()) facts.waiting.insert(*found);
  };
  for (const JobRef& row : rows) add(row);
  for (const auto& [row, reservation] : facts.reservations) add(row);
  facts.left_out = world_->waiting().size() - facts.waiting.size();
  return facts;
}

const std::map<std::string, quota::UsageBook>& Engine::usage() const { return world_->usage(); }

std::map<std::string, std::int32_t> Engine::FreeGpus() const {
  const World& world = *world_;
  const Machine machine = world.MachineAt(world.now_ms());
  std::map<std::string, std::int32_t> free;
  for (const auto& [name, node] : world.nodes()) free[name] = machine.FreeOf(name)->gpus;
  return free;
}

}  // namespace kezek::engine
