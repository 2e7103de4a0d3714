/// \file
/// A writer of a scenario: repeats statements on a connection of its own, until stopped.
#pragma once

#include <optional>
#include <stop_token>
#include <string>
#include <thread>

#include "sluice/result.h"

namespace sluice::tests {

/// Connects again when the server goes away; a deadlock or a serialization failure is the writers'
/// own. Any other error ends it and is what Stop() returns: no write may fail because of sluice.
class ScenarioWriter {
 public:
  ScenarioWriter(std::string url, std::string sql);
  /// Ends after the round in progress; joins.
  Status Stop();

 private:
  void Loop(const std::stop_token& stop);

  const std::string url_;
  const std::string sql_;
  std::optional<Error> failure_;  // written by the thread, read after the join
  std::jthread thread_;
};

std::string ReplaceAll(std::string text, std::string_view from, std::string_view to);

}  // namespace sluice::tests
