// What a look ahead is made from.
#include <memory>
#include <utility>

#include "scheduler/control/core.h"
#include "scheduler/engine/lookahead.h"

namespace kezek::control {

// Copying is all that is done here: the caller does the rest while this thread goes on.
Result<CommandOutcome> ExecuteLookAhead(const Core& core, const LookAhead& look) {
  if (core.view == nullptr || core.view->tick == 0) {
    return Error{Code::kUnavailable, "nothing has been planned yet; try again", {}};
  }
  const auto facts = std::make_shared<engine::Facts>(core.engine.CopyFacts(look.rows));
  CommandOutcome outcome;
  outcome.foresight = [facts, directory = core.state.directory(), view = core.view,
                       now = core.now] {
    return std::make_shared<const engine::Lookahead>(std::move(*facts), directory, view->standings,
                                                     now);
  };
  return outcome;
}

}  // namespace kezek::control
