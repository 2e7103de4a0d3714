// Header-only: no library to link for one checksum.
#define XXH_INLINE_ALL  // NOLINT
#include "spill/sequential_log.h"

#include <arrow/buffer.h>
#include <arrow/result.h>
#include <arrow/type.h>
#include <xxhash.h>

#include <algorithm>
#include <type_traits>
#include <utility>
#include <variant>

#include "base/check.h"

namespace sluice::spill {
namespace {

/// Followed by the marks, then by the batch's bytes. This machine's byte order, this build's
/// layout.
struct RecordHead {
  std::uint64_t body_size = 0;
  std::uint64_t checksum = 0;  ///< of the body
  std::uint64_t mark_count = 0;
  std::uint32_t is_truncate = 0;
  std::uint32_t shape = 0;
  TruncateMark truncate;
};
static_assert(std::is_trivially_copyable_v<RecordHead>);
static_assert(std::is_trivially_copyable_v<TransactionMark>);

/// With what aligns the next one: Arrow reads from where the bytes lie.
std::uint64_t SizeOf(const RecordHead& head) {
  return (sizeof(head) + head.body_size + 7) / 8 * 8;
}

template <class T>
std::span<const std::byte> BytesOf(std::span<T> items) {
  return std::as_bytes(items);
}
std::span<const std::byte> BytesOf(const std::string& text) {
  return std::as_bytes(std::span<const char>(text.data(), text.size()));
}
std::span<const std::byte> BytesOf(const arrow::Buffer& buffer) {
  return std::as_bytes(
      std::span<const std::uint8_t>(buffer.data(), static_cast<std::size_t>(buffer.size())));
}

}  // namespace

Result<SequentialLog> SequentialLog::Create(const std::string& directory) {
  SLUICE_ASSIGN_OR_RETURN(SpillFile file, SpillFile::Create(directory));
  return SequentialLog(std::move(file));
}

std::uint32_t SequentialLog::ShapeIndex(BatchShape shape) {
  const auto found = std::find_if(shapes_.begin(), shapes_.end(), [&](const BatchShape& known) {
    return IsSameShape(known, shape);
  });
  if (found != shapes_.end()) return static_cast<std::uint32_t>(found - shapes_.begin());
  shapes_.push_back(std::move(shape));
  return static_cast<std::uint32_t>(shapes_.size() - 1);
}

Status SequentialLog::Append(const ChangeItem& item, std::span<const TransactionMark> marks) {
  RecordHead head;
  head.mark_count = marks.size();
  EncodedBatch encoded;
  std::vector<std::span<const std::byte>> body{BytesOf(marks)};
  if (const auto* batch = std::get_if<ChangeBatch>(&item)) {
    SLUICE_ASSIGN_OR_RETURN(encoded, EncodeBatch(*batch));
    body.push_back(BytesOf(encoded.header));
    body.push_back(BytesOf(*encoded.values));
    if (encoded.old != nullptr) body.push_back(BytesOf(*encoded.old));
    head.shape = ShapeIndex(ShapeOf(*batch));
  } else {
    SLUICE_CHECK(std::holds_alternative<TruncateMark>(item));
    head.is_truncate = 1;
    head.truncate = std::get<TruncateMark>(item);
  }
  XXH3_state_t checksum;
  XXH3_64bits_reset(&checksum);
  for (const auto part : body) {
    SLUICE_RETURN_IF_ERROR(file_.WriteAt(end_.offset + sizeof(head) + head.body_size, part));
    XXH3_64bits_update(&checksum, part.data(), part.size());
    head.body_size += part.size();
  }
  head.checksum = XXH3_64bits_digest(&checksum);
  SLUICE_RETURN_IF_ERROR(file_.WriteAt(end_.offset, std::as_bytes(std::span(&head, 1))));
  end_.offset += SizeOf(head);
  return {};
}

Result<SequentialLog::Record> SequentialLog::Read(LogPlace& place) const {
  SLUICE_CHECK(place < end_);
  RecordHead head;
  SLUICE_RETURN_IF_ERROR(file_.ReadAt(place.offset, std::as_writable_bytes(std::span(&head, 1))));
  const std::uint64_t room = end_.offset - place.offset - sizeof(head);
  if (head.body_size > room || head.mark_count > head.body_size / sizeof(TransactionMark) ||
      (head.is_truncate == 0 && head.shape >= shapes_.size())) {
    return file_.DamagedError();
  }
  auto allocated = arrow::AllocateBuffer(static_cast<std::int64_t>(head.body_size));
  if (!allocated.ok()) return file_.DamagedError();
  const std::shared_ptr<arrow::Buffer> body = *std::move(allocated);
  const std::span<std::byte> bytes = std::as_writable_bytes(
      std::span<std::uint8_t>(body->mutable_data(), static_cast<std::size_t>(body->size())));
  SLUICE_RETURN_IF_ERROR(file_.ReadAt(place.offset + sizeof(head), bytes));
  if (XXH3_64bits(bytes.data(), bytes.size()) != head.checksum) return file_.DamagedError();

  Result<Record> read = Record();
  Record& record = *read;
  record.marks.resize(head.mark_count);
  const std::size_t mark_bytes = head.mark_count * sizeof(TransactionMark);
  std::copy_n(bytes.begin(), mark_bytes, std::as_writable_bytes(std::span(record.marks)).begin());
  if (head.is_truncate != 0) {
    record.item = head.truncate;
  } else {
    SLUICE_ASSIGN_OR_RETURN(
        record.item, DecodeBatch(arrow::SliceBuffer(body, static_cast<std::int64_t>(mark_bytes)),
                                 shapes_[head.shape]));
  }
  place.offset += SizeOf(head);
  return read;
}

Status SequentialLog::Truncate(LogPlace place) {
  if (place >= end_) return {};
  end_ = place;
  return file_.Truncate(end_.offset);
}

}  // namespace sluice::spill
