#include "telemetry/log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <ctime>
#include <mutex>

#include <nlohmann/json.hpp>

namespace sluice::telemetry {
namespace {

constexpr std::array<std::pair<LogLevel, const char*>, 6> kLevels{{{LogLevel::kTrace, "trace"},
                                                                   {LogLevel::kDebug, "debug"},
                                                                   {LogLevel::kInfo, "info"},
                                                                   {LogLevel::kWarn, "warn"},
                                                                   {LogLevel::kError, "error"},
                                                                   {LogLevel::kOff, "off"}}};

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kTrace:
      return spdlog::level::trace;
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
    case LogLevel::kOff:
      return spdlog::level::off;
  }
  return spdlog::level::info;
}

/// Lines arrive complete; no pattern is applied.
class LineSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit LineSink(std::function<void(std::string_view)> to) : to_(std::move(to)) {}

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    std::string line(message.payload.data(), message.payload.size());
    line += '\n';
    if (to_) {
      to_(line);
      return;
    }
    // One write a line: lines of several processes do not mix. A closed stderr is nobody's error.
    std::string_view rest = line;
    while (!rest.empty()) {
      const ssize_t written = ::write(STDERR_FILENO, rest.data(), rest.size());
      if (written <= 0) break;
      rest.remove_prefix(static_cast<std::size_t>(written));
    }
  }
  void flush_() override {}

 private:
  std::function<void(std::string_view)> to_;
};

std::string Now() {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  const auto ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900,
                     utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, ms);
}

/// One event is one line: what would break it is written as an escape.
void AppendPlain(std::string& out, std::string_view text) {
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
}

std::string TextOf(const LogField& field) {
  return std::visit(
      [](const auto& value) -> std::string {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, std::string_view>) {
          const bool is_plain =
              !value.empty() && value.find_first_of(" \"=\\\n\t") == std::string_view::npos;
          if (is_plain) return std::string(value);
          std::string quoted = "\"";
          for (const char c : value) {
            if (c == '"' || c == '\\') quoted += '\\';
            quoted += c;
          }
          return quoted + '"';
        } else {
          return fmt::format("{}", value);
        }
      },
      field.value);
}

}  // namespace

std::optional<LogLevel> ParseLogLevel(std::string_view text) {
  for (const auto& [level, name] : kLevels) {
    if (text == name) return level;
  }
  return std::nullopt;
}

const char* ToString(LogLevel level) {
  for (const auto& [known, name] : kLevels) {
    if (known == level) return name;
  }
  return "info";
}

struct Logger::State {
  LogOptions options;
  spdlog::logger logger;

  explicit State(LogOptions given)
      : options(std::move(given)), logger("sluice", std::make_shared<LineSink>(options.sink)) {
    logger.set_level(ToSpdlog(options.level));
  }

  std::string Text(LogLevel level, std::string_view message,
                   std::initializer_list<LogField> fields) const {
    std::string line = fmt::format("{} {:<5} ", Now(), ToString(level));
    AppendPlain(line, message);
    if (!options.pipeline.empty()) AppendPlain(line, " pipeline=" + options.pipeline);
    for (const LogField& field : fields) {
      AppendPlain(line, fmt::format(" {}={}", field.key, TextOf(field)));
    }
    return line;
  }

  std::string Json(LogLevel level, std::string_view message,
                   std::initializer_list<LogField> fields) const {
    nlohmann::ordered_json line{{"time", Now()}, {"level", ToString(level)}, {"message", message}};
    if (!options.pipeline.empty()) line["pipeline"] = options.pipeline;
    for (const LogField& field : fields) {
      std::visit([&](const auto& value) { line[std::string(field.key)] = value; }, field.value);
    }
    return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  }
};

Logger::Logger(LogOptions options) : state_(std::make_unique<State>(std::move(options))) {}
Logger::~Logger() = default;

bool Logger::is_enabled(LogLevel level) const {
  return level != LogLevel::kOff && state_->logger.should_log(ToSpdlog(level));
}

void Logger::Write(LogLevel level, std::string_view message,
                   std::initializer_list<LogField> fields) {
  if (!is_enabled(level)) return;
  const std::string line = state_->options.style == LogStyle::kJson
                               ? state_->Json(level, message, fields)
                               : state_->Text(level, message, fields);
  // As data, not as a format.
  state_->logger.log(ToSpdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

void Logger::Write(LogLevel level, const Error& error) {
  if (!is_enabled(level)) return;
  const bool tells_peer = is_enabled(LogLevel::kDebug) && !error.server_message.empty();
  std::string message = error.message;
  if (state_->options.style == LogStyle::kText) {
    // Words for people; empty fields are left out.
    if (!error.code.empty()) message += " [" + error.code + "]";
    if (!error.sqlstate.empty()) message += " sqlstate=" + error.sqlstate;
    if (!error.advice.empty()) message += "; " + error.advice;
    if (tells_peer) message += "; peer: " + error.server_message;
    Write(level, message);
    return;
  }
  Write(level, message,
        {{"code", error.code},
         {"sqlstate", error.sqlstate},
         {"advice", error.advice},
         {"peer", tells_peer ? std::string_view(error.server_message) : std::string_view()}});
}

void Logger::Flush() {
  state_->logger.flush();
}

}  // namespace sluice::telemetry
