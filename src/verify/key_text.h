/// \file
/// Keys of rows as PostgreSQL's text: how `repair` names the rows that it reads again.
///
/// Pure. Thread safety: none needed, there is no state.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/schema.h"

namespace sluice::verify {

/// One entry a key column, in the key's order; nullopt: NULL (which only the destination can hold).
using KeyText = std::vector<std::optional<std::string>>;

/// The text of a key from its canonical cells (types/canonical.h). nullopt: they are cut off, a
/// column is a list, a composite or a map, or a text that no PostgreSQL text can be.
std::optional<KeyText> ReadKeyText(std::span<const ColumnType> types, std::string_view cells);

/// A condition that exactly the source's rows with these keys meet, by an index on the key: SQL for
/// CopyStatement::range. Keys with a NULL meet none. `columns`: the key's names.
std::string KeyCondition(std::span<const std::string> columns, std::span<const KeyText> keys);

}  // namespace sluice::verify
