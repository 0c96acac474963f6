// What a step adds to the history of accounts, as statements. Private to src/postgres.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "kezek/report.h"
#include "postgres/changes.h"

namespace kezek::postgres {

// None if there is nothing new.
std::vector<Call> HistoryCalls(const HistoryChange& history);

void ForEachHistoryStatement(
    const std::function<void(const char* name, const std::string& sql)>& take);

}  // namespace kezek::postgres
