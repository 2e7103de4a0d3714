#include "replication/staged_transaction.h"

#include <algorithm>
#include <utility>

namespace sluice::replication {

void StagedTransaction::EnterOther(TransactionId xid) {
  last_xid_ = xid;
  if (xid == xid_) return;
  if (!subtransaction_at_.try_emplace(xid, subtransactions_.size()).second) return;
  subtransactions_.push_back({xid, next_ordinal_, messages_.size()});
}

StagedTable& StagedTransaction::TableFor(RelationId relation) {
  if (StagedTable* table = by_relation_.Find(relation)) return *table;
  tables_.push_back(std::make_unique<StagedTable>());
  tables_.back()->relation = relation;
  by_relation_.Insert(relation, tables_.back().get());
  return *tables_.back();
}

StagedTable* StagedTransaction::FindDescribed(RelationId relation) {
  if (last_table_ == nullptr || last_table_->relation != relation) {
    last_table_ = by_relation_.Find(relation);
  }
  return last_table_ != nullptr && is_described(*last_table_) ? last_table_ : nullptr;
}

void StagedTransaction::Describe(StagedTable& table, RelationEntry entry) {
  table.entry = std::move(entry);
  table.entry_epoch = epoch_;
}

columnar::TableBuilder& StagedTransaction::RowsFor(StagedTable& table, const SchemaPtr& schema) {
  if (table.rows.holds_other_than(schema)) [[unlikely]]
    Seal(table);
  const columnar::TableBuilder* before = table.rows.get();
  const bool is_new = before == nullptr || before->schema() != schema;
  columnar::TableBuilder& builder = table.rows.For(schema);
  if (is_new || !table.has_run) {
    builder.BeginTransaction(0);  // the index in the set is written at the commit
    table.has_run = true;
  }
  return builder;
}

void StagedTransaction::AddedRow(StagedTable& table, std::uint32_t ordinal,
                                 std::size_t wire_bytes) {
  table.last_ordinal = ordinal;
  AddRowBytes(table.rows.Grew(wire_bytes));
  if (table.rows.get()->row_count() >= limits_.batch_rows ||
      table.rows.bytes() >= limits_.batch_bytes) {
    Seal(table);
  }
}

void StagedTransaction::AddTruncate(StagedTable& table, std::uint32_t ordinal) {
  Seal(table);
  StagedItem item;
  item.table = &table;
  item.first_ordinal = item.last_ordinal = ordinal;
  item.what = TruncateMark{0, ordinal};
  Push(std::move(item));
}

void StagedTransaction::AddFailure(StagedTable& table, std::uint32_t ordinal,
                                   StagedFailure failure) {
  Seal(table);
  table.has_failed = table.has_failed || failure.is_of_value;
  StagedItem item;
  item.table = &table;
  item.first_ordinal = item.last_ordinal = ordinal;
  item.what = std::move(failure);
  Push(std::move(item));
}

void StagedTransaction::AddMessage(StagedMessage message) {
  message.ordinal = static_cast<std::uint32_t>(next_ordinal_);
  message_bytes_ += message.prefix.size() + message.content.size() + sizeof(StagedMessage);
  messages_.push_back(std::move(message));
}

void StagedTransaction::Seal(StagedTable& table) {
  table.has_run = false;
  if (table.rows.is_empty()) return;
  StagedItem item;
  item.table = &table;
  AddRowBytes(-static_cast<std::ptrdiff_t>(table.rows.bytes()));
  ChangeBatch batch = table.rows.Take();
  item.first_ordinal = batch.ordinals.front();
  item.last_ordinal = batch.ordinals.back();
  item.row_count = batch.row_count();
  item.bytes = batch.bytes;
  AddRowBytes(static_cast<std::ptrdiff_t>(batch.bytes));
  item.what = std::move(batch);
  Push(std::move(item));
}

void StagedTransaction::Push(StagedItem item) {
  item.sealed_at = next_ordinal_;
  items_.push_back(std::move(item));
}

void StagedTransaction::AddRowBytes(std::ptrdiff_t change) {
  const std::ptrdiff_t now = static_cast<std::ptrdiff_t>(row_bytes_) + change;
  row_bytes_ = now > 0 ? static_cast<std::size_t>(now) : 0;
}

std::optional<std::uint32_t> StagedTransaction::Abort(TransactionId subxid) {
  // The server forgets what relations it described in this transaction, ours of any part of it.
  ++epoch_;
  last_xid_ = xid_;
  const auto found = subtransaction_at_.find(subxid);
  if (found == subtransaction_at_.end()) return std::nullopt;
  const Subtransaction cut = subtransactions_[found->second];
  const std::size_t kept_count = found->second;
  while (subtransactions_.size() > kept_count) {
    subtransaction_at_.erase(subtransactions_.back().xid);
    subtransactions_.pop_back();
  }

  while (messages_.size() > cut.message_count) {
    const StagedMessage& last = messages_.back();
    message_bytes_ -= last.prefix.size() + last.content.size() + sizeof(StagedMessage);
    messages_.pop_back();
  }
  const std::uint64_t ordinal = cut.first_ordinal;
  if (ordinal == next_ordinal_) return std::nullopt;
  for (const std::unique_ptr<StagedTable>& table : tables_) {
    if (table->rows.is_empty() || table->last_ordinal < ordinal) continue;
    table->rows.get()->TruncateFromOrdinal(static_cast<std::uint32_t>(ordinal));
    table->has_run = !table->rows.is_empty();
    AddRowBytes(table->rows.Measure());
    table->last_ordinal = ordinal == 0 ? 0 : static_cast<std::uint32_t>(ordinal - 1);
  }
  next_ordinal_ = ordinal;
  return CutItems(ordinal) ? SpilledNow() : std::nullopt;
}

// True: a spilled batch is gone.
bool StagedTransaction::CutItems(std::uint64_t ordinal) {
  std::size_t from = items_.size();
  while (from > 0 && items_[from - 1].sealed_at > ordinal) --from;
  std::size_t kept = from;
  bool is_spilled_gone = false;
  for (std::size_t at = from; at < items_.size(); ++at) {
    if (!CutItem(items_[at], ordinal)) {
      is_spilled_gone |= std::holds_alternative<SpilledBatch>(items_[at].what);
      continue;
    }
    items_[at].sealed_at = ordinal;
    if (kept != at) items_[kept] = std::move(items_[at]);
    ++kept;
  }
  items_.resize(kept);
  spill_from_ = std::min(spill_from_, from);
  return is_spilled_gone;
}

// False: nothing of the item is left.
bool StagedTransaction::CutItem(StagedItem& item, std::uint64_t ordinal) {
  auto* batch = std::get_if<ChangeBatch>(&item.what);
  if (item.first_ordinal >= ordinal) {
    if (batch != nullptr) AddRowBytes(-static_cast<std::ptrdiff_t>(item.bytes));
    const auto* failure = std::get_if<StagedFailure>(&item.what);
    if (failure != nullptr && failure->is_of_value) item.table->has_failed = false;
    return false;
  }
  if (item.last_ordinal < ordinal) return true;
  const auto limit = static_cast<std::uint32_t>(ordinal);
  item.last_ordinal = limit - 1;
  if (batch == nullptr) {
    item.keep_below = limit;
    return true;
  }
  // The slice shares the batch's memory: item.bytes stays what is held.
  const auto end = std::ranges::lower_bound(batch->ordinals, limit);
  *batch = columnar::SliceRows(*batch, 0, static_cast<std::size_t>(end - batch->ordinals.begin()));
  item.row_count = batch->row_count();
  return true;
}

// Batches spilled last that are gone now. Those in the middle of the file wait for its end.
std::optional<std::uint32_t> StagedTransaction::SpilledNow() {
  std::uint32_t count = 0;
  for (std::size_t at = items_.size(); at > 0; --at) {
    if (const auto* spilled = std::get_if<SpilledBatch>(&items_[at - 1].what)) {
      count = spilled->index + 1;
      break;
    }
  }
  if (count == spilled_count_) return std::nullopt;
  spilled_count_ = count;
  return count;
}

void StagedTransaction::SealAll() {
  for (const std::unique_ptr<StagedTable>& table : tables_) Seal(*table);
}

std::vector<StagedTransaction::Spill> StagedTransaction::SpillAll() {
  SealAll();
  std::vector<Spill> spills;
  for (std::size_t at = spill_from_; at < items_.size(); ++at) {
    StagedItem& item = items_[at];
    auto* batch = std::get_if<ChangeBatch>(&item.what);
    if (batch == nullptr) continue;
    const std::uint32_t index = spilled_count_++;
    AddRowBytes(-static_cast<std::ptrdiff_t>(item.bytes));
    spills.push_back({index, std::move(*batch)});
    item.what = SpilledBatch{index};
  }
  spill_from_ = items_.size();
  has_ever_spilled_ = has_ever_spilled_ || !spills.empty();
  return spills;
}

std::size_t StagedTransaction::row_count() const {
  std::size_t count = 0;
  for (const StagedItem& item : items_) count += item.row_count;
  return count;
}

}  // namespace sluice::replication
