#include "postgres/migrations.h"

#include <map>
#include <optional>
#include <pqxx/pqxx>
#include <string_view>

#include "postgres/connection.h"

namespace kezek::postgres {
namespace {

constexpr const char* kLockMigrations = "select pg_advisory_xact_lock(7443, 1)";

Error Refusal(const char* reason, std::string message) {
  return FieldProblem(Code::kFailedPrecondition,
                      {.field = "", .reason = reason, .message = std::move(message)});
}

bool RoleExists(pqxx::transaction_base& work, const char* role) {
  return !work.exec_params("select 1 from pg_roles where rolname = $1", role).empty();
}

using Applied = std::map<int, std::string>;  // checksum by version

// Empty for a database without the schema.
Applied ReadApplied(pqxx::transaction_base& work) {
  Applied applied;
  // Not to_regclass, which may answer from a cache older than the lock just taken.
  if (work.exec("select 1 from pg_catalog.pg_tables"
                " where schemaname = 'kezek' and tablename = 'schema_migrations'")
          .empty()) {
    return applied;
  }
  for (const auto& row : work.exec("select version, checksum from kezek.schema_migrations")) {
    applied[row[0].as<int>()] = row[1].as<std::string>();
  }
  return applied;
}

std::optional<Error> Misfit(const Applied& applied, std::span<const Migration> migrations) {
  for (const auto& [version, checksum] : applied) {
    if (version > static_cast<int>(migrations.size())) {
      return Refusal("SCHEMA_NEWER",
                     "the database's schema is version " + std::to_string(applied.rbegin()->first) +
                         ", this program knows " + std::to_string(migrations.size()) +
                         ": run a newer kezekd");
    }
    const Migration& known = migrations[static_cast<std::size_t>(version) - 1];
    if (known.checksum != checksum) {
      return Refusal("MIGRATION_EDITED", "migration " + std::to_string(version) + " (" +
                                             std::string(known.name) +
                                             ") is not the one that was applied");
    }
  }
  return std::nullopt;
}

void MakeSchema(pqxx::transaction_base& work) {
  work.exec(
      "create schema if not exists kezek;"
      "grant usage on schema kezek to kezek_app;"
      "create table if not exists kezek.schema_migrations ("
      "  version integer primary key, name text not null, checksum text not null,"
      "  applied_ms bigint not null);"
      "grant select on kezek.schema_migrations to kezek_app");
}

// Applies the first migration that is missing. False: none was.
Result<bool> ApplyNext(pqxx::connection& connection, Clock& clock,
                       std::span<const Migration> migrations) {
  pqxx::work work(connection);
  work.exec(kLockMigrations);
  const Applied applied = ReadApplied(work);
  if (auto misfit = Misfit(applied, migrations)) return *std::move(misfit);
  if (applied.size() == migrations.size()) return false;
  if (applied.empty()) MakeSchema(work);
  const Migration& next = migrations[applied.size()];
  work.exec("set local search_path = kezek, pg_catalog");
  work.exec(std::string(next.sql));
  work.exec_params(
      "insert into kezek.schema_migrations (version, name, checksum, applied_ms)"
      " values ($1, $2, $3, $4)",
      next.version, std::string(next.name), std::string(next.checksum), clock.Now());
  work.commit();
  return true;
}

}  // namespace

Result<Migrated> Migrate(const std::string& owner, Clock& clock,
                         std::span<const Migration> migrations) {
  try {
    const auto connection = Connect(owner, "kezek-migrate");
    Migrated migrated;
    {
      pqxx::read_transaction work(*connection);
      if (!RoleExists(work, "kezek_app")) {
        return Refusal("ROLES_MISSING", "the role kezek_app is missing: prepare the database");
      }
      migrated.from = static_cast<int>(ReadApplied(work).size());
    }
    for (;;) {
      auto applied = ApplyNext(*connection, clock, migrations);
      if (!applied) return applied.error();
      if (!*applied) break;
    }
    migrated.to = static_cast<int>(migrations.size());
    return migrated;
  } catch (const std::exception& problem) {
    Error error = ErrorOf(problem);
    if (error.code == Code::kInvalidArgument) error.code = Code::kInternal;
    return error;
  }
}

Result<void> CheckSchema(const std::string& conninfo, std::span<const Migration> migrations) {
  try {
    const auto connection = Connect(conninfo, "kezek-check");
    pqxx::read_transaction work(*connection);
    const Applied applied = ReadApplied(work);
    if (auto misfit = Misfit(applied, migrations)) return *std::move(misfit);
    if (applied.size() < migrations.size()) {
      return Refusal("SCHEMA_OLDER", "the database's schema is version " +
                                         std::to_string(applied.size()) + " of " +
                                         std::to_string(migrations.size()) + ": migrate it");
    }
    return {};
  } catch (const std::exception& problem) {
    return ErrorOf(problem);
  }
}

Result<std::string> ReadInstallation(const std::string& conninfo) {
  try {
    const auto connection = Connect(conninfo, "kezek-check");
    pqxx::read_transaction work(*connection);
    return work.exec1("select id from installation")[0].as<std::string>();
  } catch (const std::exception& problem) {
    return ErrorOf(problem);
  }
}

}  // namespace kezek::postgres
