#include "postgres/standby_reader.h"

#include <cstdint>
#include <limits>
#include <pqxx/pqxx>
#include <utility>

#include "postgres/connection.h"
#include "postgres/snapshot.h"

namespace kezek::postgres {

struct StandbyReader::State {
  std::string conninfo;
  std::unique_ptr<pqxx::connection> connection;
  // Of what was given last.
  std::int64_t epoch = -1;
  std::int64_t last_event_seq = -1;

  std::optional<StandbySight> Look();
};

std::optional<StandbySight> StandbyReader::State::Look() {
  if (connection == nullptr) connection = Connect(conninfo, "kezekd-standby");
  pqxx::transaction<pqxx::repeatable_read, pqxx::readwrite_policy::read_only> work(*connection);
  const pqxx::row leader =
      work.exec1("select epoch, address, coalesce((select max(seq) from events), 0) from leader");
  const auto now_epoch = leader[0].as<std::int64_t>();
  const auto now_seq = leader[2].as<std::int64_t>();
  if (now_epoch == epoch && now_seq == last_event_seq) return std::nullopt;
  StandbySight sight;
  sight.snapshot = ReadSnapshot(work, std::numeric_limits<TimeMs>::max());
  sight.snapshot.epoch = now_epoch;
  sight.leader_address = leader[1].c_str();
  epoch = now_epoch;
  last_event_seq = now_seq;
  return sight;
}

StandbyReader::StandbyReader(std::string conninfo) : state_(std::make_unique<State>()) {
  state_->conninfo = std::move(conninfo);
}

StandbyReader::~StandbyReader() = default;

Result<std::optional<StandbySight>> StandbyReader::Read() {
  try {
    return state_->Look();
  } catch (const std::exception& problem) {
    Error error = ErrorOf(problem);
    if (state_->connection == nullptr || IsLost(*state_->connection, problem)) {
      state_->connection.reset();
      error.code = Code::kUnavailable;
    }
    return error;
  }
}

}  // namespace kezek::postgres
