/// \file
/// The replay oracle: what a crash right after a commit would leave behind, opened and compared.
///
///   auto holder = std::make_shared<testing::ReplayOracle>(path);
///   DuckDbOptions options{.path = path, .after_commit = [holder] { return holder->Check(); }};
///   auto destination = MakeDuckDbDestination(options);
///   holder->Watch(destination.get());
///
/// Check() copies FILE.wal, then FILE, aside (a child process does: closing the file in this one
/// would release DuckDB's lock), attaches the copies, and compares every table with what a
/// connection of the writer's instance sees: count and hashes over the rows' text, so that the sign
/// of a zero and the fields of an interval count. Copies in progress are left out, of ranges those
/// that have not landed. Files over 64 MiB are not looked at.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "sluice/result.h"

#include "destinations/duckdb/duckdb_destination.h"

namespace sluice::duckdb::testing {

class ReplayOracle {
 public:
  explicit ReplayOracle(std::string path) : path_(std::move(path)) {}

  /// Must outlive the checks.
  void Watch(DuckDbDestination* destination) { destination_ = destination; }
  /// An error names the first table that differs, or why the copy could not be opened.
  Status Check();
  std::uint64_t checks() const { return checks_; }

 private:
  /// Table name to what its content comes down to.
  using Content = std::map<std::string, std::string>;

  static Result<Content> Read(DuckDbDestination& destination);
  Status Compare(const std::string& folder);

  const std::string path_;
  DuckDbDestination* destination_ = nullptr;
  std::uint64_t checks_ = 0;
};

}  // namespace sluice::duckdb::testing
