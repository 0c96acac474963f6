// How the jobs that wait stand after a tick: their places, and why they do not start.
//
// Simple model: a map from each row of the queue to its standing. Departure: the rows of a project
// lie in a block that ticks share for as long as nothing about their order changes, and that is put
// in order when somebody first asks; of what keeps them from starting, rows that ask for the same
// of nodes share one reason; what a reason says besides about the row, or its project, is added
// when it is asked for; and so are ranks worked out.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kezek/ids.h"
#include "kezek/job.h"
#include "kezek/made_once.h"
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
  std::int64_t asks = 0;        // the same of rows that ask for the same of nodes
  TimeMs prefers_until_ms = 0;  // until then what it prefers is asked for, too; 0: nothing is
  MilliGpus counted_milli = 0;  // of one of its jobs
};

// The rows of a project and GPU type, in their order. Immutable; may be read by many threads.
class WaitingBlock {
 public:
  using Rows = std::vector<WaitingRow>;
  // What stops rows other than lack of room; sorted by row.
  using Stops = std::vector<std::pair<JobRef, std::shared_ptr<const Reason>>>;

  // What it is made from, by whatever thread.
  class Source {
   public:
    virtual ~Source() = default;
    virtual std::size_t size() const = 0;
    virtual bool Has(const JobRef& ref) const = 0;  // looks at all
    virtual Rows InOrder() const = 0;
  };
  // Those of `left_out`, which is sorted, are not of the block.
  WaitingBlock(std::unique_ptr<const Source> source, std::vector<JobRef> left_out, Stops stops)
      : source_(std::move(source)),
        left_out_(std::move(left_out)),
        stops_(std::move(stops)),
        ordered_([this] { return Order(source_->InOrder()); }) {}

  std::size_t size() const { return source_->size() - left_out_.size(); }
  const Source& source() const { return *source_; }
  const Stops& stops() const { return stops_; }
  bool LeavesOut(const JobRef& ref) const {
    return std::binary_search(left_out_.begin(), left_out_.end(), ref);
  }
  // Puts nothing in order.
  bool Has(const JobRef& ref) const { return !LeavesOut(ref) && source_->Has(ref); }
  // Null: nothing but lack of room does.
  const Reason* StopOf(const JobRef& ref) const {
    const auto found = std::lower_bound(stops_.begin(), stops_.end(), ref,
                                        [](const auto& s, const JobRef& r) { return s.first < r; });
    return found == stops_.end() || found->first != ref ? nullptr : found->second.get();
  }
  const Rows& rows() const { return ordered_.Get().rows; }
  // Of it; none: it is not here.
  std::optional<std::size_t> PlaceOf(const JobRef& ref) const {
    const auto& [rows, by_ref] = ordered_.Get();
    const auto found =
        std::lower_bound(by_ref.begin(), by_ref.end(), ref,
                         [&](std::uint32_t at, const JobRef& r) { return rows[at].ref < r; });
    if (found == by_ref.end() || rows[*found].ref != ref) return std::nullopt;
    return *found;
  }

 private:
  struct Ordered {
    Rows rows;
    std::vector<std::uint32_t> by_ref;
  };
  Ordered Order(Rows rows) const {
    std::erase_if(rows, [this](const WaitingRow& row) { return LeavesOut(row.ref); });
    std::vector<std::uint32_t> by_ref(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) by_ref[i] = static_cast<std::uint32_t>(i);
    std::sort(by_ref.begin(), by_ref.end(),
              [&](std::uint32_t a, std::uint32_t b) { return rows[a].ref < rows[b].ref; });
    return {std::move(rows), std::move(by_ref)};
  }

  std::unique_ptr<const Source> source_;
  std::vector<JobRef> left_out_;
  Stops stops_;
  MadeOnce<Ordered> ordered_;
};

// Who has which rank, by row. Worked out when it is first asked for, by whatever thread.
class WaitingRanks {
 public:
  using Ranks = std::vector<std::pair<JobRef, std::int64_t>>;
  WaitingRanks() = default;
  // In any order; `make` always says the same.
  explicit WaitingRanks(std::function<Ranks()> make)
      : made_(std::make_shared<const MadeOnce<Ranks>>([make = std::move(make)] {
          Ranks ranks = make();
          std::sort(ranks.begin(), ranks.end());
          return ranks;
        })) {}
  const Ranks& Get() const {
    static const Ranks kNone;
    return made_ == nullptr ? kNone : made_->Get();
  }

 private:
  std::shared_ptr<const MadeOnce<Ranks>> made_;
};

class WaitingStandings {
 public:
  // By project; none is empty.
  using Blocks = SnapshotMap<AccountId, std::shared_ptr<const WaitingBlock>>;
  // What a reason says besides of the project.
  struct ProjectShare {
    AccountId project;
    MilliGpus share_milli = 0;           // more than this is wider than what it is entitled to
    MilliGpus guarantee_now_milli = -1;  // while guarantees are scaled; else less than 0
  };
  // Why what asks for this has no room.
  struct Why {
    std::int64_t asks = 0;
    bool preference = false;  // with what it prefers
    std::shared_ptr<const Reason> reason;
  };
  // `whys` by `asks`, then `preference`. Null: none of them is of it.
  static std::shared_ptr<const Reason> WhyIn(const std::vector<Why>& whys, std::int64_t asks,
                                             bool preference) {
    const auto found = std::lower_bound(
        whys.begin(), whys.end(), std::pair(asks, preference),
        [](const Why& why, const auto& key) { return std::pair(why.asks, why.preference) < key; });
    const bool known =
        found != whys.end() && found->asks == asks && found->preference == preference;
    return known ? found->reason : nullptr;
  }
  // Of one GPU type.
  struct OfType {
    Blocks::Snapshot blocks;
    std::size_t rows = 0;              // in all of them
    std::vector<ProjectShare> shares;  // by project
    // Sorted: those that were looked at, by project; none: all were.
    using Looked = std::map<AccountId, std::vector<JobRef>>;
    std::optional<Looked> looked;
    std::vector<Why> whys;  // by `asks`, then `preference`
    WaitingRanks ranks;

    // Null: it is not said.
    std::shared_ptr<const Reason> WhyOf(std::int64_t asks, bool preference) const {
      return WhyIn(whys, asks, preference);
    }
  };

  WaitingStandings() = default;
  // Rows that are in no block.
  explicit WaitingStandings(std::map<JobRef, JobStanding> others) {
    for (auto& [row, standing] : others) told_[row] = {std::move(standing), false, true};
    alone_ = told_.size();
  }

  void Add(const std::string& gpu_type, OfType of_type) {
    in_blocks_ += of_type.rows;
    types_[gpu_type] = std::move(of_type);
  }
  // Rows that settings bar, and why: they are in no order.
  using Barred = SnapshotMap<JobRef, Reason>::Snapshot;
  void Bar(Barred barred) { barred_ = std::move(barred); }
  void At(TimeMs now_ms) { now_ms_ = now_ms; }

  // `spec`: of the row. None: it does not wait.
  std::optional<JobStanding> Find(const JobRef& row, const JobSpec& spec) const {
    const auto told = told_.find(row);
    if (told == told_.end()) return FindUntold(row, spec);
    if (!told->second.in_order) return told->second.standing;
    return InOrder(told->second, FindUntold(row, spec));
  }
  // The code of its reason, of a row that waits; kNone: it does not. Puts no block in order, so it
  // is told what the block would say of the row.
  ReasonCode CodeOf(const WaitingRow& row, const JobSpec& spec) const {
    const auto told = told_.find(row.ref);
    if (told != told_.end()) return told->second.standing.reason.code;
    if (gone_.contains(row.ref)) return ReasonCode::kNone;
    if (const Reason* bar = barred_.Find(row.ref)) return bar->code;
    const auto [type, block] = BlockOf(spec);
    if (block == nullptr || block->LeavesOut(row.ref)) return ReasonCode::kNone;
    return ReasonOf(*type, spec.project, *block, row).code;
  }
  std::size_t size() const { return in_blocks_ + barred_.size() - gone_from_blocks_ + alone_; }
  bool empty() const { return size() == 0; }
  // All of them, worked out. Takes as long as there are rows.
  std::map<JobRef, JobStanding> All() const {
    std::map<JobRef, JobStanding> all;
    for (const auto& [row, told] : told_) {
      if (!told.in_order) all.emplace(row, told.standing);
    }
    barred_.ForEach([&](const JobRef& row, const Reason& reason) {
      if (!gone_.contains(row)) all.try_emplace(row, JobStanding{.reason = reason});
    });
    for (const auto& [name, type] : types_) {
      type.blocks.ForEach([&, &of = type](AccountId project, const auto& block) {
        for (std::size_t i = 0; i < block->rows().size(); ++i) {
          const JobRef& row = block->rows()[i].ref;
          if (!gone_.contains(row)) all.try_emplace(row, Standing(of, project, *block, i));
        }
      });
    }
    for (const auto& [row, told] : told_) {
      if (!told.in_order) continue;
      const auto found = all.find(row);
      all[row] = InOrder(told, found == all.end() ? std::nullopt : std::optional(found->second));
    }
    return all;
  }
  // Those with a rank, by GPU type, in their order; and those in no block that have one.
  std::vector<JobRef> Ranked() const {
    std::vector<std::pair<std::int64_t, JobRef>> ranked;
    for (const auto& [name, type] : types_) {
      for (const auto& [row, rank] : type.ranks.Get()) {
        if (!gone_.contains(row)) ranked.push_back({rank, row});
      }
    }
    for (const auto& [row, told] : told_) {
      if (told.IsElsewhere() && told.standing.rank > 0) ranked.push_back({told.standing.rank, row});
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
      type.blocks.ForEach(
          [&](AccountId, const auto& block) { first.push_back(block->rows().front().ref); });
    }
    for (const auto& [row, told] : told_) {
      if (told.IsElsewhere() && told.standing.place_in_project == 1) first.push_back(row);
    }
    return first;
  }
  std::vector<JobRef> FirstOfTypes() const {
    std::vector<JobRef> first;
    for (const auto& [name, type] : types_) {
      for (const auto& [row, rank] : type.ranks.Get()) {
        if (rank == 1) first.push_back(row);
      }
    }
    for (const auto& [row, told] : told_) {
      if (told.IsElsewhere() && told.standing.rank == 1) first.push_back(row);
    }
    return first;
  }
  // visit(row, reason): what is stopped by other than lack of room or settings, and what was told.
  template <class Visit>
  void ForEachOwn(Visit visit) const {
    for (const auto& [row, told] : told_) visit(row, told.standing.reason);
    for (const auto& [name, type] : types_) {
      type.blocks.ForEach([&](AccountId, const auto& block) {
        for (const auto& [row, stop] : block->stops()) {
          if (!told_.contains(row) && !gone_.contains(row)) visit(row, *stop);
        }
      });
    }
  }

  // From now on this is its reason, wherever it stands.
  void Tell(const JobRef& row, const JobSpec& spec, Reason reason) {
    const auto [told, is_new] = told_.try_emplace(row, Told{{}, true, false});
    if (is_new) Settle(told->second, row, spec);
    told->second.standing.reason = std::move(reason);
    SayPlace(told->second.standing);
  }
  // How it stands, wherever.
  void Set(const JobRef& row, const JobSpec& spec, JobStanding standing) {
    const auto [told, is_new] = told_.try_emplace(row);
    if (is_new) Settle(told->second, row, spec);
    told->second.standing = std::move(standing);
    told->second.in_order = false;
  }
  bool IsSet(const JobRef& row) const { return told_.contains(row); }
  void Erase(const JobRef& row, const JobSpec& spec) {
    const auto told = told_.find(row);
    Told was;
    if (told == told_.end()) {
      Settle(was, row, spec);
    } else {
      was = told->second;
      told_.erase(told);
    }
    if (was.alone) {
      --alone_;
    } else if (gone_.insert(row).second) {
      ++gone_from_blocks_;
    }
  }
  // What was told of it stays its reason where its block says that it stands, if it is in one.
  void StandsInOrder(const JobRef& row, const JobSpec& spec) {
    const auto told = told_.find(row);
    if (told == told_.end()) return;
    if (told->second.alone) --alone_;
    Settle(told->second, row, spec);
    told->second.in_order = true;
  }
  // All of them wait for this, except those of which the reason is one of `excepted`.
  template <class Excepted>
  void TellAll(const Reason& reason, Excepted excepted) {
    for (auto& [row, told] : told_) {
      if (!excepted(told.standing.reason.code)) told.standing.reason = reason;
    }
    instead_ = std::make_shared<const Reason>(reason);
  }

 private:
  struct Told {
    JobStanding standing;
    bool in_order = false;  // it has the place that its block gives it, if it is in one
    bool alone = false;     // it is in no block, and nothing bars it
    bool IsElsewhere() const { return !in_order || alone; }
  };

  void Settle(Told& told, const JobRef& row, const JobSpec& spec) {
    const WaitingBlock* block = BlockOf(spec).second;
    const bool in_block = block != nullptr && block->Has(row);
    told.alone = gone_.contains(row) || (!in_block && barred_.Find(row) == nullptr);
    if (told.alone) ++alone_;
  }
  std::pair<const OfType*, const WaitingBlock*> BlockOf(const JobSpec& spec) const {
    const auto type = types_.find(spec.shape.gpu_type);
    if (type == types_.end()) return {nullptr, nullptr};
    const auto* block = type->second.blocks.Find(spec.project);
    return {&type->second, block == nullptr ? nullptr : block->get()};
  }
  std::optional<JobStanding> FindUntold(const JobRef& row, const JobSpec& spec) const {
    if (gone_.contains(row)) return std::nullopt;
    if (const Reason* bar = barred_.Find(row)) return JobStanding{.reason = *bar};
    const auto [type, block] = BlockOf(spec);
    const auto place = block == nullptr ? std::nullopt : block->PlaceOf(row);
    if (!place) return std::nullopt;
    return Standing(*type, spec.project, *block, *place);
  }
  static JobStanding InOrder(const Told& told, std::optional<JobStanding> in_block) {
    if (!in_block) return told.standing;
    in_block->reason = told.standing.reason;
    SayPlace(*in_block);
    return *std::move(in_block);
  }
  static bool WasLookedAt(const OfType& type, AccountId project, const JobRef& row) {
    if (!type.looked) return true;
    const auto rows = type.looked->find(project);
    return rows != type.looked->end() &&
           std::binary_search(rows->second.begin(), rows->second.end(), row);
  }
  Reason ReasonOf(const OfType& type, AccountId project, const WaitingBlock& block,
                  const WaitingRow& row) const {
    if (instead_ != nullptr) return *instead_;
    if (!WasLookedAt(type, project, row.ref)) return {ReasonCode::kNotLookedAt, {}};
    if (const Reason* stop = block.StopOf(row.ref)) return *stop;
    const auto why = type.WhyOf(row.asks, now_ms_ < row.prefers_until_ms);
    if (why == nullptr) return {ReasonCode::kNotLookedAt, {}};
    Reason reason = *why;
    if (reason.code == ReasonCode::kWaitsForTopology) {
      reason.fields["until_ms"] = std::to_string(row.prefers_until_ms);
    }
    if (reason.code == ReasonCode::kWaitsForGpus) AddOfProject(type, project, row, reason);
    return reason;
  }
  static void AddOfProject(const OfType& type, AccountId project, const WaitingRow& row,
                           Reason& reason) {
    const auto of = std::lower_bound(
        type.shares.begin(), type.shares.end(), project,
        [](const ProjectShare& share, AccountId id) { return share.project < id; });
    if (of == type.shares.end() || of->project != project) return;
    if (of->guarantee_now_milli >= 0) {
      reason.fields["guarantee_now"] = GpusText(of->guarantee_now_milli);
    }
    if (row.counted_milli > of->share_milli) {
      reason.fields["wider_than_share"] = GpusText(of->share_milli);
    }
  }
  static void SayPlace(JobStanding& standing) {
    if (standing.reason.code != ReasonCode::kNotLookedAt) return;
    standing.reason.fields["place"] = std::to_string(standing.place_in_project);
  }
  JobStanding Standing(const OfType& type, AccountId project, const WaitingBlock& block,
                       std::size_t place) const {
    JobStanding standing;
    standing.reason = ReasonOf(type, project, block, block.rows()[place]);
    standing.place_in_project = static_cast<std::int64_t>(place) + 1;
    SayPlace(standing);
    const JobRef& row = block.rows()[place].ref;
    const WaitingRanks::Ranks& ranks = type.ranks.Get();
    const auto rank =
        std::lower_bound(ranks.begin(), ranks.end(), row,
                         [](const auto& item, const JobRef& ref) { return item.first < ref; });
    if (rank != ranks.end() && rank->first == row) standing.rank = rank->second;
    return standing;
  }

  TimeMs now_ms_ = 0;
  std::map<std::string, OfType> types_;
  std::size_t in_blocks_ = 0;
  Barred barred_;
  std::map<JobRef, Told> told_;  // of rows in no block, and of others what was told since
  std::set<JobRef> gone_;        // of the rows in blocks: no more
  std::size_t gone_from_blocks_ = 0;
  std::size_t alone_ = 0;  // of those told
  std::shared_ptr<const Reason> instead_;
};

}  // namespace kezek
