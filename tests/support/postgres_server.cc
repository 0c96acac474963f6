#include "tests/support/postgres_server.h"

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <map>
#include <pqxx/pqxx>
#include <thread>

#include "kezek/check.h"
#include "postgres/migrations.h"

namespace kezek::test {
namespace {

// The variables in DIR/env.
std::map<std::string, std::string> Environment(const std::string& folder) {
  std::map<std::string, std::string> values;
  std::ifstream file(folder + "/env");
  const std::string prefix = "export ";
  for (std::string line; std::getline(file, line);) {
    const auto equals = line.find('=');
    if (!line.starts_with(prefix) || equals == std::string::npos) continue;
    values[line.substr(prefix.size(), equals - prefix.size())] = line.substr(equals + 1);
  }
  KEZEK_CHECK(values.contains("PGPORT"), "no PostgreSQL runs in " + folder);
  return values;
}

std::string SourceFolder() {
  const char* folder = std::getenv("KEZEK_SOURCE_DIR");
  return folder == nullptr ? "." : folder;
}

// The roles, which tests share, and an empty database, as docs/install.md has an admin make them.
void MakeDatabase(const std::string& admin, const std::string& name) {
  pqxx::connection connection(admin);
  {
    pqxx::work work(connection);
    work.exec("select pg_advisory_xact_lock(7443, 2)");  // tests run side by side
    for (const std::string role : {"kezek_owner", "kezek_app"}) {
      const bool known =
          !work.exec_params("select 1 from pg_roles where rolname = $1", role).empty();
      if (!known) work.exec("create role " + role + " login");
    }
    work.commit();
  }
  pqxx::nontransaction work(connection);
  work.exec("create database " + name + " owner kezek_owner");
}

}  // namespace

std::string ServerFolder() {
  const char* folder = std::getenv("KEZEK_PG_DIR");
  KEZEK_CHECK(folder != nullptr, "KEZEK_PG_DIR is not set: see tests/support/postgres_server.h");
  return folder;
}

void ServerCommand(const std::string& command, const std::string& folder,
                   const std::string& options) {
  const std::string line = "'" + SourceFolder() + "/deploy/cluster/postgres' " + command + " '" +
                           folder + "' " + options + " >/dev/null";
  KEZEK_CHECK(std::system(line.c_str()) == 0, line);
}

void CrashServer(const std::string& folder) {
  pid_t pid = 0;
  std::ifstream(folder + "/postgres/data/postmaster.pid") >> pid;
  KEZEK_CHECK(pid > 1, "no server to crash in " + folder);
  ::kill(pid, SIGQUIT);  // PostgreSQL's immediate shutdown
  while (::kill(pid, 0) == 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
}

Database EmptyDatabase(const std::string& folder) {
  static std::atomic<int> counter{0};
  auto environment = Environment(folder);
  const std::string name = "test_" + std::to_string(::getpid()) + "_" + std::to_string(++counter);
  const std::string server = "host=" + environment["PGHOST"] + " port=" + environment["PGPORT"];
  MakeDatabase(server + " user=postgres dbname=postgres", name);
  const std::string database = server + " dbname=" + name;
  return {database + " user=postgres", database + " user=kezek_owner",
          database + " user=kezek_app"};
}

Database FreshDatabase(const std::string& folder) {
  Database database = EmptyDatabase(folder);
  StepClock clock;
  const auto migrated = postgres::Migrate(database.owner, clock);
  KEZEK_CHECK(migrated.has_value(), migrated.has_value() ? "" : migrated.error().message);
  return database;
}

std::vector<std::string> Sql(const std::string& conninfo, const std::string& sql) {
  pqxx::connection connection(conninfo);
  pqxx::nontransaction work(connection);
  work.exec("set search_path = kezek, pg_catalog");
  std::vector<std::string> values;
  for (const auto& row : work.exec(sql)) {
    values.emplace_back(row.size() == 0 || row[0].is_null() ? "" : row[0].c_str());
  }
  return values;
}

}  // namespace kezek::test
