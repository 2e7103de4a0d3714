#include "config/destination_url.h"

#include <cctype>
#include <filesystem>

namespace sluice::config {
namespace {

Error NotUnderstood(std::string_view text, const std::string& why) {
  return Error{.kind = ErrorKind::kConfig,
               .message = "destination " + std::string(text) + ": " + why,
               .code = "SLU-1004",
               .advice = "give a path such as shop.duckdb, duckdb:PATH, null: or memory:"};
}

/// The word before the first colon, as in RFC 3986; empty: there is none, it is a path.
std::string_view SchemeOf(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size() && (std::isalnum(static_cast<unsigned char>(text[at])) != 0 ||
                              text[at] == '+' || text[at] == '-' || text[at] == '.')) {
    ++at;
  }
  const bool has_colon = at > 0 && at < text.size() && text[at] == ':';
  if (!has_colon || std::isalpha(static_cast<unsigned char>(text[0])) == 0) return {};
  return text.substr(0, at);
}

}  // namespace

std::string DestinationUrl::ToString() const {
  switch (kind) {
    case Kind::kDuckDb:
      return "duckdb:" + path;
    case Kind::kNull:
      return "null:" + path;
    case Kind::kMemory:
      return "memory:" + path;
  }
  return path;
}

Result<DestinationUrl> ParseDestinationUrl(std::string_view text,
                                           std::string_view working_directory) {
  using Kind = DestinationUrl::Kind;
  const std::string_view scheme = SchemeOf(text);
  std::string_view rest = scheme.empty() ? text : text.substr(scheme.size() + 1);
  if (scheme == "null") return DestinationUrl{Kind::kNull, std::string(rest)};
  if (scheme == "memory") return DestinationUrl{Kind::kMemory, std::string(rest)};
  if (!scheme.empty() && scheme != "duckdb") {
    // Not the whole text: a URL of a server may hold a password.
    return NotUnderstood(scheme, "this kind of destination is not supported");
  }
  if (!scheme.empty() && rest.starts_with("//")) {
    if (!rest.starts_with("///")) {
      return NotUnderstood(text, "a file has no host: write duckdb:///path with three slashes");
    }
    rest.remove_prefix(2);
  }
  if (rest.empty()) return NotUnderstood(text, "the path is empty");
  if (rest.find('\0') != std::string_view::npos) {
    return NotUnderstood("given", "the path has a zero byte");
  }
  if (rest.ends_with('/')) return NotUnderstood(text, "the path is a directory");
  const std::filesystem::path path =
      std::filesystem::path(working_directory) / std::filesystem::path(rest);
  return DestinationUrl{Kind::kDuckDb, path.lexically_normal().string()};
}

}  // namespace sluice::config
