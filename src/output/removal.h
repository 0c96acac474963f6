// Removing a folder with all that is in it, a piece at a time. Nothing is followed: a link is
// removed itself, and a folder is entered only where it is one, on the file system it began on.
#pragma once

#include <cstdint>
#include <string>

#include "kezek/result.h"

namespace kezek::output {

struct Removed {
  std::int64_t entries = 0;  // files, links and folders that are gone
  std::int64_t bytes = 0;    // of the files among them
  bool done = false;         // the folder itself is gone; false: there was too much for one call
};

// Removes the folder `name` below `above`, which must be the calling user's own; at most `most`
// entries and the folders that are empty then. First nobody else is let into it any more. What
// cannot be removed (a folder of another user that lets nobody in, or one nested deeper than 64)
// stays, and the first such is the error, FAILED_PRECONDITION, when all else is gone. NOT_FOUND: no
// such folder, or no plain one.
Result<Removed> RemoveFolder(int above, const std::string& name, std::int64_t most);

}  // namespace kezek::output
