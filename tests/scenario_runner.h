/// \file
/// Carries out the steps of one scenario (scenario_file.h) with the real program, a real PostgreSQL
/// and a DuckDB file.
///
/// The mirror is read through `sluice sql` while a run is in the background, and by DuckDB itself
/// when none is: so both ways are exercised, and what a scenario finds does not hang on sluice
/// reading its own writing.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "sluice/result.h"

#include "scenario_file.h"
#include "testing/scratch_postgres.h"
#include "testing/sluice_process.h"
#include "testing/sql_session.h"

namespace sluice::tests {

class ScenarioWriter;

/// NAME=VALUE, each.
std::vector<std::pair<std::string, std::string>> SettingsOf(std::span<const std::string> arguments);

class ScenarioRunner {
 public:
  /// Creates database `name` at the server, which must outlive this.
  static Result<std::unique_ptr<ScenarioRunner>> Create(sluice::testing::ScratchPostgres& server,
                                                        const std::string& name);
  ScenarioRunner(const ScenarioRunner&) = delete;
  ScenarioRunner& operator=(const ScenarioRunner&) = delete;
  ~ScenarioRunner();

  /// An error's message says what differs; server_message holds what the peer said.
  Status RunStep(const ScenarioStep& step);
  /// What background runs of sluice wrote, for the report of a failure.
  std::string RunLog() const { return sluice_.RunLog(); }

 private:
  ScenarioRunner(sluice::testing::ScratchPostgres& server, std::string name, std::string url,
                 sluice::testing::SluiceProcess sluice);

  std::string Substitute(std::string text) const;
  Result<sluice::testing::SqlSession*> Session(const std::string& name);
  std::vector<std::string> RunArguments(const std::vector<std::string>& arguments) const;
  Result<std::vector<std::string>> QueryMirror(const std::string& sql);
  Result<std::vector<std::string>> QuerySource(const std::string& sql);
  static Result<std::vector<std::string>> Query(sluice::testing::SqlSession& session,
                                                const std::string& sql);

  Status Source(const ScenarioStep& step);
  Status SourceFails(const ScenarioStep& step);
  Status Eventually(const ScenarioStep& step, bool at_source);
  Status Standby(const ScenarioStep& step);
  Status StandbyEventually(const ScenarioStep& step);
  Status Writer(const ScenarioStep& step);
  Status StopWriters();
  Status Sync(const ScenarioStep& step);
  Status Settle();
  Status Stop();
  Status Exited(const ScenarioStep& step);
  Status Postgres(const ScenarioStep& step);
  Status Mirror(const ScenarioStep& step);
  Status Destination(const ScenarioStep& step);
  Status Same(const ScenarioStep& step);
  Status ExpectTable(const ScenarioStep& step);
  Status Verify(const ScenarioStep& step);
  Status Administrator(const ScenarioStep& step);
  Status Command(std::vector<std::string> arguments, int exit_code,
                 const std::vector<std::string>& expected);

  sluice::testing::ScratchPostgres& server_;
  std::string name_;
  std::string url_;
  sluice::testing::SluiceProcess sluice_;
  std::map<std::string, sluice::testing::SqlSession> sessions_;
  std::vector<std::unique_ptr<ScenarioWriter>> writers_;
  std::vector<std::string> run_options_;
  std::string place_;             ///< {PLACE}
  std::string target_lsn_ = "0";  // where the last change of ours ended, as a number
};

}  // namespace sluice::tests
