#include "stores/fold_record.h"

#include <string>

namespace sluice::stores {

Status CheckOwner(const std::optional<Birth>& birth, const OpenRequest& request) {
  if (!birth) return {};
  if (!request.pipeline.empty() && birth->pipeline != request.pipeline) {
    return Error{
        .kind = ErrorKind::kConfig,
        .message = "the state belongs to pipeline " + birth->pipeline + ", not " + request.pipeline,
        .code = "SLU-5107",
        .advice = "use --pipeline " + birth->pipeline + ", or another --state directory"};
  }
  if (request.system_identifier != 0 && birth->system_identifier != 0 &&
      request.system_identifier != birth->system_identifier) {
    return Error{.kind = ErrorKind::kConfig,
                 .message = "the state is of another source: system identifier " +
                            std::to_string(birth->system_identifier) + ", not " +
                            std::to_string(request.system_identifier),
                 .code = "SLU-5107",
                 .advice = "use the source it began with, or `sluice drop` and begin again"};
  }
  return {};
}

Status CheckCommit(std::uint64_t stored_epoch, std::uint64_t our_epoch,
                   const std::optional<Position>& stored, const CommitRecord& record) {
  if (stored_epoch != our_epoch) {
    return Error{.kind = ErrorKind::kStateStore,
                 .message = "epoch " + std::to_string(stored_epoch) + " has taken over from " +
                            std::to_string(our_epoch),
                 .code = "SLU-5004"};
  }
  if (record.position && stored && record.position->lsn < stored->lsn) {
    return Error{.kind = ErrorKind::kStateStore,
                 .message = "position would go back from " + ToString(stored->lsn) + " to " +
                            ToString(record.position->lsn),
                 .code = "SLU-5105"};
  }
  return {};
}

void FoldRecord(DeliveryState& state, const CommitRecord& record) {
  if (record.birth) {
    state.birth = record.birth;
    state.position.reset();
    state.passed = {};
  }
  if (record.position) state.position = record.position;
  if (record.passed) state.passed = *record.passed;
  for (const TableRecord& table : record.tables) {
    std::erase_if(state.tables,
                  [&](const TableRecord& known) { return known.relation == table.relation; });
    if (!table.was_removed) state.tables.push_back(table);
  }
}

}  // namespace sluice::stores
