/// \file
/// A log of table changes and their transactions on disk that is read from its front only: what is
/// held for copies takes no memory once it lies here.
///
///   Append(), Append(), ...  at the end
///   Read(place)              from LogPlace{} on; moves `place` behind the record
///   Truncate(place)          forget from there on; the space is used again
///
/// ChangeLog keeps the place of each record in memory and reads them in any order; this one keeps
/// one entry per shape of rows. The file has no name and is gone with the process; each record
/// carries a checksum.
///
/// Errors: kStateStore SLU-6101 .. 6104, as ChangeLog. After a failed Append the log is as before.
/// Thread safety: one object, one thread. Every call blocks on the disk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sluice/change_set.h"
#include "sluice/result.h"

#include "spill/batch_record.h"
#include "spill/spill_file.h"

namespace sluice::spill {

/// Between two records. The default one is before the first.
struct LogPlace {
  std::uint64_t offset = 0;
  auto operator<=>(const LogPlace&) const = default;
};

class SequentialLog {
 public:
  struct Record {
    ChangeItem item;
    std::vector<TransactionMark> marks;
  };

  /// \param directory must exist and be writable; it is named in errors.
  static Result<SequentialLog> Create(const std::string& directory);

  /// \pre `item` is a ChangeBatch or a TruncateMark: nothing else is held.
  Status Append(const ChangeItem& item, std::span<const TransactionMark> marks);
  /// \pre place is before end(), and one that Read() or end() gave.
  Result<Record> Read(LogPlace& place) const;
  Status Truncate(LogPlace place);
  LogPlace end() const { return end_; }

 private:
  explicit SequentialLog(SpillFile file) : file_(std::move(file)) {}
  std::uint32_t ShapeIndex(BatchShape shape);

  SpillFile file_;
  LogPlace end_;
  std::vector<BatchShape> shapes_;  ///< a few: versions of the table, with and without old tuples
};

}  // namespace sluice::spill
