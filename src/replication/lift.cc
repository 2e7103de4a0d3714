#include "replication/lift.h"

#include <arrow/array/data.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/byte_reader.h"
#include "columnar/copy_decoder.h"
#include "replication/gather.h"
#include "types/arrow_type.h"

namespace sluice::replication {
namespace {

using ArrayPtr = std::shared_ptr<arrow::ArrayData>;

Error CannotLift(const TableSchema& table, const std::string& what) {
  return {.kind = ErrorKind::kUnsupported,
          .message = "rows of an older version cannot be brought to the new one: " + what,
          .code = "SLU-4202",
          .advice = "sluice resync " + ToString(table.name)};
}

// As COPY writes it, so that the decoder of the copy reads it.
std::string CopyLine(const std::string& text) {
  std::string line;
  for (const char c : text) {
    switch (c) {
      case '\\':
        line += "\\\\";
        break;
      case '\t':
        line += "\\t";
        break;
      case '\n':
        line += "\\n";
        break;
      case '\r':
        line += "\\r";
        break;
      default:
        line += c;
    }
  }
  return line + '\n';
}

/// What rows from before the column was added have in it.
Result<ArrayPtr> AddedColumn(const TableSchema& table, const Column& column, std::size_t count) {
  if (!column.missing_value) return Nulls(types::ArrowType(column.type), count);
  auto one_column = std::make_shared<TableSchema>();
  one_column->relation = table.relation;
  one_column->name = table.name;
  one_column->columns = {column};
  columnar::CopyDecoder decoder(one_column, columnar::CopyFormat::kText);
  SLUICE_RETURN_IF_ERROR(decoder.Append(base::AsBytes(CopyLine(*column.missing_value))));
  const RowsPtr row = decoder.Finish();
  return Repeat(row->column_data(0), 0, count);
}

class Lift {
 public:
  Lift(const ChangeBatch& batch, const TableSchema& to)
      : batch_(batch), from_(*batch.schema), to_(to) {}

  Status CheckColumns();
  Result<RowsPtr> Values() const;
  Result<RowsPtr> Old() const;
  std::vector<RowBits> Unchanged() const;

 private:
  Result<ArrayPtr> Added(std::size_t column) const {
    return AddedColumn(to_, to_.columns[column], batch_.row_count());
  }

  const ChangeBatch& batch_;
  const TableSchema& from_;
  const TableSchema& to_;
  std::vector<std::optional<std::size_t>> origins_;  ///< per new column: its place before
};

Status Lift::CheckColumns() {
  std::size_t found_count = 0;
  for (const Column& column : to_.columns) {
    const auto found = std::find_if(from_.columns.begin(), from_.columns.end(),
                                    [&](const Column& old) { return old.name == column.name; });
    if (found == from_.columns.end()) {
      origins_.emplace_back();
      continue;
    }
    if (!types::ArrowType(found->type)->Equals(*types::ArrowType(column.type))) {
      return CannotLift(to_, "column \"" + column.name + "\" has another type");
    }
    ++found_count;
    origins_.emplace_back(static_cast<std::size_t>(found - from_.columns.begin()));
  }
  if (found_count != from_.columns.size()) return CannotLift(to_, "a column is gone");
  std::vector<std::int32_t> key;
  for (const std::int32_t column : to_.key) {
    const auto& origin = origins_[static_cast<std::size_t>(column)];
    key.push_back(origin ? static_cast<std::int32_t>(*origin) : -1);
  }
  if (!std::is_permutation(key.begin(), key.end(), from_.key.begin(), from_.key.end())) {
    return CannotLift(to_, "the key is another one");
  }
  return {};
}

Result<RowsPtr> Lift::Values() const {
  std::vector<ArrayPtr> columns;
  for (std::size_t column = 0; column < origins_.size(); ++column) {
    if (origins_[column]) {
      columns.push_back(batch_.values->column_data(static_cast<int>(*origins_[column])));
    } else {
      SLUICE_ASSIGN_OR_RETURN(columns.emplace_back(), Added(column));
    }
  }
  return RowsPtr(arrow::RecordBatch::Make(types::ArrowSchema(to_), batch_.values->num_rows(),
                                          std::move(columns)));
}

Result<RowsPtr> Lift::Old() const {
  if (batch_.old == nullptr) return RowsPtr{};
  std::vector<ArrayPtr> columns;
  for (const std::int32_t index : to_.identity_columns) {
    const auto column = static_cast<std::size_t>(index);
    if (!origins_[column]) {
      SLUICE_ASSIGN_OR_RETURN(columns.emplace_back(), Added(column));
      continue;
    }
    const auto& before = from_.identity_columns;
    const auto found =
        std::find(before.begin(), before.end(), static_cast<std::int32_t>(*origins_[column]));
    if (found == before.end()) return CannotLift(to_, "the replica identity is another one");
    columns.push_back(batch_.old->column_data(static_cast<int>(found - before.begin())));
  }
  return RowsPtr(arrow::RecordBatch::Make(types::ArrowSchema(to_, to_.identity_columns),
                                          batch_.old->num_rows(), std::move(columns)));
}

std::vector<RowBits> Lift::Unchanged() const {
  std::vector<RowBits> out;
  if (batch_.unchanged.empty()) return out;
  out.resize(origins_.size());
  for (std::size_t column = 0; column < origins_.size(); ++column) {
    if (origins_[column]) out[column] = batch_.unchanged[*origins_[column]];
  }
  return out;
}

}  // namespace

Result<ChangeBatch> LiftRows(const ChangeBatch& batch, const SchemaPtr& to) {
  Lift lift(batch, *to);
  SLUICE_RETURN_IF_ERROR(lift.CheckColumns());
  ChangeBatch out;
  out.schema = to;
  SLUICE_ASSIGN_OR_RETURN(out.values, lift.Values());
  SLUICE_ASSIGN_OR_RETURN(out.old, lift.Old());
  out.has_old = batch.has_old;
  out.kinds = batch.kinds;
  out.unchanged = lift.Unchanged();
  out.ordinals = batch.ordinals;
  out.runs = batch.runs;
  out.bytes = batch.bytes;
  return out;
}

}  // namespace sluice::replication
