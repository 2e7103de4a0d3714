#include "spill/batch_record.h"

#include <arrow/buffer.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/dictionary.h>
#include <arrow/ipc/options.h>
#include <arrow/ipc/reader.h>
#include <arrow/ipc/writer.h>
#include <arrow/record_batch.h>
#include <arrow/result.h>
#include <arrow/status.h>
#include <arrow/type.h>
#include <arrow/util/compression.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

namespace sluice::spill {
namespace {

Error RecordError(const char* code, const std::string& what, const arrow::Status& status) {
  Error error;
  error.kind = ErrorKind::kStateStore;
  error.message = what;
  error.server_message = status.message();
  error.code = code;
  return error;
}

Error Damaged() {
  Error error;
  error.kind = ErrorKind::kStateStore;
  error.message = "a spilled batch is damaged";
  error.code = "SLU-6104";
  return error;
}

class Writer {
 public:
  template <class T>
    requires std::is_trivially_copyable_v<T>
  void Put(const T& value) {
    out_.append(reinterpret_cast<const char*>(&value), sizeof(T));  // NOLINT: bytes are chars
  }
  template <class T>
    requires std::is_trivially_copyable_v<T>
  void PutAll(const std::vector<T>& values) {
    Put<std::uint64_t>(values.size());
    out_.append(reinterpret_cast<const char*>(values.data()),  // NOLINT: bytes are chars
                values.size() * sizeof(T));
  }
  /// One bit a row; nothing where none is set.
  void PutBits(const RowBits& bits, std::size_t row_count) {
    std::vector<std::uint64_t> words;
    if (bits.any()) {
      words.resize((row_count + 63) / 64);
      for (std::size_t row = 0; row < row_count; ++row) {
        if (bits[row]) words[row / 64] |= std::uint64_t{1} << (row % 64);
      }
    }
    PutAll(words);
  }
  void PutText(const std::string& text) {
    Put<std::uint64_t>(text.size());
    out_ += text;
  }
  std::string Take() { return std::move(out_); }

 private:
  std::string out_;
};

/// The record is our own, but a disk may err: every count is checked against the bytes.
class Reader {
 public:
  Reader(const std::uint8_t* bytes, std::size_t size) : at_(bytes), end_(bytes + size) {}

  template <class T>
    requires std::is_trivially_copyable_v<T>
  T Get() {
    T value{};
    if (remaining() < sizeof(T)) {
      failed_ = true;
      return value;
    }
    std::memcpy(&value, at_, sizeof(T));
    at_ += sizeof(T);
    return value;
  }
  template <class T>
    requires std::is_trivially_copyable_v<T>
  std::vector<T> GetAll() {
    const auto count = Get<std::uint64_t>();
    if (failed_ || count > remaining() / sizeof(T)) {
      failed_ = true;
      return {};
    }
    std::vector<T> values(count);
    if (count != 0) std::memcpy(values.data(), at_, count * sizeof(T));
    at_ += count * sizeof(T);
    return values;
  }
  RowBits GetBits(std::size_t row_count) {
    RowBits bits;
    const std::vector<std::uint64_t> words = GetAll<std::uint64_t>();
    if (!words.empty() && words.size() != (row_count + 63) / 64) failed_ = true;
    if (failed_ || words.empty()) return bits;
    for (std::size_t row = 0; row < row_count; ++row) {
      if (((words[row / 64] >> (row % 64)) & 1U) != 0) bits.Set(row);
    }
    return bits;
  }
  std::string GetText() {
    const auto count = Get<std::uint64_t>();
    if (failed_ || count > remaining()) {
      failed_ = true;
      return {};
    }
    std::string text(count, '\0');
    if (count != 0) std::memcpy(text.data(), at_, count);
    at_ += count;
    return text;
  }
  std::size_t remaining() const { return static_cast<std::size_t>(end_ - at_); }
  std::size_t Offset(const std::uint8_t* begin) const {
    return static_cast<std::size_t>(at_ - begin);
  }
  bool ok() const { return !failed_; }

 private:
  const std::uint8_t* at_;
  const std::uint8_t* end_;
  bool failed_ = false;
};

void PutMisfits(const std::vector<Misfit>& misfits, Writer& out) {
  out.Put<std::uint64_t>(misfits.size());
  for (const Misfit& misfit : misfits) {
    out.Put(misfit.row);
    out.Put(misfit.column);
    out.Put(misfit.is_old);
    out.PutText(misfit.reason);
    out.PutText(misfit.text);
    out.Put(misfit.commit_lsn);
    out.Put(misfit.committed_at);
  }
}

std::vector<Misfit> GetMisfits(Reader& in) {
  std::vector<Misfit> misfits;
  const auto count = in.Get<std::uint64_t>();
  for (std::uint64_t i = 0; i < count && in.ok(); ++i) {
    Misfit& misfit = misfits.emplace_back();
    misfit.row = in.Get<std::uint32_t>();
    misfit.column = in.Get<std::uint32_t>();
    misfit.is_old = in.Get<std::uint8_t>() != 0;
    misfit.reason = in.GetText();
    misfit.text = in.GetText();
    misfit.commit_lsn = in.Get<Lsn>();
    misfit.committed_at = in.Get<UnixMicros>();
  }
  return misfits;
}

arrow::ipc::IpcWriteOptions WriteOptions() {
  arrow::ipc::IpcWriteOptions options = arrow::ipc::IpcWriteOptions::Defaults();
  options.use_threads = false;
  if (arrow::util::Codec::IsAvailable(arrow::Compression::LZ4_FRAME)) {
    auto codec = arrow::util::Codec::Create(arrow::Compression::LZ4_FRAME);
    if (codec.ok()) options.codec = std::shared_ptr<arrow::util::Codec>(*std::move(codec));
  }
  return options;
}

Result<std::shared_ptr<arrow::Buffer>> EncodeRows(const RowsPtr& rows) {
  static const arrow::ipc::IpcWriteOptions options = WriteOptions();
  auto buffer = arrow::ipc::SerializeRecordBatch(*rows, options);
  if (!buffer.ok()) return RecordError("SLU-6103", "cannot encode a batch", buffer.status());
  return *std::move(buffer);
}

Result<RowsPtr> DecodeRows(const std::shared_ptr<arrow::Buffer>& bytes,
                           const std::shared_ptr<arrow::Schema>& schema) {
  arrow::io::BufferReader in(bytes);
  arrow::ipc::IpcReadOptions options = arrow::ipc::IpcReadOptions::Defaults();
  options.use_threads = false;
  const arrow::ipc::DictionaryMemo no_dictionaries;
  auto rows = arrow::ipc::ReadRecordBatch(schema, &no_dictionaries, options, &in);
  if (!rows.ok()) return RecordError("SLU-6104", "cannot decode a batch", rows.status());
  return *std::move(rows);
}

}  // namespace

BatchShape ShapeOf(const ChangeBatch& batch) {
  return {batch.schema, batch.values->schema(),
          batch.old == nullptr ? nullptr : batch.old->schema()};
}

bool IsSameShape(const BatchShape& a, const BatchShape& b) {
  const auto is_same = [](const std::shared_ptr<arrow::Schema>& one,
                          const std::shared_ptr<arrow::Schema>& other) {
    return one == other || (one != nullptr && other != nullptr && one->Equals(*other));
  };
  return a.schema == b.schema && is_same(a.values, b.values) && is_same(a.old, b.old);
}

Result<EncodedBatch> EncodeBatch(const ChangeBatch& batch) {
  EncodedBatch encoded;
  SLUICE_ASSIGN_OR_RETURN(encoded.values, EncodeRows(batch.values));
  if (batch.old != nullptr) {
    SLUICE_ASSIGN_OR_RETURN(encoded.old, EncodeRows(batch.old));
  }
  const std::size_t row_count = batch.row_count();
  Writer out;
  out.PutAll(batch.ordinals);
  out.PutAll(batch.kinds);
  out.PutAll(batch.runs);
  out.PutBits(batch.has_old, row_count);
  out.Put<std::uint64_t>(batch.unchanged.size());
  for (const RowBits& bits : batch.unchanged) out.PutBits(bits, row_count);
  PutMisfits(batch.misfits, out);
  out.Put<std::uint64_t>(batch.bytes);
  out.Put<std::uint64_t>(static_cast<std::uint64_t>(encoded.values->size()));
  out.Put<std::uint64_t>(encoded.old == nullptr ? 0
                                                : static_cast<std::uint64_t>(encoded.old->size()));
  encoded.header = out.Take();
  // Arrow wants its messages aligned to eight bytes, and finds them behind the header.
  encoded.header.resize((encoded.header.size() + 7) / 8 * 8);
  return encoded;
}

Result<ChangeBatch> DecodeBatch(const std::shared_ptr<arrow::Buffer>& record,
                                const BatchShape& shape) {
  Reader in(record->data(), static_cast<std::size_t>(record->size()));
  ChangeBatch batch;
  batch.schema = shape.schema;
  batch.ordinals = in.GetAll<std::uint32_t>();
  const std::size_t row_count = batch.row_count();
  batch.kinds = in.GetAll<ChangeKind>();
  batch.runs = in.GetAll<TransactionRun>();
  batch.has_old = in.GetBits(row_count);
  const auto column_count = in.Get<std::uint64_t>();
  if (!in.ok() || column_count > shape.schema->columns.size()) return Damaged();
  for (std::uint64_t column = 0; column < column_count; ++column) {
    batch.unchanged.push_back(in.GetBits(row_count));
  }
  batch.misfits = GetMisfits(in);
  batch.bytes = in.Get<std::uint64_t>();
  const auto values_size = in.Get<std::uint64_t>();
  const auto old_size = in.Get<std::uint64_t>();
  if (!in.ok()) return Damaged();
  const std::size_t header_size = (in.Offset(record->data()) + 7) / 8 * 8;
  const auto record_size = static_cast<std::size_t>(record->size());
  if (header_size > record_size || values_size > record_size - header_size ||
      old_size != record_size - header_size - values_size ||
      (old_size != 0) != (shape.old != nullptr)) {
    return Damaged();
  }
  const auto values_at = static_cast<std::int64_t>(header_size);
  const auto values_length = static_cast<std::int64_t>(values_size);
  SLUICE_ASSIGN_OR_RETURN(
      batch.values, DecodeRows(arrow::SliceBuffer(record, values_at, values_length), shape.values));
  if (shape.old != nullptr) {
    SLUICE_ASSIGN_OR_RETURN(
        batch.old, DecodeRows(arrow::SliceBuffer(record, values_at + values_length), shape.old));
  }
  const bool misfits_are_placed =
      std::all_of(batch.misfits.begin(), batch.misfits.end(), [&](const Misfit& misfit) {
        return misfit.row < row_count && misfit.column < shape.schema->columns.size();
      });
  if (!misfits_are_placed || batch.values->num_rows() != static_cast<std::int64_t>(row_count) ||
      (!batch.kinds.empty() && batch.kinds.size() != row_count)) {
    return Damaged();
  }
  return batch;
}

}  // namespace sluice::spill
