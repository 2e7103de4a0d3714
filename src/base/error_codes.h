/// \file
/// Every stable error code with its cause and remedy: what `sluice help SLU-nnnn` prints and
/// docs/errors.md lists.
///
///   SLU-1nnn command line, configuration      SLU-4nnn tables and values
///   SLU-2nnn source: connecting, preflight    SLU-5nnn destination and state
///   SLU-3nnn stream, slot, positions          SLU-6nnn this machine: disk, memory, files
///   SLU-9nnn bugs
///
/// A test fails on a code in the sources that is missing here.
#pragma once

#include <span>
#include <string_view>

namespace sluice::base {

struct ErrorCode {
  std::string_view code;    ///< "SLU-2001"
  std::string_view title;   ///< what happened, a few words
  std::string_view cause;   ///< why it happens
  std::string_view remedy;  ///< what to do
};

/// Ascending by code.
std::span<const ErrorCode> ErrorCodes();
/// nullptr: no such code.
const ErrorCode* FindErrorCode(std::string_view code);

}  // namespace sluice::base
