// Blocks of waiting rows that hold from tick to tick while nothing about their order changes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
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
  // Of a project where rows may be stopped by more than lack of room.
  struct Measured {
    Stops stops;
    bool by_class = false;  // what stops some of its rows may be their class
  };
  // Of a GPU type.
  struct OfType {
    bool known = false;           // else all are to be made
    TimeMs made_ms = 0;           // the oldest of them
    std::int64_t period = 0;      // of usage: what users have used is as of it
    std::size_t rows = 0;         // in all of them
    std::set<AccountId> touched;  // those that do not hold any more
    std::map<AccountId, Measured> measured;
    WaitingStandings::Blocks blocks;

    void Set(AccountId project, std::shared_ptr<const WaitingBlock> block) {
      Erase(project);
      if (block->size() == 0) return;
      rows += block->size();
      blocks.Set(project, std::move(block));
    }
    void Erase(AccountId project) {
      const auto* block = blocks.Find(project);
      if (block == nullptr) return;
      rows -= (*block)->size();
      blocks.Erase(project);
    }
  };

  // Why what is asked for had no room, while nothing else was free than as of a version.
  struct Whys {
    std::int64_t free_version = -1;
    std::vector<WaitingStandings::Why> whys;  // by `asks`, then `preference`
    // Null: it is not known.
    std::shared_ptr<const Reason> Of(std::int64_t asks, bool preference) const {
      return WaitingStandings::WhyIn(whys, asks, preference);
    }
  };
  Whys& WhysOf(const std::string& gpu_type) { return whys_[gpu_type]; }

  // A row of the project came or went, or its users' usage changed.
  void Touch(AccountId project) {
    for (auto& [type, kept] : types_) kept.touched.insert(project);
  }
  void TouchAll() { types_.clear(); }
  OfType& Of(const std::string& gpu_type) { return types_[gpu_type]; }

  // So many held for another tick.
  void Held(std::size_t blocks) { held_ += static_cast<std::int64_t>(blocks); }
  std::int64_t held() const { return held_; }

 private:
  std::map<std::string, OfType> types_;
  std::map<std::string, Whys> whys_;
  std::int64_t held_ = 0;
};

}  // namespace kezek::engine
