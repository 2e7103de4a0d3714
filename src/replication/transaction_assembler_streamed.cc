// Streamed transactions: blocks into logs, aborts, release at the commit, spilling.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/byte_reader.h"
#include "base/check.h"
#include "replication/transaction_assembler_state.h"

namespace sluice::replication {

using pgoutput::MessageKind;

Status TransactionAssembler::State::OnStreamStart(const pgoutput::StreamStart& start) {
  if (where != Where::kBetween) return Misplaced("Stream Start");
  const auto found = staged.find(start.xid);
  if (start.is_first_segment != (found == staged.end())) {
    return Misplaced(start.is_first_segment ? "a first Stream Start of an open transaction"
                                            : "a later Stream Start of an unknown transaction");
  }
  if (found != staged.end()) {
    block = found->second.get();
  } else {
    // A quarter of a set's bytes a batch: a piece overshoots its limit by no more.
    const StagedTransaction::Limits limits{options.batch_rows,
                                           std::max<std::size_t>(1, options.batch_bytes / 4)};
    block = (staged[start.xid] = std::make_unique<StagedTransaction>(start.xid, limits)).get();
  }
  where = Where::kInBlock;
  return {};
}

Status TransactionAssembler::State::OnStreamStop() {
  if (where != Where::kInBlock) return Misplaced("Stream Stop");
  where = Where::kBetween;
  block = nullptr;
  return {};
}

bool TransactionAssembler::State::TakesStagedChanges(StagedTable& table, std::uint32_t ordinal) {
  const Resolution& resolution = table.entry.resolution;
  if (resolution.kind == Resolution::Kind::kUse) return !table.has_failed;
  if (resolution.kind == Resolution::Kind::kFail && !table.entry.is_failure_told) {
    block->AddFailure(table, ordinal, {resolution.error, false});
    table.entry.is_failure_told = true;
  }
  return false;
}

Status TransactionAssembler::State::OnStagedRow(base::ByteReader& in,
                                                const pgoutput::RowHeader& header,
                                                std::size_t wire_bytes) {
  block->Enter(header.xid);
  if (block->is_full()) return TooManyChanges();
  const std::uint32_t ordinal = block->NextOrdinal();
  StagedTable* table = block->FindDescribed(header.relation);
  if (table == nullptr) return NotDescribed(header.relation);
  const std::size_t bytes_before = block->row_bytes();
  if (!TakesStagedChanges(*table, ordinal)) {
    if (table->entry.resolution.kind == Resolution::Kind::kKeep) {
      columnar::TableBuilder& raw = block->RowsFor(*table, table->entry.resolution.schema);
      SLUICE_RETURN_IF_ERROR(AppendRaw(in, header.kind, table->entry, raw, ordinal));
      block->AddedRow(*table, ordinal, wire_bytes);
    } else {
      ++counters.skipped_rows;
    }
    staged_row_bytes += block->row_bytes() - bytes_before;
    if (staged_row_bytes > options.staging_bytes) SpillIfOverBudget();
    return {};
  }
  SLUICE_ASSIGN_OR_RETURN(pgoutput::RowTuples tuples,
                          pgoutput::DecodeRowTuples(in, header.kind, cells));
  if (!table->entry.resolution.cells.empty()) [[unlikely]]
    SLUICE_RETURN_IF_ERROR(KeepCells(table->entry, tuples));
  const SchemaPtr& schema = table->entry.resolution.schema;
  columnar::TableBuilder& rows = block->RowsFor(*table, schema);
  Status appended = header.kind == MessageKind::kInsert ? rows.AppendInsert(tuples.row, ordinal)
                    : header.kind == MessageKind::kUpdate
                        ? rows.AppendUpdate(tuples.row, tuples.old, ordinal)
                        : rows.AppendDelete(tuples.old, ordinal);
  if (!appended) [[unlikely]] {
    Error error = std::move(appended).error().At("table " + ToString(schema->name));
    if (!IsOfTable(error.kind)) return error;
    block->AddFailure(*table, ordinal, {std::move(error), true});
    ++counters.skipped_rows;
  } else {
    CountRow(header.kind);
    block->AddedRow(*table, ordinal, wire_bytes);
  }
  staged_row_bytes += block->row_bytes() - bytes_before;
  if (staged_row_bytes > options.staging_bytes) [[unlikely]]
    SpillIfOverBudget();
  return {};
}

Status TransactionAssembler::State::OnStagedTruncate(const pgoutput::Truncate& truncate) {
  block->Enter(truncate.xid);
  const std::size_t bytes_before = block->row_bytes();
  for (const RelationId id : truncate.relations) {
    if (block->is_full()) return TooManyChanges();
    const std::uint32_t ordinal = block->NextOrdinal();
    StagedTable* table = block->FindDescribed(id);
    if (table == nullptr) return NotDescribed(id);
    const bool is_kept = table->entry.resolution.kind == Resolution::Kind::kKeep;
    if (!is_kept && !TakesStagedChanges(*table, ordinal)) continue;
    block->AddTruncate(*table, ordinal);
    ++counters.truncates;
  }
  staged_row_bytes += block->row_bytes() - bytes_before;
  return {};
}

Status TransactionAssembler::State::OnStreamAbort(const pgoutput::StreamAbort& abort) {
  if (where != Where::kBetween) return Misplaced("Stream Abort");
  ++counters.aborts;
  const auto found = staged.find(abort.xid);
  // Nothing of it came: nothing to take back.
  if (found == staged.end()) return {};
  if (abort.subxid == abort.xid) {
    SLUICE_RETURN_IF_ERROR(resolver.OnStreamEnd(abort.xid, false));
    std::unique_ptr<StagedTransaction> log = std::move(found->second);
    staged.erase(found);
    Forget(std::move(log));
    return {};
  }
  StagedTransaction& log = *found->second;
  staged_row_bytes -= log.row_bytes();
  staged_message_bytes -= log.message_bytes();
  const std::optional<std::uint32_t> spilled = log.Abort(abort.subxid);
  staged_row_bytes += log.row_bytes();
  staged_message_bytes += log.message_bytes();
  if (spilled) actions.emplace_back(TruncateSpill{abort.xid, *spilled});
  return {};
}

void TransactionAssembler::State::Forget(std::unique_ptr<StagedTransaction> log) {
  staged_row_bytes -= log->row_bytes();
  staged_message_bytes -= log->message_bytes();
  if (log->has_spilled()) actions.emplace_back(DropSpill{log->xid()});
}

void TransactionAssembler::State::Promote(const StagedTransaction& log) {
  for (const std::unique_ptr<StagedTable>& table : log.tables()) {
    if (!log.is_described(*table)) continue;
    TrackedRelation& relation = Track(table->relation);
    // The server may have described it to a transaction that committed in between: the later one
    // holds.
    if (relation.entry.sequence > table->entry.sequence) continue;
    relation.entry = table->entry;
  }
}

Status TransactionAssembler::State::DeliverMessages(const StagedTransaction& log,
                                                    const pgoutput::StreamCommit& commit) {
  for (const StagedMessage& message : log.messages()) {
    SLUICE_RETURN_IF_ERROR(
        listener->OnMessage({true, message.lsn, commit.commit_lsn, commit.xid, message.ordinal,
                             message.prefix, base::AsBytes(message.content)}));
  }
  return {};
}

Status TransactionAssembler::State::OnStreamCommit(const pgoutput::StreamCommit& commit) {
  if (where != Where::kBetween) return Misplaced("Stream Commit");
  const auto found = staged.find(commit.xid);
  if (found == staged.end()) return Misplaced("Stream Commit of an unknown transaction");
  SLUICE_ASSIGN_OR_RETURN(const bool is_replayed,
                          IsReplayed(commit.xid, commit.commit_lsn, commit.committed_at));
  SLUICE_ASSIGN_OR_RETURN(std::vector<RelationResolver::Failed> failed,
                          resolver.OnStreamEnd(commit.xid, !is_replayed));
  std::unique_ptr<StagedTransaction> log = std::move(found->second);
  staged.erase(found);
  Promote(*log);
  if (is_replayed) {
    if (is_unknown && !log->is_empty()) return OtherSource(commit.commit_lsn);
    Forget(std::move(log));
    return {};
  }
  SLUICE_RETURN_IF_ERROR(DeliverMessages(*log, commit));
  staged_row_bytes -= log->row_bytes();
  staged_message_bytes -= log->message_bytes();
  log->SealAll();
  const bool fits = !log->has_spilled() && set.bytes() + log->row_bytes() < options.batch_bytes &&
                    set.row_count() + log->row_count() < options.batch_rows;
  if (!fits && set.transaction_count() > 0) {
    ready.push_back(set.Close(true));
    ready_bytes += ready.back().bytes;
    ready_rows += ready.back().row_count;
  }
  ++counters.transactions;
  ++counters.streamed_transactions;
  const std::size_t row_bytes = log->row_bytes();
  const TransactionMark mark{commit.xid, commit.commit_lsn, Lsn{}, commit.committed_at};
  set.BeginTransaction(mark);
  for (RelationResolver::Failed& one : failed) {
    OpenTable& table = Track(one.relation).open;
    set.AddFailure(table, std::move(one.error));
    table.has_failed = true;
  }
  release.emplace(Release{std::move(log), commit.end_lsn, row_bytes, 0, false, std::nullopt});
  AdvanceRelease();
  return {};
}

void TransactionAssembler::State::AdvanceRelease() {
  std::vector<StagedItem>& items = release->log->items();
  while (release->next_item < items.size()) {
    if (!ready.empty() || !ReleaseItem(items[release->next_item])) return;
    ++release->next_item;
    if (release->next_item < items.size()) CutInTransaction();
  }
  FinishRelease();
}

// False: it must be read back first.
bool TransactionAssembler::State::ReleaseItem(StagedItem& item) {
  OpenTable& table = Track(item.table->relation).open;
  if (const auto* spilled = std::get_if<SpilledBatch>(&item.what)) {
    if (!release->restored) {
      if (!std::exchange(release->is_restore_asked, true)) {
        actions.emplace_back(RestoreBatch{release->log->xid(), spilled->index});
      }
      return false;
    }
    ChangeBatch batch = *std::exchange(release->restored, std::nullopt);
    release->is_restore_asked = false;
    if (item.keep_below) {
      const auto end = std::ranges::lower_bound(batch.ordinals, *item.keep_below);
      batch = columnar::SliceRows(batch, 0, static_cast<std::size_t>(end - batch.ordinals.begin()));
    }
    item.what = std::move(batch);
  }
  release->bytes_left -= std::min(release->bytes_left, item.bytes);
  if (table.has_failed) {
    // Goes on being skipped until the set leaves.
    item.what = TruncateMark{};
    return true;
  }
  if (auto* batch = std::get_if<ChangeBatch>(&item.what)) {
    set.AddBatch(table, std::move(*batch));
  } else if (const auto* truncate = std::get_if<TruncateMark>(&item.what)) {
    set.AddTruncate(table, truncate->ordinal);
  } else if (auto* failure = std::get_if<StagedFailure>(&item.what)) {
    set.AddFailure(table, std::move(failure->error));
    table.has_failed = failure->is_of_value;
  }
  return true;
}

void TransactionAssembler::State::FinishRelease() {
  set.EndTransaction(release->end_lsn, release->log->is_empty());
  if (release->log->has_spilled()) actions.emplace_back(DropSpill{release->log->xid()});
  release.reset();
  CloseAtBoundary();
}

void TransactionAssembler::Restore(TransactionId xid, std::uint32_t index, ChangeBatch batch) {
  State& state = *state_;
  SLUICE_CHECK(state.release && state.release->is_restore_asked && !state.release->restored);
  const StagedItem& item = state.release->log->items()[state.release->next_item];
  const auto* spilled = std::get_if<SpilledBatch>(&item.what);
  SLUICE_CHECK(state.release->log->xid() == xid && spilled != nullptr && spilled->index == index);
  state.release->restored = std::move(batch);
  state.AdvanceRelease();
}

void TransactionAssembler::State::SpillIfOverBudget() {
  while (staged_row_bytes > options.staging_bytes) {
    StagedTransaction* largest = nullptr;
    for (const auto& [xid, log] : staged) {
      if (largest == nullptr || log->row_bytes() > largest->row_bytes()) largest = log.get();
    }
    const std::size_t before = largest == nullptr ? 0 : largest->row_bytes();
    if (before == 0) return;
    staged_row_bytes -= before;
    for (StagedTransaction::Spill& spill : largest->SpillAll()) {
      ++counters.spilled_batches;
      counters.spilled_bytes += spill.batch.bytes;
      actions.emplace_back(SpillBatch{largest->xid(), spill.index, std::move(spill.batch)});
    }
    staged_row_bytes += largest->row_bytes();
    if (largest->row_bytes() >= before) return;
  }
}

}  // namespace sluice::replication
