#include "tests/unit/rpc/fake_output.h"

namespace kezek::rpc {

void FakeOutput::Append(const std::string& path, const std::string& bytes) {
  const std::lock_guard lock(mutex_);
  files_[path] += bytes;
}

void FakeOutput::RemoveFolders() {
  const std::lock_guard lock(mutex_);
  files_.clear();
  removed_ = true;
}

Result<OutputPiece> FakeOutput::Read(const std::string& path, std::int64_t offset,
                                     std::int64_t max_bytes) {
  const std::lock_guard lock(mutex_);
  const auto found = files_.find(path);
  if (found == files_.end()) return NotYet();
  const std::string& file = found->second;
  OutputPiece piece{.offset = offset, .file_size = static_cast<std::int64_t>(file.size())};
  if (offset < piece.file_size) {
    piece.bytes =
        file.substr(static_cast<std::size_t>(offset), static_cast<std::size_t>(max_bytes));
  }
  return piece;
}

Result<std::int64_t> FakeOutput::TailOffset(const std::string& path, std::int64_t lines) {
  const std::lock_guard lock(mutex_);
  const auto found = files_.find(path);
  if (found == files_.end()) return NotYet();
  const std::string& file = found->second;
  std::size_t at = file.size();
  for (; at > 0; --at) {
    if (file[at - 1] == '\n' && at != file.size() && --lines == 0) break;
  }
  return static_cast<std::int64_t>(at);
}

Error FakeOutput::NotYet() const {
  return FieldProblem(Code::kNotFound,
                      {"", removed_ ? "LOG_NO_FOLDER" : "LOG_NOT_YET", "nothing yet", {}});
}

}  // namespace kezek::rpc
