#include "replication/column_view.h"

#include <arrow/array/data.h>
#include <arrow/buffer.h>
#include <arrow/type.h>
#include <arrow/type_traits.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cmath>
#include <cstring>
#include <limits>

namespace sluice::replication {
namespace {

constexpr std::uint64_t kNullHash = 0x9E3779B97F4A7C15;
constexpr std::uint64_t kMultiplier = 0xD6E8FEB86659FD93;

__extension__ using Wide = unsigned __int128;

std::uint64_t Mix(std::uint64_t a, std::uint64_t b) {
  const Wide product = static_cast<Wide>(a ^ kNullHash) * (b ^ kMultiplier);
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

template <class T>
T Load(const std::uint8_t* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

// One representative of all that are equal as keys.
template <class T>
T Normalised(T value) {
  if (std::isnan(value)) return std::numeric_limits<T>::quiet_NaN();
  return value == T{0} ? T{0} : value;
}

template <class T, class Bits>
Bits FloatBits(const std::uint8_t* at, CellEquality equality) {
  if (equality == CellEquality::kExact) return Load<Bits>(at);
  const T value = Normalised(Load<T>(at));
  return Load<Bits>(reinterpret_cast<const std::uint8_t*>(&value));
}

std::uint64_t HashBytes(const std::uint8_t* at, std::size_t size, std::uint64_t seed) {
  if (size == 8) return Mix(Load<std::uint64_t>(at), seed);
  if (size == 4) return Mix(Load<std::uint32_t>(at), seed);
  return XXH3_64bits_withSeed(at, size, seed);
}

std::uint32_t ListLength(const ColumnView& column, std::uint32_t row) {
  return static_cast<std::uint32_t>(column.offsets[row + 1] - column.offsets[row]);
}

bool SameList(const ColumnView& a, std::uint32_t row_a, const ColumnView& b, std::uint32_t row_b,
              CellEquality equality) {
  const std::uint32_t length = ListLength(a, row_a);
  if (length != ListLength(b, row_b)) return false;
  const ColumnView items_a = ViewOf(a.data->child_data[0].get());
  const ColumnView items_b = ViewOf(b.data->child_data[0].get());
  const auto begin_a = static_cast<std::uint32_t>(a.offsets[row_a]);
  const auto begin_b = static_cast<std::uint32_t>(b.offsets[row_b]);
  for (std::uint32_t i = 0; i < length; ++i) {
    if (!SameCell(items_a, begin_a + i, items_b, begin_b + i, equality)) return false;
  }
  return true;
}

bool SameStruct(const ColumnView& a, std::uint32_t row_a, const ColumnView& b, std::uint32_t row_b,
                CellEquality equality) {
  for (std::size_t child = 0; child < a.data->child_data.size(); ++child) {
    const auto at_a = static_cast<std::uint32_t>(a.offset + row_a);
    const auto at_b = static_cast<std::uint32_t>(b.offset + row_b);
    if (!SameCell(ViewOf(a.data->child_data[child].get()), at_a,
                  ViewOf(b.data->child_data[child].get()), at_b, equality)) {
      return false;
    }
  }
  return true;
}

}  // namespace

std::optional<CellLayout> LayoutOf(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::BOOL:
      return CellLayout::kBits;
    case arrow::Type::FLOAT:
      return CellLayout::kFloat;
    case arrow::Type::DOUBLE:
      return CellLayout::kDouble;
    case arrow::Type::STRING:
    case arrow::Type::BINARY:
      return CellLayout::kBytes;
    case arrow::Type::LIST:
    case arrow::Type::MAP:
      return CellLayout::kList;
    case arrow::Type::STRUCT:
      return CellLayout::kStruct;
    default:
      break;
  }
  if (arrow::is_fixed_width(type.id()) && type.id() != arrow::Type::DICTIONARY &&
      type.bit_width() % 8 == 0) {
    return CellLayout::kFixed;
  }
  return std::nullopt;
}

ColumnView ViewOf(const arrow::ArrayData* data) {
  ColumnView view;
  if (data == nullptr) return view;
  view.layout = LayoutOf(*data->type).value_or(CellLayout::kAbsent);
  view.data = data;
  view.offset = data->offset;
  const auto buffer = [&](std::size_t index) -> const std::uint8_t* {
    return index < data->buffers.size() && data->buffers[index] ? data->buffers[index]->data()
                                                                : nullptr;
  };
  view.validity = buffer(0);
  switch (view.layout) {
    case CellLayout::kFixed:
    case CellLayout::kFloat:
    case CellLayout::kDouble:
      view.width = static_cast<std::uint32_t>(data->type->bit_width() / 8);
      view.values = buffer(1);
      if (view.values != nullptr) view.values += data->offset * view.width;
      break;
    case CellLayout::kBits:
      view.values = buffer(1);
      break;
    case CellLayout::kBytes:
      view.values = buffer(2);
      [[fallthrough]];
    case CellLayout::kList:
      view.offsets = reinterpret_cast<const std::int32_t*>(buffer(1));
      if (view.offsets != nullptr) view.offsets += data->offset;
      break;
    case CellLayout::kStruct:
    case CellLayout::kAbsent:
      break;
  }
  return view;
}

bool SameCell(const ColumnView& a, std::uint32_t row_a, const ColumnView& b, std::uint32_t row_b,
              CellEquality equality) {
  const bool is_null = a.IsNull(row_a);
  if (is_null != b.IsNull(row_b)) return false;
  if (is_null) return true;
  const auto at = [](const ColumnView& column, std::uint32_t row) {
    return column.values + std::size_t{row} * column.width;
  };
  switch (a.layout) {
    case CellLayout::kAbsent:
      return true;
    case CellLayout::kBits:
      return a.Bit(row_a) == b.Bit(row_b);
    case CellLayout::kFixed:
      if (a.width == 8)
        return Load<std::uint64_t>(at(a, row_a)) == Load<std::uint64_t>(at(b, row_b));
      if (a.width == 4)
        return Load<std::uint32_t>(at(a, row_a)) == Load<std::uint32_t>(at(b, row_b));
      return std::memcmp(at(a, row_a), at(b, row_b), a.width) == 0;
    case CellLayout::kFloat:
      return FloatBits<float, std::uint32_t>(at(a, row_a), equality) ==
             FloatBits<float, std::uint32_t>(at(b, row_b), equality);
    case CellLayout::kDouble:
      return FloatBits<double, std::uint64_t>(at(a, row_a), equality) ==
             FloatBits<double, std::uint64_t>(at(b, row_b), equality);
    case CellLayout::kBytes: {
      const std::uint32_t length = ListLength(a, row_a);
      return length == ListLength(b, row_b) &&
             (length == 0 ||
              std::memcmp(a.values + a.offsets[row_a], b.values + b.offsets[row_b], length) == 0);
    }
    case CellLayout::kList:
      return SameList(a, row_a, b, row_b, equality);
    case CellLayout::kStruct:
      return SameStruct(a, row_a, b, row_b, equality);
  }
  return false;
}

std::uint64_t HashCell(const ColumnView& column, std::uint32_t row, std::uint64_t seed,
                       CellEquality equality) {
  if (column.IsNull(row)) return Mix(kNullHash, seed);
  const std::uint8_t* const at =
      column.width == 0 ? nullptr : column.values + std::size_t{row} * column.width;
  switch (column.layout) {
    case CellLayout::kAbsent:
      return seed;
    case CellLayout::kBits:
      return Mix(column.Bit(row) ? 1 : 2, seed);
    case CellLayout::kFixed:
      return HashBytes(at, column.width, seed);
    case CellLayout::kFloat:
      return Mix(FloatBits<float, std::uint32_t>(at, equality), seed);
    case CellLayout::kDouble:
      return Mix(FloatBits<double, std::uint64_t>(at, equality), seed);
    case CellLayout::kBytes: {
      const std::uint32_t length = ListLength(column, row);
      return length == 0 ? Mix(3, seed)
                         : XXH3_64bits_withSeed(column.values + column.offsets[row], length, seed);
    }
    case CellLayout::kList: {
      const ColumnView items = ViewOf(column.data->child_data[0].get());
      std::uint64_t hash = Mix(ListLength(column, row), seed);
      for (std::int32_t i = column.offsets[row]; i < column.offsets[row + 1]; ++i) {
        hash = HashCell(items, static_cast<std::uint32_t>(i), hash, equality);
      }
      return hash;
    }
    case CellLayout::kStruct: {
      std::uint64_t hash = seed;
      for (const auto& child : column.data->child_data) {
        hash = HashCell(ViewOf(child.get()), static_cast<std::uint32_t>(column.offset + row), hash,
                        equality);
      }
      return hash;
    }
  }
  return seed;
}

}  // namespace sluice::replication
