#include "scenario_writer.h"

#include "scenario_file.h"
#include "testing/process.h"
#include "testing/sql_session.h"

namespace sluice::tests {
namespace {

Status RunRound(testing::SqlSession& session, const std::string& sql) {
  for (const std::string& statement : SplitStatements(sql)) {
    SLUICE_RETURN_IF_ERROR(session.Exec(statement));
  }
  return {};
}

}  // namespace

std::string ReplaceAll(std::string text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos;
       at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

ScenarioWriter::ScenarioWriter(std::string url, std::string sql)
    : url_(std::move(url)),
      sql_(std::move(sql)),
      thread_([this](const std::stop_token& stop) { Loop(stop); }) {}

Status ScenarioWriter::Stop() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
  if (failure_) return *failure_;
  return {};
}

void ScenarioWriter::Loop(const std::stop_token& stop) {
  std::optional<testing::SqlSession> session;
  for (int round = 1; !stop.stop_requested();) {
    if (!session) {
      auto opened = testing::SqlSession::Open(url_);
      if (!opened) {
        testing::PollPause();
        continue;
      }
      session.emplace(*std::move(opened));
    }
    const Status done = RunRound(*session, ReplaceAll(sql_, "{i}", std::to_string(round)));
    ++round;
    if (done) continue;
    const Error& error = done.error();
    const bool went_away = error.kind == ErrorKind::kConnection ||
                           error.sqlstate.starts_with("57P") || error.sqlstate.starts_with("08");
    if (went_away) {
      session.reset();
    } else if (error.sqlstate.starts_with("40")) {
      const Status rolled_back = session->Exec("ROLLBACK");
      if (!rolled_back) session.reset();
    } else {
      failure_ = error;
      return;
    }
  }
}

}  // namespace sluice::tests
