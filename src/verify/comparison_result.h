/// \file
/// What verify found, and how it is printed as JSON (docs: `sluice verify --json`).
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "sluice/ids.h"
#include "sluice/lsn.h"

#include "verify/row_collector.h"

namespace sluice::verify {

enum class ComparisonStatus : std::uint8_t {
  kEqual,
  kDifferent,
  kNotCompared,  ///< halted, skipped or not yet live: `reason` says why
};

/// The word of it in JSON: "equal", "different", "not_compared".
const char* ToString(ComparisonStatus status);

/// One row that differs: its key's columns, or the first columns of a keyless row, as text.
struct SampleRow {
  DifferenceKind kind = DifferenceKind::kMissing;
  std::vector<std::pair<std::string, std::string>> columns;
};

struct TableResult {
  TableName name;
  TableName destination;  ///< shown where it is another name
  Lsn lsn;                ///< the fence
  ComparisonStatus status = ComparisonStatus::kNotCompared;
  /// Of kNotCompared, and of kDifferent where the destination's table is not as it was given.
  std::string reason;
  std::uint64_t rows_source = 0;
  std::uint64_t rows_destination = 0;
  std::uint64_t missing = 0;
  std::uint64_t extra = 0;
  std::uint64_t different = 0;
  std::vector<SampleRow> sample;
  std::vector<std::string> not_compared;
  /// More differs than fits into the memory given for the second pass: the three counts are lower
  /// bounds.
  bool are_counts_minimum = false;
};

struct VerifyResult {
  std::vector<TableResult> tables;

  /// Every table that was compared is equal. A table not compared does not make it false.
  bool is_equal() const;
};

/// {"equal", "tables": [{"schema", "table", "lsn", "status", "rows_source", "rows_destination",
///   "missing", "extra", "different", "sample": [{"kind", "columns": {name: text}}],
///   "not_compared": [names]}]}; "reason" where there is one, "counts_are_minimum": true where they
///   are; "destination_schema", "destination_table" where the name is another one there.
nlohmann::json ToJson(const VerifyResult& result);
nlohmann::json ToJson(const TableResult& table);
/// ToJson() as text; bytes that are not UTF-8 are replaced, nothing throws.
std::string PrintJson(const VerifyResult& result);

}  // namespace sluice::verify
