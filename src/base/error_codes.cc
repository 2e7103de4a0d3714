#include "base/error_codes.h"

#include <array>

namespace sluice::base {
namespace {

// One entry a code, ascending, sections by the first digit.
constexpr auto kErrorCodes = std::to_array<ErrorCode>({
    // 1nnn command line, configuration
    // 2nnn source
    // 3nnn stream, slot, positions
    // 4nnn tables and values
    // 5nnn destination and state
    {"SLU-5004", "a newer writer has taken over",
     "Another sluice opened this destination after this one and took the next epoch; an older "
     "writer may not commit.",
     "Let one of the two go on. If the other is gone for good, start this one again."},
    // 6nnn this machine
    // 9nnn bugs
    {"SLU-9001", "an internal check failed", "This is a bug in Sluice.",
     "Report it with the message and the log around it. Nothing was acknowledged that is not "
     "durable."},
});

}  // namespace

std::span<const ErrorCode> ErrorCodes() {
  return kErrorCodes;
}

const ErrorCode* FindErrorCode(std::string_view code) {
  for (const ErrorCode& entry : kErrorCodes) {
    if (entry.code == code) return &entry;
  }
  return nullptr;
}

}  // namespace sluice::base
