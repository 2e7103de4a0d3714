/// \file
/// Tables of every identity, and a thread that changes their rows until it is told to stop.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "testing/sql_session.h"

namespace sluice::integration {

/// keyed (bigint key, a column of each plain type), composite (key columns out of table order),
/// keyless (REPLICA IDENTITY FULL, rows that repeat), toasted (values kept out of line).
Status MakeTables(testing::SqlSession& sql, int rows_each);
/// "keyed", "composite", "keyless", "toasted".
const std::vector<std::string>& TableNames();
/// Rows of one of them, as integration::DestinationRows() gives them.
Result<testing::SqlRows> SourceRows(testing::SqlSession& sql, const std::string& table);

struct ChangesOptions {
  std::uint32_t seed = 1;
  bool truncates = true;
  /// Off where a destination sees changes more than once: those cannot be repeated.
  bool keyless = true;
  bool toasted_moves = true;
  /// New rows have keys from here on; another one for changes of the same tables later.
  std::int64_t first_key = 1'000'000;
  /// Ends by itself after this many transactions; 0: never.
  std::int64_t transactions_max = 0;
};

/// Inserts, updates, deletes, keys that move, swap and come back, truncates, savepoints, rollbacks.
class SourceChanges {
 public:
  SourceChanges(std::string conninfo, ChangesOptions options);
  ~SourceChanges();
  void Start();
  /// Returns after the transaction under way; the first error of a statement.
  Status Stop();
  std::int64_t transactions() const { return transactions_.load(); }
  /// It ended by itself; Stop() says why.
  bool has_ended() const { return has_ended_.load(); }

 private:
  Status Run(const std::stop_token& stop);
  std::string Transaction();
  std::string Change();
  std::string KeyedChange();
  std::string CompositeChange();
  std::string KeylessChange();
  std::string ToastedChange();
  std::int64_t Random(std::int64_t end);
  std::int64_t SomeKey();

  const std::string conninfo_;
  const ChangesOptions options_;
  std::mt19937 random_;
  std::int64_t next_key_;
  std::atomic<std::int64_t> transactions_{0};
  Status ended_;
  std::atomic<bool> has_ended_{false};
  std::jthread thread_;
};

}  // namespace sluice::integration
