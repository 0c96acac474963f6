// The database's schema. Connection strings are libpq's ("host=… dbname=… user=…").
// Functions block; any thread.
#pragma once

#include <span>
#include <string>

#include "kezek/result.h"
#include "kezek/time.h"
#include "postgres/migration_list.h"

namespace kezek::postgres {

struct Migrated {
  int from = 0;  // version found; 0: an empty database
  int to = 0;
};

// Brings the schema to the last of `migrations`, as kezek_owner (the role of the connection
// string). Each migration is one transaction; several daemons that start at once wait for each
// other. FAILED_PRECONDITION: the schema is newer than the migrations given (SCHEMA_NEWER), one
// that was applied has another checksum now (MIGRATION_EDITED), or the roles are missing.
// UNAVAILABLE: no database. INTERNAL: a migration failed; it and those behind it are not applied.
Result<Migrated> Migrate(const std::string& owner, Clock& clock,
                         std::span<const Migration> migrations = Migrations());

// For a process that may not migrate: nothing to do, or FAILED_PRECONDITION as above, and
// SCHEMA_OLDER when Migrate has to run first. Any role.
Result<void> CheckSchema(const std::string& conninfo,
                         std::span<const Migration> migrations = Migrations());

// The id of this database, which is part of every tag. Any role.
Result<std::string> ReadInstallation(const std::string& conninfo);

}  // namespace kezek::postgres
