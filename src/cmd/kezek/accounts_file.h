// Files of `kezek admin apply` and `export`: a list of the API's AccountChange under `accounts`, in
// YAML, with the API's own field names or those without units (see yaml_message.h); beside it the
// `version` of the settings that the file was made from. Pure.
#pragma once

#include <kezek/v1/quota.pb.h>

#include <cstdint>
#include <string>
#include <vector>

#include "kezek/result.h"

namespace kezek::cli {

struct AccountsFile {
  std::vector<v1::AccountChange> changes;
  std::vector<int> lines;    // where each begins
  std::int64_t version = 0;  // the lowest named; 0: none is
};

// INVALID_ARGUMENT FIELD_INVALID with file, line and field.
Result<AccountsFile> ReadAccounts(const std::string& text, const std::string& path);

// Accounts such that ReadAccounts gives back changes that change nothing of them.
std::string WriteAccounts(const std::vector<v1::Account>& accounts);

// An error about `changes[3].settings…` as one about the line of the file that says so.
Error InFile(Error error, const AccountsFile& file, const std::string& path);

}  // namespace kezek::cli
