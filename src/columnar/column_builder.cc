#include "columnar/column_builder.h"

#include <arrow/array/data.h>
#include <arrow/buffer.h>
#include <arrow/type.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <utility>

#include "base/check.h"
#include "columnar/decoders.h"
#include "types/builtin_types.h"
#include "types/type_policies.h"

namespace sluice::columnar {
namespace {

std::size_t BytesForBits(std::size_t bits) {
  return (bits + 7) / 8;
}

std::unique_ptr<types::TextFormatter> FormatterFor(const ColumnType& type) {
  const bool is_by_text = type.carrier == Carrier::kText || types::IsRoundedNumeric(type);
  if (!is_by_text || type.codec.empty()) return nullptr;
  if (types::IsVerbatimText(type.codec)) return nullptr;
  auto made = types::TextFormatter::Make(type);
  return made ? std::make_unique<types::TextFormatter>(*std::move(made)) : nullptr;
}

// Keys and values of an hstore.
const ColumnType& MapCellType() {
  static const ColumnType kType = [] {
    ColumnType type;
    type.oid = Oid{25};
    type.name = "text";
    type.carrier = Carrier::kText;
    type.codec = "text";
    return type;
  }();
  return kType;
}

}  // namespace

ColumnBuilder::ColumnBuilder(const ColumnType& type, std::shared_ptr<arrow::DataType> arrow_type)
    : type_(&type),
      decode_binary_(nullptr),
      decode_text_(TextDecoderFor(type)),
      layout_(LayoutOf(type.carrier)),
      width_(WidthOf(type.carrier)),
      wire_bytes_mask_(layout_ == Layout::kBytes ? std::numeric_limits<std::size_t>::max() : 0),
      arrow_type_(std::move(arrow_type)),
      text_formatter_(FormatterFor(type)) {
  decode_binary_ = BinaryDecoderFor(type, text_formatter_ != nullptr);
  MakeChildren();
}

ColumnBuilder::~ColumnBuilder() = default;

void ColumnBuilder::MakeChildren() {
  if (type_->carrier == Carrier::kMap) {
    const auto& map = static_cast<const arrow::MapType&>(*arrow_type_);
    children_.reserve(2);
    children_.emplace_back(MapCellType(), map.key_type());
    children_.emplace_back(MapCellType(), map.item_type());
  } else if (type_->carrier == Carrier::kList || type_->carrier == Carrier::kStruct) {
    children_.reserve(type_->children.size());
    for (std::size_t i = 0; i < type_->children.size(); ++i) {
      children_.emplace_back(type_->children[i], arrow_type_->field(static_cast<int>(i))->type());
    }
  }
}

ColumnBuilder::Layout ColumnBuilder::LayoutOf(Carrier carrier) {
  switch (carrier) {
    case Carrier::kBool:
      return Layout::kBits;
    case Carrier::kText:
    case Carrier::kBytes:
    case Carrier::kJson:
      return Layout::kBytes;
    case Carrier::kList:
    case Carrier::kMap:
      return Layout::kList;
    case Carrier::kStruct:
      return Layout::kStruct;
    case Carrier::kInt16:
    case Carrier::kInt32:
    case Carrier::kInt64:
    case Carrier::kUInt32:
    case Carrier::kFloat32:
    case Carrier::kFloat64:
    case Carrier::kDecimal:
    case Carrier::kDate:
    case Carrier::kTimestamp:
    case Carrier::kTimestampTz:
    case Carrier::kTime:
    case Carrier::kInterval:
    case Carrier::kUuid:
      return Layout::kFixed;
  }
  SLUICE_CHECK(false);
}

std::size_t ColumnBuilder::WidthOf(Carrier carrier) {
  switch (carrier) {
    case Carrier::kInt16:
      return 2;
    case Carrier::kInt32:
    case Carrier::kUInt32:
    case Carrier::kFloat32:
    case Carrier::kDate:
      return 4;
    case Carrier::kInt64:
    case Carrier::kFloat64:
    case Carrier::kTimestamp:
    case Carrier::kTimestampTz:
    case Carrier::kTime:
      return 8;
    case Carrier::kDecimal:
    case Carrier::kInterval:
    case Carrier::kUuid:
      return 16;
    case Carrier::kBool:
    case Carrier::kText:
    case Carrier::kBytes:
    case Carrier::kJson:
    case Carrier::kList:
    case Carrier::kMap:
    case Carrier::kStruct:
      return 0;
  }
  SLUICE_CHECK(false);
}

void ColumnBuilder::AppendNull() {
  if (!has_validity_) MakeValidity();
  switch (layout_) {
    case Layout::kBits:
      SetBit(data_, row_count_, false);
      break;
    case Layout::kFixed:
      std::memset(data_.Extend(width_), 0, width_);
      break;
    case Layout::kBytes:
      if (offsets_.size() == 0) PushOffset(0);
      PushOffset(data_.size());
      break;
    case Layout::kList:
      if (offsets_.size() == 0) PushOffset(0);
      PushOffset(children_[0].row_count());
      break;
    case Layout::kStruct:
      for (ColumnBuilder& child : children_) child.AppendNull();
      break;
  }
  SetBit(validity_, row_count_, false);
  ++row_count_;
}

void ColumnBuilder::AppendNulls(std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) AppendNull();
}

void ColumnBuilder::MakeValidity() {
  has_validity_ = true;
  const std::size_t bytes = BytesForBits(row_count_);
  if (bytes == 0) return;
  std::memset(validity_.Extend(bytes), 0xFF, bytes);
  if (row_count_ % 8 != 0) {
    validity_.data()[bytes - 1] = static_cast<std::uint8_t>((1U << (row_count_ % 8)) - 1);
  }
}

types::ValueFault ColumnBuilder::PushList() {
  if (offsets_.size() == 0) PushOffset(0);
  const std::size_t end = children_[0].row_count();
  if (end > kOffsetMax) return types::ValueFault::kTooLarge;
  PushOffset(end);
  PushValid();
  return types::ValueFault::kNone;
}

std::size_t ColumnBuilder::OffsetAt(std::size_t row) const {
  if (offsets_.size() == 0) return 0;
  std::int32_t offset;
  std::memcpy(&offset, offsets_.data() + row * sizeof(offset), sizeof(offset));
  return static_cast<std::size_t>(offset);
}

void ColumnBuilder::Truncate(std::size_t row_count) {
  row_count = std::min(row_count, row_count_);
  switch (layout_) {
    case Layout::kBits:
      data_.ShrinkTo(BytesForBits(row_count));
      break;
    case Layout::kFixed:
      data_.ShrinkTo(row_count * width_);
      break;
    case Layout::kBytes:
      data_.ShrinkTo(OffsetAt(row_count));
      offsets_.ShrinkTo((row_count + 1) * sizeof(std::int32_t));
      break;
    case Layout::kList: {
      const std::size_t end = OffsetAt(row_count);
      for (ColumnBuilder& child : children_) child.Truncate(end);
      offsets_.ShrinkTo((row_count + 1) * sizeof(std::int32_t));
      break;
    }
    case Layout::kStruct:
      for (ColumnBuilder& child : children_) child.Truncate(row_count);
      break;
  }
  validity_.ShrinkTo(BytesForBits(row_count));
  row_count_ = row_count;
}

std::size_t ColumnBuilder::used_bytes() const {
  std::size_t bytes = data_.size() + offsets_.size() + validity_.size();
  for (const ColumnBuilder& child : children_) bytes += child.used_bytes();
  return bytes;
}

std::size_t ColumnBuilder::fixed_row_bytes() const {
  switch (layout_) {
    case Layout::kBits:
    case Layout::kStruct:
      return 1;
    case Layout::kFixed:
      return width_;
    case Layout::kBytes:
    case Layout::kList:
      return sizeof(std::int32_t);
  }
  SLUICE_CHECK(false);
}

std::int64_t ColumnBuilder::CountNulls() const {
  std::size_t valid = 0;
  for (std::size_t row = 0; row + 8 <= row_count_; row += 8) {
    valid += static_cast<std::size_t>(std::popcount(validity_.data()[row / 8]));
  }
  if (row_count_ % 8 != 0) {
    // A truncation may have left bits behind the end.
    const unsigned last = validity_.data()[row_count_ / 8] & ((1U << (row_count_ % 8)) - 1);
    valid += static_cast<std::size_t>(std::popcount(last));
  }
  return static_cast<std::int64_t>(row_count_ - valid);
}

std::shared_ptr<arrow::ArrayData> ColumnBuilder::Finish() {
  const auto length = static_cast<std::int64_t>(row_count_);
  const std::int64_t null_count = has_validity_ ? CountNulls() : 0;
  std::vector<std::shared_ptr<arrow::Buffer>> buffers = {nullptr};
  if (null_count != 0) buffers[0] = validity_.Finish();
  validity_.ShrinkTo(0);
  if (layout_ == Layout::kBytes || layout_ == Layout::kList) {
    if (offsets_.size() == 0) PushOffset(0);
    buffers.push_back(offsets_.Finish());
  }
  if (layout_ != Layout::kList && layout_ != Layout::kStruct) buffers.push_back(data_.Finish());

  std::vector<std::shared_ptr<arrow::ArrayData>> children;
  for (ColumnBuilder& child : children_) children.push_back(child.Finish());
  if (type_->carrier == Carrier::kMap) {
    const std::int64_t entries = children[0]->length;
    const auto& map = static_cast<const arrow::MapType&>(*arrow_type_);
    children = {arrow::ArrayData::Make(map.value_type(), entries, {nullptr}, std::move(children),
                                       /*null_count=*/0)};
  }
  row_count_ = 0;
  has_validity_ = false;
  return arrow::ArrayData::Make(arrow_type_, length, std::move(buffers), std::move(children),
                                null_count);
}

}  // namespace sluice::columnar
