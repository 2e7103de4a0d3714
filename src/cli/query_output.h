/// \file
/// How `sluice sql` prints rows: a table on a terminal, CSV in a pipe, JSON. Pure but for the sink.
///
///   table  as wide as the first thousand rows need; NULL is printed as NULL
///   csv    RFC 4180 with "\n"; NULL is nothing, an empty text is ""
///   json   an array with an object a row; numbers and booleans as such, everything else as text
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/result.h"

namespace sluice::cli {

struct OutputColumn {
  std::string name;
  std::string type;  ///< DuckDB's name of it
};
using OutputRow = std::vector<std::optional<std::string_view>>;
/// Takes text whole or fails.
using TextSink = std::function<Status(std::string_view)>;

class QueryOutput {
 public:
  virtual ~QueryOutput() = default;
  QueryOutput(const QueryOutput&) = delete;
  QueryOutput& operator=(const QueryOutput&) = delete;

  virtual Status Header(const std::vector<OutputColumn>& columns) = 0;
  virtual Status Row(const OutputRow& row) = 0;
  /// After the last row, once.
  virtual Status Finish() = 0;

 protected:
  QueryOutput() = default;
};

enum class OutputFormat : std::uint8_t { kTable, kCsv, kJson };
std::unique_ptr<QueryOutput> MakeQueryOutput(OutputFormat format, TextSink sink);

/// One cell of CSV.
std::string CsvCell(const std::optional<std::string_view>& cell);
/// One cell as a JSON value, by its type.
std::string JsonCell(const std::optional<std::string_view>& cell, std::string_view type);

}  // namespace sluice::cli
