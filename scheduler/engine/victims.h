// Whom a job that is blocked may end to have room, and which of them it ends.
//
// For a job and a victim let L be their lowest common ancestor. The job is inside the guarantee of
// L's child on its own side, and no account's guarantee on the victim's side below L covers the
// victim; or the victim is a scavenger; or both are of one project, the job of a class that
// preempts lower ones (ClassRules) and the victim of such a one. Victims may be preempted and are
// past min_run (scavengers need not be). A guarantee covers, of what the account runs, oldest start
// first, each attempt that still fits in what is left of it.
//
// In each domain that can hold the job (node, leaf, block, ..., machine) victims are taken in the
// order of their cost until it fits, then those that are not needed are dropped, the dearest first;
// the domain wins that loses the least GPU-time, and of its victims those are dropped, too, that a
// wider one does not need. No victim is taken that could then itself reclaim.
//
// All of it is about shared nodes: what is dedicated, or a lane, nobody has a right to.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "kezek/time.h"
#include "quota/limits.h"
#include "scheduler/engine/agenda.h"
#include "scheduler/engine/engine.h"
#include "scheduler/engine/passes.h"
#include "scheduler/engine/placement.h"
#include "scheduler/engine/world.h"

namespace kezek::engine {

// Of one shared pool, for one tick.
class Victims {
 public:
  // What the plan has given is in `draft.running`; both and the agenda outlive this.
  Victims(const World& world, const Draft& draft, std::string gpu_type, Agenda& agenda);

  struct Choice {
    Placement placement;
    std::vector<AttemptRef> attempts;  // in the order of their cost; never none
    TimeMs gone_by_ms = 0;             // the last of them, with its grace
  };
  // None: there are none that may be ended and make room. The job has no room now.
  std::optional<Choice> For(const Waiting& job, const quota::JobCount& count,
                            const Request& request);
  // Of a job that has found none: whether what is ending, or victims once they are past min_run,
  // will make it room.
  bool WillFit(const Waiting& job, const quota::JobCount& count, const Request& request) const;
  // The plan ends these.
  void Take(const Choice& choice);
  // Whether more than those inside a guarantee may: scavengers run, or who waits preempts lower
  // classes.
  bool AnybodyMayAsk();
  // For how many jobs victims have been looked for.
  std::int32_t asks() const { return asks_; }

 private:
  struct Candidate {
    const Holding* attempt = nullptr;
    quota::AccountIndex project = quota::kNoAccount;
    // The nearest account above it, its project included, whose guarantee covers it.
    quota::AccountIndex covered_by = quota::kNoAccount;
    bool scavenger = false;
    bool may_end = false;       // by its class, and its time; of scavengers always
    bool may_end_soon = false;  // once it has run for long enough
    MilliGpuMs lost = 0;
  };
  struct Victim {
    const Candidate* candidate = nullptr;
    MilliGpus over_milli = 0;        // of its side of L, above its guarantee
    const Seating* seats = nullptr;  // on the pool
    // Cheapest first.
    auto Cost() const {
      return std::tuple(!candidate->scavenger, -over_milli, candidate->lost,
                        candidate->attempt->attempt);
    }
  };
  using Chosen = std::vector<Victim>;
  // What is asked, and what is given as gone and allocated besides what is.
  struct Ask {
    JobRef row;
    quota::JobCount count;
    Request request;
    DurationMs limit_ms = 0;
    bool soon = false;                                   // victims need not be past min_run
    std::set<AttemptRef> but;                            // not these
    std::set<AttemptRef> gone;                           // these have been ended for others
    std::map<quota::AccountIndex, MilliGpus> allocated;  // more, or less
  };
  // Places of victims in the order of their cost, by the spots that they are on.
  using OnSpot = std::map<std::size_t, std::vector<std::size_t>>;

  void FindCandidates();
  void AddCandidate(const World::Run& run, quota::AccountIndex project);
  void FindCover();
  bool Inside(const Ask& ask, quota::AccountIndex account) const;
  MilliGpus AllocatedOf(const Ask& ask, quota::AccountIndex account) const;
  MilliGpus GuaranteeOf(quota::AccountIndex account) const;
  bool MayAsk(const Ask& ask) const;
  bool MayTake(const Ask& ask, const Candidate& candidate) const;
  MilliGpus OverOf(const Ask& ask, const Candidate& candidate) const;
  Chosen AllFor(const Ask& ask) const;
  bool HasRoomOn(const Ask& ask, std::size_t spot, const std::set<AttemptRef>& gone) const;
  bool HasRoomWithout(const Ask& ask) const;
  std::optional<Chosen> In(const Ask& ask, std::size_t begin, std::size_t end, const Chosen& all,
                           const OnSpot& on) const;
  std::optional<std::pair<Chosen, Placement>> Best(const Ask& ask) const;
  std::optional<std::pair<Chosen, Placement>> BestOf(const Ask& ask, const Chosen& all) const;
  bool LeavesWhatIsKept(const Ask& ask, const Chosen& chosen) const;
  // One that could itself reclaim at once: it has no room, and others that it may end make it some.
  std::optional<AttemptRef> ReclaimsBack(const Ask& ask, const Chosen& chosen,
                                         const Placement& placement);
  const Pool& PoolIn(const Machine& machine) const { return *machine.FindPool({type_, {}, {}}); }
  Stay StayOf(const Ask& ask) const {
    const TimeMs end =
        draft_.now_ms + longest_grace_ms_ + world_.Occupies(ask.limit_ms) + world_.config().late_ms;
    return {end, end};
  }

  const World& world_;
  const Draft& draft_;
  const std::string type_;
  Agenda& agenda_;
  const Pool& pool_;
  bool known_ = false;  // what follows is made
  std::vector<Candidate> candidates_;
  bool any_scavengers_ = false;
  DurationMs longest_grace_ms_ = 0;
  std::set<AttemptRef> ending_;  // already, or by the plan
  std::int32_t asks_ = 0;
};

}  // namespace kezek::engine
