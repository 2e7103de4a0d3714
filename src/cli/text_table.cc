#include "cli/text_table.h"

#include <algorithm>
#include <utility>

namespace sluice::cli {
namespace {

std::string Shown(std::string text) {
  for (char& c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F) c = ' ';
  }
  return text;
}

}  // namespace

std::size_t TextWidth(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  }));
}

TextTable::TextTable(std::vector<std::string> headings)
    : headings_(std::move(headings)), is_right_(headings_.size(), false) {
  for (std::string& heading : headings_) heading = Shown(std::move(heading));
}

void TextTable::AddRow(std::vector<std::string> cells) {
  cells.resize(headings_.size());
  for (std::string& cell : cells) cell = Shown(std::move(cell));
  rows_.push_back(std::move(cells));
}

void TextTable::AlignRight(std::size_t column) {
  if (column < is_right_.size()) is_right_[column] = true;
}

std::string TextTable::Print() const {
  std::vector<std::size_t> widths;
  for (const std::string& heading : headings_) widths.push_back(TextWidth(heading));
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], TextWidth(row[i]));
  }
  std::string out;
  const auto print = [&](const std::vector<std::string>& cells) {
    std::string line;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      if (i > 0) line += "  ";
      const std::string space(widths[i] - TextWidth(cells[i]), ' ');
      line += is_right_[i] ? space + cells[i] : cells[i] + space;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + '\n';
  };
  print(headings_);
  for (const auto& row : rows_) print(row);
  return out;
}

}  // namespace sluice::cli
