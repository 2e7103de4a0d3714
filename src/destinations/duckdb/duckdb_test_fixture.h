/// \file
/// What the tests of this folder share: a folder per test, short ways to live tables and rows.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "destinations/duckdb/duckdb_destination.h"
#include "destinations/duckdb/testing/replay_oracle.h"
#include "destinations/testing/rows.h"

namespace sluice::duckdb {

using sluice::testing::kKey;
using sluice::testing::kNull;
using sluice::testing::MakeRows;
using sluice::testing::MakeSchema;
using sluice::testing::TextRow;
using Rows = std::vector<TextRow>;

inline Clock::time_point Soon() {
  return Clock::now() + std::chrono::seconds(30);
}

/// A folder that goes with the object.
class Folder {
 public:
  Folder() {
    path_ = (std::filesystem::temp_directory_path() / "sluice-duckdb-XXXXXX").string();
    if (mkdtemp(path_.data()) == nullptr) std::abort();
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  const std::string& path() const { return path_; }
  std::string File(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

template <class T>
std::string Why(const Result<T>& result) {
  if (result) return "ok";
  return result.error().code + " " + result.error().message + " | " + result.error().server_message;
}

class DuckDbTest : public ::testing::Test {
 protected:
  /// With the replay oracle behind every commit.
  void OpenFile(DuckDbOptions options = {}) {
    options.path = file_;
    oracle_ = std::make_shared<testing::ReplayOracle>(file_);
    options.after_commit = [oracle = oracle_] { return oracle->Check(); };
    destination_ = MakeDuckDbDestination(std::move(options));
    oracle_->Watch(destination_.get());
    auto state = destination_->Open({.pipeline = "shop", .system_identifier = 7});
    ASSERT_TRUE(state) << Why(state);
    state_ = *std::move(state);
  }
  void CloseFile() {
    const Status closed = destination_->Close(Soon());
    EXPECT_TRUE(closed) << Why(closed);
    destination_.reset();
  }
  void CopyRows(const SchemaPtr& schema, const Rows& rows) {
    auto writer = destination_->OpenCopy({{schema->relation, 0}, schema, schema->name});
    ASSERT_TRUE(writer) << Why(writer);
    const Status appended = (*writer)->Append({MakeRows(*schema, rows)});
    ASSERT_TRUE(appended) << Why(appended);
    const Status finished = (*writer)->Finish();
    ASSERT_TRUE(finished) << Why(finished);
  }
  void Stage(SequenceItem item) {
    const auto staged = destination_->Stage(item);
    ASSERT_TRUE(staged) << Why(staged);
    ASSERT_FALSE(staged->table_failed)
        << staged->table_failed->error.code << " " << staged->table_failed->error.message << " "
        << staged->table_failed->error.server_message;
  }
  void Stage(NetChange change) {
    Stage(SequenceItem(NetRows{std::make_shared<const NetChange>(std::move(change))}));
  }
  void Land(const SchemaPtr& schema) {
    Stage(SequenceItem(LandUnit{{schema->relation, 0}, schema, schema->name, Lsn{1}}));
  }
  TableRecord RecordOf(const SchemaPtr& schema) const {
    TableRecord record;
    record.relation = schema->relation;
    record.source = schema->name;
    record.destination = schema->name;
    record.state = TableState::kLive;
    record.schema = schema;
    return record;
  }
  void Commit(const SchemaPtr& schema = nullptr) {
    CommitRecord record{.sequence = ++sequence_};
    lsn_ += 0x100;
    record.position = Position{Lsn{lsn_}, Witness{Lsn{lsn_ - 8}, TransactionId{700}, {}}};
    record.passed = PassedList{};
    if (schema != nullptr) record.tables.push_back(RecordOf(schema));
    const auto outcome = destination_->Commit(record);
    ASSERT_TRUE(outcome) << Why(outcome);
    ASSERT_EQ(*outcome, CommitOutcome::kAccepted);
  }
  void MakeLive(const SchemaPtr& schema, const Rows& rows) {
    CopyRows(schema, rows);
    Land(schema);
    Commit(schema);
  }
  Rows ReadRows(const SchemaPtr& schema) {
    Rows out;
    auto reader = destination_->OpenReader();
    if (!reader) {
      ADD_FAILURE() << Why(reader);
      return out;
    }
    std::vector<std::int32_t> columns;
    for (std::size_t i = 0; i < schema->columns.size(); ++i)
      columns.push_back(static_cast<std::int32_t>(i));
    const Status scanned =
        (*reader)->Scan(RecordOf(schema), columns, [&](const RowsPtr& rows) -> Status {
          for (TextRow& row : sluice::testing::TextOf(*schema, rows)) out.push_back(std::move(row));
          return {};
        });
    EXPECT_TRUE(scanned) << Why(scanned);
    std::sort(out.begin(), out.end());
    return out;
  }
  /// Cells joined by |, rows by newlines; or the error's code.
  std::string Sql(const std::string& sql) {
    auto session = destination_->Sql({});
    if (!session) return Why(session);
    std::string out;
    const Status status = (*session)->QueryText(
        sql, [](const std::vector<SqlColumn>&) { return Status(); },
        [&](const SqlTextRow& row) -> Status {
          if (!out.empty()) out += "\n";
          for (std::size_t i = 0; i < row.size(); ++i) {
            out += i == 0 ? "" : "|";
            out += row[i] ? std::string(*row[i]) : "NULL";
          }
          return {};
        });
    return status ? out : Why(status);
  }

  Folder folder_;
  std::string file_ = folder_.File("shop.duckdb");
  std::shared_ptr<testing::ReplayOracle> oracle_;
  std::unique_ptr<DuckDbDestination> destination_;
  DeliveryState state_;
  std::uint64_t sequence_ = 0;
  std::uint64_t lsn_ = 0x1000;
};

inline NetChange Inserts(const SchemaPtr& schema, const Rows& rows) {
  NetChange change;
  change.schema = schema;
  change.inserts = MakeRows(*schema, rows);
  return change;
}
inline NetChange Updates(const SchemaPtr& schema, const Rows& origin_keys, const Rows& values) {
  NetChange change;
  change.schema = schema;
  change.update_origin_keys = MakeRows(*schema, schema->key, origin_keys);
  change.update_values = MakeRows(*schema, values);
  return change;
}
inline NetChange Deletes(const SchemaPtr& schema, const Rows& keys) {
  NetChange change;
  change.schema = schema;
  change.deletes = MakeRows(*schema, schema->key, keys);
  return change;
}
inline NetChange RowDeletes(const SchemaPtr& schema, const Rows& rows) {
  NetChange change;
  change.schema = schema;
  change.row_deletes = MakeRows(*schema, rows);
  return change;
}

}  // namespace sluice::duckdb
