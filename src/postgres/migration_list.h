// The migrations that this binary carries, generated from migrations/NNNN_name.sql.
#pragma once

#include <span>
#include <string_view>

namespace kezek::postgres {

struct Migration {
  int version;  // from 1, without gaps
  std::string_view name;
  std::string_view checksum;  // SHA-256 of the file, hexadecimal
  std::string_view sql;
};

std::span<const Migration> Migrations();

}  // namespace kezek::postgres
