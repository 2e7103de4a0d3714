/// \file
/// Reads COPY ... TO STDOUT as batches of messages.
///
/// Two ways behind one interface: libpq, and, where the connection is not encrypted, a reader that
/// sends the statement itself and frames the answer in its own buffer, which leaves out one copy
/// and one allocation a row. Afterwards the connection is libpq's again, idle.
///
/// Thread safety: one object, one thread. The connection must outlive it and is not to be used
/// until NextRows() has returned the end or an error.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/ids.h"
#include "sluice/result.h"

#include "postgres/connection.h"

namespace sluice::postgres {

struct CopyStatement {
  TableName table;
  /// If not 0, the statement fails where the name leads to another table: a lock on a table does
  /// not keep its schema from being renamed. Told by RefineCopyError().
  RelationId relation = {};
  /// Without descendants: every table but a partitioned root.
  bool is_only = true;
  std::vector<std::string> columns;
  std::string row_filter;  ///< SQL of the publication, or empty
  std::string range;       ///< SQL, e.g. "ctid >= '(0,0)'::tid", or empty
  bool is_binary = true;
};
/// COPY (SELECT ... FROM [ONLY] ... [WHERE ...]) TO STDOUT (FORMAT ...).
std::string CopySql(const CopyStatement& statement);
/// What NextRows() gave for `table`: kConfig SLU-2103 where the name leads to another one, or none.
Error RefineCopyError(Error error, const TableName& table);

struct CopyReaderOptions {
  std::size_t batch_bytes_max = 1U << 20;  ///< a batch ends once it holds this much
  Duration idle_timeout =
      Duration::max();  ///< no byte for this long: kTimeout, or is_at_work asked
  /// Whether the server still works at the statement, however long without a row (a filter that
  /// few pass): then it is waited on, else kConnection. Null: nobody is asked.
  std::function<bool()> is_at_work = {};
  bool may_read_raw = true;
};

class CopyReader {
 public:
  using Message = std::span<const std::byte>;

  /// Sends the statement; errors of the server come with the first NextRows().
  static Result<CopyReader> Start(Connection& connection, std::string_view sql,
                                  const CopyReaderOptions& options = {});
  ~CopyReader();
  CopyReader(CopyReader&&) noexcept;
  CopyReader& operator=(CopyReader&&) noexcept;

  /// The next messages, at least one; empty: the COPY has ended well. They live until the next
  /// call. A stop cancels the COPY at the server (seen within 100 ms) and gives kCancelled; the
  /// connection is usable again after any error but kConnection and kProtocol.
  Result<std::span<const Message>> NextRows(std::stop_token stop = {});

  std::size_t received_bytes() const;
  bool is_raw() const;

 private:
  class Source;
  class LibpqSource;
  class RawSource;
  explicit CopyReader(std::unique_ptr<Source> source);
  std::unique_ptr<Source> source_;
};

}  // namespace sluice::postgres
