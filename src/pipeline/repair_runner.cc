#include "pipeline/repair_runner.h"

#include <arrow/record_batch.h>

#include <algorithm>
#include <optional>
#include <span>
#include <utility>

#include "base/sleep.h"
#include "base/units.h"
#include "columnar/copy_decoder.h"
#include "pipeline/key_rows.h"
#include "postgres/copy_reader.h"
#include "types/hidden_columns.h"
#include "types/type_policies.h"

namespace sluice::pipeline {
namespace {

/// More are copied faster with the whole table.
constexpr std::size_t kKeysMax = 100'000;
constexpr std::size_t kChunkKeysMax = 1000;
/// Rows of a chunk, decoded; one row may be larger.
constexpr std::size_t kChunkBytesMax = std::size_t{32} << 20;
constexpr Duration kPauseWanted = std::chrono::milliseconds(300);
constexpr const char* kReadTimeout = "SET LOCAL statement_timeout = '700ms'";
constexpr const char* kQueryCancelled = "57014";
/// What is written meanwhile may be damaged by hand meanwhile, too.
constexpr int kRoundsMax = 3;
constexpr Duration kLook = std::chrono::milliseconds(100);

Error Stopped() {
  return Error{.kind = ErrorKind::kCancelled, .message = "stopped"};
}

/// The table's own trouble: copying it as a whole heals it, or halts it with the reason.
bool IsOfTable(const Error& error) {
  return error.kind == ErrorKind::kConversion || error.kind == ErrorKind::kSchemaConflict ||
         error.kind == ErrorKind::kUnsupported || error.sqlstate.starts_with("22");
}

/// The rows of these keys under S. nullopt: too many bytes, or too slow, and there is a smaller
/// chunk.
Result<std::optional<CopiedRows>> ReadRows(const AtFence& fence,
                                           std::span<const verify::KeyText> keys,
                                           const std::stop_token& stop) {
  postgres::Connection& connection = fence.source->connection();
  SLUICE_RETURN_IF_ERROR(connection.Exec("limit the time of a query", kReadTimeout));
  const columnar::CopyFormat format = columnar::FormatFor(*fence.record.schema);
  columnar::CopyDecoder decoder(fence.record.schema, format);
  SLUICE_ASSIGN_OR_RETURN(
      postgres::CopyReader reader,
      postgres::CopyReader::Start(connection, SelectRows(*fence.record.schema, fence.row_filter,
                                                         fence.is_partitioned, keys, format)));
  for (;;) {
    const auto messages = reader.NextRows(stop);
    if (!messages && messages.error().sqlstate == kQueryCancelled)
      return std::optional<CopiedRows>();
    if (!messages) return messages.error();
    if (messages->empty()) break;
    for (const postgres::CopyReader::Message& message : *messages)
      SLUICE_RETURN_IF_ERROR(decoder.Append(message));
    if (decoder.bytes() > kChunkBytesMax && keys.size() > 1) return std::optional<CopiedRows>();
  }
  SLUICE_RETURN_IF_ERROR(decoder.CheckComplete());
  return std::optional(decoder.Finish());
}

/// Is the table kept as the configuration says? A copy goes by the configuration, so that a repair
/// under another one would change what it should restore. Errors: kConfig SLU-1049.
Status CheckDeclared(const TableRecord& record, Session& session,
                     const engine::PipelineOptions& options) {
  bool is_same = record.schema != nullptr &&
                 record.mode == options.tables.For(record.source).mode &&
                 record.destination == options.names.For(record.source);
  if (is_same) {
    const std::vector<HiddenColumn>& hidden = record.schema->hidden;
    SLUICE_ASSIGN_OR_RETURN(const SchemaPtr declared, session.registry().Redeclare(record.schema));
    is_same = types::WithoutReleased(hidden, options.tables).size() == hidden.size() &&
              std::ranges::equal(
                  declared->columns, record.schema->columns, [](const Column& a, const Column& b) {
                    return a.on_misfit == b.on_misfit &&
                           types::DeclaredPolicy(a.type) == types::DeclaredPolicy(b.type);
                  });
  }
  if (is_same) return {};
  return Error{
      .kind = ErrorKind::kConfig,
      .message = ToString(record.source) +
                 " has to be copied again, and the configuration is not what it is kept by",
      .code = "SLU-1049",
      .advice =
          "give the pipeline's own with --config; where that was changed, run it and "
          "use sluice resync"};
}

}  // namespace

RepairRunner::RepairRunner(Session& session, Destination& destination, FenceMeeting& meeting,
                           CopyAgain copy_again, const engine::PipelineOptions& options,
                           telemetry::Logger& logger)
    : session_(session),
      destination_(destination),
      meeting_(meeting),
      verify_(session, destination, meeting),
      copy_again_(std::move(copy_again)),
      options_(options),
      logger_(logger) {}

Result<verify::RepairResult> RepairRunner::Run(
    const RepairRequest& request, std::stop_token stop,
    const std::function<void(const std::string&)>& progress) {
  SLUICE_ASSIGN_OR_RETURN(const std::vector<TableRecord> records, verify_.Choose(request.patterns));
  verify::RepairResult result{.is_dry_run = request.is_dry_run, .tables = {}};
  for (const TableRecord& record : records) {
    if (stop.stop_requested()) return Stopped();
    if (progress) progress(ToString(record.source));
    SLUICE_ASSIGN_OR_RETURN(verify::TableRepair table,
                            RepairTable(record, request.is_dry_run, stop));
    result.tables.push_back(std::move(table));
  }
  return result;
}

Result<verify::TableRepair> RepairRunner::RepairTable(const TableRecord& record, bool is_dry_run,
                                                      std::stop_token stop) {
  verify::TableRepair repair;
  for (int round = 0;; ++round) {
    SLUICE_ASSIGN_OR_RETURN(VerifyRunner::Comparison comparison,
                            verify_.Compare(record, kKeysMax, stop));
    if (round == 0) repair.found = comparison.result;
    repair.now = comparison.result.status;
    repair.reason_now = comparison.result.reason;
    if (repair.now != verify::ComparisonStatus::kDifferent || round == kRoundsMax) return repair;
    std::string why = HasState(record.mode) ? WhyCopy(comparison) : "only its log is kept";
    if (is_dry_run) {
      repair.action = why.empty() ? verify::RepairAction::kRows : verify::RepairAction::kCopy;
      repair.why = std::move(why);
      return repair;
    }
    if (why.empty()) {
      repair.action = std::max(repair.action, verify::RepairAction::kRows);
      SLUICE_ASSIGN_OR_RETURN(why, RepairKeys(record, *comparison.keys, repair, stop));
    }
    if (why.empty()) continue;
    repair.action = verify::RepairAction::kCopy;
    repair.why = std::move(why);
    logger_.Info("repair: table {} is copied again: {}", ToString(record.source), repair.why);
    SLUICE_RETURN_IF_ERROR(CopyTableAgain(record, stop));
  }
}

std::string RepairRunner::WhyCopy(const VerifyRunner::Comparison& comparison) const {
  const verify::TableResult& found = comparison.result;
  if (!found.reason.empty()) return found.reason;
  if (comparison.keys && destination_.capabilities().wants == Capabilities::Rows::kNet) return {};
  const std::uint64_t count = found.missing + found.extra + found.different;
  if (found.are_counts_minimum || count > kKeysMax)
    return "more than " + base::FormatCount(kKeysMax) + " rows differ";
  return "its rows cannot be told by a key";
}

Result<std::string> RepairRunner::RepairKeys(const TableRecord& record,
                                             const std::vector<verify::KeyText>& keys,
                                             verify::TableRepair& repair, std::stop_token stop) {
  std::size_t chunk = kChunkKeysMax;
  for (std::size_t done = 0; done < keys.size();) {
    const auto next = std::span(keys).subspan(done, std::min(chunk, keys.size() - done));
    bool is_repaired = false;
    const auto standing = [&](AtFence& fence) -> Status {
      if (!fence.is_live()) return {};
      SLUICE_ASSIGN_OR_RETURN(is_repaired, RepairChunk(fence, next, stop));
      return {};
    };
    const auto fence = meeting_.Meet(record, standing, stop);
    if (!fence && IsOfTable(fence.error())) return fence.error().message;
    if (!fence) return fence.error();
    if (!fence->is_live()) return std::string();  // the next comparison says what became of it
    repair.longest_pause = std::max(repair.longest_pause, fence->stood);
    if (is_repaired) {
      done += next.size();
      repair.keys_repaired += next.size();
    } else if (next.size() == 1) {
      return std::string("a row cannot be read by its key in time");
    }
    if (!is_repaired || fence->stood > kPauseWanted) {
      chunk = std::max<std::size_t>(1, next.size() / 2);
    } else if (fence->stood < kPauseWanted / 3) {
      chunk = std::min(kChunkKeysMax, chunk * 2);
    }
  }
  logger_.Info("repair: {} keys of table {} were read again", keys.size(), ToString(record.source));
  return std::string();
}

Result<bool> RepairRunner::RepairChunk(AtFence& fence, std::span<const verify::KeyText> keys,
                                       const std::stop_token& stop) {
  SLUICE_ASSIGN_OR_RETURN(RowsPtr key_rows, KeyRows(*fence.record.schema, keys));
  SLUICE_ASSIGN_OR_RETURN(std::optional<CopiedRows> rows, ReadRows(fence, keys, stop));
  if (!rows) return false;
  SLUICE_RETURN_IF_ERROR(WriteRows(fence, std::move(key_rows), *std::move(rows)));
  return true;
}

Status RepairRunner::WriteRows(const AtFence& fence, RowsPtr keys, CopiedRows rows) {
  auto change = std::make_shared<NetChange>();
  change->schema = fence.record.schema;
  change->deletes_any = true;
  change->deletes = std::move(keys);
  change->inserts = std::move(rows.rows);
  change->insert_misfits = std::move(rows.misfits);
  return session_.writer().inbox().CallAndWait(
      [&]() -> Status { return session_.writer().Replace(fence.ticket, change); });
}

/// Marks it, and waits until it is live or halted.
Status RepairRunner::CopyTableAgain(const TableRecord& record, std::stop_token stop) {
  SLUICE_RETURN_IF_ERROR(CheckDeclared(record, session_, options_));
  SLUICE_RETURN_IF_ERROR(copy_again_(record.relation));
  for (;;) {
    SLUICE_ASSIGN_OR_RETURN(
        const TableState state, session_.writer().inbox().CallAndWait([&]() -> Result<TableState> {
          const replication::TableMachine& machine = session_.writer().machine();
          return machine.has_table(record.relation) ? machine.record(record.relation).state
                                                    : TableState::kSkipped;
        }));
    if (state != TableState::kPending && state != TableState::kCopying) return {};
    if (session_.Failure())
      return Error{.kind = ErrorKind::kConnection, .message = "the pipeline stopped meanwhile"};
    base::SleepFor(kLook, stop);
    if (stop.stop_requested()) return Stopped();
  }
}

}  // namespace sluice::pipeline
