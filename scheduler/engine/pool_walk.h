// One walk through the order of a pool. Private to its parts: walk.cc; make_room.cc for what is
// done about a job that finds no room; nothing_starts.cc for where it may end; walk_rest.cc for how
// those stand that do not start.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "kezek/waiting_standings.h"
#include "quota/order.h"
#include "scheduler/engine/agenda.h"
#include "scheduler/engine/kept.h"
#include "scheduler/engine/passes.h"
#include "scheduler/engine/placement.h"
#include "scheduler/engine/spread.h"
#include "scheduler/engine/victims.h"

namespace kezek::engine {

class PoolWalk {
 public:
  PoolWalk(const World& world, Draft& draft, const PoolKey& key);
  // Says of each job that is in its order and does not start how it stands: of the shared nodes in
  // the plan, else in what it returns.
  std::map<JobRef, JobStanding> Run();

 private:
  enum class End : std::uint8_t {
    kAllSeen,
    kNothingStarts,  // of what was not come to
    kLeft,           // what is, is not to be looked at
  };
  End Walk();
  void Examine(const quota::Candidate& candidate);
  bool IsKnownToWait(const quota::Candidate& candidate);
  bool MayBeMadeRoom(const quota::Candidate& candidate, const Waiting& row);
  void ForgetNoRoom() {
    no_room_.clear();
    no_room_for_.clear();
    left_of_.clear();
  }
  Reason Stop(const quota::Candidate& candidate, const Waiting& job,
              const quota::JobCount& count) const;
  bool NothingStarts();
  bool RanksCanWait() const;
  bool NothingFits();
  bool MayStart(bool scavengers);
  bool MayStart(const JobSpec& spec, const World::Alike& alike, bool scavengers);
  bool MayLeaveUnseen() const;
  bool MayStartBesidePromises(const Request& request, const World::Alike& alike);
  bool MayStartOn(const Pool& room, const Waiting& row) const;
  bool IsInsideSomewhere(quota::AccountIndex project, MilliGpus counted_milli) const;
  bool IsInsideEverywhere(quota::AccountIndex project) const;
  bool MayReclaim();
  // Why a job does not start.
  struct Held {
    std::shared_ptr<const Reason> reason;
    // Whether all that ask for the same of nodes have it; else what stops it other than lack of
    // room, or what is so in this tick only.
    enum class Whose : std::uint8_t { kShapes, kStops, kTicks } whose = Whose::kShapes;
  };
  static Held StopsBy(Reason reason) {
    return {std::make_shared<const Reason>(std::move(reason)), Held::Whose::kStops};
  }
  static Held InThisTick(Reason reason) {
    return {std::make_shared<const Reason>(std::move(reason)), Held::Whose::kTicks};
  }
  void PassOver(const quota::Candidate& candidate, Held held);
  void Block(const quota::Candidate& candidate, Held held, bool counts);
  // A job that finds no room.
  struct Blocked {
    const quota::Candidate& candidate;
    const Waiting& job;
    const quota::JobCount& count;
    const Request& request;
    bool counts = true;  // the first of its shape
  };
  // What has the same room.
  using Shaped = std::pair<Request, Agenda::Crossed>;
  void WaitForRoom(const Blocked& blocked, Held held);
  bool MakeRoom(const Blocked& blocked, Held& held);
  bool Reclaim(const Blocked& blocked);
  bool PushThrough(const Blocked& blocked);
  bool Waited(const Waiting& job) const;
  bool IsWide(const JobSpec& spec) const;
  bool GivePlaces();
  bool MayPromise(bool inside) const;
  bool Promise(const Waiting& job, bool inside);
  void Count(quota::AccountIndex project, const quota::JobCount& count);
  void StartOn(const quota::Candidate& candidate, const Waiting& job, Placement placement);
  void Wait(const quota::Candidate& candidate, Held held, bool looked = true);
  void WaitApart(const quota::Candidate& candidate, const Held& held, bool looked);
  void LeaveProject(quota::AccountIndex project, bool scavengers);
  void Leave(const quota::Candidate& candidate);
  void LeaveAllApart();
  std::int32_t StartedBefore(const JobRef& row) const;
  void AddOfRow(const quota::Candidate& candidate, Reason& reason) const;
  std::shared_ptr<const Reason> NoRoomFor(const Request& request) const;
  Held NoRoom(const Blocked& blocked, const Shaped& shaped, bool promised);
  Held OfDedicated(const quota::Candidate& candidate, Held held) const;
  Reason WhyNoRoomNow(const Request& request, const JobRef& row,
                      const std::optional<Stay>& stay) const;
  // Whether how long a job stays has to do with it.
  static bool IsOfStay(ReasonCode code) {
    return code == ReasonCode::kReservationAhead || code == ReasonCode::kReservedByAdmin ||
           code == ReasonCode::kWaitsForReservation;
  }
  // --- walk_rest.cc ---
  void TellOfAll(End end);
  WaitingRanks RanksOf(End end, const WaitingStandings::OfType& told);
  void FindDisturbed();
  void TellOfDedicated(const WaitingStandings::OfType& told);
  void FindWhys(End end, WaitingStandings::OfType& told) const;
  void FindShares(WaitingStandings::OfType& told) const;
  void FindLooked(WaitingStandings::OfType& told) const;
  void FindStarting();
  void TakeBlocks(WaitingStandings::OfType& told);
  bool Holds(AccountId id, const KeptBlocks::Measured& measured);
  void MakeBlock(AccountId id, KeptBlocks::OfType& kept);
  // What stops jobs of a project, by user, class, size, and whether as scavengers.
  using Alikes = std::map<std::tuple<UserId, const std::string*, MilliGpus, bool>,
                          std::shared_ptr<const Reason>>;
  WaitingBlock::Stops StopsOfRows(const quota::OwnOrder& own, quota::AccountIndex index,
                                  const std::vector<JobRef>& starting);
  std::shared_ptr<const Reason> StopOfRow(const quota::OrderJob& job, quota::AccountIndex project,
                                          Alikes& alikes);
  // `before`: as it was when the walk began; else as it is now.
  KeptBlocks::Stops StopsOf(quota::AccountIndex project, bool by_class, bool before) const;

  const World& world_;
  Draft& draft_;
  const PoolKey key_;
  const std::string& type_;
  const Pool* pool_;  // null: there is no such node
  const quota::WaitingJobs& waiting_;
  std::map<JobRef, JobStanding> waits_;       // where the nodes are not shared
  std::vector<quota::Entitlement> entitled_;  // by index; apart: nothing
  Kept kept_;
  std::vector<MilliGpus> guarantees_;  // by index, those that count now
  std::vector<MilliGpus> allocated_;   // by index, with what the plan has given
  quota::OrderTree order_;
  MilliGpus free_milli_ = 0;  // GPUs free, less counted GPUs given
  std::int32_t looked_ = 0;
  std::int64_t rank_ = 0;
  std::size_t asked_after_ = SIZE_MAX;  // so many starts it was asked whether anything fits
  bool asked_with_enough_ = false;      // when no more were to be given places
  // Where ranks can wait: what may fit of what is asked for, from here on; and how many were looked
  // at since it was asked whether the rest may be left unseen.
  static constexpr std::int32_t kSeenBetween = 100;
  std::optional<World::Asked::const_iterator> fits_from_;
  std::int32_t seen_since_asked_ = 0;
  bool skipped_ = false;              // all but scavengers
  const JobSpec* fitting_ = nullptr;  // what did
  const World::Alike* fitting_alike_ = nullptr;
  std::map<quota::AccountIndex, std::int32_t> looked_of_;
  std::map<quota::AccountIndex, std::int64_t> place_of_;  // where the nodes are not shared
  // Where they are: what was looked at, of each project; of it what is stopped, and what is said of
  // some in this tick only; who has a rank; projects of which something starts; what accounts were
  // given.
  std::vector<std::vector<JobRef>> seen_;  // by index
  std::map<JobRef, std::shared_ptr<const Reason>> stopped_;
  std::map<JobRef, std::shared_ptr<const Reason>> told_;
  std::set<JobRef> claimed_;  // waits for what this walk reclaims
  std::set<AccountId> disturbed_;
  std::map<AccountId, std::vector<JobRef>> starting_;  // sorted; found when the walk has ended
  WaitingRanks::Ranks ranks_;
  std::vector<MilliGpus> given_;  // by index
  // Shapes that have found no room in this tick: free GPUs only become fewer.
  std::map<Shaped, std::shared_ptr<const Reason>> no_room_;
  // The same by what rows ask for, and whether with what they prefer: costs less to look for.
  using AsksFor = std::tuple<std::int64_t, bool, Agenda::Crossed>;
  std::map<AsksFor, std::shared_ptr<const Reason>> no_room_for_;
  // Of what asks for the same, by its id: the rows before this one do not start any more.
  std::map<std::int64_t, decltype(World::Alike::by_limit)::const_iterator> left_of_;
  std::set<std::pair<quota::AccountIndex, MilliGpus>> kept_from_;
  Agenda* agenda_ = nullptr;  // null: nothing is promised
  std::optional<Victims> victims_;
  std::optional<Replicas> replicas_;  // none: there is no such node
  // For which no victims, and no room through others' promises, were found: what is left gets less.
  using Asked = std::tuple<quota::AccountIndex, std::string, Request>;
  static Asked AskedBy(const Blocked& blocked);
  std::set<Asked> no_victims_;
  std::set<Asked> fragmented_;  // of these: inside a guarantee, and no reclaim will ever make room
  std::set<Asked> no_way_through_;
  std::set<Request> never_free_;  // found no time
  // Blocked, and promised nothing as long as nobody starts past them; in order.
  struct Passed {
    const Waiting* job = nullptr;
    bool inside = false;
  };
  std::vector<Passed> passed_;
  std::int32_t passed_inside_ = 0;  // of them
  std::int32_t passed_outside_ = 0;
  // Promises have moved out of the way of a start: who was blocked by them is to be looked at anew.
  bool pushed_ = false;
};

}  // namespace kezek::engine
