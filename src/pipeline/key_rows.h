/// \file
/// Rows of a table read by their keys.
#pragma once

#include <span>
#include <string>

#include "sluice/change_set.h"
#include "sluice/result.h"
#include "sluice/schema.h"

#include "columnar/copy_decoder.h"
#include "verify/key_text.h"

namespace sluice::pipeline {

/// The keys as columns, by the decoder that reads every other text. Errors: kConversion.
Result<RowsPtr> KeyRows(const TableSchema& schema, std::span<const verify::KeyText> keys);

/// COPY of the rows that have these keys, all columns of the schema.
std::string SelectRows(const TableSchema& schema, const std::string& row_filter,
                       bool is_partitioned, std::span<const verify::KeyText> keys,
                       columnar::CopyFormat format);

}  // namespace sluice::pipeline
