// A fake of the port to jobs' output.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "kezek/output.h"

namespace kezek::rpc {

// Files in memory, by path.
class FakeOutput final : public OutputReader {
 public:
  void Append(const std::string& path, const std::string& bytes) {
    const std::lock_guard lock(mutex_);
    files_[path] += bytes;
  }
  // As retention does.
  void RemoveFolders() {
    const std::lock_guard lock(mutex_);
    files_.clear();
    removed_ = true;
  }
  Result<OutputPiece> Read(const std::string& path, std::int64_t offset,
                           std::int64_t max_bytes) override {
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
  Result<std::int64_t> TailOffset(const std::string& path, std::int64_t lines) override {
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

 private:
  Error NotYet() const {
    return FieldProblem(Code::kNotFound,
                        {"", removed_ ? "LOG_NO_FOLDER" : "LOG_NOT_YET", "nothing yet", {}});
  }
  std::mutex mutex_;
  std::map<std::string, std::string> files_;
  bool removed_ = false;
};

}  // namespace kezek::rpc
