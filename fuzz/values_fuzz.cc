// One value of one type, binary or text: it is taken and gives a valid array, or it is refused and
// leaves nothing behind. First byte: the form; second: the type.
#include <arrow/array.h>

#include <cstdint>
#include <cstdlib>
#include <vector>

#include "columnar/column_builder.h"
#include "columnar/testing/schemas.h"
#include "types/arrow_type.h"
#include "types/builtin_types.h"

namespace {

using sluice::Carrier;
using sluice::ColumnType;
using sluice::columnar::testing::Builtin;

ColumnType Container(Carrier carrier, const char* codec) {
  ColumnType type = Builtin(25);
  type.oid = sluice::Oid{20000};
  type.carrier = carrier;
  type.codec = codec;
  return type;
}

// Every built-in type, arrays of some, a composite in an array in a composite, hstore.
const std::vector<ColumnType>& FuzzTypes() {
  static const std::vector<ColumnType> kTypes = [] {
    std::vector<ColumnType> types;
    for (std::uint32_t oid = 1; oid < 6000; ++oid) {
      if (sluice::types::FindBuiltinType(sluice::Oid{oid}) == nullptr) continue;
      types.push_back(Builtin(oid));
    }
    using sluice::columnar::testing::NumericTypmod;
    types.push_back(Builtin(1700, NumericTypmod(10, 2)));
    types.push_back(Builtin(1700, NumericTypmod(38, 38)));
    for (const std::uint32_t array : {1000U, 1005U, 1007U, 1009U, 1020U, 1115U, 3905U}) {
      types.push_back(Builtin(array));
    }
    ColumnType inner = Container(Carrier::kStruct, "record");
    inner.children = {Builtin(23), Builtin(25), Builtin(1007)};
    inner.child_names = {"a", "b", "c"};
    ColumnType list = Container(Carrier::kList, "array");
    list.children = {inner};
    ColumnType outer = Container(Carrier::kStruct, "record");
    outer.children = {list, Container(Carrier::kMap, "hstore")};
    outer.child_names = {"l", "h"};
    types.push_back(outer);
    types.push_back(Container(Carrier::kMap, "hstore"));
    return types;
  }();
  return kTypes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const ColumnType& type = FuzzTypes()[data[1] % FuzzTypes().size()];
  const auto value = std::as_bytes(std::span(data, size)).subspan(2);
  sluice::columnar::ColumnBuilder column(type, sluice::types::ArrowType(type));
  column.AppendNull();
  const auto fault = (data[0] & 1) != 0 ? column.AppendBinary(value)
                                        : column.AppendText(sluice::base::AsText(value));
  const bool is_taken = fault == sluice::types::ValueFault::kNone;
  if (!is_taken) column.Truncate(1);
  column.AppendNull();
  if (column.row_count() != (is_taken ? 3U : 2U)) std::abort();
  const auto array = arrow::MakeArray(column.Finish());
  // 24:00:00 is a time in PostgreSQL and not in Arrow.
  const bool is_valid =
      type.carrier == Carrier::kTime ? array->Validate().ok() : array->ValidateFull().ok();
  if (!is_valid) std::abort();
  return 0;
}
