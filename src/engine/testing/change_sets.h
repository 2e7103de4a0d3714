/// \file
/// Tables of (int4 key, text) and change sets of them in a few words, for the engine's tests.
///
///   const SchemaPtr table = Table(1, "orders");
///   const ChangeSet set = Set({Mark(7, 100)}, {{table->relation, {Inserts(table, {{0, 1}})}}});
///   Print(set)  ->  "7@100..110 | 1: +1x#0 | end 110"
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "sluice/change_set.h"

#include "base/check.h"
#include "columnar/table_builder.h"
#include "replication/testing/assembler_driver.h"
#include "replication/testing/change_batches.h"

namespace sluice::engine::testing {

using replication::testing::Print;
using replication::testing::PrintItem;

inline SchemaPtr Table(std::uint32_t relation, const std::string& name) {
  using replication::testing::MakeColumn;
  auto table = replication::testing::MakeTable({MakeColumn("id", 23), MakeColumn("note", 25)}, {0},
                                               ReplicaIdentity::kDefault);
  table->relation = RelationId{relation};
  table->name = {"public", name};
  return table;
}

/// Ends ten bytes behind its commit.
inline TransactionMark Mark(std::uint32_t xid, std::uint64_t commit) {
  return {TransactionId{xid}, Lsn{commit}, Lsn{commit + 10}, UnixMicros{1}};
}
/// The same transaction while more of it is to come.
inline TransactionMark Piece(std::uint32_t xid, std::uint64_t commit) {
  return {TransactionId{xid}, Lsn{commit}, Lsn{}, UnixMicros{1}};
}

/// Each row is (transaction's index in the set, key); the ordinal is the key.
using NewRows = std::vector<std::pair<std::uint32_t, std::uint32_t>>;
inline ChangeBatch Inserts(const SchemaPtr& table, const NewRows& rows) {
  columnar::TableBuilder builder(table);
  std::uint32_t transaction = ~0U;
  for (const auto& [of, key] : rows) {
    if (of != transaction) builder.BeginTransaction(transaction = of);
    using Kind = pgoutput::TupleCell::Kind;
    const std::string text = std::to_string(key);
    const std::vector<pgoutput::TupleCell> cells{{Kind::kText, base::AsBytes(text)},
                                                 {Kind::kText, base::AsBytes("x")}};
    SLUICE_CHECK(builder.AppendInsert(cells, key).has_value());
  }
  return builder.Finish();
}

inline TableFailure Failure(std::uint32_t transaction) {
  return {transaction,
          Error{.kind = ErrorKind::kConversion, .message = "no exact form", .code = "SLU-4101"}};
}

/// Ends with its last transaction, unless that one is a piece.
inline ChangeSet Set(std::vector<TransactionMark> marks, std::vector<TableChanges> tables,
                     bool continues_previous = false) {
  ChangeSet set;
  set.continues_previous = continues_previous;
  set.end = marks.back().end_lsn;
  set.ends_at_boundary = set.end.is_valid();
  set.transactions = std::move(marks);
  set.tables = std::move(tables);
  for (const TableChanges& table : set.tables) {
    for (const ChangeItem& item : table.items) {
      if (const auto* batch = std::get_if<ChangeBatch>(&item)) set.row_count += batch->row_count();
    }
  }
  return set;
}

/// Nothing but a position, as a keepalive brings it.
inline ChangeSet PositionOnly(std::uint64_t end) {
  ChangeSet set;
  set.end = Lsn{end};
  return set;
}

}  // namespace sluice::engine::testing
