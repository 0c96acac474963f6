// The archive port: attempts that have ended, with what was settled of them, in pieces.
#pragma once

#include <memory>
#include <string>

#include "kezek/cluster_books.h"

namespace kezek::postgres {

// Each reading has a connection of its own, and sees the database as it was when it began.
class PostgresArchive : public AttemptArchive {
 public:
  explicit PostgresArchive(std::string conninfo) : conninfo_(std::move(conninfo)) {}
  Result<std::unique_ptr<AttemptReading>> Open(TimeMs since_ms, TimeMs until_ms) override;
  Result<std::vector<ChargedAttempt>> RunAs(const std::vector<std::int64_t>& ids) override;
  Result<std::vector<ChargedAttempt>> Named(const std::vector<AttemptRef>& attempts) override;

 private:
  const std::string conninfo_;
};

}  // namespace kezek::postgres
