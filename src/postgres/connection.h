// Connections as this folder wants them, and its exceptions as Errors. Private to src/postgres.
#pragma once

#include <exception>
#include <memory>
#include <pqxx/pqxx>
#include <string>

#include "kezek/result.h"

namespace kezek::postgres {

// Connected, with search_path kezek. A connection that is lost stays lost: libpqxx's silent
// reconnection would lose the session's locks. Throws what libpqxx throws.
std::unique_ptr<pqxx::connection> Connect(const std::string& conninfo, const char* application);

// True if after `problem` the connection is of no more use, and what it was doing is in doubt.
bool IsLost(const pqxx::connection_base& connection, const std::exception& problem);

// INVALID_ARGUMENT: the server refused the data (classes 22 and 23, or a limit of its own);
// UNAVAILABLE: the connection or the server is gone; RESOURCE_EXHAUSTED: it is out of something;
// INTERNAL: anything else.
Error ErrorOf(const std::exception& problem);

}  // namespace kezek::postgres
