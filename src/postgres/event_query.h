// EventQuery as SQL. Private to src/postgres; pure.
#pragma once

#include <cstdint>
#include <limits>
#include <string>

#include "kezek/store.h"
#include "postgres/job_query.h"

namespace kezek::postgres {

// Numbers of events: at least `first`, below `end`.
struct EventRange {
  std::int64_t first = 1;
  std::int64_t end = std::numeric_limits<std::int64_t>::max();
};

// Selects `fields` of the events e in this range; the query's times are not looked at.
Sql EventListSql(const EventQuery& query, const EventRange& range, const std::string& fields);

}  // namespace kezek::postgres
