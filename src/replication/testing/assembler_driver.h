/// \file
/// Drives a TransactionAssembler in tests as the engine does, with spilled batches in memory, and
/// prints change sets as text.
///
///     driver.Describe(kA);                        a Relation message, schema version 1
///     driver.Send(WriteInsert(kA, Row(1, "x")));
///     driver.Drain()  ->  "7@100..110 | 1: v1 +1x#0 | end 110"
///
/// A set prints as its transactions (xid@commit..end), per table "oid: items", and the end. Items:
/// v1 schema mark, +1x#0 insert (key, text, ordinal), ~ update, - delete, T#0 truncate, F(code)
/// failure. A row of another than the set's first transaction has "/index". "..." after or before
/// the transactions: the set ends or begins inside one.
#pragma once

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/byte_reader.h"
#include "columnar/raw_rows.h"
#include "columnar/table_builder.h"
#include "columnar/testing/schemas.h"
#include "pgoutput/testing/message_writer.h"
#include "replication/transaction_assembler.h"

namespace sluice::replication::testing {

using namespace pgoutput::testing;  // NOLINT: the message writer's words

inline Cells Row(std::int32_t key, std::string text) {
  return {Int4(key), Text(std::move(text))};
}
inline Cells Key(std::int32_t key) {
  return {Int4(key), Null()};
}

/// Relations have two columns, int4 and text. Its answers are set per relation.
class FakeResolver : public RelationResolver {
 public:
  Result<Resolution> Resolve(const pgoutput::Relation& relation,
                             const RelationContext& context) override {
    contexts.push_back(context);
    const auto found = answers.find(relation.id.value);
    if (found != answers.end()) return found->second;
    return Resolution::Use(Schema(relation.id, 1));
  }
  void OnType(const pgoutput::Type&, const RelationContext&) override { ++type_count; }
  Result<std::vector<Failed>> OnStreamEnd(TransactionId xid, bool is_committed) override {
    ends += (is_committed ? " +" : " -") + std::to_string(xid.value);
    return is_committed ? std::exchange(failed, {}) : std::vector<Failed>();
  }

  /// One pointer per relation and version; the version is `since`.
  SchemaPtr Schema(RelationId relation, std::uint64_t version) {
    SchemaPtr& schema = schemas_[{relation.value, version}];
    if (schema == nullptr) {
      auto made = std::make_shared<TableSchema>(*columnar::testing::Schema(
          {columnar::testing::Builtin(23), columnar::testing::Builtin(25)}, {0}));
      made->relation = relation;
      made->since = Lsn{version};
      schema = made;
    }
    return schema;
  }

  std::map<std::uint32_t, Resolution> answers;
  std::vector<RelationContext> contexts;
  int type_count = 0;
  std::vector<Failed> failed;  ///< at the next commit of a streamed transaction
  std::string ends;

 private:
  std::map<std::pair<std::uint32_t, std::uint64_t>, SchemaPtr> schemas_;
};

class FakeListener : public MessageListener {
 public:
  bool Wants(std::string_view prefix) const override { return prefix == "sluice"; }
  Status OnMessage(const ReceivedMessage& message) override {
    received += std::string(base::AsText(message.content)) + "@" +
                std::to_string(message.commit_lsn.value_or(Lsn{}).value) + "#" +
                std::to_string(message.ordinal) + " ";
    return {};
  }
  std::string received;
};

inline std::string PrintRow(const ChangeBatch& batch, std::size_t row, std::uint32_t transaction) {
  const ChangeKind kind = batch.kind(row);
  const RowsPtr& rows = kind == ChangeKind::kDelete ? batch.old : batch.values;
  const auto at = static_cast<std::int64_t>(row);
  std::string out(1, kind == ChangeKind::kInsert ? '+' : kind == ChangeKind::kUpdate ? '~' : '-');
  out += std::to_string(std::static_pointer_cast<arrow::Int32Array>(rows->column(0))->Value(at));
  if (kind != ChangeKind::kDelete) {
    const auto texts = std::static_pointer_cast<arrow::StringArray>(rows->column(1));
    out += texts->IsNull(at) ? "null" : texts->GetString(at);
  }
  out += "#" + std::to_string(batch.ordinals[row]);
  if (transaction != 0) out += "/" + std::to_string(transaction);
  return out;
}

inline std::string PrintItem(const ChangeItem& item) {
  if (const auto* mark = std::get_if<SchemaMark>(&item)) {
    return " v" + std::to_string(mark->schema->since.value);
  }
  if (const auto* truncate = std::get_if<TruncateMark>(&item)) {
    return " T#" + std::to_string(truncate->ordinal) +
           (truncate->transaction == 0 ? "" : "/" + std::to_string(truncate->transaction));
  }
  if (const auto* failure = std::get_if<TableFailure>(&item)) {
    return " F(" + failure->error.code + ")";
  }
  const auto& batch = std::get<ChangeBatch>(item);
  if (batch.schema->raw_of) {
    const auto decoded = columnar::DecodeRaw(batch, batch.schema->raw_of);
    return " raw(" + (decoded ? PrintItem(*decoded) : decoded.error().message) + " )";
  }
  std::string out;
  std::size_t run = 0;
  for (std::size_t row = 0; row < batch.row_count(); ++row) {
    while (run + 1 < batch.runs.size() && batch.runs[run + 1].first_row <= row) ++run;
    out += " " + PrintRow(batch, row, batch.runs[run].transaction);
  }
  return out;
}

inline std::string Print(const ChangeSet& set) {
  std::string out = set.continues_previous ? "... " : "";
  for (const TransactionMark& mark : set.transactions) {
    out += std::to_string(mark.xid.value) + "@" + std::to_string(mark.commit_lsn.value) + ".." +
           std::to_string(mark.end_lsn.value) + " ";
  }
  if (!set.ends_at_boundary) out += "... ";
  for (const TableChanges& table : set.tables) {
    out += "| " + std::to_string(table.relation.value) + ":";
    for (const ChangeItem& item : table.items) out += PrintItem(item);
    out += " ";
  }
  return out + "| end " + std::to_string(set.end.value);
}

class AssemblerDriver {
 public:
  explicit AssemblerDriver(const AssemblerOptions& options = {}, Lsn durable = Lsn{1},
                           std::optional<Witness> witness = std::nullopt)
      : assembler(options, durable, witness, resolver, &listener) {}

  /// One message; spills are carried out, sets that are ready are taken.
  Status Send(const std::string& message) {
    SLUICE_RETURN_IF_ERROR(assembler.Consume(Lsn{0x5000}, base::AsBytes(message)));
    while (assembler.is_busy()) {
      for (Action& action : assembler.TakeActions()) CarryOut(std::move(action));
      if (assembler.has_ready()) Take(*assembler.Seal());
    }
    return {};
  }
  /// Several, all expected to be taken.
  void SendAll(const std::vector<std::string>& messages) {
    for (const std::string& message : messages) {
      const Status status = Send(message);
      ASSERT_TRUE(status) << status.error().code << " " << status.error().message;
    }
  }
  /// A Relation message of a table with the test's columns.
  static std::string Describe(RelationId relation) {
    pgoutput::Relation message;
    message.id = relation;
    message.name = {"public", "t" + std::to_string(relation.value)};
    message.columns = {{"c0", Oid{23}, -1, true}, {"c1", Oid{25}, -1, false}};
    return WriteRelation(message);
  }
  void Begin(std::uint32_t xid, std::uint64_t commit_lsn) {
    commit_lsn_ = commit_lsn;
    SendAll({WriteBegin({Lsn{commit_lsn}, UnixMicros{1000}, TransactionId{xid}})});
  }
  void Commit() {
    SendAll({WriteCommit({Lsn{commit_lsn_}, Lsn{commit_lsn_ + 10}, UnixMicros{1000}})});
  }
  /// A block of a streamed transaction. Messages carry their xid already (InBlock).
  void Block(std::uint32_t xid, bool is_first, const std::vector<std::string>& messages) {
    SendAll({WriteStreamStart(TransactionId{xid}, is_first)});
    SendAll(messages);
    SendAll({WriteStreamStop()});
  }
  void StreamCommit(std::uint32_t xid, std::uint64_t commit_lsn) {
    SendAll({WriteStreamCommit(
        {TransactionId{xid}, Lsn{commit_lsn}, Lsn{commit_lsn + 10}, UnixMicros{1000}})});
  }
  void StreamAbort(std::uint32_t xid, std::uint32_t subxid) {
    SendAll({WriteStreamAbort(TransactionId{xid}, TransactionId{subxid})});
  }

  /// Seals, and prints every set taken since.
  std::string Drain() {
    while (std::optional<ChangeSet> set = assembler.Seal()) Take(std::move(*set));
    std::string out;
    for (const ChangeSet& set : sets) out += (out.empty() ? "" : "\n") + Print(set);
    sets.clear();
    return out;
  }

  FakeResolver resolver;
  FakeListener listener;
  TransactionAssembler assembler;
  std::vector<ChangeSet> sets;
  std::map<std::uint32_t, std::vector<ChangeBatch>> spilled;
  std::vector<std::string> actions;

 private:
  void Take(ChangeSet set) { sets.push_back(std::move(set)); }

  void CarryOut(Action action) {
    if (auto* spill = std::get_if<SpillBatch>(&action)) {
      std::vector<ChangeBatch>& log = spilled[spill->xid.value];
      ASSERT_EQ(spill->index, log.size());
      log.push_back(std::move(spill->batch));
      actions.push_back("spill " + std::to_string(spill->xid.value));
    } else if (const auto* truncate = std::get_if<TruncateSpill>(&action)) {
      std::vector<ChangeBatch>& log = spilled[truncate->xid.value];
      ASSERT_LE(truncate->count, log.size());
      log.resize(truncate->count);
      actions.push_back("truncate " + std::to_string(truncate->xid.value) + " to " +
                        std::to_string(truncate->count));
    } else if (const auto* restore = std::get_if<RestoreBatch>(&action)) {
      ASSERT_LT(restore->index, spilled[restore->xid.value].size());
      actions.push_back("restore " + std::to_string(restore->xid.value));
      assembler.Restore(restore->xid, restore->index, spilled[restore->xid.value][restore->index]);
    } else {
      const TransactionId xid = std::get<DropSpill>(action).xid;
      EXPECT_EQ(spilled.erase(xid.value), 1U);
      actions.push_back("drop " + std::to_string(xid.value));
    }
  }

  std::uint64_t commit_lsn_ = 0;
};

}  // namespace sluice::replication::testing
