/// \file
/// The rows of one statement, in text form.
///
/// Lifetime: views point into the result. Thread safety: const members from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/ids.h"
#include "sluice/lsn.h"
#include "sluice/result.h"

#include "postgres/handles.h"

namespace sluice::postgres {

class QueryResult {
 public:
  explicit QueryResult(ResultHandle result) : result_(std::move(result)) {}

  /// For the files of this folder: PGRES_COPY_BOTH and the like.
  ExecStatusType status() const;
  std::size_t row_count() const;
  std::size_t column_count() const;
  bool is_null(std::size_t row, std::size_t column) const;
  /// NULL, or a cell that is not there, reads as empty.
  std::string_view text(std::size_t row, std::size_t column) const;
  std::string str(std::size_t row, std::size_t column) const {
    return std::string(text(row, column));
  }
  std::optional<std::string> optional_text(std::size_t row, std::size_t column) const;
  /// "t" of a boolean.
  bool is_true(std::size_t row, std::size_t column) const { return text(row, column) == "t"; }

  /// Anything else than a number that fits: fallback. For counts and flags of our own queries.
  std::int64_t integer_or(std::size_t row, std::size_t column, std::int64_t fallback) const;
  /// Errors: kProtocol SLU-2019.
  Result<std::int64_t> Integer(std::size_t row, std::size_t column) const;
  Result<std::uint32_t> Unsigned32(std::size_t row, std::size_t column) const;
  Result<std::uint64_t> Unsigned64(std::size_t row, std::size_t column) const;
  Result<Lsn> LsnAt(std::size_t row, std::size_t column) const;

  /// INSERT 0 5: 5; 0 where the command has no count.
  std::int64_t affected_rows() const;

 private:
  ResultHandle result_;
};

/// Parses a one-dimensional array's text, "{1,2}", '{a,"b c",NULL}'. nullopt: not that.
/// NULL elements read as empty.
std::optional<std::vector<std::string>> ParseArrayText(std::string_view text);

}  // namespace sluice::postgres
