/// \file
/// Tables, rows and change batches as text, for tests of what works on them.
#pragma once

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/scalar.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sluice/change_set.h"
#include "sluice/schema.h"

#include "base/byte_reader.h"
#include "base/check.h"
#include "columnar/table_builder.h"
#include "pgoutput/tuple.h"
#include "types/builtin_types.h"
#include "types/type_catalog.h"

namespace sluice::replication::testing {

using Cell = std::optional<std::string>;  ///< PostgreSQL's text, or NULL
using TextRow = std::vector<Cell>;

inline Column MakeColumn(std::string name, std::uint32_t type_oid) {
  Column column;
  column.name = std::move(name);
  auto type = types::TypeCatalog().Resolve(Oid{type_oid}, -1);
  SLUICE_CHECK(type.has_value());
  column.type = *std::move(type);
  return column;
}

/// Under FULL all columns are the identity; else the key is.
inline std::shared_ptr<TableSchema> MakeTable(std::vector<Column> columns,
                                              std::vector<std::int32_t> key,
                                              ReplicaIdentity identity) {
  auto table = std::make_shared<TableSchema>();
  table->relation = {7};
  table->name = {"public", "t"};
  table->identity = identity;
  table->columns = std::move(columns);
  table->key = std::move(key);
  table->identity_columns = table->key;
  if (identity == ReplicaIdentity::kFull) {
    table->identity_columns.clear();
    for (std::size_t i = 0; i < table->columns.size(); ++i) {
      table->identity_columns.push_back(static_cast<std::int32_t>(i));
    }
  }
  for (const std::int32_t index : table->identity_columns) {
    table->columns[static_cast<std::size_t>(index)].is_identity = true;
  }
  return table;
}

class BatchMaker {
 public:
  explicit BatchMaker(SchemaPtr schema) : builder_(std::move(schema)) {
    builder_.BeginTransaction(0);
  }

  void Insert(const TextRow& row) {
    SLUICE_CHECK(builder_.AppendInsert(Tuple(row, {}), ordinal_++).has_value());
  }
  /// Columns in `unchanged` are not sent.
  void Update(const TextRow& row, const std::optional<TextRow>& old,
              const std::vector<std::size_t>& unchanged = {}) {
    const auto cells = Tuple(row, unchanged);
    const auto old_cells = old ? Tuple(*old, {}) : std::vector<pgoutput::TupleCell>{};
    SLUICE_CHECK(builder_.AppendUpdate(cells, old_cells, ordinal_++).has_value());
  }
  void Delete(const TextRow& old) {
    SLUICE_CHECK(builder_.AppendDelete(Tuple(old, {}), ordinal_++).has_value());
  }
  bool empty() const { return builder_.row_count() == 0; }
  ChangeBatch Finish() {
    ChangeBatch batch = builder_.Finish();
    builder_.BeginTransaction(0);
    return batch;
  }

 private:
  static std::vector<pgoutput::TupleCell> Tuple(const TextRow& row,
                                                const std::vector<std::size_t>& unchanged) {
    using Kind = pgoutput::TupleCell::Kind;
    std::vector<pgoutput::TupleCell> cells;
    for (const Cell& cell : row) {
      cells.push_back(cell ? pgoutput::TupleCell{Kind::kText, base::AsBytes(*cell)}
                           : pgoutput::TupleCell{Kind::kNull, {}});
    }
    for (const std::size_t column : unchanged) cells[column] = {Kind::kUnchanged, {}};
    return cells;
  }

  columnar::TableBuilder builder_;
  std::uint32_t ordinal_ = 0;
};

inline Cell CellText(const arrow::Array& column, std::int64_t row) {
  if (column.IsNull(row)) return std::nullopt;
  if (column.type_id() == arrow::Type::STRING) {
    return static_cast<const arrow::StringArray&>(column).GetString(row);
  }
  if (column.type_id() == arrow::Type::BOOL) {
    return static_cast<const arrow::BooleanArray&>(column).Value(row) ? "t" : "f";
  }
  return (*column.GetScalar(row))->ToString();
}

inline std::vector<TextRow> TextRows(const RowsPtr& rows) {
  std::vector<TextRow> out;
  if (rows == nullptr) return out;
  SLUICE_CHECK(rows->ValidateFull().ok());
  for (std::int64_t row = 0; row < rows->num_rows(); ++row) {
    TextRow& text = out.emplace_back();
    for (int column = 0; column < rows->num_columns(); ++column) {
      text.push_back(CellText(*rows->column(column), row));
    }
  }
  return out;
}

}  // namespace sluice::replication::testing
