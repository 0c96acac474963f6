// A project's own order: all that waits in it, whatever guarantees let some of it come sooner.
//
// Simple model: class by class, scavengers last. With rule fair the user who has used least is
// next, with the first of its jobs there, and what that is expected to charge counts for the user
// from then on, until the scavengers are come to, for which it does not. With any other rule all
// jobs of a class stand by their places.
//
// Taken from a project it shares what is kept there, so taking one costs the project's users, not
// its jobs; the jobs are put in order when that is asked for, by any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "quota/usage.h"
#include "quota/waiting_jobs.h"

namespace kezek::quota {

class OwnOrder {
 public:
  // `unit`: what a milli-GPU-millisecond booked now adds to a usage.
  explicit OwnOrder(const UsageValue& unit) : unit_(unit) {}

  // A user, by what it has used. Only with rule fair.
  std::size_t AddUser(const UsageValue& usage);
  // Groups of one class in a row, scavengers' last. `user`: of those added; kAll: of no matter
  // whom.
  static constexpr std::size_t kAll = SIZE_MAX;
  void AddGroup(const WaitingJobs::GroupKey& key, std::size_t user,
                std::shared_ptr<const WaitingJobs::Rows> rows);

  std::size_t size() const { return size_; }
  struct Group {
    bool scavenger = false;
    std::int32_t class_rank = 0;
    std::size_t user = kAll;
    std::shared_ptr<const WaitingJobs::Rows> rows;  // never empty
  };
  // As they were added.
  const std::vector<Group>& groups() const { return groups_; }
  const std::vector<UsageValue>& usage() const { return usage_; }  // by user
  // The jobs; an array is there once.
  std::vector<WaitingJobs::Row> InOrder() const;
  // Whether it is among them; looks at all.
  bool Has(const JobRef& job) const;

 private:
  using At = std::vector<Group>::const_iterator;
  static void ByPlace(At begin, At end, std::vector<WaitingJobs::Row>& order);
  void Fairly(At begin, At end, std::vector<UsageValue>& usage,
              std::vector<WaitingJobs::Row>& order) const;

  UsageValue unit_;
  std::vector<UsageValue> usage_;  // by user
  std::vector<Group> groups_;
  std::size_t size_ = 0;
};

}  // namespace kezek::quota
