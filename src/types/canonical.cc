#include "types/canonical.h"

#include <arrow/array.h>
#include <arrow/type.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>

#include "types/arrow_type.h"
#include "types/canonical_internal.h"

namespace sluice::types {

using canonical::AppendBigEndian;
using canonical::AppendBytesCell;
using canonical::AppendFixedCell;
using canonical::Int128;
using canonical::OpenCell;

struct ArrowCellEncoder::Node {
  Carrier carrier = Carrier::kText;
  std::shared_ptr<arrow::Array> array;
  std::vector<std::unique_ptr<const Node>> children;
};

namespace {

using Node = ArrowCellEncoder::Node;
using NodePtr = std::unique_ptr<const Node>;

/// Element names and nullability do not count: destinations name them as they like.
bool IsCarried(const ColumnType& type, const arrow::DataType& actual) {
  if (type.carrier == Carrier::kDecimal) {
    return actual.id() == arrow::Type::DECIMAL128 &&
           static_cast<const arrow::Decimal128Type&>(actual).scale() == type.scale;
  }
  if (type.carrier == Carrier::kList) return actual.id() == arrow::Type::LIST;
  if (type.carrier == Carrier::kMap) return actual.id() == arrow::Type::MAP;
  if (type.carrier == Carrier::kStruct) {
    return actual.id() == arrow::Type::STRUCT &&
           static_cast<std::size_t>(actual.num_fields()) == type.children.size();
  }
  if (type.carrier == Carrier::kTimestamp || type.carrier == Carrier::kTimestampTz) {
    return actual.id() == arrow::Type::TIMESTAMP &&
           static_cast<const arrow::TimestampType&>(actual).unit() == arrow::TimeUnit::MICRO;
  }
  return ArrowType(type)->Equals(actual);
}

Error NotCarried(const ColumnType& type, const arrow::DataType& actual) {
  return Error{.kind = ErrorKind::kInternal,
               .message = "verify expected " + type.name + " from the destination, it sent " +
                          actual.ToString(),
               .code = "SLU-9001"};
}

Result<NodePtr> MakeNode(const ColumnType& type, std::shared_ptr<arrow::Array> array) {
  if (!IsCarried(type, *array->type())) return NotCarried(type, *array->type());
  auto node = std::make_unique<Node>();
  node->carrier = type.carrier;
  const auto add_child = [&](const ColumnType& child_type,
                             std::shared_ptr<arrow::Array> child) -> Status {
    SLUICE_ASSIGN_OR_RETURN(NodePtr child_node, MakeNode(child_type, std::move(child)));
    node->children.push_back(std::move(child_node));
    return {};
  };
  if (type.carrier == Carrier::kList) {
    if (type.children.size() != 1) return NotCarried(type, *array->type());
    SLUICE_RETURN_IF_ERROR(
        add_child(type.children[0], static_cast<const arrow::ListArray&>(*array).values()));
  } else if (type.carrier == Carrier::kMap) {
    const auto& map = static_cast<const arrow::MapArray&>(*array);
    SLUICE_RETURN_IF_ERROR(add_child(ColumnType{}, map.keys()));
    SLUICE_RETURN_IF_ERROR(add_child(ColumnType{}, map.items()));
  } else if (type.carrier == Carrier::kStruct) {
    const auto& structs = static_cast<const arrow::StructArray&>(*array);
    for (std::size_t i = 0; i < type.children.size(); ++i) {
      SLUICE_RETURN_IF_ERROR(add_child(type.children[i], structs.field(static_cast<int>(i))));
    }
  }
  node->array = std::move(array);
  return NodePtr(std::move(node));
}

template <class ArrayType>
auto ValueAt(const Node& node, std::int64_t row) {
  return static_cast<const ArrayType&>(*node.array).Value(row);
}

template <class ArrayType>
std::string_view ViewAt(const Node& node, std::int64_t row) {
  return static_cast<const ArrayType&>(*node.array).GetView(row);
}

void AppendNode(const Node& node, std::int64_t row, std::string& out);

void AppendDecimalCell(const Node& node, std::int64_t row, std::string& out) {
  Int128 value = 0;
  std::memcpy(&value, static_cast<const arrow::Decimal128Array&>(*node.array).GetValue(row), 16);
  canonical::AppendInt128Cell(value, out);
}

void AppendIntervalCell(const Node& node, std::int64_t row, std::string& out) {
  const std::uint8_t* bytes =
      static_cast<const arrow::FixedSizeBinaryArray&>(*node.array).GetValue(row);
  std::uint64_t micros = 0;
  std::uint32_t days = 0;
  std::uint32_t months = 0;
  std::memcpy(&micros, bytes, 8);
  std::memcpy(&days, bytes + 8, 4);
  std::memcpy(&months, bytes + 12, 4);
  canonical::AppendIntervalCell(micros, days, months, out);
}

/// Lists and maps: elements [offset, offset + length) of every child in turn.
void AppendListCell(const Node& node, std::int64_t row, std::string& out) {
  const auto& list = static_cast<const arrow::ListArray&>(*node.array);
  const std::int64_t begin = list.value_offset(row);
  const std::int64_t end = begin + list.value_length(row);
  OpenCell cell(out);
  AppendBigEndian(static_cast<std::uint32_t>(end - begin), out);
  for (std::int64_t i = begin; i < end; ++i) {
    for (const NodePtr& child : node.children) AppendNode(*child, i, out);
  }
  cell.Close();
}

void AppendStructCell(const Node& node, std::int64_t row, std::string& out) {
  OpenCell cell(out);
  AppendBigEndian(static_cast<std::uint32_t>(node.children.size()), out);
  for (const NodePtr& child : node.children) AppendNode(*child, row, out);
  cell.Close();
}

void AppendNode(const Node& node, std::int64_t row, std::string& out) {
  if (node.array->IsNull(row)) {
    AppendNullCell(out);
    return;
  }
  switch (node.carrier) {
    case Carrier::kBool:
      return canonical::AppendBoolCell(ValueAt<arrow::BooleanArray>(node, row), out);
    case Carrier::kInt16:
      return AppendFixedCell(static_cast<std::uint16_t>(ValueAt<arrow::Int16Array>(node, row)),
                             out);
    case Carrier::kInt32:
      return AppendFixedCell(static_cast<std::uint32_t>(ValueAt<arrow::Int32Array>(node, row)),
                             out);
    case Carrier::kInt64:
      return AppendFixedCell(static_cast<std::uint64_t>(ValueAt<arrow::Int64Array>(node, row)),
                             out);
    case Carrier::kUInt32:
      return AppendFixedCell(ValueAt<arrow::UInt32Array>(node, row), out);
    case Carrier::kFloat32:
      return AppendFixedCell(canonical::NormaliseNan(std::bit_cast<std::uint32_t>(
                                 ValueAt<arrow::FloatArray>(node, row))),
                             out);
    case Carrier::kFloat64:
      return AppendFixedCell(canonical::NormaliseNan(std::bit_cast<std::uint64_t>(
                                 ValueAt<arrow::DoubleArray>(node, row))),
                             out);
    case Carrier::kDate:
      return AppendFixedCell(static_cast<std::uint32_t>(ValueAt<arrow::Date32Array>(node, row)),
                             out);
    case Carrier::kTimestamp:
    case Carrier::kTimestampTz:
      return AppendFixedCell(static_cast<std::uint64_t>(ValueAt<arrow::TimestampArray>(node, row)),
                             out);
    case Carrier::kTime:
      return AppendFixedCell(static_cast<std::uint64_t>(ValueAt<arrow::Time64Array>(node, row)),
                             out);
    case Carrier::kDecimal:
      return AppendDecimalCell(node, row, out);
    case Carrier::kInterval:
      return AppendIntervalCell(node, row, out);
    case Carrier::kUuid:
      return AppendBytesCell(ViewAt<arrow::FixedSizeBinaryArray>(node, row), out);
    case Carrier::kText:
    case Carrier::kJson:
    case Carrier::kBytes:
      return AppendBytesCell(ViewAt<arrow::BinaryArray>(node, row), out);
    case Carrier::kList:
    case Carrier::kMap:
      return AppendListCell(node, row, out);
    case Carrier::kStruct:
      return AppendStructCell(node, row, out);
  }
}

}  // namespace

ArrowCellEncoder::ArrowCellEncoder() = default;
ArrowCellEncoder::~ArrowCellEncoder() = default;
ArrowCellEncoder::ArrowCellEncoder(ArrowCellEncoder&&) noexcept = default;
ArrowCellEncoder& ArrowCellEncoder::operator=(ArrowCellEncoder&&) noexcept = default;

Result<ArrowCellEncoder> ArrowCellEncoder::Make(
    std::span<const ColumnType> types, std::span<const std::shared_ptr<arrow::Array>> arrays) {
  if (types.size() != arrays.size()) {
    return Error{.kind = ErrorKind::kInternal,
                 .message = "verify got another number of columns than it asked for",
                 .code = "SLU-9001"};
  }
  ArrowCellEncoder encoder;
  for (std::size_t i = 0; i < types.size(); ++i) {
    SLUICE_ASSIGN_OR_RETURN(NodePtr node, MakeNode(types[i], arrays[i]));
    encoder.nodes_.push_back(std::move(node));
  }
  return encoder;
}

void ArrowCellEncoder::Append(std::size_t column, std::int64_t row, std::string& out) const {
  AppendNode(*nodes_[column], row, out);
}

std::size_t ArrowCellEncoder::column_count() const {
  return nodes_.size();
}

std::int64_t ArrowCellEncoder::row_count() const {
  return nodes_.empty() ? 0 : nodes_[0]->array->length();
}

Hash128 HashCanonical(std::string_view bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return {hash.low64, hash.high64};
}

}  // namespace sluice::types
