#include "postgres/bulk.h"

#include "kezek/check.h"

namespace kezek::postgres {
namespace {

bool IsArray(std::string_view type) { return type.ends_with("[]"); }

std::string NamesSql(std::span<const Column> columns) {
  std::string names;
  for (const Column& column : columns) {
    if (!names.empty()) names += ", ";
    names += column.name;
  }
  return names;
}

}  // namespace

std::string UnnestSql(std::span<const Column> columns, int first) {
  std::string sql = "unnest(";
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (i > 0) sql += ", ";
    const std::string_view type = IsArray(columns[i].type) ? "text" : columns[i].type;
    sql += "$" + std::to_string(first + static_cast<int>(i)) + "::" + std::string(type) + "[]";
  }
  return sql + ") with ordinality as u(" + NamesSql(columns) + ", ord)";
}

std::string SelectSql(std::span<const Column> columns) {
  std::string sql;
  for (const Column& column : columns) {
    if (!sql.empty()) sql += ", ";
    sql += column.name;
    if (IsArray(column.type)) sql += "::" + std::string(column.type);
  }
  return sql;
}

std::string InsertSql(std::string_view table, std::span<const Column> columns,
                      std::string_view key) {
  std::string sql = "insert into " + std::string(table) + " (" + NamesSql(columns) + ") select " +
                    SelectSql(columns) + " from " + UnnestSql(columns, 1);
  if (key.empty()) return sql;
  sql += " on conflict (" + std::string(key) + ") do update set ";
  bool first = true;
  for (const Column& column : columns) {
    const std::string name(column.name);
    if ((", " + std::string(key) + ", ").find(", " + name + ", ") != std::string::npos) continue;
    sql += (first ? "" : ", ") + name + " = excluded." + name;
    first = false;
  }
  return sql;
}

std::string NumberedInsertSql(std::string_view table, std::span<const Column> columns) {
  return "insert into " + std::string(table) + " (seq, " + NamesSql(columns) +
         ") select $1::bigint + ord - 1, " + SelectSql(columns) + " from " + UnnestSql(columns, 2);
}

ArrayLiteral& Bulk::Next() {
  ArrayLiteral& column = columns_[at_];
  at_ = (at_ + 1) % columns_.size();
  return column;
}

Bulk& Bulk::Int(std::int64_t value) {
  Next().AddInt(value);
  return *this;
}

Bulk& Bulk::Bool(bool value) {
  Next().AddBool(value);
  return *this;
}

Bulk& Bulk::Text(std::string_view text) {
  Next().AddText(text);
  return *this;
}

Bulk& Bulk::Bytes(std::span<const std::uint8_t> bytes) {
  Next().AddBytes(bytes);
  return *this;
}

void Bulk::Append(const Bulk& other) {
  KEZEK_CHECK(columns_.size() == other.columns_.size() && at_ == 0 && other.at_ == 0,
              "rows that do not fit together");
  for (std::size_t i = 0; i < columns_.size(); ++i) columns_[i].Append(other.columns_[i]);
}

std::size_t Bulk::bytes() const {
  std::size_t sum = 0;
  for (const ArrayLiteral& column : columns_) sum += column.bytes();
  return sum;
}

void Bulk::AddTo(std::vector<std::string>& params) const {
  KEZEK_CHECK(at_ == 0, "a row without all its columns");
  for (const ArrayLiteral& column : columns_) params.push_back(column.Text());
}

}  // namespace kezek::postgres
