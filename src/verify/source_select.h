/// \file
/// The SELECT by which verify reads the source.
///
/// Columns whose binary form is not what canonical bytes are made of are selected as the server's
/// own text, also inside lists and composites: neither the stream's decoders nor our text output
/// take part.
#pragma once

#include <string>
#include <string_view>

#include "verify/compared_table.h"

namespace sluice::verify {

struct SourceSelectOptions {
  /// The publication's row filter as SQL (pg_get_expr); empty: every row.
  std::string_view row_filter = {};
  /// A partitioned table: rows are in its partitions. Else rows of inheriting tables do not count.
  bool is_partitioned = false;
};

/// `COPY (SELECT ...) TO STDOUT (FORMAT binary)`, one column per entry of table.columns. Expects
/// the settings named in types/text_output.h.
std::string SelectForVerify(const ComparedTable& table, const SourceSelectOptions& options = {});

}  // namespace sluice::verify
