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
#include "replication/schema_versions.h"
#include "types/arrow_type.h"
#include "types/type_policies.h"

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
  if (types::IsSentBytes(column.type))
    return CannotLift(table, "the default of added column " + column.name + " is kept as bytes");
  auto one_column = std::make_shared<TableSchema>();
  one_column->relation = table.relation;
  one_column->name = table.name;
  one_column->columns = {column};
  columnar::CopyDecoder decoder(one_column, columnar::CopyFormat::kText);
  SLUICE_RETURN_IF_ERROR(decoder.Append(base::AsBytes(CopyLine(*column.missing_value))));
  const CopiedRows row = decoder.Finish();
  // Every older row would have to be told of.
  if (!row.misfits.empty())
    return CannotLift(table, "the default of added column " + column.name + " has no exact form");
  return Repeat(row.rows->column_data(0), 0, count);
}

bool HasOnlyInserts(const ChangeBatch& batch) {
  return std::all_of(batch.kinds.begin(), batch.kinds.end(),
                     [](ChangeKind kind) { return kind == ChangeKind::kInsert; });
}

class Lift {
 public:
  Lift(const ChangeBatch& batch, SchemaPtr to)
      : batch_(batch), from_(*batch.schema), to_(std::move(to)) {}

  /// What the lifted rows are of: `to`, or with the older key.
  Result<SchemaPtr> FindSchema();
  Result<RowsPtr> Values() const;
  Result<RowsPtr> Old(const TableSchema& schema) const;
  std::vector<RowBits> Unchanged() const;
  std::vector<Misfit> Misfits() const;

 private:
  Result<ArrayPtr> Added(std::size_t column) const {
    return AddedColumn(*to_, to_->columns[column], batch_.row_count());
  }
  /// A column of `rows` under the new type.
  Result<ArrayPtr> Kept(const RowsPtr& rows, int index, std::size_t column) const;
  /// Where columns of the older version are now; nullopt: one is gone.
  std::optional<std::vector<std::int32_t>> Places(const std::vector<std::int32_t>& before) const;

  const ChangeBatch& batch_;
  const TableSchema& from_;
  SchemaPtr to_;
  std::vector<std::optional<std::size_t>> origins_;  ///< per new column: its place before
};

std::optional<std::vector<std::int32_t>> Lift::Places(
    const std::vector<std::int32_t>& before) const {
  std::vector<std::int32_t> places;
  for (const std::int32_t index : before) {
    const auto found = std::find(origins_.begin(), origins_.end(), static_cast<std::size_t>(index));
    if (found == origins_.end()) return std::nullopt;
    places.push_back(static_cast<std::int32_t>(found - origins_.begin()));
  }
  std::sort(places.begin(), places.end());
  return places;
}

Result<SchemaPtr> Lift::FindSchema() {
  origins_ = ColumnOrigins(from_, *to_);
  for (std::size_t i = 0; i < origins_.size(); ++i) {
    if (!origins_[i]) continue;
    const ColumnType& before = from_.columns[*origins_[i]].type;
    const ColumnType& now = to_->columns[i].type;
    const bool is_same = types::ArrowType(before)->Equals(*types::ArrowType(now));
    if (!is_same && !KeepsValues(before, now))
      return CannotLift(*to_, "column \"" + to_->columns[i].name + "\" has another type");
  }
  // Rows that are born need no key.
  if (batch_.old == nullptr && HasOnlyInserts(batch_)) return to_;
  const auto key = Places(from_.key);
  if (!key) return CannotLift(*to_, "a column of the key is gone");
  const bool is_full = from_.identity == ReplicaIdentity::kFull;
  std::vector<std::int32_t> identity;
  if (is_full) {
    for (std::size_t i = 0; i < to_->columns.size(); ++i)
      identity.push_back(static_cast<std::int32_t>(i));
  } else {
    const auto places = Places(from_.identity_columns);
    if (!places) return CannotLift(*to_, "a column of the replica identity is gone");
    identity = *places;
  }
  if (to_->key == *key && to_->identity_columns == identity) return to_;
  auto schema = std::make_shared<TableSchema>(*to_);
  schema->identity = from_.identity;
  schema->key = *key;
  schema->identity_columns = std::move(identity);
  for (Column& column : schema->columns) column.is_identity = false;
  for (const std::int32_t index : schema->identity_columns)
    schema->columns[static_cast<std::size_t>(index)].is_identity = true;
  return SchemaPtr(std::move(schema));
}

Result<ArrayPtr> Lift::Kept(const RowsPtr& rows, int index, std::size_t column) const {
  const ArrayPtr& data = rows->column_data(index);
  const auto type = types::ArrowType(to_->columns[column].type);
  if (data->type->Equals(*type)) return data;
  // More digits before the point: the same numbers.
  auto widened = data->Copy();
  widened->type = type;
  return widened;
}

Result<RowsPtr> Lift::Values() const {
  std::vector<ArrayPtr> columns;
  for (std::size_t column = 0; column < origins_.size(); ++column) {
    if (origins_[column]) {
      SLUICE_ASSIGN_OR_RETURN(columns.emplace_back(),
                              Kept(batch_.values, static_cast<int>(*origins_[column]), column));
    } else {
      SLUICE_ASSIGN_OR_RETURN(columns.emplace_back(), Added(column));
    }
  }
  return RowsPtr(arrow::RecordBatch::Make(types::ArrowSchema(*to_), batch_.values->num_rows(),
                                          std::move(columns)));
}

Result<RowsPtr> Lift::Old(const TableSchema& schema) const {
  if (batch_.old == nullptr) return RowsPtr{};
  std::vector<ArrayPtr> columns;
  for (const std::int32_t index : schema.identity_columns) {
    const auto column = static_cast<std::size_t>(index);
    if (!origins_[column]) {
      SLUICE_ASSIGN_OR_RETURN(columns.emplace_back(), Added(column));
      continue;
    }
    const auto& before = from_.identity_columns;
    const auto found =
        std::find(before.begin(), before.end(), static_cast<std::int32_t>(*origins_[column]));
    if (found == before.end()) return CannotLift(*to_, "the replica identity is another one");
    SLUICE_ASSIGN_OR_RETURN(columns.emplace_back(),
                            Kept(batch_.old, static_cast<int>(found - before.begin()), column));
  }
  return RowsPtr(arrow::RecordBatch::Make(types::ArrowSchema(*to_, schema.identity_columns),
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

// Those of columns that are still there.
std::vector<Misfit> Lift::Misfits() const {
  std::vector<Misfit> out;
  for (const Misfit& misfit : batch_.misfits) {
    const auto found =
        std::find(origins_.begin(), origins_.end(), static_cast<std::size_t>(misfit.column));
    if (found == origins_.end()) continue;
    out.push_back(misfit);
    out.back().column = static_cast<std::uint32_t>(found - origins_.begin());
  }
  return out;
}

}  // namespace

Result<ChangeBatch> LiftRows(const ChangeBatch& batch, const SchemaPtr& to) {
  Lift lift(batch, to);
  ChangeBatch out;
  SLUICE_ASSIGN_OR_RETURN(out.schema, lift.FindSchema());
  SLUICE_ASSIGN_OR_RETURN(out.values, lift.Values());
  SLUICE_ASSIGN_OR_RETURN(out.old, lift.Old(*out.schema));
  out.has_old = batch.has_old;
  out.kinds = batch.kinds;
  out.unchanged = lift.Unchanged();
  out.ordinals = batch.ordinals;
  out.runs = batch.runs;
  out.misfits = lift.Misfits();
  out.bytes = batch.bytes;
  return out;
}

}  // namespace sluice::replication
