// One walk through the order of a pool. Private to its parts: walk.cc, and make_room.cc for what is
// done about a job that finds no room.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "quota/order.h"
#include "scheduler/engine/agenda.h"
#include "scheduler/engine/kept.h"
#include "scheduler/engine/passes.h"
#include "scheduler/engine/placement.h"
#include "scheduler/engine/victims.h"

namespace kezek::engine {

class PoolWalk {
 public:
  // Says of each job that it comes to and that does not start, in `waits`, why.
  PoolWalk(const World& world, Draft& draft, const PoolKey& key,
           std::map<JobRef, JobStanding>& waits);
  void Run();

 private:
  void Walk();
  void Examine(const quota::Candidate& candidate);
  Reason Stop(const quota::Candidate& candidate, const Waiting& job,
              const quota::JobCount& count) const;
  bool NothingStarts();
  void WaitForAll();
  bool IsBlocked(const quota::Candidate& candidate);
  void PassOver(const quota::Candidate& candidate, Reason reason);
  void Block(const quota::Candidate& candidate, Reason reason, bool counts);
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
  void WaitForRoom(const Blocked& blocked, Reason reason);
  bool MakeRoom(const Blocked& blocked, Reason& reason);
  bool Reclaim(const Blocked& blocked);
  bool PushThrough(const Blocked& blocked);
  bool Waited(const Waiting& job) const;
  bool GivePlaces();
  bool Promise(const Waiting& job, bool inside);
  void Count(quota::AccountIndex project, const quota::JobCount& count);
  void StartOn(const quota::Candidate& candidate, const Waiting& job, Placement placement);
  void Wait(const quota::Candidate& candidate, Reason reason, bool looked);
  void LeaveProject(quota::AccountIndex project, std::optional<bool> scavengers);
  void LeaveAll();
  std::int32_t StartedBefore(const JobRef& row) const;
  void AddOfGuarantees(const quota::Candidate& candidate, Reason& reason) const;
  Reason NoRoom(const Blocked& blocked, const Shaped& shaped, bool promised);
  Reason WhyNoRoomNow(const Blocked& blocked) const;

  const World& world_;
  Draft& draft_;
  const PoolKey key_;
  const std::string& type_;
  const Pool* pool_;  // null: there is no such node
  const quota::WaitingJobs& waiting_;
  std::map<JobRef, JobStanding>& waits_;
  quota::OrderTree order_;
  std::vector<quota::Entitlement> entitled_;  // by index; apart: nothing
  Kept kept_;
  std::vector<MilliGpus> guarantees_;  // by index, those that count now
  std::vector<MilliGpus> allocated_;   // by index, with what the plan has given
  MilliGpus free_milli_ = 0;           // GPUs free, less counted GPUs given
  std::int32_t looked_ = 0;
  std::int64_t rank_ = 0;
  std::size_t asked_after_ = SIZE_MAX;  // so many starts it was asked whether anything fits
  const JobSpec* fitting_ = nullptr;    // what did
  std::map<quota::AccountIndex, std::int32_t> looked_of_;
  std::map<quota::AccountIndex, std::int64_t> place_of_;
  // Shapes that have found no room in this tick: free GPUs only become fewer.
  std::map<Shaped, Reason> no_room_;
  std::set<std::pair<quota::AccountIndex, MilliGpus>> kept_from_;
  Agenda* agenda_ = nullptr;  // null: nothing is promised
  std::optional<Victims> victims_;
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
  // Promises have moved out of the way of a start: who was blocked by them is to be looked at anew.
  bool pushed_ = false;
};

}  // namespace kezek::engine
