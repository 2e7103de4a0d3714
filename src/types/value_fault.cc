#include "types/value_fault.h"

#include <fmt/format.h>

namespace sluice::types {
namespace {

struct FaultText {
  ErrorKind kind;
  std::string_view code;
  std::string_view what;
  std::string_view advice;
};

FaultText TextOf(ValueFault fault) {
  constexpr std::string_view kLeaveOut =
      "change the value at the source, or let such values go (`on_misfit`: null or quarantine), "
      "then `sluice resync` the table";
  constexpr std::string_view kDeclare =
      "change the value at the source, declare the column as text (`types` in the config file), or "
      "let such values go (`on_misfit`: null or quarantine), then `sluice resync` the table";
  switch (fault) {
    case ValueFault::kNone:
      break;
    case ValueFault::kMalformed:
      return {ErrorKind::kProtocol, "SLU-4101", "bytes are not a value of its type", ""};
    case ValueFault::kNotBinary:
      return {ErrorKind::kUnsupported, "SLU-4102", "binary form is not understood",
              "start again: the stream is then asked for text"};
    case ValueFault::kNotSent:
      return {
          ErrorKind::kConversion, "SLU-4114", "value came as text, not in its binary form",
          "`sluice check` names the columns for which the stream is asked for text: declare them "
          "as bytes too or leave them out, or this one as text; start again, then `sluice "
          "resync` the table"};
    case ValueFault::kNotUtf8:
      return {ErrorKind::kConversion, "SLU-4103", "text is not valid UTF-8", kLeaveOut};
    case ValueFault::kDecimalSpecial:
      return {ErrorKind::kConversion, "SLU-4104", "NaN or infinity has no DECIMAL form", kDeclare};
    case ValueFault::kDecimalDigits:
      return {ErrorKind::kConversion, "SLU-4105", "number does not fit the DECIMAL", kDeclare};
    case ValueFault::kDoubleRange:
      return {ErrorKind::kConversion, "SLU-4105", "number is beyond the range of a DOUBLE",
              kDeclare};
    case ValueFault::kListShape:
      return {ErrorKind::kConversion, "SLU-4106", "array has not one dimension with lower bound 1",
              kDeclare};
    case ValueFault::kInfiniteInterval:
      return {ErrorKind::kConversion, "SLU-4107", "infinite interval has no INTERVAL form",
              kDeclare};
    case ValueFault::kTimeRange:
      return {ErrorKind::kConversion, "SLU-4108", "point in time is out of range", kDeclare};
    case ValueFault::kCompositeShape:
      return {ErrorKind::kConversion, "SLU-4109",
              "value has not the attributes or element type known of its type",
              "copy the table again with `sluice resync`"};
    case ValueFault::kTooLarge:
      return {ErrorKind::kConversion, "SLU-4110", "values are too large for one batch",
              "lower --batch-bytes, or leave the column out"};
  }
  return {ErrorKind::kInternal, "SLU-9001", "no fault", ""};
}

}  // namespace

bool IsMisfit(ValueFault fault) {
  switch (fault) {
    case ValueFault::kNotUtf8:
    case ValueFault::kDecimalSpecial:
    case ValueFault::kDecimalDigits:
    case ValueFault::kDoubleRange:
    case ValueFault::kListShape:
    case ValueFault::kInfiniteInterval:
    case ValueFault::kTimeRange:
      return true;
    case ValueFault::kNone:
    case ValueFault::kMalformed:
    case ValueFault::kNotBinary:
    case ValueFault::kNotSent:
    case ValueFault::kCompositeShape:
    case ValueFault::kTooLarge:
      return false;
  }
  return false;
}

std::string FaultReason(ValueFault fault) {
  const FaultText text = TextOf(fault);
  return fmt::format("{} ({})", text.what, text.code);
}

Error FaultError(ValueFault fault, std::string_view column, std::string_view type_name) {
  const FaultText text = TextOf(fault);
  return Error{.kind = text.kind,
               .message = fmt::format("column {} ({}): {}", column, type_name, text.what),
               .code = std::string(text.code),
               .advice = std::string(text.advice)};
}

}  // namespace sluice::types
