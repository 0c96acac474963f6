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

// "train-*" as a pattern of LIKE: "train-%"; what LIKE would take as a wildcard is escaped.
std::string LikePattern(const std::string& name);

}  // namespace kezek::postgres
