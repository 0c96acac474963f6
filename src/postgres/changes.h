// A controller's changes as calls of prepared statements. Private to src/postgres.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "kezek/store.h"
#include "kezek/time.h"

namespace kezek::postgres {

// One call of a prepared statement. Numbers that are known only inside the transaction are put in
// front of the parameters there.
struct Call {
  enum class Front : std::uint8_t { kNothing, kEventSeq, kLedgerSeq, kTime };
  const char* statement;
  Front front = Front::kNothing;
  std::vector<std::string> params;
};

class Bulk;
// Of rows, unless there are none.
void AddIfAny(const char* statement, const Bulk& rows, std::vector<Call>& calls);

// In the order in which they must run. A text that cannot be stored does not keep the rest from
// being: MakeStorable. Pure; any thread.
std::vector<Call> EncodeChanges(const Changes& changes);

// All statements that a Call may name, with their SQL.
void ForEachChangeStatement(
    const std::function<void(const char* name, const std::string& sql)>& take);

}  // namespace kezek::postgres
