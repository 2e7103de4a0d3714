#include "cli/query_output.h"

#include <algorithm>
#include <array>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/units.h"
#include "cli/text_table.h"

namespace sluice::cli {
namespace {

constexpr std::size_t kFlushBytes = 64 * 1024;
constexpr std::size_t kTableRows = 1000;
constexpr std::size_t kTableBytes = std::size_t{4} << 20;

bool IsNumber(std::string_view type) {
  constexpr auto kNumbers = std::to_array<std::string_view>(
      {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER",
       "UBIGINT", "UHUGEINT", "FLOAT", "DOUBLE"});
  return type.starts_with("DECIMAL") ||
         std::find(kNumbers.begin(), kNumbers.end(), type) != kNumbers.end();
}

std::string Quoted(std::string_view text) {
  return nlohmann::json(std::string(text))
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// Gathers text and hands it on in pieces.
class BufferedOutput : public QueryOutput {
 public:
  explicit BufferedOutput(TextSink sink) : sink_(std::move(sink)) {}

 protected:
  Status Add(std::string_view text) {
    buffer_ += text;
    return buffer_.size() < kFlushBytes ? Status() : Flush();
  }
  Status Flush() {
    if (buffer_.empty()) return {};
    const std::string text = std::exchange(buffer_, {});
    return sink_(text);
  }

 private:
  TextSink sink_;
  std::string buffer_;
};

class CsvOutput final : public BufferedOutput {
 public:
  using BufferedOutput::BufferedOutput;
  Status Header(const std::vector<OutputColumn>& columns) override {
    OutputRow names;
    for (const OutputColumn& column : columns) names.emplace_back(column.name);
    return Row(names);
  }
  Status Row(const OutputRow& row) override {
    line_.clear();
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (i > 0) line_ += ',';
      line_ += CsvCell(row[i]);
    }
    line_ += '\n';
    return Add(line_);
  }
  Status Finish() override { return Flush(); }

 private:
  std::string line_;
};

class JsonOutput final : public BufferedOutput {
 public:
  using BufferedOutput::BufferedOutput;
  Status Header(const std::vector<OutputColumn>& columns) override {
    columns_ = columns;
    for (OutputColumn& column : columns_) column.name = Quoted(column.name);
    return Add("[");
  }
  Status Row(const OutputRow& row) override {
    line_ = has_rows_ ? ",\n {" : "\n {";
    has_rows_ = true;
    for (std::size_t i = 0; i < row.size() && i < columns_.size(); ++i) {
      if (i > 0) line_ += ", ";
      line_ += columns_[i].name + ": " + JsonCell(row[i], columns_[i].type);
    }
    line_ += '}';
    return Add(line_);
  }
  Status Finish() override {
    SLUICE_RETURN_IF_ERROR(Add(has_rows_ ? "\n]\n" : "]\n"));
    return Flush();
  }

 private:
  std::vector<OutputColumn> columns_;
  bool has_rows_ = false;
  std::string line_;
};

/// Blocks of a thousand rows, each aligned in itself: a result may be larger than memory.
class TableOutput final : public QueryOutput {
 public:
  explicit TableOutput(TextSink sink) : sink_(std::move(sink)) {}
  Status Header(const std::vector<OutputColumn>& columns) override {
    columns_ = columns;
    Begin();
    return {};
  }
  Status Row(const OutputRow& row) override {
    std::vector<std::string> cells;
    for (const auto& cell : row) {
      cells.emplace_back(cell ? *cell : std::string_view("NULL"));
      bytes_ += cells.back().size();
    }
    table_->AddRow(std::move(cells));
    ++row_count_;
    if (table_->row_count() < kTableRows && bytes_ < kTableBytes) return {};
    return Flush();
  }
  Status Finish() override {
    if (table_ && (table_->row_count() > 0 || row_count_ == 0)) SLUICE_RETURN_IF_ERROR(Flush());
    return sink_("(" + base::FormatCount(row_count_) + (row_count_ == 1 ? " row)\n" : " rows)\n"));
  }

 private:
  void Begin() {
    std::vector<std::string> names;
    for (const OutputColumn& column : columns_) names.push_back(column.name);
    table_.emplace(std::move(names));
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (IsNumber(columns_[i].type)) table_->AlignRight(i);
    }
    bytes_ = 0;
  }
  Status Flush() {
    const std::string text = table_->Print();
    Begin();
    return sink_(text);
  }

  TextSink sink_;
  std::vector<OutputColumn> columns_;
  std::optional<TextTable> table_;
  std::int64_t row_count_ = 0;
  std::size_t bytes_ = 0;
};

/// As JSON has it: no NaN, no leading plus.
bool IsJsonNumber(std::string_view text) {
  return !text.empty() && text.find_first_not_of("+-0123456789.eE") == std::string_view::npos &&
         nlohmann::json::accept(text);
}

}  // namespace

std::string CsvCell(const std::optional<std::string_view>& cell) {
  if (!cell) return {};
  if (!cell->empty() && cell->find_first_of(",\"\r\n") == std::string_view::npos) {
    return std::string(*cell);
  }
  std::string out = "\"";
  for (const char c : *cell) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + '"';
}

std::string JsonCell(const std::optional<std::string_view>& cell, std::string_view type) {
  if (!cell) return "null";
  if (type == "BOOLEAN" && (*cell == "true" || *cell == "false")) return std::string(*cell);
  if (IsNumber(type) && IsJsonNumber(*cell)) return std::string(*cell);
  return Quoted(*cell);
}

std::unique_ptr<QueryOutput> MakeQueryOutput(OutputFormat format, TextSink sink) {
  switch (format) {
    case OutputFormat::kTable:
      return std::make_unique<TableOutput>(std::move(sink));
    case OutputFormat::kCsv:
      return std::make_unique<CsvOutput>(std::move(sink));
    case OutputFormat::kJson:
      return std::make_unique<JsonOutput>(std::move(sink));
  }
  return nullptr;
}

}  // namespace sluice::cli
