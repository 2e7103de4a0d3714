/// \file
/// One column under construction: validity, fixed-width data or offsets and data, children.
///
/// What an append costs is decided at construction: the decoders are two function pointers, one for
/// the binary form and one for the text form of the column's type. Validity exists only from the
/// first NULL on.
///
/// After a fault the column holds half a value: the caller truncates to the rows it had.
/// Thread safety: one object, one thread.
#pragma once

#include <arrow/type_fwd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/schema.h"

#include "columnar/growable_buffer.h"
#include "types/text_output.h"
#include "types/value_fault.h"

namespace sluice::columnar {

class ColumnBuilder;

using DecodeBinary = types::ValueFault (*)(ColumnBuilder&, std::span<const std::byte>);
using DecodeText = types::ValueFault (*)(ColumnBuilder&, std::string_view);

class ColumnBuilder {
 public:
  /// `type` must outlive this; `arrow_type` is its ArrowType().
  ColumnBuilder(const ColumnType& type, std::shared_ptr<arrow::DataType> arrow_type);
  ColumnBuilder(ColumnBuilder&&) noexcept = default;
  ColumnBuilder& operator=(ColumnBuilder&&) noexcept = default;
  ~ColumnBuilder();

  types::ValueFault AppendBinary(std::span<const std::byte> wire) {
    return decode_binary_(*this, wire);
  }
  types::ValueFault AppendText(std::string_view text) { return decode_text_(*this, text); }
  void AppendNull();
  void AppendNulls(std::size_t count);

  /// Forget every value from `row_count` on, and half values behind it.
  void Truncate(std::size_t row_count);

  std::size_t row_count() const { return row_count_; }
  /// Bytes in use, this column and its children.
  std::size_t used_bytes() const;
  /// Bytes that every row takes whatever its value, without children.
  std::size_t fixed_row_bytes() const;
  /// All ones where the wire's bytes end up in this column's memory, else zero.
  std::size_t wire_bytes_mask() const { return wire_bytes_mask_; }
  bool is_nested() const { return !children_.empty(); }

  std::shared_ptr<arrow::ArrayData> Finish();

  // What decoders use.

  const ColumnType& type() const { return *type_; }
  const types::TextFormatter* text_formatter() const { return text_formatter_.get(); }
  std::string& scratch() { return scratch_; }
  std::size_t child_count() const { return children_.size(); }
  ColumnBuilder& child(std::size_t index) { return children_[index]; }

  template <class T>
  void PushFixed(const T& value) {
    std::memcpy(data_.Extend(sizeof(T)), &value, sizeof(T));
    PushValid();
  }
  void PushBit(bool value) {
    SetBit(data_, row_count_, value);
    PushValid();
  }
  types::ValueFault PushBytes(const void* bytes, std::size_t count) {
    if (offsets_.size() == 0) [[unlikely]]
      PushOffset(0);
    const std::size_t end = data_.size() + count;
    if (end > kOffsetMax) [[unlikely]]
      return types::ValueFault::kTooLarge;
    if (count != 0) std::memcpy(data_.Extend(count), bytes, count);
    PushOffset(end);
    PushValid();
    return types::ValueFault::kNone;
  }
  /// A list or map value whose elements are all in the children.
  types::ValueFault PushList();
  /// A struct value whose attributes are all in the children.
  void PushStruct() { PushValid(); }

 private:
  enum class Layout : std::uint8_t { kBits, kFixed, kBytes, kList, kStruct };
  static constexpr std::size_t kOffsetMax = 0x7FFFFFFF;

  static Layout LayoutOf(Carrier carrier);
  static std::size_t WidthOf(Carrier carrier);
  static void SetBit(GrowableBuffer& bits, std::size_t index, bool value) {
    if (index % 8 == 0) *bits.Extend(1) = 0;
    const auto mask = static_cast<std::uint8_t>(1U << (index % 8));
    std::uint8_t& byte = bits.data()[index / 8];
    byte = static_cast<std::uint8_t>(value ? byte | mask : byte & ~mask);
  }
  void PushValid() {
    if (has_validity_) [[unlikely]]
      SetBit(validity_, row_count_, true);
    ++row_count_;
  }
  void PushOffset(std::size_t end) {
    const auto offset = static_cast<std::int32_t>(end);
    std::memcpy(offsets_.Extend(sizeof(offset)), &offset, sizeof(offset));
  }
  std::size_t OffsetAt(std::size_t row) const;
  void MakeValidity();
  void MakeChildren();
  std::int64_t CountNulls() const;

  const ColumnType* type_;
  DecodeBinary decode_binary_;
  DecodeText decode_text_;
  Layout layout_;
  std::size_t width_;  // kFixed
  std::size_t wire_bytes_mask_;
  std::size_t row_count_ = 0;
  bool has_validity_ = false;
  GrowableBuffer data_;
  GrowableBuffer offsets_;
  GrowableBuffer validity_;
  std::shared_ptr<arrow::DataType> arrow_type_;
  std::unique_ptr<types::TextFormatter> text_formatter_;
  std::vector<ColumnBuilder> children_;  // kList: one, or a map's keys and values; kStruct
  std::string scratch_;
};

}  // namespace sluice::columnar
