#include "pipeline/verify_runner.h"

#include <algorithm>
#include <utility>

#include "pipeline/both_sides.h"
#include "pipeline/table_changes.h"
#include "pipeline/table_set.h"
#include "verify/source_select.h"

namespace sluice::pipeline {
namespace {

verify::TableResult NotCompared(const TableRecord& record) {
  verify::TableResult result;
  result.name = record.source;
  result.destination = record.destination;
  result.status = verify::ComparisonStatus::kNotCompared;
  result.reason =
      std::string(ToString(record.state)) +
      (IsNoLongerFollowed(record, record.schema != nullptr) ? " since it was copied" : "") +
      (record.reason.empty() ? "" : ": " + record.reason);
  return result;
}

/// The destination's table is gone, or has another shape: no row of it can be right.
verify::TableResult Altered(const AtFence& fence, const Error& error) {
  verify::TableResult result;
  result.name = fence.record.source;
  result.lsn = fence.lsn;
  result.status = verify::ComparisonStatus::kDifferent;
  result.reason = error.message;
  return result;
}

}  // namespace

VerifyRunner::VerifyRunner(Session& session, Destination& destination, FenceMeeting& meeting)
    : session_(session), destination_(destination), meeting_(meeting) {}

Result<std::vector<TableRecord>> VerifyRunner::Choose(const std::vector<std::string>& patterns) {
  if (!destination_.capabilities().keeps_rows) {
    return Error{.kind = ErrorKind::kUnsupported,
                 .message = "this destination keeps no rows to compare",
                 .code = "SLU-5050"};
  }
  SLUICE_ASSIGN_OR_RETURN(
      std::vector<TableRecord> records,
      session_.writer().inbox().CallAndWait(
          [this]() -> Result<std::vector<TableRecord>> { return session_.writer().Records(); }));
  std::sort(records.begin(), records.end(),
            [](const TableRecord& a, const TableRecord& b) { return a.source < b.source; });
  if (!patterns.empty()) {
    SLUICE_ASSIGN_OR_RETURN(const std::vector<RelationId> chosen, MatchTables(patterns, records));
    std::erase_if(records, [&](const TableRecord& record) {
      return std::find(chosen.begin(), chosen.end(), record.relation) == chosen.end();
    });
  }
  return records;
}

Result<verify::VerifyResult> VerifyRunner::Run(
    const std::vector<std::string>& patterns, std::stop_token stop,
    const std::function<void(const std::string&)>& progress) {
  SLUICE_ASSIGN_OR_RETURN(const std::vector<TableRecord> records, Choose(patterns));
  verify::VerifyResult result;
  for (const TableRecord& record : records) {
    if (stop.stop_requested()) return Error{.kind = ErrorKind::kCancelled, .message = "stopped"};
    if (progress) progress(ToString(record.source));
    SLUICE_ASSIGN_OR_RETURN(Comparison table, Compare(record, 0, stop));
    result.tables.push_back(std::move(table.result));
  }
  return result;
}

Result<VerifyRunner::Comparison> VerifyRunner::Compare(const TableRecord& record,
                                                       std::size_t keys_max, std::stop_token stop) {
  if (record.state != TableState::kLive) return Comparison{NotCompared(record), {}};
  const auto pin = [this](AtFence& fence) -> Status {
    SLUICE_ASSIGN_OR_RETURN(fence.destination, destination_.OpenReader());
    return {};
  };
  SLUICE_ASSIGN_OR_RETURN(AtFence fence, meeting_.Meet(record, pin, stop));
  if (!fence.is_live()) return Comparison{NotCompared(fence.record), {}};
  const verify::ComparedTable compared = verify::MakeComparedTable(fence.record.schema);
  const std::string select = verify::SelectForVerify(
      compared, {.row_filter = fence.row_filter, .is_partitioned = fence.is_partitioned});
  verify::TableComparison comparison(compared, fence.lsn, {.keys_max = keys_max});
  do {
    const Status read = ReadBothSides(comparison, fence.record, *fence.destination,
                                      fence.source->connection(), select, stop);
    if (!read && read.error().code == "SLU-5025")
      return Comparison{Altered(fence, read.error()), {}};
    SLUICE_RETURN_IF_ERROR(read);
  } while (comparison.FinishPass());
  Comparison out{comparison.Finish(), comparison.DifferingKeys()};
  out.result.destination = fence.record.destination;
  return out;
}

}  // namespace sluice::pipeline
