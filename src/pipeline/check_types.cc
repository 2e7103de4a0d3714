#include "pipeline/check_types.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "postgres/quote.h"
#include "types/type_catalog.h"

namespace sluice::pipeline {
namespace {

using postgres::Severity;

constexpr std::uint32_t kNumericOid = 1700;
constexpr int kDecimalPrecisionMax = 38;
// As much as a person waits for `check`.
constexpr Duration kTimeForAll = std::chrono::seconds(5);
constexpr int kColumnMillisMax = 1000;
constexpr int kRowsMax = 100'000;

bool IsKeptAsText(const Column& column) {
  return column.type.oid.value == kNumericOid && column.type.carrier == Carrier::kText &&
         column.type.typmod < 0;
}

std::string LookSql(const TableSchema& schema, const std::string& column) {
  return fmt::format(
      "SELECT count(*), max(CASE WHEN c = 0 THEN 0 ELSE length(trunc(abs(c))::text) END), "
      "max(scale(c)), count(*) FILTER (WHERE c IN ('NaN', 'Infinity', '-Infinity')) FROM "
      "(SELECT {0} AS c FROM {1}.{2} WHERE {0} IS NOT NULL LIMIT {3}) AS looked_at",
      postgres::QuoteIdentifier(column), postgres::QuoteIdentifier(schema.name.schema),
      postgres::QuoteIdentifier(schema.name.table), kRowsMax);
}

/// As the config file takes it: quoted where it would fold.
std::string Part(const std::string& name) {
  const bool is_plain =
      !name.empty() &&
      name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos;
  return is_plain ? name : postgres::QuoteIdentifier(name);
}

std::string DeclaredName(const TableSchema& schema, const std::string& column) {
  return Part(schema.name.schema) + "." + Part(schema.name.table) + "." + Part(column);
}

void Note(const TableSchema& schema, const Column& column, const postgres::QueryResult& found,
          CheckReport& report) {
  const auto count = found.integer_or(0, 0, 0);
  if (found.row_count() != 1 || count == 0 || found.integer_or(0, 3, 1) != 0) return;
  const std::string decimal = DecimalFor(static_cast<int>(found.integer_or(0, 1, 0)),
                                         static_cast<int>(found.integer_or(0, 2, 0)));
  if (decimal.empty()) return;
  std::string name = DeclaredName(schema, column.name);
  if (name.find('"') != std::string::npos) name = "'" + name + "'";
  report.findings.push_back(
      {.severity = Severity::kWarning,
       .code = "SLU-4122",
       .message = fmt::format("{}.{} is numeric without digits declared, and kept as text; {} "
                              "values that were looked at fit {}",
                              ToString(schema.name), column.name, count, decimal),
       .advice = fmt::format("to get numbers, in the config file: types: {{{}: \"{}\"}}; a value "
                             "that does not fit halts the table",
                             name, decimal),
       .sql = "",
       .table = schema.name});
}

}  // namespace

std::string DecimalFor(int digits_before, int digits_behind) {
  if (digits_before + digits_behind > kDecimalPrecisionMax) return {};
  // 18 digits are as cheap as fewer, and 38 as 19.
  const int precision = digits_before + digits_behind <= 16 ? 18 : kDecimalPrecisionMax;
  return fmt::format("decimal({},{})", precision, digits_behind);
}

void NoteUnknownColumns(const types::TypePolicies& policies, const std::vector<SchemaPtr>& schemas,
                        CheckReport& report) {
  for (const auto& [table, column, option] : policies.declared()) {
    const bool is_there = std::any_of(schemas.begin(), schemas.end(), [&](const SchemaPtr& schema) {
      return schema->name == table &&
             std::any_of(schema->columns.begin(), schema->columns.end(),
                         [&](const Column& there) { return there.name == column; });
    });
    if (is_there) continue;
    report.findings.push_back(
        {.severity = Severity::kWarning,
         .code = "SLU-4123",
         .message = fmt::format("{}: no table that is replicated has the column {}.{}", option,
                                ToString(table), column),
         .advice = "correct the name in the config file, or take the line out",
         .sql = "",
         .table = {}});
  }
}

void NoteBytesAsText(const std::vector<SchemaPtr>& schemas, CheckReport& report) {
  std::string text_only;
  for (const SchemaPtr& schema : schemas) {
    for (const Column& column : schema->columns) {
      if (!types::HasCodec(column.type)) text_only = ToString(schema->name) + "." + column.name;
    }
  }
  if (text_only.empty()) return;
  for (const SchemaPtr& schema : schemas) {
    for (const Column& column : schema->columns) {
      if (!types::IsSentBytes(column.type)) continue;
      report.findings.push_back(
          {.severity = Severity::kProblem,
           .code = "SLU-4114",
           .message = fmt::format("{}.{} is declared as bytes, and {} makes the stream text",
                                  ToString(schema->name), column.name, text_only),
           .advice =
               "declare that column as bytes too, or leave it out, or declare this one as text",
           .sql = "",
           .table = schema->name});
    }
  }
}

Status ProposeDecimals(postgres::Connection& connection, const std::vector<SchemaPtr>& schemas,
                       CheckReport& report) {
  const Clock::time_point give_up = Clock::now() + kTimeForAll;
  for (const SchemaPtr& schema : schemas) {
    for (const Column& column : schema->columns) {
      if (!IsKeptAsText(column)) continue;
      if (Clock::now() > give_up) return {};
      SLUICE_RETURN_IF_ERROR(connection.Exec("begin to look at values", "BEGIN READ ONLY"));
      SLUICE_RETURN_IF_ERROR(connection.Exec(
          "limit the time", fmt::format("SET LOCAL statement_timeout = {}", kColumnMillisMax)));
      const auto found =
          connection.Exec("look at the values of a column", LookSql(*schema, column.name));
      SLUICE_RETURN_IF_ERROR(connection.Exec("end looking", "ROLLBACK"));
      if (found) Note(*schema, column, *found, report);
    }
  }
  return {};
}

}  // namespace sluice::pipeline
