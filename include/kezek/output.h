// Ports to the output of jobs, on the file system the cluster shares.
#pragma once

#include <cstdint>
#include <string>

#include "kezek/ids.h"
#include "kezek/job.h"
#include "kezek/result.h"

namespace kezek {

// A piece of an output file.
struct OutputPiece {
  std::string bytes;
  std::int64_t offset = 0;     // of the first byte
  std::int64_t file_size = 0;  // when it was read
};

// Port. Folders of attempts. Blocking; thread-safe.
class OutputFolders {
 public:
  virtual ~OutputFolders() = default;
  // Makes the attempt's folder, which the Unix account may write and Kezek may read. Made already
  // is no error. NOT_FOUND: no such Unix account; INTERNAL: the file system refuses.
  virtual Result<void> Prepare(const AttemptRef& attempt, const std::string& unix_account) = 0;
};

// Port. Reads what jobs have written. Blocking: call it on the read pool; thread-safe. Files below
// Kezek's own folder are opened relative to it, without following links.
class OutputReader {
 public:
  virtual ~OutputReader() = default;
  // At most `max_bytes` from `offset` on; an empty piece at the end of the file. NOT_FOUND
  // LOG_NOT_YET: no such file yet; NOT_FOUND LOG_NO_FOLDER: nor the folder it would be in;
  // FAILED_PRECONDITION LOG_ELSEWHERE: it lies where Kezek cannot
  // read for its owner (field "path").
  virtual Result<OutputPiece> Read(const std::string& path, std::int64_t offset,
                                   std::int64_t max_bytes) = 0;
  // Offset at which the last `lines` lines begin. Errors as Read.
  virtual Result<std::int64_t> TailOffset(const std::string& path, std::int64_t lines) = 0;
};

}  // namespace kezek
