// What ran beside Kezek, in the database. Private to src/postgres.
#pragma once

#include <functional>
#include <pqxx/pqxx>
#include <string>
#include <vector>

#include "kezek/store.h"
#include "postgres/changes.h"

namespace kezek::postgres {

std::vector<Call> ForeignCalls(const Changes& changes);
void ForEachForeignStatement(
    const std::function<void(const char* name, const std::string& sql)>& take);

void ReadForeign(pqxx::transaction_base& work, Snapshot& snapshot);

}  // namespace kezek::postgres
