#include "destinations/duckdb/value_check.h"

#include <arrow/array/data.h>
#include <arrow/buffer.h>
#include <arrow/type.h>

#include <cstdint>
#include <cstring>
#include <limits>
#include <span>

#include "destinations/duckdb/bit_copy.h"
#include "destinations/duckdb/type_map.h"
#include "types/utf8.h"

namespace sluice::duckdb {
namespace {

__extension__ using Int128 = __int128;
__extension__ using Uint128 = unsigned __int128;

// 24:00:00, the last value of PostgreSQL's time and of DuckDB's.
constexpr std::int64_t kTimeMicrosMax = 86'400'000'000;
// 290309-12-22 (BC) 00:00:00, the first timestamp DuckDB can print.
constexpr std::int64_t kTimestampMicrosMin = -9'223'372'022'400'000'000;
constexpr std::int64_t kInfinity64 = std::numeric_limits<std::int64_t>::max();

/// A run of values, `first` counted from the start of the buffers.
struct Run {
  const arrow::ArrayData& data;
  std::size_t first;
  std::size_t count;

  bool is_null(std::size_t i) const {
    return data.buffers[0] != nullptr && data.null_count != 0 &&
           !IsBitSet(data.buffers[0]->data(), first + i);
  }
};

template <class T, class IsFit>
const char* CheckFixed(const Run& run, const char* reason, IsFit is_fit) {
  const std::uint8_t* values = run.data.buffers[1]->data() + run.first * sizeof(T);
  for (std::size_t i = 0; i < run.count; ++i) {
    T value;
    std::memcpy(&value, values + i * sizeof(T), sizeof(T));
    if (!is_fit(value) && !run.is_null(i)) return reason;
  }
  return nullptr;
}

const char* CheckDecimals(const Run& run, int precision) {
  Uint128 bound = 1;
  for (int i = 0; i < precision; ++i) bound *= 10;
  return CheckFixed<Int128>(run, "more digits than the type declares", [=](Int128 value) {
    const Uint128 magnitude =
        value < 0 ? -static_cast<Uint128>(value) : static_cast<Uint128>(value);
    return magnitude < bound;
  });
}

std::int32_t OffsetAt(const arrow::ArrayData& data, std::size_t index) {
  std::int32_t offset = 0;
  std::memcpy(&offset, data.buffers[1]->data() + index * sizeof offset, sizeof offset);
  return offset;
}

/// No value begins in the middle of a character.
bool CutsAreClean(const Run& run) {
  const std::uint8_t* bytes = run.data.buffers[2]->data();
  const std::int32_t end = OffsetAt(run.data, run.first + run.count);
  for (std::size_t i = 0; i < run.count; ++i) {
    const std::int32_t at = OffsetAt(run.data, run.first + i);
    if (at != end && (bytes[at] & 0xC0U) == 0x80U) return false;
  }
  return true;
}

const char* CheckText(const Run& run) {
  if (run.data.buffers[2] == nullptr) return nullptr;
  const std::uint8_t* bytes = run.data.buffers[2]->data();
  const std::int32_t begin = OffsetAt(run.data, run.first);
  const std::int32_t end = OffsetAt(run.data, run.first + run.count);
  // Nearly always the whole run is valid, and then a cut inside a character shows as a first byte
  // that continues one.
  if (types::IsUtf8(std::as_bytes(std::span(bytes + begin, bytes + end))) && CutsAreClean(run))
    return nullptr;
  for (std::size_t i = 0; i < run.count; ++i) {
    const std::int32_t from = OffsetAt(run.data, run.first + i);
    const std::int32_t to = OffsetAt(run.data, run.first + i + 1);
    if (!run.is_null(i) && !types::IsUtf8(std::as_bytes(std::span(bytes + from, bytes + to))))
      return "text that is not UTF-8";
  }
  return nullptr;
}

const char* Check(const ColumnType& type, const Run& run);

const char* CheckChildren(const ColumnType& type, const Run& run) {
  if (type.carrier == Carrier::kStruct) {
    for (std::size_t i = 0; i < type.children.size(); ++i) {
      const arrow::ArrayData& child = *run.data.child_data[i];
      const std::size_t first = static_cast<std::size_t>(child.offset) + run.first;
      if (const char* reason = Check(type.children[i], {child, first, run.count})) return reason;
    }
    return nullptr;
  }
  const auto begin = static_cast<std::size_t>(OffsetAt(run.data, run.first));
  const auto end = static_cast<std::size_t>(OffsetAt(run.data, run.first + run.count));
  const arrow::ArrayData& values = *run.data.child_data[0];
  const std::size_t first = static_cast<std::size_t>(values.offset) + begin;
  if (const std::size_t length = ArrayLength(type); length != 0) {
    for (std::size_t i = 0; i < run.count; ++i) {
      const std::int32_t from = OffsetAt(run.data, run.first + i);
      const std::int32_t to = OffsetAt(run.data, run.first + i + 1);
      if (static_cast<std::size_t>(to - from) != length && !run.is_null(i))
        return "a vector of another length than the type declares";
    }
  }
  if (type.carrier == Carrier::kList) return Check(type.children[0], {values, first, end - begin});
  for (std::size_t side = 0; side < 2; ++side) {
    const arrow::ArrayData& child = *values.child_data[side];
    const Run texts{child, static_cast<std::size_t>(child.offset) + first, end - begin};
    for (std::size_t i = 0; side == 0 && i < texts.count; ++i) {
      if (texts.is_null(i)) return "a map with a key that is NULL";
    }
    if (texts.count == 0) continue;
    if (const char* reason = CheckText(texts)) return reason;
  }
  return nullptr;
}

const char* Check(const ColumnType& type, const Run& run) {
  if (run.count == 0) return nullptr;
  switch (type.carrier) {
    case Carrier::kBool:
    case Carrier::kInt16:
    case Carrier::kInt32:
    case Carrier::kInt64:
    case Carrier::kUInt32:
    case Carrier::kFloat32:
    case Carrier::kFloat64:
    case Carrier::kBytes:
    case Carrier::kInterval:
    case Carrier::kUuid:
      return nullptr;
    case Carrier::kDecimal:
      return CheckDecimals(run, type.precision);
    case Carrier::kText:
    case Carrier::kJson:
      return CheckText(run);
    case Carrier::kDate:
      return CheckFixed<std::int32_t>(run, "a date outside DuckDB's range", [](std::int32_t day) {
        return day != std::numeric_limits<std::int32_t>::min();
      });
    case Carrier::kTimestamp:
    case Carrier::kTimestampTz:
      return CheckFixed<std::int64_t>(
          run, "a timestamp outside DuckDB's range", [](std::int64_t micros) {
            return micros >= kTimestampMicrosMin || micros == -kInfinity64;
          });
    case Carrier::kTime:
      return CheckFixed<std::int64_t>(run, "a time beyond 24:00:00", [](std::int64_t micros) {
        return micros >= 0 && micros <= kTimeMicrosMax;
      });
    case Carrier::kList:
    case Carrier::kStruct:
    case Carrier::kMap:
      return CheckChildren(type, run);
  }
  return nullptr;
}

}  // namespace

Status CheckValues(const Column& column, const arrow::ArrayData& data) {
  if (!IsCarriedAs(column.type, *data.type)) {
    return Error{.kind = ErrorKind::kInternal,
                 .message = "column " + column.name + " came as " + data.type->ToString(),
                 .code = "SLU-9001"};
  }
  const Run run{data, static_cast<std::size_t>(data.offset), static_cast<std::size_t>(data.length)};
  if (const char* reason = Check(column.type, run)) {
    return Error{.kind = ErrorKind::kConversion,
                 .message = "column " + column.name + " has " + reason,
                 .code = "SLU-5040",
                 .advice = "correct the value at the source, then: sluice resync the table"};
  }
  return {};
}

}  // namespace sluice::duckdb
