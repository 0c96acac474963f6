// What a tick leaves to whoever asks first: the places of a project's rows, and who has which rank.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "kezek/ids.h"
#include "kezek/time.h"
#include "kezek/waiting_standings.h"
#include "quota/order.h"
#include "quota/own_order.h"

namespace kezek::engine {

// The rows of a project in its own order.
class ProjectRows final : public WaitingBlock::Source {
 public:
  explicit ProjectRows(std::shared_ptr<const quota::OwnOrder> order) : order_(std::move(order)) {}
  std::size_t size() const override { return order_->size(); }
  bool Has(const JobRef& ref) const override { return order_->Has(ref); }
  WaitingBlock::Rows InOrder() const override;
  // Of a block that is made of such rows.
  static std::shared_ptr<const quota::OwnOrder> OrderOf(const WaitingBlock& block) {
    return static_cast<const ProjectRows&>(block.source()).order_;
  }

 private:
  const std::shared_ptr<const quota::OwnOrder> order_;
};

// The rest of a walk in which nothing starts any more: each row that it comes to has the next rank,
// and counts as blocked, or as passed over, as it would have in the walk. Immutable.
class RestOfWalk {
 public:
  // `order`: where the walk left it. `ranks`: those told by then. `told`: its blocks, and why what
  // is asked for has no room.
  RestOfWalk(quota::OrderTree order, const quota::AccountTree& tree, WaitingRanks::Ranks ranks,
             WaitingStandings::OfType told, TimeMs now_ms, std::size_t most);
  // The first `most`.
  WaitingRanks::Ranks Ranks() const;

 private:
  bool IsPassedOver(const quota::Candidate& candidate) const;

  std::vector<AccountId> ids_;  // by index
  WaitingRanks::Ranks ranks_;
  WaitingStandings::OfType told_;
  TimeMs now_ms_ = 0;
  std::size_t most_ = 0;
  quota::OrderTree order_;
};

}  // namespace kezek::engine
