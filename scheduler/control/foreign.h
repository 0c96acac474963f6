// Telling runs of the cluster that are Kezek's from those that are not.
#pragma once

#include <string>
#include <vector>

#include "kezek/cluster_books.h"
#include "scheduler/control/tag.h"

namespace kezek::control {

// Those of `runs` that are nobody's here: the run of none of the attempts known under their ids,
// and without a valid tag of this installation's. (Of a lost copy of the database some run that no
// attempt is known of: they are not others', and charged to nobody.) Those that have not run are
// left out. Pure.
std::vector<BookedRun> ForeignRuns(std::vector<BookedRun> runs,
                                   const std::vector<ChargedAttempt>& known, const KeyedHash& hash,
                                   const std::string& installation);

}  // namespace kezek::control
