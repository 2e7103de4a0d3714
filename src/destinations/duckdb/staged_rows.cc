#include "destinations/duckdb/staged_rows.h"

#include <algorithm>
#include <string>
#include <utility>

#include "destinations/duckdb/connection.h"
#include "destinations/duckdb/type_map.h"

namespace sluice::duckdb {
namespace {

using RowsHandle = std::shared_ptr<const StagedRows::Rows>;

template <class T>
void Delete(void* object) {
  delete static_cast<T*>(object);
}

idx_t IdOf(ClientContextHandle context) {
  return duckdb_client_context_get_connection_id(context.get());
}

idx_t IdOf(duckdb_connection connection) {
  ClientContextHandle context;
  duckdb_connection_get_client_context(connection, context.out());
  return IdOf(std::move(context));
}

void Bind(duckdb_bind_info info) {
  const auto& staged = *static_cast<std::shared_ptr<StagedRows>*>(duckdb_bind_get_extra_info(info));
  ClientContextHandle context;
  duckdb_table_function_get_client_context(info, context.out());
  RowsHandle rows = staged->Find(IdOf(std::move(context)));
  if (rows == nullptr) return duckdb_bind_set_error(info, "nothing is staged");
  for (std::size_t i = 0; i < rows->types->size(); ++i) {
    const LogicalTypeHandle& type = (*rows->types)[i];
    duckdb_bind_add_result_column(info, ("c" + std::to_string(i)).c_str(), type.get());
  }
  duckdb_bind_set_cardinality(info, rows->end - rows->begin, true);
  duckdb_bind_set_bind_data(info, new RowsHandle(std::move(rows)), Delete<RowsHandle>);
}

void Init(duckdb_init_info info) {
  const auto& rows = **static_cast<RowsHandle*>(duckdb_init_get_bind_data(info));
  duckdb_init_set_init_data(info, new std::size_t(rows.begin), Delete<std::size_t>);
}

void Scan(duckdb_function_info info, duckdb_data_chunk output) {
  const auto& rows = **static_cast<RowsHandle*>(duckdb_function_get_bind_data(info));
  auto& begin = *static_cast<std::size_t*>(duckdb_function_get_init_data(info));
  const std::size_t count = std::min<std::size_t>(duckdb_vector_size(), rows.end - begin);
  for (std::size_t i = 0; i < rows.columns.size(); ++i)
    FillVector(duckdb_data_chunk_get_vector(output, i), rows.columns[i], begin, count);
  duckdb_data_chunk_set_size(output, count);
  begin += count;
}

/// What the columns are called in SQL.
std::string SqlTypes(const std::vector<ColumnSource>& columns) {
  std::string out;
  for (const ColumnSource& column : columns)
    out += "NULL::" + (column.data == nullptr ? "BOOLEAN" : SqlType(*column.type)) + ",";
  return out;
}

Result<StagedRows::TypesPtr> PrepareTypes(duckdb_connection connection, const std::string& types) {
  PreparedHandle prepared;
  if (duckdb_prepare(connection, ("SELECT " + types).c_str(), prepared.out()) == DuckDBError)
    return MakeError("stage rows", duckdb_prepare_error(prepared.get()));
  auto out = std::make_shared<std::vector<LogicalTypeHandle>>();
  const idx_t count = duckdb_prepared_statement_column_count(prepared.get());
  for (idx_t i = 0; i < count; ++i)
    out->emplace_back(duckdb_prepared_statement_column_logical_type(prepared.get(), i));
  return StagedRows::TypesPtr(std::move(out));
}

}  // namespace

Status StagedRows::Register(duckdb_connection connection, std::shared_ptr<StagedRows> rows) {
  const TableFunctionHandle function(duckdb_create_table_function());
  duckdb_table_function_set_name(function.get(), std::string(kStageFunction).c_str());
  duckdb_table_function_set_extra_info(function.get(),
                                       new std::shared_ptr<StagedRows>(std::move(rows)),
                                       Delete<std::shared_ptr<StagedRows>>);
  duckdb_table_function_set_bind(function.get(), Bind);
  duckdb_table_function_set_init(function.get(), Init);
  duckdb_table_function_set_function(function.get(), Scan);
  if (duckdb_register_table_function(connection, function.get()) == DuckDBError)
    return MakeError("register a function", "refused");
  return {};
}

Status StagedRows::Set(duckdb_connection connection, std::vector<ColumnSource> columns,
                       std::size_t begin, std::size_t end) {
  auto rows = std::make_shared<Rows>();
  SLUICE_ASSIGN_OR_RETURN(rows->types, TypesOf(connection, SqlTypes(columns)));
  rows->columns = std::move(columns);
  rows->begin = begin;
  rows->end = end;
  const base::MutexLock lock(mutex_);
  by_connection_[IdOf(connection)] = std::move(rows);
  return {};
}

Result<StagedRows::TypesPtr> StagedRows::TypesOf(duckdb_connection connection,
                                                 const std::string& types) {
  {
    const base::MutexLock lock(mutex_);
    if (const auto found = types_.find(types); found != types_.end()) return found->second;
  }
  SLUICE_ASSIGN_OR_RETURN(TypesPtr made, PrepareTypes(connection, types));
  const base::MutexLock lock(mutex_);
  if (types_.size() == kTypesMax) types_.clear();
  types_[types] = made;
  return made;
}

void StagedRows::Clear(duckdb_connection connection) {
  const base::MutexLock lock(mutex_);
  by_connection_.erase(IdOf(connection));
}

std::shared_ptr<const StagedRows::Rows> StagedRows::Find(idx_t connection_id) const {
  const base::MutexLock lock(mutex_);
  const auto found = by_connection_.find(connection_id);
  return found == by_connection_.end() ? nullptr : found->second;
}

}  // namespace sluice::duckdb
