#include "postgres/connection.h"

#include <string_view>

namespace kezek::postgres {
namespace {

const pqxx::sql_error* SqlErrorIn(const std::exception& problem) {
  return dynamic_cast<const pqxx::sql_error*>(&problem);
}

void KeepLost(pqxx::connection& connection) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  connection.inhibit_reactivation(true);
#pragma GCC diagnostic pop
}

}  // namespace

std::unique_ptr<pqxx::connection> Connect(const std::string& conninfo, const char* application) {
  auto connection = std::make_unique<pqxx::connection>(conninfo);
  KeepLost(*connection);
  pqxx::nontransaction setup(*connection);
  setup.exec(
      "set search_path = kezek, pg_catalog; set client_min_messages = warning; set jit = off;"
      " set application_name = " +
      setup.quote(std::string(application)));
  return connection;
}

bool IsLost(const pqxx::connection_base& connection, const std::exception& problem) {
  if (!connection.is_open()) return true;
  if (dynamic_cast<const pqxx::broken_connection*>(&problem) != nullptr) return true;
  if (dynamic_cast<const pqxx::in_doubt_error*>(&problem) != nullptr) return true;
  if (dynamic_cast<const pqxx::statement_completion_unknown*>(&problem) != nullptr) return true;
  const auto* sql = SqlErrorIn(problem);
  return sql != nullptr && sql->sqlstate().starts_with("57P");  // the server goes or comes
}

Error ErrorOf(const std::exception& problem) {
  std::string text = problem.what();
  while (!text.empty() && text.back() == '\n') text.pop_back();
  text = "database: " + text;
  const auto* sql = SqlErrorIn(problem);
  if (sql == nullptr) {
    const bool gone = dynamic_cast<const pqxx::failure*>(&problem) != nullptr;
    return Error{gone ? Code::kUnavailable : Code::kInternal, std::move(text), {}};
  }
  const std::string_view state = sql->sqlstate();
  if (state.starts_with("22") || state.starts_with("23") || state.starts_with("54")) {
    return Error{Code::kInvalidArgument, std::move(text), {}};
  }
  if (state.starts_with("53")) return Error{Code::kResourceExhausted, std::move(text), {}};
  if (state == "57014") return Error{Code::kDeadlineExceeded, std::move(text), {}};  // timed out
  if (state.starts_with("57P") || state.starts_with("08")) {
    return Error{Code::kUnavailable, std::move(text), {}};
  }
  return Error{Code::kInternal, std::move(text), {}};
}

}  // namespace kezek::postgres
