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
  void Append(const std::string& path, const std::string& bytes);
  // As retention does.
  void RemoveFolders();
  Result<OutputPiece> Read(const std::string& path, std::int64_t offset,
                           std::int64_t max_bytes) override;
  Result<std::int64_t> TailOffset(const std::string& path, std::int64_t lines) override;

 private:
  Error NotYet() const;
  std::mutex mutex_;
  std::map<std::string, std::string> files_;
  bool removed_ = false;
};

}  // namespace kezek::rpc
