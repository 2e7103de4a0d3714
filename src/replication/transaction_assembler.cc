#include "replication/transaction_assembler.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/byte_reader.h"
#include "replication/transaction_assembler_state.h"

namespace sluice::replication {

using pgoutput::MessageKind;

Error Misplaced(std::string_view what) {
  Error error;
  error.kind = ErrorKind::kProtocol;
  error.message = "the server sent a message in the wrong place: ";
  error.message += what;
  error.code = "SLU-3103";
  return error;
}

Error NotDescribed(RelationId relation) {
  Error error;
  error.kind = ErrorKind::kProtocol;
  error.message = "the server sent a change of a relation that it had not described: oid " +
                  std::to_string(relation.value);
  error.code = "SLU-3104";
  return error;
}

Error TooManyChanges() {
  Error error;
  error.kind = ErrorKind::kUnsupported;
  error.message = "a transaction has more than 4,294,967,294 changes";
  error.code = "SLU-3107";
  return error;
}

bool IsOfTable(ErrorKind kind) {
  return kind == ErrorKind::kConversion || kind == ErrorKind::kUnsupported ||
         kind == ErrorKind::kSchemaConflict;
}

namespace {

Error OutOfOrder(Lsn commit_lsn, Lsn end) {
  Error error;
  error.kind = ErrorKind::kProtocol;
  error.message =
      "a transaction committed at " + ToString(commit_lsn) + ", before " + ToString(end);
  error.code = "SLU-3021";
  return error;
}

/// One column for each cell that is kept, and no cell that was not sent.
bool Fits(const Resolution& resolution, std::size_t sent) {
  if (resolution.schema == nullptr) return false;
  const std::size_t kept = resolution.schema->columns.size();
  if (resolution.cells.empty()) return kept == sent;
  return kept == resolution.cells.size() &&
         std::all_of(resolution.cells.begin(), resolution.cells.end(),
                     [&](std::uint32_t cell) { return cell < sent; });
}

}  // namespace

Error OtherSource(Lsn commit_lsn) {
  Error error;
  error.kind = ErrorKind::kConfig;
  error.message = "the source is not the one that was copied: the transaction that committed at " +
                  ToString(commit_lsn) + " is not the mirror's";
  error.code = "SLU-3105";
  error.advice =
      "check the source's address; if it is right it was restored from a backup: `sluice run` with "
      "--on-lost-slot resync";
  return error;
}

Status TransactionAssembler::State::Consume(std::span<const std::byte> message) {
  ++counters.messages;
  counters.bytes += message.size();
  current = message;
  base::ByteReader in(message);
  SLUICE_ASSIGN_OR_RETURN(const MessageKind kind, pgoutput::DecodeKind(in));
  switch (kind) {
    case MessageKind::kInsert:
    case MessageKind::kUpdate:
    case MessageKind::kDelete:
      return OnRow(in, kind, message.size());
    default:
      return Dispatch(in, kind);
  }
}

Status TransactionAssembler::State::Dispatch(base::ByteReader& in, MessageKind kind) {
  switch (kind) {
    case MessageKind::kBegin: {
      SLUICE_ASSIGN_OR_RETURN(const pgoutput::Begin message, pgoutput::DecodeBegin(in));
      return OnBegin(message);
    }
    case MessageKind::kCommit: {
      SLUICE_ASSIGN_OR_RETURN(const pgoutput::Commit message, pgoutput::DecodeCommit(in));
      return OnCommit(message);
    }
    case MessageKind::kOrigin: {
      SLUICE_RETURN_IF_ERROR(pgoutput::DecodeOrigin(in));
      return where == Where::kBetween ? Status(Misplaced("Origin")) : Status();
    }
    case MessageKind::kRelation: {
      SLUICE_ASSIGN_OR_RETURN(const pgoutput::Relation message,
                              pgoutput::DecodeRelation(in, place()));
      return OnRelation(message);
    }
    case MessageKind::kType: {
      SLUICE_ASSIGN_OR_RETURN(const pgoutput::Type message, pgoutput::DecodeType(in, place()));
      if (where == Where::kBetween) return Misplaced("Type");
      resolver.OnType(message, context());
      return {};
    }
    case MessageKind::kTruncate: {
      SLUICE_ASSIGN_OR_RETURN(const pgoutput::Truncate message,
                              pgoutput::DecodeTruncate(in, place()));
      return OnTruncate(message);
    }
    case MessageKind::kLogicalMessage: {
      SLUICE_ASSIGN_OR_RETURN(const pgoutput::LogicalMessage message,
                              pgoutput::DecodeLogicalMessage(in, place()));
      return OnMessage(message);
    }
    case MessageKind::kStreamStart: {
      SLUICE_ASSIGN_OR_RETURN(const pgoutput::StreamStart message, pgoutput::DecodeStreamStart(in));
      return OnStreamStart(message);
    }
    case MessageKind::kStreamStop: {
      SLUICE_RETURN_IF_ERROR(pgoutput::DecodeStreamStop(in));
      return OnStreamStop();
    }
    case MessageKind::kStreamCommit: {
      SLUICE_ASSIGN_OR_RETURN(const pgoutput::StreamCommit message,
                              pgoutput::DecodeStreamCommit(in));
      return OnStreamCommit(message);
    }
    case MessageKind::kStreamAbort: {
      SLUICE_ASSIGN_OR_RETURN(const pgoutput::StreamAbort message, pgoutput::DecodeStreamAbort(in));
      return OnStreamAbort(message);
    }
    case MessageKind::kInsert:
    case MessageKind::kUpdate:
    case MessageKind::kDelete:
      break;
  }
  return Misplaced("a row change");
}

Result<bool> TransactionAssembler::State::IsReplayed(TransactionId xid, Lsn commit_lsn,
                                                     UnixMicros committed_at) {
  if (commit_lsn >= durable) {
    if (commit_lsn < set.end()) return OutOfOrder(commit_lsn, set.end());
    return false;
  }
  is_unknown = options.knows_past && commit_lsn >= options.asked_from;
  if (witness && witness->commit_lsn == commit_lsn) {
    is_unknown = false;
    if (witness->xid != xid || witness->committed_at != committed_at) {
      return OtherSource(commit_lsn);
    }
    has_seen_witness = true;
  }
  ++counters.replayed_transactions;
  return true;
}

Status TransactionAssembler::State::OnBegin(const pgoutput::Begin& message) {
  if (where != Where::kBetween) return Misplaced("Begin");
  SLUICE_ASSIGN_OR_RETURN(is_skipping,
                          IsReplayed(message.xid, message.commit_lsn, message.committed_at));
  where = Where::kInDirect;
  begin = message;
  next_ordinal = 0;
  if (!is_skipping) {
    set.BeginTransaction({message.xid, message.commit_lsn, Lsn{}, message.committed_at});
  }
  return {};
}

Status TransactionAssembler::State::OnCommit(const pgoutput::Commit& message) {
  if (where != Where::kInDirect) return Misplaced("Commit");
  if (message.commit_lsn != begin.commit_lsn) return Misplaced("Commit of another transaction");
  where = Where::kBetween;
  if (std::exchange(is_skipping, false)) return {};
  set.EndTransaction(message.end_lsn, next_ordinal == 0);
  ++counters.transactions;
  CloseAtBoundary();
  return {};
}

void TransactionAssembler::State::CloseAtBoundary() {
  // One table alone takes what it takes.
  const bool has_many_columns =
      set.column_count() >= options.batch_columns && set.table_count() > 1;
  if (set.row_count() < options.batch_rows && set.bytes() < options.batch_bytes &&
      set.transaction_count() < options.batch_rows && !has_many_columns) {
    return;
  }
  ready.push_back(set.Close(true));
  ready_bytes += ready.back().bytes;
  ready_rows += ready.back().row_count;
}

void TransactionAssembler::State::CutInTransaction() {
  if (set.transaction_rows() < options.batch_rows &&
      set.transaction_bytes() < options.batch_bytes) {
    return;
  }
  ready.push_back(set.Close(false));
  ready_bytes += ready.back().bytes;
  ready_rows += ready.back().row_count;
}

TrackedRelation& TransactionAssembler::State::Track(RelationId relation) {
  if (TrackedRelation* found = by_relation.Find(relation)) return *found;
  relations.push_back(std::make_unique<TrackedRelation>());
  relations.back()->open.relation = relation;
  by_relation.Insert(relation, relations.back().get());
  return *relations.back();
}

TrackedRelation* TransactionAssembler::State::FindDescribed(RelationId relation) {
  if (last_relation == nullptr || last_relation->open.relation != relation) {
    last_relation = by_relation.Find(relation);
  }
  return last_relation != nullptr && last_relation->entry.is_known ? last_relation : nullptr;
}

RelationContext TransactionAssembler::State::context() const {
  if (where == Where::kInBlock) return {block->xid(), std::nullopt};
  return {begin.xid, begin.commit_lsn};
}

/// What the user excluded ends here, before anything is built, held or written of it.
Status TransactionAssembler::State::KeepCells(const RelationEntry& entry,
                                              pgoutput::RowTuples& tuples) {
  const auto keep = [&](pgoutput::TupleView& tuple, std::vector<pgoutput::TupleCell>& kept) {
    if (tuple.empty()) return true;
    if (tuple.size() != entry.sent_columns) return false;
    kept.clear();
    for (const std::uint32_t cell : entry.resolution.cells) kept.push_back(tuple[cell]);
    tuple = kept;
    return true;
  };
  if (keep(tuples.row, kept_row) && keep(tuples.old, kept_old)) return {};
  return Error{.kind = ErrorKind::kProtocol,
               .message = "a row has not the columns of its table: " +
                          ToString(entry.resolution.schema->name),
               .code = "SLU-4111"};
}

Status TransactionAssembler::State::OnRelation(const pgoutput::Relation& relation) {
  if (where == Where::kBetween) return Misplaced("Relation");
  // By SQL nothing is streamed before its commit, which could describe it in between.
  if (where == Where::kInDirect && is_skipping && options.asked_from.is_valid()) {
    Defer(relation.id);
    return {};
  }
  if (where == Where::kInBlock) {
    block->Enter(relation.xid);
  } else if (const auto earlier = deferred.find(relation.id); earlier != deferred.end()) {
    if (earlier->second.behind.empty()) deferred.erase(earlier);
    SLUICE_RETURN_IF_ERROR(ResolveDeferred(relation.id));
  }
  return ResolveNow(relation);
}

Status TransactionAssembler::State::ResolveNow(const pgoutput::Relation& relation) {
  SLUICE_ASSIGN_OR_RETURN(Resolution resolution, resolver.Resolve(relation, context()));
  const std::shared_ptr<const RootResolution> root = std::move(resolution.root);
  SLUICE_RETURN_IF_ERROR(Describe(relation.id, std::move(resolution), relation.columns.size()));
  if (!root) return {};
  const RelationEntry& entry = where == Where::kInBlock ? block->TableFor(root->relation).entry
                                                        : Track(root->relation).entry;
  return Describe(root->relation, root->resolution, entry.sent_columns);
}

Status TransactionAssembler::State::Describe(RelationId relation, Resolution resolution,
                                             std::size_t sent_columns) {
  if (resolution.kind == Resolution::Kind::kUse && !Fits(resolution, sent_columns)) {
    return Error{.kind = ErrorKind::kInternal,
                 .message = "the schema of a relation does not fit its description: oid " +
                            std::to_string(relation.value),
                 .code = "SLU-9001"};
  }
  RelationEntry entry{true, std::move(resolution), sent_columns, false, ++relation_sequence};
  if (where == Where::kInBlock) {
    block->Describe(block->TableFor(relation), std::move(entry));
  } else {
    Track(relation).entry = std::move(entry);
  }
  return {};
}

void TransactionAssembler::State::Defer(RelationId relation) {
  deferred[relation].message.assign(current.begin(), current.end());
  const auto before = deferred.find(std::exchange(last_deferred, relation));
  if (before != deferred.end() && before->first != relation) before->second.behind.insert(relation);
}

Status TransactionAssembler::State::ResolveDeferred(RelationId relation) {
  const auto root = deferred.extract(relation);
  if (!root) return {};
  bool is_resolved = false;
  for (const RelationId behind : root.mapped().behind) {
    const auto partition = deferred.find(behind);
    if (partition == deferred.end()) continue;
    SLUICE_RETURN_IF_ERROR(ResolveMessage(root.mapped().message));
    SLUICE_RETURN_IF_ERROR(ResolveMessage(partition->second.message));
    is_resolved = true;
  }
  return is_resolved ? Status() : ResolveMessage(root.mapped().message);
}

Status TransactionAssembler::State::ResolveMessage(std::span<const std::byte> relation) {
  base::ByteReader in(relation);
  SLUICE_RETURN_IF_ERROR(pgoutput::DecodeKind(in));
  SLUICE_ASSIGN_OR_RETURN(const pgoutput::Relation message,
                          pgoutput::DecodeRelation(in, pgoutput::Place::kOutsideBlock));
  return ResolveNow(message);
}

bool TransactionAssembler::State::TakesChanges(TrackedRelation& relation) {
  const Resolution& resolution = relation.entry.resolution;
  if (resolution.kind == Resolution::Kind::kUse) return !relation.open.has_failed;
  // Told in every set whose rows are skipped: a copy that begins between two sets must learn of it.
  if (resolution.kind == Resolution::Kind::kFail && !relation.open.has_failed) {
    set.AddFailure(relation.open, resolution.error);
    relation.open.has_failed = true;
  }
  return false;
}

/// A change that is kept as it came, but for what the user excluded.
Status TransactionAssembler::State::AppendRaw(base::ByteReader& in, MessageKind kind,
                                              const RelationEntry& entry,
                                              columnar::TableBuilder& rows, std::uint32_t ordinal) {
  SLUICE_ASSIGN_OR_RETURN(pgoutput::RowTuples tuples, pgoutput::DecodeRowTuples(in, kind, cells));
  if (!entry.resolution.cells.empty()) SLUICE_RETURN_IF_ERROR(KeepCells(entry, tuples));
  raw_cell.clear();
  columnar::AppendRawCell(kind, tuples, raw_cell);
  const pgoutput::TupleCell cell{pgoutput::TupleCell::Kind::kBinary, base::AsBytes(raw_cell)};
  return rows.AppendInsert(pgoutput::TupleView(&cell, 1), ordinal);
}

void TransactionAssembler::State::CountRow(MessageKind kind) {
  if (kind == MessageKind::kInsert) {
    ++counters.inserts;
  } else if (kind == MessageKind::kUpdate) {
    ++counters.updates;
  } else {
    ++counters.deletes;
  }
}

Status TransactionAssembler::State::OnRow(base::ByteReader& in, MessageKind kind,
                                          std::size_t wire_bytes) {
  SLUICE_ASSIGN_OR_RETURN(const pgoutput::RowHeader header,
                          pgoutput::DecodeRowHeader(in, kind, place()));
  switch (where) {
    case Where::kInDirect:
      return OnDirectRow(in, header, wire_bytes);
    case Where::kInBlock:
      return OnStagedRow(in, header, wire_bytes);
    case Where::kBetween:
      break;
  }
  return Misplaced("a row change");
}

Status TransactionAssembler::State::OnDirectRow(base::ByteReader& in,
                                                const pgoutput::RowHeader& header,
                                                std::size_t wire_bytes) {
  if (is_skipping) {
    if (is_unknown) return OtherSource(begin.commit_lsn);
    ++counters.skipped_rows;
    return {};
  }
  if (next_ordinal >= ~std::uint32_t{0}) return TooManyChanges();
  const auto ordinal = static_cast<std::uint32_t>(next_ordinal++);
  if (!deferred.empty()) [[unlikely]]
    SLUICE_RETURN_IF_ERROR(ResolveDeferred(header.relation));
  TrackedRelation* relation = FindDescribed(header.relation);
  if (relation == nullptr) return NotDescribed(header.relation);
  if (!TakesChanges(*relation)) {
    if (relation->entry.resolution.kind != Resolution::Kind::kKeep) {
      ++counters.skipped_rows;
      return {};
    }
    columnar::TableBuilder& raw = set.RowsFor(relation->open, relation->entry.resolution.schema);
    SLUICE_RETURN_IF_ERROR(AppendRaw(in, header.kind, relation->entry, raw, ordinal));
    set.AddedRow(relation->open, wire_bytes);
    CutInTransaction();
    return {};
  }
  SLUICE_ASSIGN_OR_RETURN(pgoutput::RowTuples tuples,
                          pgoutput::DecodeRowTuples(in, header.kind, cells));
  if (!relation->entry.resolution.cells.empty()) [[unlikely]]
    SLUICE_RETURN_IF_ERROR(KeepCells(relation->entry, tuples));
  const SchemaPtr& schema = relation->entry.resolution.schema;
  columnar::TableBuilder& rows = set.RowsFor(relation->open, schema);
  Status appended = header.kind == MessageKind::kInsert ? rows.AppendInsert(tuples.row, ordinal)
                    : header.kind == MessageKind::kUpdate
                        ? rows.AppendUpdate(tuples.row, tuples.old, ordinal)
                        : rows.AppendDelete(tuples.old, ordinal);
  if (!appended) [[unlikely]] {
    Error error = std::move(appended).error().At("table " + ToString(schema->name));
    if (!IsOfTable(error.kind)) return error;
    set.AddFailure(relation->open, std::move(error));
    relation->open.has_failed = true;
    ++counters.skipped_rows;
    return {};
  }
  CountRow(header.kind);
  set.AddedRow(relation->open, wire_bytes);
  CutInTransaction();
  return {};
}

Status TransactionAssembler::State::OnTruncate(const pgoutput::Truncate& truncate) {
  switch (where) {
    case Where::kInDirect:
      return OnDirectTruncate(truncate);
    case Where::kInBlock:
      return OnStagedTruncate(truncate);
    case Where::kBetween:
      break;
  }
  return Misplaced("Truncate");
}

Status TransactionAssembler::State::OnDirectTruncate(const pgoutput::Truncate& truncate) {
  if (is_skipping) return is_unknown ? Status(OtherSource(begin.commit_lsn)) : Status();
  if (next_ordinal + truncate.relations.size() >= ~std::uint32_t{0}) return TooManyChanges();
  for (const RelationId id : truncate.relations) {
    const auto ordinal = static_cast<std::uint32_t>(next_ordinal++);
    SLUICE_RETURN_IF_ERROR(ResolveDeferred(id));
    TrackedRelation* relation = FindDescribed(id);
    if (relation == nullptr) return NotDescribed(id);
    const bool is_kept = relation->entry.resolution.kind == Resolution::Kind::kKeep;
    if (!is_kept && !TakesChanges(*relation)) continue;
    set.AddTruncate(relation->open, ordinal);
    ++counters.truncates;
  }
  return {};
}

Status TransactionAssembler::State::OnMessage(const pgoutput::LogicalMessage& message) {
  ++counters.logical_messages;
  if (message.is_transactional && where == Where::kBetween) return Misplaced("Message");
  if (where == Where::kInBlock && message.is_transactional) block->Enter(message.xid);
  if (listener == nullptr || !listener->Wants(message.prefix)) return {};
  if (!message.is_transactional) {
    if (message.lsn < durable) return {};
    return listener->OnMessage(
        {false, message.lsn, std::nullopt, {}, 0, message.prefix, message.content});
  }
  if (where == Where::kInDirect) {
    if (is_skipping) return {};
    return listener->OnMessage({true, message.lsn, begin.commit_lsn, begin.xid,
                                static_cast<std::uint32_t>(next_ordinal), message.prefix,
                                message.content});
  }
  // Anybody may emit them: too many are no reason to stop.
  const std::size_t bytes = message.prefix.size() + message.content.size();
  if (staged_message_bytes + bytes > options.message_bytes_max) return {};
  staged_message_bytes -= block->message_bytes();
  block->AddMessage(
      {0, message.lsn, std::string(message.prefix), std::string(base::AsText(message.content))});
  staged_message_bytes += block->message_bytes();
  return {};
}

TransactionAssembler::TransactionAssembler(const AssemblerOptions& options, Lsn durable_end,
                                           std::optional<Witness> witness,
                                           RelationResolver& resolver, MessageListener* listener)
    : state_(std::make_unique<State>(options, durable_end, witness, resolver, listener)) {}
TransactionAssembler::~TransactionAssembler() = default;
TransactionAssembler::TransactionAssembler(TransactionAssembler&&) noexcept = default;
TransactionAssembler& TransactionAssembler::operator=(TransactionAssembler&&) noexcept = default;

Status TransactionAssembler::Consume(Lsn wal_start, std::span<const std::byte> message) {
  if (is_busy()) [[unlikely]] {
    return Error{.kind = ErrorKind::kInternal,
                 .message = "a message came while sets or actions were waiting",
                 .code = "SLU-9001"};
  }
  Status status = state_->Consume(message);
  if (!status) [[unlikely]] {
    return std::move(status).error().At("message at " + ToString(wal_start));
  }
  return {};
}

void TransactionAssembler::Keepalive(Lsn wal_end) {
  if (state_->where == State::Where::kInDirect || state_->release) return;
  state_->set.MoveEnd(wal_end);
}

void TransactionAssembler::ReadAgain() {
  State& state = *state_;
  state.durable = std::max(state.durable, state.set.end());
  state.witness.reset();
  state.options.knows_past = false;
  state.deferred.clear();
}

bool TransactionAssembler::is_busy() const {
  return !state_->ready.empty() || !state_->actions.empty() || state_->release.has_value();
}

std::vector<Action> TransactionAssembler::TakeActions() {
  return std::exchange(state_->actions, {});
}

bool TransactionAssembler::has_ready() const {
  return !state_->ready.empty();
}

bool TransactionAssembler::has_sealable() const {
  return has_ready() || (at_boundary() && state_->set.has_content());
}

std::optional<ChangeSet> TransactionAssembler::Seal() {
  State& state = *state_;
  if (!has_sealable()) return std::nullopt;
  if (state.ready.empty()) return state.set.Close(true);
  ChangeSet set = std::move(state.ready.front());
  state.ready.pop_front();
  state.ready_bytes -= set.bytes;
  state.ready_rows -= set.row_count;
  if (state.release) state.AdvanceRelease();
  return set;
}

bool TransactionAssembler::at_boundary() const {
  return state_->where != State::Where::kInDirect && !state_->release;
}

std::size_t TransactionAssembler::open_bytes() const {
  return state_->set.bytes() + state_->ready_bytes;
}

std::size_t TransactionAssembler::open_rows() const {
  return state_->set.row_count() + state_->ready_rows;
}

std::size_t TransactionAssembler::staged_transactions() const {
  return state_->staged.size();
}

std::size_t TransactionAssembler::staged_bytes() const {
  std::size_t bytes = 0;
  for (const auto& [xid, log] : state_->staged) bytes += log->bytes();
  if (state_->release) bytes += state_->release->bytes_left;
  return bytes;
}

Lsn TransactionAssembler::end() const {
  return state_->set.end();
}

bool TransactionAssembler::has_seen_witness() const {
  return state_->has_seen_witness;
}

const AssemblerCounters& TransactionAssembler::counters() const {
  return state_->counters;
}

}  // namespace sluice::replication
