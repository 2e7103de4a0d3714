#include "base/reason.h"

namespace sluice::base {
namespace {

// Messages hold no values, so that the first one is ours.
constexpr std::string_view kBeforeKey = "; row (";

}  // namespace

std::string ReasonText(const Error& error) {
  std::string text = error.code.empty() ? error.message : error.code + ": " + error.message;
  if (error.kind == ErrorKind::kConversion && error.server_message.starts_with('(')) {
    text += "; row " + error.server_message;
  }
  return text;
}

std::string_view WithoutRowKey(std::string_view reason) {
  return reason.substr(0, reason.find(kBeforeKey));
}

}  // namespace sluice::base
