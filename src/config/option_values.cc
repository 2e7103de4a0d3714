#include "config/option_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/units.h"

namespace sluice::config {

Error NotAllowed(const Given& given) {
  const std::string shown =
      given.option->is_secret || given.values.empty() ? std::string() : " " + given.value();
  return Error{.kind = ErrorKind::kConfig,
               .message = fmt::format("{}:{} is not allowed; allowed: {}", given.origin, shown,
                                      given.option->range),
               .code = "SLU-1001"};
}

namespace {

/// Not a number with one of `units` behind it.
Error NotUnderstood(const Given& given, std::string_view units) {
  Error error = NotAllowed(given);
  error.message += fmt::format(", written with {}", units);
  return error;
}

}  // namespace

Result<std::size_t> NumberOf(const Given& given, std::size_t least, std::size_t most) {
  const std::string& text = given.value();
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number < least || number > most) {
    return NotAllowed(given);
  }
  return number;
}

Result<std::size_t> SizeOf(const Given& given, std::size_t least, std::size_t most) {
  const auto size = base::ParseSize(given.value());
  if (!size) return NotUnderstood(given, "KiB, MiB or GiB");
  if (*size < least || *size > most) return NotAllowed(given);
  return *size;
}

Result<Duration> DurationOf(const Given& given, Duration most) {
  const auto duration = base::ParseDuration(given.value());
  if (!duration) return NotUnderstood(given, "ms, s, m or h");
  if (*duration > most) return NotAllowed(given);
  return *duration;
}

Result<std::string> ChoiceOf(const Given& given) {
  std::string_view range = given.option->range;
  for (;;) {
    const std::size_t end = range.find('|');
    if (range.substr(0, end) == given.value()) return given.value();
    if (end == std::string_view::npos) return NotAllowed(given);
    range.remove_prefix(end + 1);
  }
}

Result<bool> FlagOf(const Given& given) {
  if (given.value() == "true") return true;
  if (given.value() == "false") return false;
  return NotAllowed(given);
}

Result<Lsn> LsnOf(const Given& given) {
  const auto lsn = ParseLsn(given.value());
  if (!lsn || !lsn->is_valid()) return NotAllowed(given);
  return *lsn;
}

Result<engine::Until> UntilOf(const Given& given) {
  const std::string& text = given.value();
  if (text == "never") return engine::Until{engine::UntilNever{}};
  if (text == "copied") return engine::Until{engine::UntilCopied{}};
  if (text == "caught-up") return engine::Until{engine::UntilCaughtUp{}};
  SLUICE_ASSIGN_OR_RETURN(const Lsn lsn, LsnOf(given));
  return engine::Until{lsn};
}

Result<HttpOptions> HttpOf(const Given& given) {
  const std::string& text = given.value();
  HttpOptions http;
  http.is_named_by_user = true;
  if (text == "off") {
    http.is_enabled = false;
    return http;
  }
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) return NotAllowed(given);
  http.host = text.substr(0, colon);
  const bool is_bracketed = http.host.front() == '[' && http.host.back() == ']';
  // An IPv6 address without brackets: its last part would be taken for the port.
  if (!is_bracketed && http.host.find(':') != std::string::npos) return NotAllowed(given);
  const char* begin = text.data() + colon + 1;
  const char* end_of_text = text.data() + text.size();
  const auto [end, error] = std::from_chars(begin, end_of_text, http.port);
  if (error != std::errc{} || end != end_of_text || http.port == 0) return NotAllowed(given);
  return http;
}

std::vector<std::string> SplitList(std::string_view text) {
  std::vector<std::string> out;
  std::string item;
  bool is_quoted = false;
  const auto take = [&] {
    const std::size_t begin = item.find_first_not_of(' ');
    if (begin != std::string::npos) {
      out.push_back(item.substr(begin, item.find_last_not_of(' ') - begin + 1));
    }
    item.clear();
  };
  for (const char c : text) {
    if (c == '"') is_quoted = !is_quoted;
    if (c == ',' && !is_quoted) {
      take();
    } else {
      item += c;
    }
  }
  take();
  return out;
}

std::string WithPassword(const std::string& source, std::string_view password) {
  const bool is_url = source.starts_with("postgres://") || source.starts_with("postgresql://");
  std::string out = source;
  if (is_url) {
    out += source.find('?') == std::string::npos ? "?password=" : "&password=";
    for (const char c : password) {
      fmt::format_to(std::back_inserter(out), "%{:02X}", static_cast<unsigned char>(c));
    }
    return out;
  }
  out += " password='";
  for (const char c : password) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

}  // namespace sluice::config
