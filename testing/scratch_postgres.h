/// \file
/// A PostgreSQL server of a test's own: started from the binaries in the cache folder on a free
/// port, with its data in a temporary folder, and gone with the test, even when the test is killed.
///
///     auto server = ScratchPostgres::Start({.version = "17"});
///     auto database = server->CreateDatabase("orders");            // a conninfo
///     auto session = SqlSession::Open(*database);
///     server->Restart(ScratchPostgres::StopMode::kImmediate);
///
/// initdb runs once per version and build folder; each start copies what it made. The server runs
/// as `nobody` when the test is root. It has wal_level logical, fsync off, room for slots and
/// prepared transactions, trust authentication on 127.0.0.1 and on a socket in its folder.
///
/// Thread safety: one object: one thread at a time, the thread that called Start().
/// Lifetime: the destructor stops the server at once and removes its folder.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "sluice/result.h"

#include "testing/process.h"

namespace sluice::testing {

struct ScratchPostgresOptions {
  /// Major version, or major.minor; the newest that fits is taken from the cache folder.
  std::string version = "17";
  /// Settings on top of the ones above: {"wal_sender_timeout", "10s"}.
  std::vector<std::pair<std::string, std::string>> settings = {};
};

class ScratchPostgres {
 public:
  enum class StopMode { kFast, kImmediate };

  /// Errors: kConfig when the version is not in the cache folder (`make test` puts it there).
  static Result<ScratchPostgres> Start(ScratchPostgresOptions options = {});

  ScratchPostgres(ScratchPostgres&& other) noexcept;
  ScratchPostgres& operator=(ScratchPostgres&&) = delete;
  ~ScratchPostgres();

  int port() const { return port_; }
  const std::string& version() const { return options_.version; }
  const std::string& folder() const { return folder_; }
  /// "postgres://postgres@127.0.0.1:PORT/DATABASE".
  std::string Url(const std::string& database = "postgres") const;
  /// What the server logged so far.
  std::string Log() const;

  /// Creates a database (dropping one of that name) and returns its Url().
  Result<std::string> CreateDatabase(const std::string& name);
  /// Drops the slots of the database, then the database, with whatever is connected.
  Status DropDatabase(const std::string& name);

  /// Waits until the server has ended. A fast stop first lets walsenders send what is written.
  Status Stop(StopMode mode);
  /// SIGKILL to the postmaster: its children notice and end, nothing is shut down.
  void Kill();
  /// Starts it again on the same port and data after Stop() or Kill(); returns when it accepts
  /// connections.
  Status StartAgain();
  Status Restart(StopMode mode);

  /// A cold backup: stops it, copies its data, starts it again. One is kept.
  Status SaveData();
  /// Stops it and starts it on the data that was saved, as if nothing had happened since; or, with
  /// `on_new_timeline`, promoted there, as a restore to a point in time ends.
  Status PutBackData(bool on_new_timeline);
  /// Makes a standby that streams from it through physical slot `standby`, with these settings.
  Status StartStandby(const std::vector<std::pair<std::string, std::string>>& settings);
  /// Stops the standby's streaming, so that it lacks what is written from now on.
  Status CutStandby();
  /// Stops it fast and starts it again, on the same port.
  Status RestartStandby();
  /// Makes a primary of it, beside this one.
  Status PromoteStandby() { return Promote(StandbyUrl()); }
  std::string StandbyUrl(const std::string& database = "postgres") const;
  /// Kills it, promotes the standby and starts that in its place, on the same port. After
  /// CutStandby() too.
  Status FailOver();

 private:
  ScratchPostgres() = default;
  Status Prepare();
  Status Launch();
  Result<Process> LaunchOn(const std::string& data, int port);
  Status WaitReady();
  Status CopyData(const std::string& from, const std::string& to);
  Status Promote(const std::string& url);

  ScratchPostgresOptions options_;
  std::string home_;    // holds bin/
  std::string folder_;  // holds data/, log and the socket
  int port_ = 0;
  std::vector<Process> postmaster_;  // one or none
  int standby_port_ = 0;
  std::vector<Process> standby_;  // one or none
};

/// The folder with the binaries of `version` ("17", "17.10"); kConfig when there is none.
Result<std::string> FindPostgres(const std::string& version);

}  // namespace sluice::testing
