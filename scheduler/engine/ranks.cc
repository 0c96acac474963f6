#include "scheduler/engine/ranks.h"

#include <optional>

#include "scheduler/engine/placement.h"

namespace kezek::engine {
namespace {

std::vector<AccountId> IdsOf(const quota::AccountTree& tree) {
  std::vector<AccountId> ids(static_cast<std::size_t>(tree.size()));
  for (const auto& [id, index] : tree.by_id()) ids[static_cast<std::size_t>(index)] = id;
  return ids;
}

}  // namespace

WaitingBlock::Rows ProjectRows::InOrder() const {
  WaitingBlock::Rows rows;
  for (const quota::WaitingJobs::Row& row : order_->InOrder()) {
    rows.push_back({row.ref, row.asks, row.prefers_until_ms, row.counted_milli});
  }
  return rows;
}

RestOfWalk::RestOfWalk(quota::OrderTree order, const quota::AccountTree& tree,
                       WaitingRanks::Ranks ranks, WaitingStandings::OfType told, TimeMs now_ms,
                       std::size_t most)
    : ids_(IdsOf(tree)),
      ranks_(std::move(ranks)),
      told_(std::move(told)),
      now_ms_(now_ms),
      most_(most),
      order_(std::move(order)) {
  order_.Detach([ids = ids_, blocks = told_.blocks](quota::AccountIndex project) {
    const auto* block = blocks.Find(ids[static_cast<std::size_t>(project)]);
    return block == nullptr ? std::make_shared<const quota::OwnOrder>(quota::UsageValue{})
                            : ProjectRows::OrderOf(**block);
  });
}

bool RestOfWalk::IsPassedOver(const quota::Candidate& candidate) const {
  const quota::WaitingJobs::Row& row = *candidate.row;
  const auto* block = told_.blocks.Find(ids_[static_cast<std::size_t>(candidate.project)]);
  if (block != nullptr && (*block)->StopOf(row.ref) != nullptr) return true;
  const auto why = told_.WhyOf(row.asks, now_ms_ < row.prefers_until_ms);
  return why != nullptr && IsNever(*why);
}

WaitingRanks::Ranks RestOfWalk::Ranks() const {
  WaitingRanks::Ranks ranks = ranks_;
  quota::OrderTree order = order_;
  while (ranks.size() < most_) {
    const std::optional<quota::Candidate> candidate = order.Next();
    if (!candidate) break;
    ranks.push_back({candidate->row->ref, std::ssize(ranks) + 1});
    IsPassedOver(*candidate) ? order.PassOver() : order.Take(false);
    order.DropRest();
  }
  return ranks;
}

}  // namespace kezek::engine
