// Telling runs of the cluster that are Kezek's from those that are not.
#pragma once

#include <string>
#include <vector>

#include "kezek/cluster_books.h"
#include "scheduler/control/tag.h"

namespace kezek::control {

// Those of `runs` that are nobody's here and that have run: not the run of one of the attempts
// `known` under their ids, and without a tag that makes them Kezek's. A tag can be copied, with the
// name that belongs to it, by the job's own user: it counts if the attempt has no other id. One
// that is not among the `named` was planned by a copy of the database that is lost; its runs are
// not others', and charged to nobody. Pure.
std::vector<BookedRun> ForeignRuns(std::vector<BookedRun> runs,
                                   const std::vector<ChargedAttempt>& known,
                                   const std::vector<ChargedAttempt>& named, const KeyedHash& hash,
                                   const std::string& installation);

// The attempts to be looked up for that: whose names runs of other ids bear, with the valid tag.
std::vector<AttemptRef> NamedByTags(const std::vector<BookedRun>& runs,
                                    const std::vector<ChargedAttempt>& known, const KeyedHash& hash,
                                    const std::string& installation);

}  // namespace kezek::control
