// Checks of the database: whether it loses nothing that it has confirmed, and whether kezekd's role
// may do what it must, and no more.
#pragma once

#include <string>
#include <vector>

#include "kezek/site_check.h"
#include "kezek/time.h"

namespace kezek::postgres {

// On connections of their own, which they make with a time-out; a statement may take no longer,
// either. Nothing is written. `connections` is how many kezekd holds. The clock outlives them.
std::vector<SiteCheck> DatabaseChecks(const std::string& conninfo, int connections, Clock& clock);

}  // namespace kezek::postgres
