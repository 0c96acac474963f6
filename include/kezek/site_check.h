// Checks of the site: what of it Kezek stands on is as it should be, and how to mend what is not.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace kezek {

struct View;

enum class CheckState : std::uint8_t {
  kOk,
  kWarning,      // works, but
  kProblem,      // must be mended
  kNotLookedAt,  // could not be looked at from here, or not in time
};

// What a check has found, a line. Texts never hold a secret.
struct Finding {
  CheckState state = CheckState::kOk;
  std::string found;  // in words
  std::string mend;   // what to do about it, commands one a line; may be empty
  bool operator==(const Finding&) const = default;
};

// Changes nothing, and may hang: it is called on a thread of its own and given up after a while, so
// it holds by itself whatever it needs. `view` is null where there is no leader or standby to ask.
// One finding at least; several where there are several things to mend.
struct SiteCheck {
  std::string name;  // stable code: what it looks at, then what of it: "slurm-version"
  std::function<std::vector<Finding>(const std::shared_ptr<const View>& view)> look;
};

}  // namespace kezek
