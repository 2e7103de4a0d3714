/// \file
/// Aligned columns for a terminal. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::cli {

/// Columns that UTF-8 text takes, a code point counted as one. Broken bytes count as one each.
std::size_t TextWidth(std::string_view text);

/// A heading and rows; widths fit what is in them. Control characters are shown as spaces, so that
/// a value cannot move the cursor.
class TextTable {
 public:
  explicit TextTable(std::vector<std::string> headings);

  /// Missing cells are empty, further ones are dropped.
  void AddRow(std::vector<std::string> cells);
  void AlignRight(std::size_t column);
  std::size_t row_count() const { return rows_.size(); }
  /// Lines, each with its newline; nothing follows the last cell of a line.
  std::string Print() const;

 private:
  std::vector<std::string> headings_;
  std::vector<bool> is_right_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace sluice::cli
