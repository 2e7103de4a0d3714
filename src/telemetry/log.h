/// \file
/// The log of a process: one line an event on stderr, as text or JSON.
///
/// Passed by reference to who logs; there is no global one. Thread safety: every member from any
/// thread. Never given row values or secrets (Error::message is safe, Error::server_message goes
/// out at debug only).
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "sluice/result.h"

namespace sluice::telemetry {

enum class LogLevel : std::uint8_t { kTrace, kDebug, kInfo, kWarn, kError, kOff };
/// "trace", "debug", "info", "warn", "error", "off"; nullopt: none of them.
std::optional<LogLevel> ParseLogLevel(std::string_view text);
const char* ToString(LogLevel level);

enum class LogStyle : std::uint8_t { kText, kJson };

struct LogOptions {
  LogStyle style = LogStyle::kText;
  LogLevel level = LogLevel::kInfo;
  /// In every line; empty: none.
  std::string pipeline;
  /// Where lines go, each with its newline; empty: stderr. Called under a lock, one line at a time.
  std::function<void(std::string_view)> sink;
};

/// One key beside the message: table, lsn, bytes, ...
struct LogField {
  std::string_view key;
  std::variant<std::string_view, std::int64_t, std::uint64_t, double, bool> value;
};

class Logger {
 public:
  explicit Logger(LogOptions options = {});
  ~Logger();
  Logger(const Logger&) = delete;
  Logger& operator=(const Logger&) = delete;

  bool is_enabled(LogLevel level) const;
  void Write(LogLevel level, std::string_view message, std::initializer_list<LogField> fields = {});
  /// Message, code, SQLSTATE and advice; the peer's words only where debug is on.
  void Write(LogLevel level, const Error& error);
  void Flush();

  template <class... Args>
  void Debug(fmt::format_string<Args...> format, Args&&... args) {
    Format(LogLevel::kDebug, format, std::forward<Args>(args)...);
  }
  template <class... Args>
  void Info(fmt::format_string<Args...> format, Args&&... args) {
    Format(LogLevel::kInfo, format, std::forward<Args>(args)...);
  }
  template <class... Args>
  void Warn(fmt::format_string<Args...> format, Args&&... args) {
    Format(LogLevel::kWarn, format, std::forward<Args>(args)...);
  }
  template <class... Args>
  void Failed(fmt::format_string<Args...> format, Args&&... args) {
    Format(LogLevel::kError, format, std::forward<Args>(args)...);
  }

 private:
  template <class... Args>
  void Format(LogLevel level, fmt::format_string<Args...> format, Args&&... args) {
    if (is_enabled(level)) Write(level, fmt::format(format, std::forward<Args>(args)...));
  }

  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sluice::telemetry
