// How the jobs that wait stand after a tick: their places, and why they do not start.
//
// Simple model: a map from each row of the queue to its standing. Departure: the rows of a project
// lie in a block that ticks share for as long as nothing about their order changes; of what keeps
// them from starting, rows that ask for the same of nodes share one reason; and what a reason says
// besides about the row, or its project, is added when it is asked for.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kezek/ids.h"
#include "kezek/job.h"
#include "kezek/reason.h"
#include "kezek/resources.h"
#include "kezek/snapshot_map.h"
#include "kezek/time.h"

namespace kezek {

struct JobStanding {
  Reason reason;
  std::int64_t rank = 0;              // over all, of its GPU type; 0: beyond the exact ones
  std::int64_t place_in_project = 0;  // 1 is next
};

// A row of the queue where it stands in its project.
struct WaitingRow {
  JobRef ref;
  std::int64_t asks = 0;              // the same of rows that ask for the same of nodes
  TimeMs prefers_until_ms = 0;        // until then what it prefers is asked for, too; 0: nothing is
  MilliGpus counted_milli = 0;        // of one of its jobs
  std::shared_ptr<const Reason> own;  // what stops it other than lack of room; null: nothing does
};

// The rows of a project and GPU type, in their order. Immutable.
class WaitingBlock {
 public:
  explicit WaitingBlock(std::vector<WaitingRow> rows) : rows_(std::move(rows)) {
    by_ref_.resize(rows_.size());
    for (std::size_t i = 0; i < rows_.size(); ++i) by_ref_[i] = static_cast<std::uint32_t>(i);
    std::sort(by_ref_.begin(), by_ref_.end(),
              [this](std::uint32_t a, std::uint32_t b) { return rows_[a].ref < rows_[b].ref; });
  }
  const std::vector<WaitingRow>& rows() const { return rows_; }
  // Of it; none: it is not here.
  std::optional<std::size_t> PlaceOf(const JobRef& ref) const {
    const auto found =
        std::lower_bound(by_ref_.begin(), by_ref_.end(), ref,
                         [this](std::uint32_t at, const JobRef& r) { return rows_[at].ref < r; });
    if (found == by_ref_.end() || rows_[*found].ref != ref) return std::nullopt;
    return *found;
  }

 private:
  std::vector<WaitingRow> rows_;
  std::vector<std::uint32_t> by_ref_;
};

class WaitingStandings {
 public:
  // A project's part of it.
  struct Part {
    AccountId project;
    std::shared_ptr<const WaitingBlock> block;
    // Sorted: those that were looked at; null: all were.
    std::shared_ptr<const std::vector<JobRef>> looked;
    MilliGpus share_milli = 0;  // more than this is wider than what it is entitled to
    std::string share;          // the same, for people
    std::string guarantee_now;  // while guarantees are scaled; else empty
  };
  // Why what asks for this has no room.
  struct Why {
    std::int64_t asks = 0;
    bool preference = false;  // with what it prefers
    std::shared_ptr<const Reason> reason;
  };
  // Of one GPU type.
  struct OfType {
    std::vector<Part> parts;                             // by project
    std::vector<Why> whys;                               // by `asks`, then `preference`
    std::vector<std::pair<JobRef, std::int64_t>> ranks;  // by row

    // Null: it is not said.
    std::shared_ptr<const Reason> WhyOf(std::int64_t asks, bool preference) const {
      const auto found = std::lower_bound(whys.begin(), whys.end(), std::pair(asks, preference),
                                          [](const Why& why, const auto& key) {
                                            return std::pair(why.asks, why.preference) < key;
                                          });
      const bool known =
          found != whys.end() && found->asks == asks && found->preference == preference;
      return known ? found->reason : nullptr;
    }
  };

  WaitingStandings() = default;
  // Rows that are in no block.
  explicit WaitingStandings(std::map<JobRef, JobStanding> others) : others_(std::move(others)) {}

  void Add(const std::string& gpu_type, OfType of_type) {
    for (const Part& part : of_type.parts) in_blocks_ += part.block->rows().size();
    types_[gpu_type] = std::move(of_type);
  }
  // Rows that settings bar, and why: they are in no order.
  using Barred = SnapshotMap<JobRef, Reason>::Snapshot;
  void Bar(Barred barred) { barred_ = std::move(barred); }
  void At(TimeMs now_ms) { now_ms_ = now_ms; }

  // `spec`: of the row. None: it does not wait.
  std::optional<JobStanding> Find(const JobRef& row, const JobSpec& spec) const {
    const auto other = others_.find(row);
    if (other != others_.end()) return other->second;
    if (gone_.contains(row)) return std::nullopt;
    if (const Reason* bar = barred_.Find(row)) return JobStanding{.reason = *bar};
    const auto type = types_.find(spec.shape.gpu_type);
    if (type == types_.end()) return std::nullopt;
    const Part* part = PartOf(type->second, spec.project);
    const auto place = part == nullptr ? std::nullopt : part->block->PlaceOf(row);
    if (!place) return std::nullopt;
    return Standing(type->second, *part, *place);
  }
  std::size_t size() const { return in_blocks_ + barred_.size() - gone_.size() + others_.size(); }
  bool empty() const { return size() == 0; }
  // All of them, worked out. Takes as long as there are rows.
  std::map<JobRef, JobStanding> All() const {
    std::map<JobRef, JobStanding> all = others_;
    barred_.ForEach([&](const JobRef& row, const Reason& reason) {
      if (!gone_.contains(row)) all.try_emplace(row, JobStanding{.reason = reason});
    });
    for (const auto& [name, type] : types_) {
      for (const Part& part : type.parts) {
        for (std::size_t i = 0; i < part.block->rows().size(); ++i) {
          const JobRef& row = part.block->rows()[i].ref;
          if (!gone_.contains(row)) all.try_emplace(row, Standing(type, part, i));
        }
      }
    }
    return all;
  }
  // Those with a rank, by GPU type, in their order; and those in no block that have one.
  std::vector<JobRef> Ranked() const {
    std::vector<std::pair<std::int64_t, JobRef>> ranked;
    for (const auto& [name, type] : types_) {
      for (const auto& [row, rank] : type.ranks) {
        if (!gone_.contains(row)) ranked.push_back({rank, row});
      }
    }
    for (const auto& [row, standing] : others_) {
      if (standing.rank > 0) ranked.push_back({standing.rank, row});
    }
    std::sort(ranked.begin(), ranked.end());
    std::vector<JobRef> rows;
    for (const auto& [rank, row] : ranked) rows.push_back(row);
    return rows;
  }
  // Who has the first place in a project; the first rank of a GPU type.
  std::vector<JobRef> FirstOfProjects() const {
    std::vector<JobRef> first;
    for (const auto& [name, type] : types_) {
      for (const Part& part : type.parts) first.push_back(part.block->rows().front().ref);
    }
    for (const auto& [row, standing] : others_) {
      if (standing.place_in_project == 1 && !gone_.contains(row)) first.push_back(row);
    }
    return first;
  }
  std::vector<JobRef> FirstOfTypes() const {
    std::vector<JobRef> first;
    for (const auto& [name, type] : types_) {
      for (const auto& [row, rank] : type.ranks) {
        if (rank == 1) first.push_back(row);
      }
    }
    for (const auto& [row, standing] : others_) {
      if (standing.rank == 1 && !gone_.contains(row)) first.push_back(row);
    }
    return first;
  }
  // visit(row, reason): what is stopped by other than lack of room or settings, and what was told.
  template <class Visit>
  void ForEachOwn(Visit visit) const {
    for (const auto& [row, standing] : others_) visit(row, standing.reason);
    for (const auto& [name, type] : types_) {
      for (const Part& part : type.parts) {
        for (const WaitingRow& row : part.block->rows()) {
          if (row.own != nullptr && !others_.contains(row.ref) && !gone_.contains(row.ref)) {
            visit(row.ref, *row.own);
          }
        }
      }
    }
  }

  // From now on this is its reason, wherever it stands.
  void Tell(const JobRef& row, const JobSpec& spec, Reason reason) {
    JobStanding standing = Find(row, spec).value_or(JobStanding{});
    standing.reason = std::move(reason);
    SayPlace(standing);
    Set(row, spec, std::move(standing));
  }
  // How it stands, wherever.
  void Set(const JobRef& row, const JobSpec& spec, JobStanding standing) {
    others_.erase(row);
    if (Find(row, spec)) gone_.insert(row);
    others_[row] = std::move(standing);
  }
  void Erase(const JobRef& row, const JobSpec& spec) {
    others_.erase(row);
    if (Find(row, spec)) gone_.insert(row);
  }
  // What was told of it stays its reason where its block says that it stands, if it is in one.
  void StandsInOrder(const JobRef& row, const JobSpec& spec) {
    auto other = others_.extract(row);
    if (other.empty()) return;
    if (Find(row, spec)) {
      Tell(row, spec, std::move(other.mapped().reason));
    } else {
      others_.insert(std::move(other));
    }
  }
  // All of them wait for this, except those of which the reason is one of `excepted`.
  template <class Excepted>
  void TellAll(const Reason& reason, Excepted excepted) {
    for (auto& [row, standing] : others_) {
      if (!excepted(standing.reason.code)) standing.reason = reason;
    }
    instead_ = std::make_shared<const Reason>(reason);
  }

 private:
  static const Part* PartOf(const OfType& type, AccountId project) {
    const auto found =
        std::lower_bound(type.parts.begin(), type.parts.end(), project,
                         [](const Part& part, AccountId id) { return part.project < id; });
    return found == type.parts.end() || found->project != project ? nullptr : &*found;
  }
  static bool WasLookedAt(const Part& part, const JobRef& row) {
    return part.looked == nullptr ||
           std::binary_search(part.looked->begin(), part.looked->end(), row);
  }
  Reason ReasonOf(const OfType& type, const Part& part, const WaitingRow& row) const {
    if (instead_ != nullptr) return *instead_;
    if (!WasLookedAt(part, row.ref)) return {ReasonCode::kNotLookedAt, {}};
    if (row.own != nullptr) return *row.own;
    const auto why = type.WhyOf(row.asks, now_ms_ < row.prefers_until_ms);
    if (why == nullptr) return {ReasonCode::kNotLookedAt, {}};
    Reason reason = *why;
    if (reason.code == ReasonCode::kWaitsForTopology) {
      reason.fields["until_ms"] = std::to_string(row.prefers_until_ms);
    }
    if (reason.code != ReasonCode::kWaitsForGpus) return reason;
    if (!part.guarantee_now.empty()) reason.fields["guarantee_now"] = part.guarantee_now;
    if (row.counted_milli > part.share_milli) reason.fields["wider_than_share"] = part.share;
    return reason;
  }
  static void SayPlace(JobStanding& standing) {
    if (standing.reason.code != ReasonCode::kNotLookedAt) return;
    standing.reason.fields["place"] = std::to_string(standing.place_in_project);
  }
  JobStanding Standing(const OfType& type, const Part& part, std::size_t place) const {
    JobStanding standing;
    standing.reason = ReasonOf(type, part, part.block->rows()[place]);
    standing.place_in_project = static_cast<std::int64_t>(place) + 1;
    SayPlace(standing);
    const JobRef& row = part.block->rows()[place].ref;
    const auto rank =
        std::lower_bound(type.ranks.begin(), type.ranks.end(), row,
                         [](const auto& item, const JobRef& ref) { return item.first < ref; });
    if (rank != type.ranks.end() && rank->first == row) standing.rank = rank->second;
    return standing;
  }

  TimeMs now_ms_ = 0;
  std::map<std::string, OfType> types_;
  std::size_t in_blocks_ = 0;
  Barred barred_;
  std::map<JobRef, JobStanding> others_;  // and of rows in blocks what was told since
  std::set<JobRef> gone_;                 // of the rows in blocks: no more, or told of
  std::shared_ptr<const Reason> instead_;
};

}  // namespace kezek
