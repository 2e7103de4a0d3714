#include "scenario_runner.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>
#include <utility>

#include "duckdb_file.h"
#include "scenario_writer.h"

namespace sluice::tests {
namespace {

using sluice::testing::CommandResult;
using sluice::testing::LastLines;
using sluice::testing::PollPause;
using sluice::testing::ProcessExit;
using sluice::testing::ScratchPostgres;
using sluice::testing::SluiceProcess;
using sluice::testing::SqlSession;
using std::chrono::seconds;

constexpr seconds kCommandTimeout(120);
constexpr seconds kSettleTimeout(60);
constexpr seconds kStopTimeout(10);  // what SIGTERM promises
constexpr int kLogLines = 40;

Error Differs(std::string message, std::string seen = {}) {
  return {.kind = ErrorKind::kInvalidArgument,
          .message = std::move(message),
          .server_message = std::move(seen)};
}

std::string Joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += "  " + line + "\n";
  return text;
}

Status CompareRows(const std::vector<std::string>& expected,
                   const std::vector<std::string>& actual) {
  if (expected == actual) return {};
  return Differs("the rows are not the expected ones",
                 "expected:\n" + Joined(expected) + "actual:\n" + Joined(actual));
}

// Takes "exit=N" off the front of the arguments; 0 without it.
int TakeExitCode(std::vector<std::string>& arguments) {
  int code = 0;
  if (!arguments.empty() && arguments[0].starts_with("exit=")) {
    const std::string text = arguments[0].substr(5);
    std::from_chars(text.data(), text.data() + text.size(), code);
    arguments.erase(arguments.begin());
  }
  return code;
}

Status WriteFile(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  file.close();
  return file ? Status() : Differs("the file cannot be written: " + path);
}

int ToInt(const std::string& text) {
  int value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> SettingsOf(
    std::span<const std::string> arguments) {
  std::vector<std::pair<std::string, std::string>> settings;
  for (const std::string& text : arguments) {
    const std::size_t equals = std::min(text.find('='), text.size());
    settings.emplace_back(text.substr(0, equals), text.substr(std::min(equals + 1, text.size())));
  }
  return settings;
}

Result<std::unique_ptr<ScenarioRunner>> ScenarioRunner::Create(ScratchPostgres& server,
                                                               const std::string& name) {
  SLUICE_ASSIGN_OR_RETURN(std::string url, server.CreateDatabase(name));
  SLUICE_ASSIGN_OR_RETURN(SluiceProcess sluice, SluiceProcess::Create(url, name));
  sluice.SetEnvironment("TZ", "UTC");
  return std::unique_ptr<ScenarioRunner>(
      new ScenarioRunner(server, name, std::move(url), std::move(sluice)));
}

ScenarioRunner::ScenarioRunner(ScratchPostgres& server, std::string name, std::string url,
                               SluiceProcess sluice)
    : server_(server), name_(std::move(name)), url_(std::move(url)), sluice_(std::move(sluice)) {}

ScenarioRunner::~ScenarioRunner() {
  for (auto& writer : writers_) {
    if (!writer->Stop()) continue;  // its error was reported by `writers stop`, or the run failed
  }
  sluice_.Kill();
  sessions_.clear();
  const Status dropped = server_.DropDatabase(name_);
  if (!dropped) server_.Kill();  // the next scenario starts a server of its own
}

std::string ScenarioRunner::Substitute(std::string text) const {
  text = ReplaceAll(std::move(text), "{SOURCE}", url_);
  text = ReplaceAll(std::move(text), "{DATABASE}", name_);
  text = ReplaceAll(std::move(text), "{DESTINATION}", sluice_.destination());
  text = ReplaceAll(std::move(text), "{PIPELINE}", name_);
  text = ReplaceAll(std::move(text), "{PLACE}", place_);
  text = ReplaceAll(std::move(text), "{STANDBY}", server_.StandbyUrl(name_));
  return ReplaceAll(std::move(text), "{FOLDER}", sluice_.folder());
}

Status ScenarioRunner::RunStep(const ScenarioStep& raw) {
  ScenarioStep step = raw;
  step.body = Substitute(std::move(step.body));
  for (std::string& argument : step.arguments) argument = Substitute(std::move(argument));
  for (std::string& line : step.expected) line = Substitute(std::move(line));
  const std::string& verb = step.verb;
  if (verb == "source") return Source(step);
  if (verb == "source-fails") return SourceFails(step);
  if (verb == "source-eventually") return Eventually(step, /*at_source=*/true);
  if (verb == "standby") return Standby(step);
  if (verb == "standby-eventually") return StandbyEventually(step);
  if (verb == "mirror") return Mirror(step);
  if (verb == "writer") return Writer(step);
  if (verb == "writers") return StopWriters();
  if (verb == "sync") return Sync(step);
  if (verb == "start") return sluice_.StartRun(RunArguments(step.arguments));
  if (verb == "settle") return Settle();
  if (verb == "stop") return Stop();
  if (verb == "exited") return Exited(step);
  if (verb == "postgres") return Postgres(step);
  if (verb == "destination") return Destination(step);
  if (verb == "same") return Same(step);
  if (verb == "expect") return ExpectTable(step);
  if (verb == "verify") return Verify(step);
  if (verb == "administrator") return Administrator(step);
  if (verb == "change-file") return ChangeDuckDbFile(sluice_.destination(), step.body);
  if (verb == "write-file") return WriteFile(step.arguments[0], step.body);
  if (verb == "kill") {
    sluice_.Kill();
  } else if (verb == "options") {
    run_options_.insert(run_options_.end(), step.arguments.begin(), step.arguments.end());
  } else if (verb == "environment") {
    sluice_.SetEnvironment(step.arguments[0], step.arguments[1]);
  } else if (verb == "file-limit") {
    sluice_.SetFileLimit(step.arguments[0]);
  } else if (verb == "pause") {
    std::this_thread::sleep_for(std::chrono::milliseconds(ToInt(step.arguments[0])));
  } else if (verb == "sluice") {
    const int exit_code = TakeExitCode(step.arguments);
    return Command(std::move(step.arguments), exit_code, step.expected);
  }
  return {};
}

Result<SqlSession*> ScenarioRunner::Session(const std::string& name) {
  auto found = sessions_.find(name);
  if (found == sessions_.end()) {
    SLUICE_ASSIGN_OR_RETURN(SqlSession session, SqlSession::Open(url_));
    found = sessions_.emplace(name, std::move(session)).first;
  }
  return &found->second;
}

std::vector<std::string> ScenarioRunner::RunArguments(
    const std::vector<std::string>& arguments) const {
  std::vector<std::string> all = run_options_;
  all.insert(all.end(), arguments.begin(), arguments.end());
  return all;
}

Result<std::vector<std::string>> ScenarioRunner::QueryMirror(const std::string& sql) {
  if (!sluice_.IsRunning()) return QueryDuckDbFile(sluice_.destination(), sql);
  SLUICE_ASSIGN_OR_RETURN(const CommandResult result,
                          sluice_.Run({"sql", "-c", AsTextQuery(sql)}, kCommandTimeout));
  if (result.exit.code == 0) return RowsOfCsv(result.stdout_text);
  return Error{.kind = ErrorKind::kDestination,
               .message = "sluice sql ended with " + std::to_string(result.exit.code),
               .server_message = result.stderr_text};
}

Result<std::vector<std::string>> ScenarioRunner::QuerySource(const std::string& sql) {
  SLUICE_ASSIGN_OR_RETURN(SqlSession * session, Session("look"));
  return Query(*session, sql);
}

Result<std::vector<std::string>> ScenarioRunner::Query(SqlSession& session,
                                                       const std::string& sql) {
  SLUICE_ASSIGN_OR_RETURN(const auto cells, session.Query(sql));
  std::vector<std::string> rows;
  for (const auto& row : cells) {
    std::string line;
    for (std::size_t column = 0; column < row.size(); ++column) {
      if (column > 0) line += '|';
      line += ReplaceAll(row[column].value_or("NULL"), "\n", "\\n");
    }
    rows.push_back(std::move(line));
  }
  return rows;
}

Status ScenarioRunner::Source(const ScenarioStep& step) {
  SLUICE_ASSIGN_OR_RETURN(SqlSession * session,
                          Session(step.arguments.empty() ? "main" : step.arguments[0]));
  for (const std::string& statement : SplitStatements(step.body)) {
    SLUICE_RETURN_IF_ERROR(session->Exec(statement));
  }
  SLUICE_ASSIGN_OR_RETURN(SqlSession * look, Session("look"));
  SLUICE_ASSIGN_OR_RETURN(target_lsn_, look->Value("SELECT pg_current_wal_insert_lsn() - '0/0'"));
  return {};
}

Status ScenarioRunner::SourceFails(const ScenarioStep& step) {
  SLUICE_ASSIGN_OR_RETURN(SqlSession * session,
                          Session(step.arguments.size() < 2 ? "main" : step.arguments[1]));
  const Status done = session->Exec(step.body);
  if (done) return Differs("the server took a statement that it should refuse");
  if (done.error().sqlstate == step.arguments[0]) return {};
  return Differs("the server refused with " + done.error().sqlstate, done.error().server_message);
}

Status ScenarioRunner::Eventually(const ScenarioStep& step, bool at_source) {
  const Clock::time_point deadline = Clock::now() + kSettleTimeout;
  for (int look = 0;; ++look) {
    const auto rows = at_source ? QuerySource(step.body) : QueryMirror(step.body);
    Status same = rows ? CompareRows(step.expected, *rows) : Status(rows.error());
    if (same || Clock::now() >= deadline) return same;
    PollPause(look);
  }
}

Status ScenarioRunner::Standby(const ScenarioStep& step) {
  SLUICE_ASSIGN_OR_RETURN(SqlSession session, SqlSession::Open(server_.StandbyUrl(name_)));
  for (const std::string& statement : SplitStatements(step.body)) {
    SLUICE_RETURN_IF_ERROR(session.Exec(statement));
  }
  return {};
}

Status ScenarioRunner::StandbyEventually(const ScenarioStep& step) {
  const Clock::time_point deadline = Clock::now() + kSettleTimeout;
  while (true) {
    auto session = SqlSession::Open(server_.StandbyUrl(name_));
    const auto rows = session ? Query(*session, step.body) : session.error();
    Status same = rows ? CompareRows(step.expected, *rows) : Status(rows.error());
    if (same || Clock::now() >= deadline) return same;
    PollPause();
  }
}

Status ScenarioRunner::Mirror(const ScenarioStep& step) {
  const std::string saved = sluice_.folder() + "/saved.duckdb";
  const bool saves = step.arguments[0] == "save";
  const std::string& file = sluice_.destination();
  std::error_code code;
  std::filesystem::copy_file(saves ? file : saved, saves ? saved : file,
                             std::filesystem::copy_options::overwrite_existing, code);
  return code ? Differs("the file cannot be copied: " + code.message()) : Status();
}

Status ScenarioRunner::Writer(const ScenarioStep& step) {
  writers_.push_back(std::make_unique<ScenarioWriter>(url_, step.body));
  return {};
}

Status ScenarioRunner::StopWriters() {
  Status first;
  for (auto& writer : writers_) {
    Status stopped = writer->Stop();
    if (first && !stopped) first = std::move(stopped);
  }
  writers_.clear();
  SLUICE_ASSIGN_OR_RETURN(SqlSession * look, Session("look"));
  SLUICE_ASSIGN_OR_RETURN(target_lsn_, look->Value("SELECT pg_current_wal_insert_lsn() - '0/0'"));
  return first;
}

Status ScenarioRunner::Sync(const ScenarioStep& step) {
  std::vector<std::string> arguments = step.arguments;
  const int exit_code = TakeExitCode(arguments);
  arguments = RunArguments(arguments);
  arguments.insert(arguments.begin(), {"run", "--until", "caught-up"});
  return Command(std::move(arguments), exit_code, step.expected);
}

Status ScenarioRunner::Settle() {
  const std::string sql =
      "SELECT (SELECT max(lsn) FROM sluice.position) >= " + target_lsn_ +
      " AND NOT EXISTS (SELECT 1 FROM sluice.tables WHERE state IN ('pending', 'copying'))"
      " AND EXISTS (SELECT 1 FROM sluice.tables)";
  const Clock::time_point deadline = Clock::now() + kSettleTimeout;
  std::string last = "no answer";
  for (int look = 0; Clock::now() < deadline; ++look) {
    if (!sluice_.IsRunning()) {
      return Differs("sluice ended while it was waited for", LastLines(RunLog(), kLogLines));
    }
    // What an earlier run left in the file says nothing about this one.
    const auto phase = sluice_.Run({"status", "--json"}, kCommandTimeout);
    if (!phase || phase->stdout_text.find(R"("phase": "running")") == std::string::npos) {
      last = phase ? phase->stdout_text + phase->stderr_text : phase.error().message;
      PollPause(look);
      continue;
    }
    const auto rows = QueryMirror(sql);
    if (rows && *rows == std::vector<std::string>{"true"}) return {};
    last = rows ? Joined(*rows) : rows.error().message + "\n" + rows.error().server_message;
    PollPause(look);
  }
  return Differs("sluice did not catch up in time", last + LastLines(RunLog(), kLogLines));
}

Status ScenarioRunner::Stop() {
  SLUICE_ASSIGN_OR_RETURN(const ProcessExit exit, sluice_.Stop(kStopTimeout));
  if (exit.code == 0) return {};
  return Differs("sluice ended with " + std::to_string(exit.code) + " after SIGTERM",
                 LastLines(RunLog(), kLogLines));
}

Status ScenarioRunner::Exited(const ScenarioStep& step) {
  const auto exit = sluice_.WaitExit(kSettleTimeout);
  if (!exit) return Differs("sluice is still running", LastLines(RunLog(), kLogLines));
  if (exit->code == ToInt(step.arguments[0])) return {};
  return Differs("sluice ended with " + std::to_string(exit->code), LastLines(RunLog(), kLogLines));
}

Status ScenarioRunner::Postgres(const ScenarioStep& step) {
  sessions_.clear();
  const std::string& act = step.arguments[0];
  if (act == "restart-fast") return server_.Restart(ScratchPostgres::StopMode::kFast);
  if (act == "restart-immediate") return server_.Restart(ScratchPostgres::StopMode::kImmediate);
  if (act == "save") return server_.SaveData();
  if (act == "put-back") return server_.PutBackData(/*on_new_timeline=*/false);
  if (act == "put-back-promoted") return server_.PutBackData(/*on_new_timeline=*/true);
  if (act == "standby")
    return server_.StartStandby(SettingsOf(std::span(step.arguments).subspan(1)));
  if (act == "cut-standby") return server_.CutStandby();
  if (act == "restart-standby") return server_.RestartStandby();
  if (act == "promote-standby") return server_.PromoteStandby();
  if (act == "fail-over") return server_.FailOver();
  if (act != "kill") return Differs("unknown: postgres " + act);
  server_.Kill();
  return server_.StartAgain();
}

Status ScenarioRunner::Destination(const ScenarioStep& step) {
  if (!step.arguments.empty()) return Eventually(step, /*at_source=*/false);
  SLUICE_ASSIGN_OR_RETURN(const auto rows, QueryMirror(step.body));
  return CompareRows(step.expected, rows);
}

Status ScenarioRunner::Same(const ScenarioStep& step) {
  SLUICE_ASSIGN_OR_RETURN(const auto source, QuerySource(step.body));
  SLUICE_ASSIGN_OR_RETURN(const auto mirror, QueryMirror(step.body));
  return CompareRows(source, mirror);
}

Status ScenarioRunner::ExpectTable(const ScenarioStep& step) {
  const std::string& table = step.arguments[1];
  SLUICE_ASSIGN_OR_RETURN(
      const auto rows,
      QueryMirror("SELECT state, coalesce(reason, '') || ' ' || coalesce(advice, '') FROM "
                  "sluice.tables WHERE source_schema || '.' || source_table = '" +
                  table + "'"));
  if (rows.size() != 1) return Differs("not one row in sluice.tables for " + table);
  const bool in_state = rows[0].starts_with(step.arguments[2] + "|");
  const bool says = step.arguments.size() < 4 || rows[0].find(step.arguments[3]) != rows[0].npos;
  if (in_state && says) return {};
  return Differs("the state of " + table + " differs", rows[0]);
}

Status ScenarioRunner::Verify(const ScenarioStep& step) {
  const bool equal = step.arguments[0] == "equal";
  return Command({"verify"}, equal ? 0 : 1, {});
}

/// The script is run as it is printed; `check` itself ends with 1, as it found something.
Status ScenarioRunner::Administrator(const ScenarioStep& step) {
  std::vector<std::string> arguments = step.arguments;
  arguments.insert(arguments.begin(), {"check", "--sql"});
  SLUICE_ASSIGN_OR_RETURN(const CommandResult result,
                          sluice_.Run(std::move(arguments), kCommandTimeout));
  SLUICE_ASSIGN_OR_RETURN(SqlSession * session, Session("administrator"));
  for (const std::string& statement : SplitStatements(result.stdout_text)) {
    const Status done = session->Exec(statement);
    if (!done) return Differs(statement, done.error().server_message);
  }
  return {};
}

Status ScenarioRunner::Command(std::vector<std::string> arguments, int exit_code,
                               const std::vector<std::string>& expected) {
  const std::string name = "sluice " + arguments[0];
  SLUICE_ASSIGN_OR_RETURN(const CommandResult result,
                          sluice_.Run(std::move(arguments), kCommandTimeout));
  const std::string output = result.stdout_text + result.stderr_text;
  constexpr std::string_view kAdvice = "--skip-transaction ";
  if (const std::size_t at = output.find(kAdvice); at != std::string::npos) {
    const std::size_t from = at + kAdvice.size();
    place_ = output.substr(from, output.find_first_of(" \n", from) - from);
  }
  if (result.exit.code != exit_code) {
    return Differs(name + " ended with " + std::to_string(result.exit.code) + " instead of " +
                       std::to_string(exit_code),
                   LastLines(output, kLogLines));
  }
  for (const std::string& line : expected) {
    if (output.find(line) == std::string::npos) {
      return Differs(name + " did not say: " + line, LastLines(output, kLogLines));
    }
  }
  return {};
}

}  // namespace sluice::tests
