// Header-only: no library to link for one checksum.
#define XXH_INLINE_ALL  // NOLINT
#include "spill/change_log.h"

#include <arrow/buffer.h>
#include <arrow/result.h>
#include <xxhash.h>

#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "base/check.h"
#include "spill/batch_record.h"
#include "spill/spill_file.h"

namespace sluice::spill {
namespace {

/// Where a batch lies.
struct BatchPlace {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  std::uint64_t checksum = 0;
  /// Shared with the entries before it while the table's shape is the same.
  std::shared_ptr<const BatchShape> shape;
};

using Entry = std::variant<BatchPlace, TruncateMark, SchemaMark, TableFailure>;

std::span<const std::byte> BytesOf(const std::string& text) {
  return std::as_bytes(std::span<const char>(text.data(), text.size()));
}
std::span<const std::byte> BytesOf(const arrow::Buffer& buffer) {
  return std::as_bytes(
      std::span<const std::uint8_t>(buffer.data(), static_cast<std::size_t>(buffer.size())));
}

class Checksum {
 public:
  Checksum() { XXH3_64bits_reset(&state_); }
  void Add(std::span<const std::byte> bytes) {
    XXH3_64bits_update(&state_, bytes.data(), bytes.size());
  }
  std::uint64_t Get() const { return XXH3_64bits_digest(&state_); }

 private:
  XXH3_state_t state_ = {};
};

}  // namespace

struct ChangeLog::State {
  explicit State(SpillFile spill_file) : file(std::move(spill_file)) {}

  SpillFile file;
  std::vector<Entry> entries;
  std::uint64_t end = 0;  ///< where the next record goes
  std::shared_ptr<const BatchShape> last_shape;

  std::shared_ptr<const BatchShape> Shared(BatchShape shape) {
    if (last_shape == nullptr || !IsSameShape(*last_shape, shape)) {
      last_shape = std::make_shared<const BatchShape>(std::move(shape));
    }
    return last_shape;
  }
};

ChangeLog::ChangeLog(std::unique_ptr<State> state) : state_(std::move(state)) {}
ChangeLog::~ChangeLog() = default;
ChangeLog::ChangeLog(ChangeLog&&) noexcept = default;
ChangeLog& ChangeLog::operator=(ChangeLog&&) noexcept = default;

Result<ChangeLog> ChangeLog::Create(const std::string& directory) {
  SLUICE_ASSIGN_OR_RETURN(SpillFile file, SpillFile::Create(directory));
  return ChangeLog(std::make_unique<State>(std::move(file)));
}

Result<std::size_t> ChangeLog::Append(const ChangeItem& item) {
  if (const auto* batch = std::get_if<ChangeBatch>(&item)) return Append(*batch);
  if (const auto* truncate = std::get_if<TruncateMark>(&item)) {
    state_->entries.emplace_back(*truncate);
  } else if (const auto* mark = std::get_if<SchemaMark>(&item)) {
    state_->entries.emplace_back(*mark);
  } else {
    state_->entries.emplace_back(std::get<TableFailure>(item));
  }
  return size() - 1;
}

Result<std::size_t> ChangeLog::Append(const ChangeBatch& batch) {
  SLUICE_ASSIGN_OR_RETURN(const EncodedBatch encoded, EncodeBatch(batch));
  BatchPlace place;
  place.offset = state_->end;
  Checksum checksum;
  const auto write = [&](std::span<const std::byte> bytes) {
    checksum.Add(bytes);
    Status written = state_->file.WriteAt(place.offset + place.size, bytes);
    place.size += bytes.size();
    return written;
  };
  SLUICE_RETURN_IF_ERROR(write(BytesOf(encoded.header)));
  SLUICE_RETURN_IF_ERROR(write(BytesOf(*encoded.values)));
  if (encoded.old != nullptr) SLUICE_RETURN_IF_ERROR(write(BytesOf(*encoded.old)));
  place.checksum = checksum.Get();
  place.shape = state_->Shared(ShapeOf(batch));
  state_->end += (place.size + 7) / 8 * 8;
  state_->entries.emplace_back(std::move(place));
  return size() - 1;
}

Result<ChangeItem> ChangeLog::Read(std::size_t index) const {
  SLUICE_CHECK(index < size());
  const Entry& entry = state_->entries[index];
  if (const auto* truncate = std::get_if<TruncateMark>(&entry)) return ChangeItem(*truncate);
  if (const auto* mark = std::get_if<SchemaMark>(&entry)) return ChangeItem(*mark);
  if (const auto* failure = std::get_if<TableFailure>(&entry)) return ChangeItem(*failure);
  SLUICE_ASSIGN_OR_RETURN(ChangeBatch batch, ReadBatch(index));
  return ChangeItem(std::move(batch));
}

Result<ChangeBatch> ChangeLog::ReadBatch(std::size_t index) const {
  SLUICE_CHECK(index < size());
  const auto* place = std::get_if<BatchPlace>(&state_->entries[index]);
  SLUICE_CHECK(place != nullptr);
  auto allocated = arrow::AllocateBuffer(static_cast<std::int64_t>(place->size));
  if (!allocated.ok()) return state_->file.DamagedError();
  const std::shared_ptr<arrow::Buffer> record = *std::move(allocated);
  const std::span<std::byte> bytes = std::as_writable_bytes(
      std::span<std::uint8_t>(record->mutable_data(), static_cast<std::size_t>(record->size())));
  SLUICE_RETURN_IF_ERROR(state_->file.ReadAt(place->offset, bytes));
  Checksum checksum;
  checksum.Add(bytes);
  if (checksum.Get() != place->checksum) return state_->file.DamagedError();
  return DecodeBatch(record, *place->shape);
}

Status ChangeLog::Truncate(std::size_t count) {
  if (count >= size()) return {};
  std::uint64_t end = state_->end;
  for (std::size_t at = size(); at > count; --at) {
    const auto* place = std::get_if<BatchPlace>(&state_->entries[at - 1]);
    if (place != nullptr) end = place->offset;
  }
  state_->entries.resize(count);
  state_->end = end;
  return state_->file.Truncate(end);
}

std::size_t ChangeLog::size() const {
  return state_->entries.size();
}

std::uint64_t ChangeLog::file_bytes() const {
  return state_->end;
}

}  // namespace sluice::spill
