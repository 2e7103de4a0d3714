#include "base/byte_reader.h"
#include "columnar/decoders.h"
#include "types/vectors.h"

namespace sluice::columnar {
namespace {

using types::ValueFault;

constexpr std::int32_t kNullLength = -1;
constexpr std::size_t kLengthBytes = 4;

// The oids below this are the same everywhere and never domains, so that they can be compared with
// a resolved type; others may be domains over it.
constexpr std::uint32_t kFirstUserOid = 12000;

bool IsOtherType(std::uint32_t wire_oid, const ColumnType& type) {
  return wire_oid < kFirstUserOid && wire_oid != type.oid.value;
}

// Int32 length, or -1 for NULL; then the value.
ValueFault AppendItem(base::ByteReader& in, ColumnBuilder& column) {
  const std::int32_t length = in.ReadI32();
  if (length == kNullLength) {
    column.AppendNull();
    return ValueFault::kNone;
  }
  if (length < 0) return ValueFault::kMalformed;
  const std::span<const std::byte> value = in.ReadBytes(static_cast<std::size_t>(length));
  if (!in.ok()) return ValueFault::kMalformed;
  return column.AppendBinary(value);
}

}  // namespace

// array_send():
//   Int32  dimensions        Int32  1 where there may be NULLs      Int32  element type
//   for each dimension: Int32 length, Int32 lower bound
//   the elements
ValueFault DecodeListBinary(ColumnBuilder& column, std::span<const std::byte> wire) {
  base::ByteReader in(wire);
  const std::int32_t dimensions = in.ReadI32();
  in.ReadU32();
  const std::uint32_t element_oid = in.ReadU32();
  if (!in.ok() || dimensions < 0) return ValueFault::kMalformed;
  ColumnBuilder& elements = column.child(0);
  if (IsOtherType(element_oid, elements.type())) return ValueFault::kCompositeShape;
  if (dimensions == 0) {
    return in.Finish() ? column.PushList() : ValueFault::kMalformed;
  }
  if (dimensions > 1) return ValueFault::kListShape;
  const std::int32_t length = in.ReadI32();
  const std::int32_t lower_bound = in.ReadI32();
  if (!in.ok() || length < 0) return ValueFault::kMalformed;
  if (lower_bound != 1) return ValueFault::kListShape;
  if (static_cast<std::size_t>(length) > in.remaining() / kLengthBytes) {
    return ValueFault::kMalformed;
  }
  for (std::int32_t i = 0; i < length; ++i) {
    const ValueFault fault = AppendItem(in, elements);
    if (fault != ValueFault::kNone) return fault;
  }
  return in.Finish() ? column.PushList() : ValueFault::kMalformed;
}

ValueFault DecodeVectorBinary(ColumnBuilder& column, std::span<const std::byte> wire) {
  const ColumnType& type = column.type();
  const bool is_half = type.codec == types::kHalfVectorCodec;
  const std::size_t declared = types::VectorLength(type);
  base::ByteReader in(wire);
  const std::size_t length = in.ReadU16();
  in.ReadU16();
  if (!in.ok() || in.remaining() != length * (is_half ? 2 : 4)) return ValueFault::kMalformed;
  if (declared != 0 && length != declared) return ValueFault::kMalformed;
  ColumnBuilder& elements = column.child(0);
  for (std::size_t i = 0; i < length; ++i)
    elements.PushFixed(is_half ? types::FloatBitsOfHalf(in.ReadU16()) : in.ReadU32());
  return column.PushList();
}

// record_send():
//   Int32  attributes, without dropped ones
//   for each: Int32 type, then the value
ValueFault DecodeStructBinary(ColumnBuilder& column, std::span<const std::byte> wire) {
  base::ByteReader in(wire);
  const std::int32_t count = in.ReadI32();
  if (!in.ok() || count < 0) return ValueFault::kMalformed;
  if (static_cast<std::size_t>(count) != column.child_count()) return ValueFault::kCompositeShape;
  for (std::size_t i = 0; i < column.child_count(); ++i) {
    ColumnBuilder& attribute = column.child(i);
    const std::uint32_t oid = in.ReadU32();
    if (!in.ok()) return ValueFault::kMalformed;
    if (IsOtherType(oid, attribute.type())) return ValueFault::kCompositeShape;
    const ValueFault fault = AppendItem(in, attribute);
    if (fault != ValueFault::kNone) return fault;
  }
  if (!in.Finish()) return ValueFault::kMalformed;
  column.PushStruct();
  return ValueFault::kNone;
}

// hstore_send():
//   Int32  pairs
//   for each: Int32 length and key, then the value
ValueFault DecodeMapBinary(ColumnBuilder& column, std::span<const std::byte> wire) {
  base::ByteReader in(wire);
  const std::int32_t count = in.ReadI32();
  if (!in.ok() || count < 0 ||
      static_cast<std::size_t>(count) > in.remaining() / (2 * kLengthBytes)) {
    return ValueFault::kMalformed;
  }
  ColumnBuilder& keys = column.child(0);
  for (std::int32_t i = 0; i < count; ++i) {
    const std::int32_t key_length = in.ReadI32();
    if (key_length < 0) return ValueFault::kMalformed;
    const std::span<const std::byte> key = in.ReadBytes(static_cast<std::size_t>(key_length));
    if (!in.ok()) return ValueFault::kMalformed;
    ValueFault fault = keys.AppendBinary(key);
    if (fault == ValueFault::kNone) fault = AppendItem(in, column.child(1));
    if (fault != ValueFault::kNone) return fault;
  }
  return in.Finish() ? column.PushList() : ValueFault::kMalformed;
}

}  // namespace sluice::columnar
