// Rows of the database as values. Private to src/postgres. Everything here throws: libpqxx's
// exceptions, or std::runtime_error for a row that no version of Kezek wrote.
#pragma once

#include <cstdint>
#include <memory>
#include <pqxx/pqxx>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "kezek/account.h"
#include "kezek/budget.h"
#include "kezek/event.h"
#include "kezek/job.h"
#include "kezek/names.h"
#include "kezek/node.h"
#include "kezek/user.h"
#include "postgres/codec.h"

namespace kezek::postgres {

// Reads a row's fields from the left.
class RowCursor {
 public:
  explicit RowCursor(const pqxx::row& row) : row_(row) {}

  bool IsNull() const { return row_[at_].is_null(); }
  std::int64_t Int() { return row_[at_++].as<std::int64_t>(0); }
  std::int32_t Int32() { return row_[at_++].as<std::int32_t>(0); }
  bool Bool() { return row_[at_++].as<bool>(); }
  std::string_view Text() {
    const auto field = row_[at_++];
    return {field.c_str(), field.size()};
  }
  std::string String() { return std::string(Text()); }
  std::string Bytes();
  template <class E>
  E Enum() {
    const auto text = Text();
    const auto value = FromName<E>(text);
    if (!value) throw std::runtime_error("unknown name in the database: " + std::string(text));
    return *value;
  }
  template <class T>
  T Json() {
    auto value = Decode<T>(Text());
    if (!value) throw std::runtime_error(value.error().message);
    return *std::move(value);
  }

 private:
  pqxx::row row_;
  pqxx::row::size_type at_ = 0;
};

// Rows of jobs in order of id and element share the spec where they are equal.
class SpecCache {
 public:
  std::shared_ptr<const JobSpec> Get(std::string_view json);

 private:
  std::string last_json_;
  std::shared_ptr<const JobSpec> last_;
};

// For each value: the columns to select, from a table called by its first letter, and how to read.
extern const char* const kJobFields;
Job ReadJob(RowCursor& row, SpecCache& specs);
extern const char* const kAttemptFields;
Attempt ReadAttempt(RowCursor& row);
extern const char* const kEventFields;
Event ReadEvent(RowCursor& row);
extern const char* const kLedgerFields;
LedgerEntry ReadLedgerEntry(RowCursor& row);

extern const char* const kBudgetFields;  // of budget_totals b
std::pair<BudgetRef, BudgetBalance> ReadBudget(RowCursor& row);

extern const char* const kCorrectionFields;
Correction ReadCorrection(RowCursor& row);
extern const char* const kAccountFields;  // of accounts a, account_settings s
Account ReadAccount(RowCursor& row);
extern const char* const kUserFields;
User ReadUser(RowCursor& row);  // without its roles
extern const char* const kTokenFields;
Token ReadToken(RowCursor& row);
extern const char* const kNodeFields;
Node ReadNode(RowCursor& row);

}  // namespace kezek::postgres
