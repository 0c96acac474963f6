// What a daemon that does not lead reads of the database, again and again.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "kezek/result.h"
#include "kezek/store.h"

namespace kezek::postgres {

struct StandbySight {
  Snapshot snapshot;           // without usage; `epoch` is the leader's
  std::string leader_address;  // as the last leader told it; may be empty
};

// One thread at a time. Reads only.
class StandbyReader {
 public:
  explicit StandbyReader(std::string conninfo);  // libpq's, as kezek_app
  ~StandbyReader();
  StandbyReader(const StandbyReader&) = delete;
  StandbyReader& operator=(const StandbyReader&) = delete;

  // Nothing: no event was committed, and nobody began to lead, since the last call that gave
  // something. UNAVAILABLE: no database; the next call connects again.
  Result<std::optional<StandbySight>> Read();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kezek::postgres
