#include "engine/fence.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "columnar/table_builder.h"

namespace sluice::engine {
namespace {

struct Halves {
  std::vector<ChangeItem> before;
  std::vector<ChangeItem> behind;
};

void Renumber(ChangeItem& item, std::uint32_t by) {
  std::visit(
      [by](auto& value) {
        if constexpr (std::is_same_v<std::decay_t<decltype(value)>, ChangeBatch>) {
          for (TransactionRun& run : value.runs) run.transaction -= by;
        } else {
          value.transaction -= by;
        }
      },
      item);
}

void SplitBatch(ChangeBatch batch, std::uint32_t count, Halves& out) {
  const auto cut =
      std::find_if(batch.runs.begin(), batch.runs.end(),
                   [count](const TransactionRun& run) { return run.transaction >= count; });
  if (cut == batch.runs.end()) {
    out.before.emplace_back(std::move(batch));
    return;
  }
  const std::size_t row = cut->first_row;
  if (row > 0) out.before.emplace_back(columnar::SliceRows(batch, 0, row));
  ChangeBatch rest =
      row > 0 ? columnar::SliceRows(batch, row, batch.row_count()) : std::move(batch);
  out.behind.emplace_back(std::move(rest));
}

Halves SplitItems(std::vector<ChangeItem> items, std::uint32_t count) {
  Halves out;
  for (ChangeItem& item : items) {
    if (auto* batch = std::get_if<ChangeBatch>(&item)) {
      SplitBatch(std::move(*batch), count, out);
      continue;
    }
    const std::uint32_t transaction = std::visit(
        [](const auto& value) -> std::uint32_t {
          if constexpr (std::is_same_v<std::decay_t<decltype(value)>, ChangeBatch>) {
            return 0;
          } else {
            return value.transaction;
          }
        },
        item);
    // Rows of the table are missing in both halves.
    if (const auto* failure = std::get_if<TableFailure>(&item);
        failure != nullptr && transaction < count) {
      out.behind.emplace_back(TableFailure{count, failure->error});
    }
    (transaction < count ? out.before : out.behind).push_back(std::move(item));
  }
  for (ChangeItem& item : out.behind) Renumber(item, count);
  return out;
}

std::size_t RowCount(const ChangeSet& set) {
  std::size_t rows = 0;
  for (const TableChanges& table : set.tables) {
    for (const ChangeItem& item : table.items) {
      if (const auto* batch = std::get_if<ChangeBatch>(&item)) rows += batch->row_count();
    }
  }
  return rows;
}

}  // namespace

std::pair<ChangeSet, ChangeSet> SplitSet(ChangeSet set, std::size_t count) {
  SLUICE_CHECK(count < set.transactions.size());
  const auto cut = static_cast<std::ptrdiff_t>(count);
  ChangeSet before;
  ChangeSet behind;
  before.transactions.assign(set.transactions.begin(), set.transactions.begin() + cut);
  behind.transactions.assign(set.transactions.begin() + cut, set.transactions.end());
  before.continues_previous = set.continues_previous;
  before.end = count == 0 ? Lsn{} : before.transactions.back().end_lsn;
  behind.ends_at_boundary = set.ends_at_boundary;
  behind.end = set.end;
  for (TableChanges& table : set.tables) {
    Halves halves = SplitItems(std::move(table.items), static_cast<std::uint32_t>(count));
    if (!halves.before.empty()) before.tables.push_back({table.relation, std::move(halves.before)});
    if (!halves.behind.empty()) behind.tables.push_back({table.relation, std::move(halves.behind)});
  }
  before.row_count = RowCount(before);
  behind.row_count = RowCount(behind);
  before.bytes = set.bytes / 2;
  behind.bytes = set.bytes - before.bytes;
  return {std::move(before), std::move(behind)};
}

Result<std::uint64_t> Fence::Open(Clock::time_point deadline) {
  if (is_open()) {
    return Error{.kind = ErrorKind::kTimeout, .message = "another comparison stands at its fence"};
  }
  state_ = State::kOpen;
  deadline_ = deadline;
  return ++ticket_;
}

Result<std::shared_future<Status>> Fence::Arm(std::uint64_t ticket, replication::Snapshot snapshot,
                                              Lsn insert_lsn) {
  if (state_ != State::kOpen || ticket != ticket_) {
    return Error{.kind = ErrorKind::kTimeout,
                 .message = "the fence was released before its snapshot was taken"};
  }
  snapshot_ = std::move(snapshot);
  insert_lsn_ = insert_lsn;
  reached_.emplace();
  state_ = State::kArmed;
  return reached_->get_future().share();
}

void Fence::Release(std::uint64_t ticket) {
  if (ticket == ticket_) Close();
}

void Fence::Close() {
  Fulfil(Error{.kind = ErrorKind::kCancelled, .message = "the fence was released"});
  state_ = State::kNone;
}

std::optional<ChangeSet> Fence::CutBehind(ChangeSet& set) {
  if (state_ != State::kArmed) return std::nullopt;
  std::size_t count = 0;
  for (const TransactionMark& mark : set.transactions) {
    // A piece has no end yet; its commit record decides just as well: it lies before I or not.
    if (mark.commit_lsn >= insert_lsn_) break;
    if (!snapshot_.Sees(mark.xid)) {
      Fulfil(Error{.kind = ErrorKind::kTimeout,
                   .message = "a transaction before the fence is not visible to its snapshot yet",
                   .code = "SLU-3080"});
      state_ = State::kNone;
      return std::nullopt;
    }
    ++count;
  }
  if (count == set.transactions.size() || (count == 0 && set.continues_previous))
    return std::nullopt;
  if (count == 0) {
    ChangeSet empty;
    ChangeSet rest = std::exchange(set, std::move(empty));
    return rest;
  }
  auto [before, behind] = SplitSet(std::move(set), count);
  set = std::move(before);
  return std::move(behind);
}

void Fence::OnProcessed(Lsn processed) {
  if (state_ != State::kArmed || processed < insert_lsn_) return;
  Fulfil({});
  state_ = State::kReached;
}

void Fence::CheckDeadline(Clock::time_point now) {
  if (!is_open() || now < deadline_) return;
  Fulfil(Error{.kind = ErrorKind::kTimeout, .message = "the fence was not reached in time"});
  state_ = State::kNone;
}

void Fence::Fulfil(Status status) {
  if (!reached_) return;
  reached_->set_value(std::move(status));
  reached_.reset();
}

}  // namespace sluice::engine
