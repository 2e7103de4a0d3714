/// \file
/// gmock matchers for Result and Status: IsOk(), HasValue(m), IsError(kind), MessageIs(m),
/// CodeIs(code).
#pragma once

#include <gmock/gmock.h>

#include <string>
#include <utility>

#include "sluice/result.h"

namespace sluice::testing {

MATCHER(IsOk, "is ok") {
  if (arg.has_value()) return true;
  *result_listener << arg.error().code << " " << arg.error().message << " | "
                   << arg.error().server_message;
  return false;
}

MATCHER_P(IsError, kind, "is an error of the given kind") {
  if (arg.has_value()) {
    *result_listener << "has a value";
    return false;
  }
  *result_listener << "kind " << static_cast<int>(arg.error().kind) << ": " << arg.error().message;
  return arg.error().kind == kind;
}

MATCHER_P(CodeIs, code, "is an error with the given code") {
  if (arg.has_value()) {
    *result_listener << "has a value";
    return false;
  }
  *result_listener << arg.error().code << " " << arg.error().message;
  return arg.error().code == code;
}

MATCHER_P(MessageIs, matcher, "is an error whose message matches") {
  if (arg.has_value()) {
    *result_listener << "has a value";
    return false;
  }
  return ::testing::ExplainMatchResult(matcher, arg.error().message, result_listener);
}

MATCHER_P(HasValue, matcher, "has a value that matches") {
  if (!arg.has_value()) {
    *result_listener << arg.error().message;
    return false;
  }
  return ::testing::ExplainMatchResult(matcher, *arg, result_listener);
}

}  // namespace sluice::testing
