// POSIX ACLs of the folders of attempts, through libacl.
#pragma once

#include <sys/types.h>

#include "kezek/result.h"

namespace kezek::output {

// The owner may do all, `user` may only pass through; nobody else anything.
Result<void> LetPass(int folder, uid_t user);

// The owner and `user` may do all, nobody else anything. What is made in the folder later, by
// either, both may read and write.
Result<void> LetWrite(int folder, uid_t user);

}  // namespace kezek::output
