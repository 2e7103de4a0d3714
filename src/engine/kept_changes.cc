#include "engine/kept_changes.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "columnar/raw_rows.h"
#include "engine/misfit_counts.h"
#include "stores/schema_json.h"

namespace sluice::engine {
namespace {

/// What a change takes beside its message; destinations count the same.
constexpr std::uint64_t kChangeBytes = 40;

bool IsRaw(const ChangeItem& item) {
  const auto* batch = std::get_if<ChangeBatch>(&item);
  return batch != nullptr && batch->schema->raw_of != nullptr;
}

class Numbered {
 public:
  explicit Numbered(std::uint64_t first) : next_(first) {}

  void Add(KeptChange::Kind kind, const TransactionMark& mark, std::uint32_t ordinal,
           std::string message) {
    KeptChange& change = changes_.emplace_back();
    change.sequence = next_++;
    change.kind = kind;
    change.commit_lsn = mark.commit_lsn;
    change.xid = mark.xid;
    change.committed_at = mark.committed_at;
    change.ordinal = ordinal;
    change.message = std::move(message);
  }
  std::vector<KeptChange> Take() { return std::move(changes_); }

 private:
  std::uint64_t next_;
  std::vector<KeptChange> changes_;
};

void AddBatch(const ChangeBatch& batch, const std::vector<TransactionMark>& marks,
              SchemaPtr& version, Numbered& out) {
  if (version != batch.schema->raw_of) {
    version = batch.schema->raw_of;
    out.Add(KeptChange::Kind::kVersion, marks.at(batch.runs.front().transaction), 0,
            stores::SchemaToJson(*version));
  }
  std::size_t run = 0;
  for (std::size_t row = 0; row < batch.row_count(); ++row) {
    while (run + 1 < batch.runs.size() && batch.runs[run + 1].first_row <= row) ++run;
    const std::string_view cell = columnar::RawCell(batch, row);
    out.Add(static_cast<KeptChange::Kind>(cell.front()), marks.at(batch.runs[run].transaction),
            batch.ordinals[row], std::string(cell.substr(1)));
  }
}

std::uint32_t MarkOf(const KeptChange& change, DecodedChanges& out) {
  if (out.marks.empty() || out.marks.back().commit_lsn != change.commit_lsn)
    out.marks.push_back({change.xid, change.commit_lsn, Lsn{}, change.committed_at});
  return static_cast<std::uint32_t>(out.marks.size() - 1);
}

/// Consecutive rows of one version.
class Run {
 public:
  Run(const SchemaPtr& version, DecodedChanges& out) : decoder_(version), out_(out) {}

  Status Append(const KeptChange& change) {
    const std::uint32_t transaction = MarkOf(change, out_);
    if (transaction_ != transaction) decoder_.BeginTransaction(transaction);
    transaction_ = transaction;
    cell_.assign(1, static_cast<char>(change.kind)).append(change.message);
    return decoder_.Append(cell_, change.ordinal);
  }
  void Finish() {
    if (decoder_.row_count() == 0) return;
    out_.bytes += decoder_.bytes();
    ChangeBatch batch = decoder_.Finish();
    StampMisfits(batch, out_.marks);
    out_.items.emplace_back(std::move(batch));
  }

 private:
  columnar::RawRowDecoder decoder_;
  DecodedChanges& out_;
  std::optional<std::uint32_t> transaction_;
  std::string cell_;
};

}  // namespace

Result<std::vector<KeptChange>> ToKept(const std::vector<ChangeItem>& items,
                                       const std::vector<TransactionMark>& marks,
                                       std::uint64_t first, SchemaPtr& version) {
  Numbered out(first);
  for (const ChangeItem& item : items) {
    if (const auto* failure = std::get_if<TableFailure>(&item)) return failure->error;
    if (const auto* truncate = std::get_if<TruncateMark>(&item)) {
      out.Add(KeptChange::Kind::kTruncate, marks.at(truncate->transaction), truncate->ordinal, {});
      continue;
    }
    const auto* batch = std::get_if<ChangeBatch>(&item);
    if (batch == nullptr) continue;  // batches say themselves which version they have
    if (!IsRaw(item)) {
      return Error{.kind = ErrorKind::kUnsupported,
                   .message = "some of its changes came decoded",
                   .code = "SLU-4213"};
    }
    AddBatch(*batch, marks, version, out);
  }
  return out.Take();
}

std::uint64_t BytesOf(const std::vector<KeptChange>& changes) {
  std::uint64_t bytes = 0;
  for (const KeptChange& change : changes) bytes += change.message.size() + kChangeBytes;
  return bytes;
}

Status FromKept(const std::vector<KeptChange>& changes, const Redeclare& redeclare,
                SchemaPtr& version, DecodedChanges& out) {
  std::optional<Run> run;
  const auto end_run = [&] {
    if (run) run->Finish();
    run.reset();
  };
  for (const KeptChange& change : changes) {
    if (change.kind == KeptChange::Kind::kVersion) {
      end_run();
      SLUICE_ASSIGN_OR_RETURN(const SchemaPtr kept, stores::SchemaFromJson(change.message));
      SLUICE_ASSIGN_OR_RETURN(version, redeclare(kept));
    } else if (change.kind == KeptChange::Kind::kTruncate) {
      end_run();
      out.items.emplace_back(TruncateMark{MarkOf(change, out), change.ordinal});
    } else {
      if (!version) {
        return Error{.kind = ErrorKind::kStateStore,
                     .message = "what was kept does not say which columns it has",
                     .code = "SLU-5101"};
      }
      if (!run) run.emplace(version, out);
      SLUICE_RETURN_IF_ERROR(run->Append(change));
    }
  }
  end_run();
  return {};
}

Result<std::vector<ChangeItem>> DecodeItems(const std::vector<ChangeItem>& items,
                                            const std::vector<TransactionMark>& marks,
                                            const Redeclare& redeclare) {
  std::vector<ChangeItem> out;
  for (const ChangeItem& item : items) {
    if (!IsRaw(item)) {
      if (!std::holds_alternative<SchemaMark>(item)) out.push_back(item);
      continue;
    }
    const auto& batch = std::get<ChangeBatch>(item);
    SLUICE_ASSIGN_OR_RETURN(const SchemaPtr version, redeclare(batch.schema->raw_of));
    SLUICE_ASSIGN_OR_RETURN(ChangeBatch decoded, columnar::DecodeRaw(batch, version));
    StampMisfits(decoded, marks);
    out.emplace_back(std::move(decoded));
  }
  return out;
}

bool HasRaw(const std::vector<ChangeItem>& items) {
  return std::ranges::any_of(items, IsRaw);
}

std::string HaltAdvice(const Error& error, const TableName& source, bool keeps) {
  // What was kept has the text, too.
  if (error.code == "SLU-4114") return error.advice;
  const std::string command = (keeps ? "sluice resume " : "sluice resync ") + ToString(source);
  if (error.advice.empty() || error.advice.starts_with("sluice resync ")) return command;
  return keeps ? error.advice + "; `" + command + "` goes on from what was kept" : error.advice;
}

}  // namespace sluice::engine
