// Environments of jobs as they lie in the database: sealed, with the name of their key. Private to
// src/postgres.
#pragma once

#include <pqxx/pqxx>
#include <string>

#include "kezek/cipher.h"
#include "kezek/ids.h"
#include "kezek/result.h"

namespace kezek::postgres {

// What an environment belongs to: one user's cannot be given to another.
std::string EnvironmentContext(UserId user);

// The environment's JSON as it is stored; without a cipher as it is, with key "".
Sealed SealEnvironment(const Cipher* cipher, std::string_view json, UserId user);
Result<std::string> OpenEnvironment(const Cipher* cipher, const Sealed& sealed, UserId user);

// At the start. FAILED_PRECONDITION: an environment is sealed with a key that is not there, or a
// key's name means another key than before. Else all that an older key or none has sealed is sealed
// anew, so that older keys may be taken away afterwards. Throws what libpqxx throws.
Result<void> PrepareEnvironments(pqxx::connection& connection, const Cipher& cipher);

}  // namespace kezek::postgres
