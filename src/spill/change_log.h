/// \file
/// An append-only log of table changes on disk: what streamed transactions and held changes take
/// beyond memory.
///
///   Append() -> index          0, 1, 2, ...
///   Read(index)                as often as wanted, in any order
///   Truncate(count)            forget from there on; the space is used again
///
/// A ChangeBatch lies in the file (Arrow IPC bodies, LZ4 where the Arrow library has it, and the
/// kinds, ordinals, runs and bits beside them); the schema stays in memory by reference, as do
/// the small items (marks, failures). Everything of a batch comes back as it was, `bytes` included.
/// The file has no name: it is unlinked when made, so none survives the process, and its format is
/// nobody's business but this build's. Each record carries a checksum.
///
/// Errors: kStateStore SLU-6101 (the file cannot be made), SLU-6102 (disk full), SLU-6103 (writing
/// failed), SLU-6104 (reading failed, or the record is damaged). After a failed Append the log is
/// as before. Thread safety: one object, one thread. Every call blocks on the disk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "sluice/change_set.h"
#include "sluice/result.h"

namespace sluice::spill {

class ChangeLog {
 public:
  /// \param directory must exist and be writable; it is named in errors.
  static Result<ChangeLog> Create(const std::string& directory);
  ~ChangeLog();
  ChangeLog(ChangeLog&&) noexcept;
  ChangeLog& operator=(ChangeLog&&) noexcept;

  /// \returns the item's index.
  Result<std::size_t> Append(const ChangeItem& item);
  Result<std::size_t> Append(const ChangeBatch& batch);

  /// \pre index < size().
  Result<ChangeItem> Read(std::size_t index) const;
  /// The item at index is a ChangeBatch. \pre index < size() and it is one.
  Result<ChangeBatch> ReadBatch(std::size_t index) const;

  /// Keep the first `count` items. More than size(): nothing happens.
  Status Truncate(std::size_t count);

  std::size_t size() const;
  bool is_empty() const { return size() == 0; }
  /// What the file takes.
  std::uint64_t file_bytes() const;

 private:
  struct State;
  explicit ChangeLog(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace sluice::spill
