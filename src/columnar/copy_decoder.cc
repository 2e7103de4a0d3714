#include "columnar/copy_decoder.h"

#include <arrow/record_batch.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "base/byte_reader.h"
#include "columnar/columns.h"
#include "columnar/misfit_notes.h"
#include "columnar/row_key.h"
#include "types/builtin_types.h"
#include "types/text_output.h"
#include "types/type_catalog.h"

namespace sluice::columnar {
namespace {

using types::ValueFault;

constexpr std::string_view kSignature("PGCOPY\n\377\r\n\0", 11);
// Flags of the upper half change the layout; bit 16 is rows with oids, gone since 12.
constexpr std::uint32_t kCriticalFlags = 0xFFFF0000U;
constexpr std::int16_t kTrailer = -1;
constexpr std::int32_t kNullLength = -1;

Error Malformed(std::string_view what) {
  return Error{.kind = ErrorKind::kProtocol,
               .message = fmt::format("copy data is malformed: {}", what),
               .code = "SLU-4112"};
}

bool IsOctal(char c) {
  return c >= '0' && c <= '7';
}

// One character behind a backslash. COPY TO writes the letters only; the octal form is part of the
// documented format all the same.
char ReadEscape(std::string_view text, std::size_t& at) {
  const char c = text[at++];
  switch (c) {
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'v':
      return '\v';
    default:
      break;
  }
  if (!IsOctal(c)) return c;
  int value = c - '0';
  for (int digits = 1; digits < 3 && at < text.size() && IsOctal(text[at]); ++digits) {
    value = value * 8 + (text[at++] - '0');
  }
  return static_cast<char>(value & 0xFF);
}

bool IsBinaryReadable(const ColumnType& type) {
  if (type.codec.empty()) return false;
  if (type.carrier == Carrier::kText) {
    return types::IsVerbatimText(type.codec) || types::TextFormatter::Make(type).has_value();
  }
  for (const ColumnType& child : type.children) {
    if (!IsBinaryReadable(child)) return false;
  }
  return true;
}

}  // namespace

struct CopyDecoder::State {
  State(SchemaPtr schema_in, CopyFormat format_in)
      : schema(std::move(schema_in)), format(format_in), columns(*schema) {}

  Status AppendBinary(std::span<const std::byte> message);
  Status ReadHeader(base::ByteReader& in);
  Status ReadRow(base::ByteReader& in);
  Status AppendText(std::string_view message);
  Status ReadLine(std::string_view line);
  ValueFault AppendField(ColumnBuilder& column, std::string_view field);
  ValueFault Unescape(std::string_view field, std::size_t first_escape);
  Error FaultInRow(std::size_t column, ValueFault fault, base::ByteReader row) const;
  Error FaultInLine(std::size_t column, ValueFault fault, std::string_view line);
  bool LetGo(std::size_t column, ValueFault fault, const pgoutput::TupleCell& cell) {
    return misfits.Take(*schema, {.row = row_count, .column = column}, fault, cell,
                        columns.columns[column]);
  }
  /// A field that is a value; points into `field` or `unescaped`.
  pgoutput::TupleCell TextCell(std::string_view field) {
    const bool is_escaped = field.find('\\') != std::string_view::npos;
    return {pgoutput::TupleCell::Kind::kText, base::AsBytes(is_escaped ? unescaped : field)};
  }
  void EndRow() {
    columns.EndRow();
    ++row_count;
  }

  SchemaPtr schema;
  CopyFormat format;
  Columns columns;
  MisfitNotes misfits;
  std::size_t row_count = 0;
  bool is_header_read = false;
  bool is_trailer_seen = false;
  std::string unescaped;
};

// Layout of the stream:
//   11 bytes signature, Int32 flags, Int32 length of an extension and the extension
//   rows: Int16 fields, then for each Int32 length (-1: NULL) and the value
//   Int16 -1
Status CopyDecoder::State::AppendBinary(std::span<const std::byte> message) {
  base::ByteReader in(message);
  if (!is_header_read) SLUICE_RETURN_IF_ERROR(ReadHeader(in));
  while (in.remaining() != 0) {
    if (is_trailer_seen) return Malformed("data after the trailer");
    SLUICE_RETURN_IF_ERROR(ReadRow(in));
  }
  return {};
}

Status CopyDecoder::State::ReadHeader(base::ByteReader& in) {
  const std::string_view signature = base::AsText(in.ReadBytes(kSignature.size()));
  const std::uint32_t flags = in.ReadU32();
  const std::uint32_t extension_bytes = in.ReadU32();
  in.ReadBytes(extension_bytes);
  if (!in.ok() || signature != kSignature) return Malformed("signature");
  if ((flags & kCriticalFlags) != 0) return Malformed("flags");
  is_header_read = true;
  return {};
}

Status CopyDecoder::State::ReadRow(base::ByteReader& in) {
  const std::int16_t field_count = in.ReadI16();
  if (!in.ok()) return Malformed("a row is cut off");
  if (field_count == kTrailer) {
    is_trailer_seen = true;
    return {};
  }
  if (field_count < 0 || static_cast<std::size_t>(field_count) != columns.columns.size()) {
    return Malformed("number of fields");
  }
  const base::ByteReader fields = in;
  for (std::size_t i = 0; i < columns.columns.size(); ++i) {
    const std::int32_t length = in.ReadI32();
    if (length == kNullLength) {
      columns.columns[i].AppendNull();
      continue;
    }
    // A negative length is larger than anything that remains.
    const std::span<const std::byte> wire = in.ReadBytes(static_cast<std::size_t>(length));
    if (!in.ok()) [[unlikely]]
      return Malformed("a row is cut off");
    const ValueFault fault = columns.columns[i].AppendBinary(wire);
    if (fault != ValueFault::kNone) [[unlikely]] {
      if (!LetGo(i, fault, {pgoutput::TupleCell::Kind::kBinary, wire}))
        return FaultInRow(i, fault, fields);
      continue;
    }
    columns.CountWireBytes(i, wire.size());
  }
  if (!in.ok()) return Malformed("a row is cut off");
  EndRow();
  return {};
}

// The row is read once more, for its key; it may be cut off behind the fault.
Error CopyDecoder::State::FaultInRow(std::size_t column, ValueFault fault,
                                     base::ByteReader row) const {
  Error error = columns.FaultAt(*schema, column, fault);
  if (error.kind != ErrorKind::kConversion) return error;
  std::vector<pgoutput::TupleCell> cells(columns.columns.size());
  for (pgoutput::TupleCell& cell : cells) {
    const std::int32_t length = row.ReadI32();
    if (length == kNullLength) continue;
    cell = {pgoutput::TupleCell::Kind::kBinary, row.ReadBytes(static_cast<std::size_t>(length))};
  }
  if (row.ok()) error.server_message = RowKeyText(*schema, cells, {});
  return error;
}

Error CopyDecoder::State::FaultInLine(std::size_t column, ValueFault fault, std::string_view line) {
  Error error = columns.FaultAt(*schema, column, fault);
  if (error.kind != ErrorKind::kConversion) return error;
  std::vector<std::string> texts;
  std::vector<pgoutput::TupleCell> cells(columns.columns.size());
  texts.reserve(cells.size());
  for (pgoutput::TupleCell& cell : cells) {
    const std::size_t end = std::min(line.find('\t'), line.size());
    const std::string_view field = line.substr(0, end);
    line.remove_prefix(std::min(end + 1, line.size()));
    if (field == "\\N") continue;
    if (Unescape(field, std::min(field.find('\\'), field.size())) != ValueFault::kNone)
      return error;
    texts.push_back(unescaped);
    cell = {pgoutput::TupleCell::Kind::kText, base::AsBytes(texts.back())};
  }
  error.server_message = RowKeyText(*schema, cells, {});
  return error;
}

Status CopyDecoder::State::AppendText(std::string_view message) {
  while (!message.empty()) {
    if (is_trailer_seen) return Malformed("data after the end marker");
    const std::size_t end = message.find('\n');
    if (end == std::string_view::npos) return Malformed("a line is cut off");
    const std::string_view line = message.substr(0, end);
    message.remove_prefix(end + 1);
    if (line == "\\.") {
      is_trailer_seen = true;
      continue;
    }
    SLUICE_RETURN_IF_ERROR(ReadLine(line));
  }
  return {};
}

Status CopyDecoder::State::ReadLine(std::string_view line) {
  std::size_t begin = 0;
  for (std::size_t i = 0; i < columns.columns.size(); ++i) {
    // A tab inside a value is written as an escape, so every tab is a delimiter.
    std::size_t end = line.find('\t', begin);
    const bool is_last = i + 1 == columns.columns.size();
    if (is_last != (end == std::string_view::npos)) return Malformed("number of fields");
    if (end == std::string_view::npos) end = line.size();
    const std::string_view field = line.substr(begin, end - begin);
    const ValueFault fault = AppendField(columns.columns[i], field);
    begin = end + 1;
    if (fault != ValueFault::kNone) [[unlikely]] {
      if (!LetGo(i, fault, TextCell(field))) return FaultInLine(i, fault, line);
      continue;
    }
    columns.CountWireBytes(i, field.size());
  }
  EndRow();
  return {};
}

ValueFault CopyDecoder::State::AppendField(ColumnBuilder& column, std::string_view field) {
  if (field == "\\N") {
    column.AppendNull();
    return ValueFault::kNone;
  }
  const std::size_t escape = field.find('\\');
  if (escape == std::string_view::npos) return column.AppendText(field);
  const ValueFault fault = Unescape(field, escape);
  return fault == ValueFault::kNone ? column.AppendText(unescaped) : fault;
}

// Into `unescaped`.
ValueFault CopyDecoder::State::Unescape(std::string_view field, std::size_t first_escape) {
  unescaped.clear();
  std::size_t at = 0;
  std::size_t escape = first_escape;
  while (escape < field.size()) {
    unescaped.append(field, at, escape - at);
    at = escape + 1;
    if (at == field.size()) return ValueFault::kMalformed;
    unescaped += ReadEscape(field, at);
    escape = field.find('\\', at);
  }
  unescaped.append(field, at);
  return ValueFault::kNone;
}

CopyDecoder::CopyDecoder(SchemaPtr schema, CopyFormat format)
    : state_(std::make_unique<State>(std::move(schema), format)) {}
CopyDecoder::~CopyDecoder() = default;
CopyDecoder::CopyDecoder(CopyDecoder&&) noexcept = default;
CopyDecoder& CopyDecoder::operator=(CopyDecoder&&) noexcept = default;

Status CopyDecoder::Append(std::span<const std::byte> message) {
  Status status = state_->format == CopyFormat::kBinary ? state_->AppendBinary(message)
                                                        : state_->AppendText(base::AsText(message));
  // What came before the broken row stays.
  if (!status) [[unlikely]] {
    state_->columns.Truncate(state_->row_count);
    state_->misfits.Truncate(state_->row_count);
  }
  return status;
}

Status CopyDecoder::CheckComplete() const {
  if (state_->format == CopyFormat::kBinary && !state_->is_trailer_seen) {
    return Malformed("the trailer is missing");
  }
  return {};
}

std::size_t CopyDecoder::row_count() const {
  return state_->row_count;
}

std::size_t CopyDecoder::bytes() const {
  return state_->columns.bytes() + state_->misfits.bytes();
}

CopiedRows CopyDecoder::Finish() {
  return {.rows = state_->columns.Finish(std::exchange(state_->row_count, 0)),
          .misfits = state_->misfits.Finish()};
}

void AppendCopyText(const std::optional<std::string>& text, std::string& out) {
  if (!text) {
    out += "\\N";
    return;
  }
  for (const char c : *text) {
    switch (c) {
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        out += c;
    }
  }
}

CopyFormat FormatFor(const TableSchema& schema) {
  for (const Column& column : schema.columns) {
    if (!IsBinaryReadable(column.type)) return CopyFormat::kText;
  }
  return CopyFormat::kBinary;
}

}  // namespace sluice::columnar
