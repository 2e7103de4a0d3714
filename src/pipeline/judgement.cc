#include "pipeline/judgement.h"

#include <algorithm>
#include <utility>

#include "base/backoff.h"
#include "postgres/connection.h"
#include "postgres/slot.h"

namespace sluice::pipeline {
namespace {

constexpr Duration kLastLook = std::chrono::seconds(1);

}  // namespace

bool HoldsCopy(const DeliveryState& state) {
  return std::any_of(state.tables.begin(), state.tables.end(),
                     [](const TableRecord& table) { return table.schema != nullptr; });
}

Error CopyIsThere() {
  return {.kind = ErrorKind::kConfig,
          .message = "the destination holds a copy made by `sluice copy`",
          .code = "SLU-1038",
          .advice = "--existing replace copies its tables again; or name another file"};
}

int ExitCodeFor(const Error& error, bool has_begun, bool is_born) {
  if (error.code == "SLU-2105" || error.code == "SLU-3012") return 2;
  if (error.code == "SLU-3092") return 5;
  if (base::IsRetryable(error.kind)) return 5;
  const bool is_other_source = error.code == "SLU-5008" || error.code == "SLU-3001";
  const bool is_position = is_born && error.code.starts_with("SLU-30");
  return has_begun || is_position || is_other_source ? 4 : 2;
}

Status JudgeSomethingToCopy(const std::vector<postgres::PlannedTable>& planned) {
  const bool has_any = std::any_of(planned.begin(), planned.end(),
                                   [](const auto& table) { return !table.is_skipped; });
  if (has_any) return {};
  postgres::Finding nothing = postgres::NothingToReplicate(planned);
  return Error{.kind = ErrorKind::kConfig,
               .message = std::move(nothing.message),
               .code = std::move(nothing.code),
               .advice = std::move(nothing.advice)};
}

Status JudgeFirstRun(const engine::PipelineOptions& options, const DeliveryState& restored,
                     const std::vector<postgres::PlannedTable>& planned,
                     const std::vector<postgres::Finding>& of_named) {
  if (!options.may_create) {
    return Error{.kind = ErrorKind::kConfig,
                 .message = "this destination holds no pipeline of this name yet",
                 .code = "SLU-1031",
                 .advice = "sluice run makes it"};
  }
  if (HoldsCopy(restored) && options.existing == engine::Existing::kRefuse) {
    return CopyIsThere();
  }
  if (std::optional<Error> problem = postgres::FirstProblem(of_named)) return *std::move(problem);
  return JudgeSomethingToCopy(planned);
}

Status JudgeNames(const types::NameMap& names, const DeliveryState& restored) {
  for (const TableRecord& record : restored.tables) {
    if (record.state != TableState::kLive || !record.schema) continue;
    const TableName wanted = names.For(record.source);
    if (wanted == record.destination) continue;
    return Error{.kind = ErrorKind::kConfig,
                 .message = ToString(record.source) + " lies in " + ToString(record.destination) +
                            ", and the configuration calls it " + ToString(wanted),
                 .code = "SLU-1039",
                 .advice = "give it its old name in `names`; or `sluice resync " +
                           ToString(record.source) +
                           "` first: it is then copied under the new one"};
  }
  return {};
}

bool IsUntouched(const DeliveryState& restored) {
  return !restored.birth && !restored.position && restored.tables.empty();
}

void ReadSlotAtEnd(const postgres::SourceUrl& url, engine::PipelineStatus& last) {
  postgres::ConnectOptions connect;
  connect.pipeline = last.pipeline;
  connect.role = "end";
  connect.connect_timeout = kLastLook;
  connect.statement_timeout = kLastLook;
  auto connection = postgres::Connection::Open(url, connect);
  if (!connection) return;
  const auto slot = postgres::ReadSlot(*connection, last.birth.slot);
  if (!slot) return;
  if (!*slot) {
    last.birth.slot.clear();
    return;
  }
  last.slot_retained_bytes =
      static_cast<std::uint64_t>(std::max<std::int64_t>(0, (*slot)->retained_bytes));
  last.slot_wal_status = (*slot)->wal_status;
}

}  // namespace sluice::pipeline
