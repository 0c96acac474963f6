// Blocks of waiting rows that hold from tick to tick while nothing about their order changes.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kezek/ids.h"
#include "kezek/time.h"
#include "kezek/waiting_standings.h"

namespace kezek::engine {

class KeptBlocks {
 public:
  // Figures that what stops some of the rows is measured by: of limits, guarantees and budgets on
  // the project's path.
  using Stops = std::vector<std::int64_t>;
  struct Known {
    std::shared_ptr<const WaitingBlock> block;  // null: none is
    Stops stops;
    TimeMs made_ms = 0;
    bool by_class = false;  // what stops some of its rows may be their class
  };

  // A row of the project came or went, or its users' usage changed.
  void Touch(AccountId project) {
    for (auto& [type, known] : known_) known.erase(project);
  }
  void TouchAll() { known_.clear(); }

  // It held for another tick.
  void Held() { ++held_; }
  std::int64_t held() const { return held_; }

  // Null: none is known.
  const Known* Of(const std::string& gpu_type, AccountId project) const {
    const auto of_type = known_.find(gpu_type);
    if (of_type == known_.end()) return nullptr;
    const auto found = of_type->second.find(project);
    return found == of_type->second.end() ? nullptr : &found->second;
  }
  void Keep(const std::string& gpu_type, AccountId project, Known known) {
    known_[gpu_type][project] = std::move(known);
  }

 private:
  std::map<std::string, std::map<AccountId, Known>> known_;
  std::int64_t held_ = 0;
};

}  // namespace kezek::engine
