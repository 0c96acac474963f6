// The PostgreSQL of the tests. Without ctest: tests/support/postgres_fixture up DIR, then
// KEZEK_PG_DIR=DIR build/dev/tests/NAME.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "kezek/time.h"

namespace kezek::test {

// Connection strings to one database, by role.
struct Database {
  std::string admin;  // superuser
  std::string owner;  // kezek_owner
  std::string app;    // kezek_app
};

// The folder of the server that the fixture started (KEZEK_PG_DIR); ends the process without one.
std::string ServerFolder();

// Runs a command of deploy/cluster/postgres; aborts if it fails.
void ServerCommand(const std::string& command, const std::string& folder,
                   const std::string& options = "");

// Kills the server in `folder` as a crash would: no session is asked first.
void CrashServer(const std::string& folder);

// Prepares a database with a name of its own on the server in `folder`. Its schema is still empty.
Database EmptyDatabase(const std::string& folder);

// The same with the schema.
Database FreshDatabase(const std::string& folder);

// Runs SQL; the first column of each row as text.
std::vector<std::string> Sql(const std::string& conninfo, const std::string& sql);

// A clock that goes on by one millisecond a call.
class StepClock : public Clock {
 public:
  explicit StepClock(TimeMs now_ms = 1'790'000'000'000) : now_ms_(now_ms) {}
  TimeMs Now() override { return ++now_ms_; }
  void Set(TimeMs now_ms) { now_ms_ = now_ms; }

 private:
  std::atomic<TimeMs> now_ms_;
};

}  // namespace kezek::test
