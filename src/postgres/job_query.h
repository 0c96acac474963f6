// JobQuery as SQL. Private to src/postgres; pure.
#pragma once

#include <string>
#include <vector>

#include "kezek/store.h"

namespace kezek::postgres {

struct Sql {
  std::string text;
  std::vector<std::string> params;
};

// Selects `fields` of jobs j.
Sql JobQuerySql(const JobQuery& query, const std::string& fields);

}  // namespace kezek::postgres
