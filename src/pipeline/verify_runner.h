/// \file
/// `verify` in a running pipeline: for each live table one fence, both sides read once and hashed
/// here, and what differs again.
///
/// The destination's read transaction opens while the writer stands at the fence; COPY under S and
/// scan go on side by side after it has been released. The source's bytes are taken from the wire,
/// not through the stream's decoder. The writer stands still for milliseconds when the stream is
/// caught up.
///
/// Thread safety: one object, one thread; the session's threads go on. Connections: one.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "sluice/destination.h"

#include "pipeline/fence_meeting.h"
#include "pipeline/session.h"
#include "verify/table_comparison.h"

namespace sluice::pipeline {

class VerifyRunner {
 public:
  VerifyRunner(Session& session, Destination& destination, FenceMeeting& meeting);

  /// Errors: kInvalidArgument (a pattern matches nothing), kUnsupported SLU-5050 (no read side),
  /// kConnection, kTimeout SLU-3081 (no fence could be had), kCancelled.
  Result<verify::VerifyResult> Run(const std::vector<std::string>& patterns, std::stop_token stop,
                                   const std::function<void(const std::string&)>& progress);

  /// The tables that match, by name; all of them where there is no pattern. Errors: as Run().
  Result<std::vector<TableRecord>> Choose(const std::vector<std::string>& patterns);

  struct Comparison {
    verify::TableResult result;
    /// As TableComparison::DifferingKeys().
    std::optional<std::vector<verify::KeyText>> keys;
  };
  /// \param keys_max as ComparisonOptions::keys_max.
  Result<Comparison> Compare(const TableRecord& record, std::size_t keys_max, std::stop_token stop);

 private:
  Session& session_;
  Destination& destination_;
  FenceMeeting& meeting_;
};

}  // namespace sluice::pipeline
