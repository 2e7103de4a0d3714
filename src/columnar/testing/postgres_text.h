/// \file
/// A cell of an Arrow column as PostgreSQL prints a value of its type: the way back from what was
/// decoded, for tests that hold it against the server's own text.
///
/// On purpose nothing of the decoders but how floats are printed.
#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <string>

#include "sluice/schema.h"

namespace sluice::columnar::testing {

/// Settings as in types/text_output.h. The cell is not NULL.
std::string PostgresText(const ColumnType& type, const arrow::Array& array, std::int64_t row);

}  // namespace sluice::columnar::testing
