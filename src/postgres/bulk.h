// Many rows as one parameter per column: `insert … select … from unnest($1::bigint[], …)`.
// Private to src/postgres.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "postgres/array_literal.h"

namespace kezek::postgres {

struct Column {
  std::string_view name;
  std::string_view type;  // of one value; an array type is sent as text and cast
};

// "unnest($n::bigint[], …) with ordinality as u(a, …, ord)", parameters from $first on.
std::string UnnestSql(std::span<const Column> columns, int first);

// The columns as they are selected from u, arrays cast.
std::string SelectSql(std::span<const Column> columns);

// Inserts all columns; with `key` ("id, element") a row that is there is replaced.
std::string InsertSql(std::string_view table, std::span<const Column> columns,
                      std::string_view key);

// The same into a table with a column seq, numbered from $1 on; columns are $2 and up.
std::string NumberedInsertSql(std::string_view table, std::span<const Column> columns);

// Rows, filled column by column from the left; after the last column the next row begins.
class Bulk {
 public:
  explicit Bulk(std::size_t columns) : columns_(columns) {}

  Bulk& Int(std::int64_t value);
  Bulk& Bool(bool value);
  Bulk& Text(std::string_view text);
  Bulk& Bytes(std::span<const std::uint8_t> bytes);

  void Append(const Bulk& other);
  std::size_t rows() const { return columns_.empty() ? 0 : columns_[0].count(); }
  std::size_t bytes() const;
  // One parameter per column, behind those in `params`.
  void AddTo(std::vector<std::string>& params) const;

 private:
  ArrayLiteral& Next();

  std::vector<ArrayLiteral> columns_;
  std::size_t at_ = 0;
};

}  // namespace kezek::postgres
