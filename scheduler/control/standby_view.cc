#include "scheduler/control/standby_view.h"

#include "scheduler/control/controller.h"

namespace kezek::control {

// A controller makes it, and is thrown away with everything it would have done.
View StandbyView(const ControlConfig& config, const Snapshot& snapshot,
                 const std::string& leader_address, TimeMs now) {
  Controller controller(config, snapshot, now);
  static_cast<void>(controller.Step(now));
  View view = *controller.view();
  view.leads = false;
  view.leader_address = leader_address;
  view.waiting.reset();
  view.stopped = {};
  view.standings.clear();
  view.settings_version = 0;
  view.user_usage.reset();
  view.waiting_for_budget.clear();
  return view;
}

}  // namespace kezek::control
