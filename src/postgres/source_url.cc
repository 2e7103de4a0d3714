#include "postgres/source_url.h"

#include <arpa/inet.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <optional>

#include "postgres/handles.h"

namespace sluice::postgres {
namespace {

using Keywords = std::map<std::string, std::string>;

// Where distributions keep the system's certificate authorities.
constexpr std::array kSystemCaFiles = {
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
};

std::optional<std::string> FromEnvironment(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): read at start only
  if (value == nullptr || *value == '\0') return std::nullopt;
  return std::string(value);
}

std::string ValueOr(const Keywords& keywords, const std::string& key, std::string fallback) {
  const auto it = keywords.find(key);
  return it == keywords.end() ? std::move(fallback) : it->second;
}

Keywords Collect(const PQconninfoOption* options) {
  Keywords out;
  for (; options != nullptr && options->keyword != nullptr; ++options) {
    if (options->val != nullptr && *options->val != '\0') out[options->keyword] = options->val;
  }
  return out;
}

// What libpq itself would use for what the text leaves open. A service named in the text is only
// read by libpq when connecting, so a connection is begun and thrown away to ask it.
Keywords Defaults(const Keywords& given) {
  if (!given.contains("service")) {
    const ConninfoHandle defaults(PQconndefaults());
    return Collect(defaults.get());
  }
  const std::string& service = given.at("service");
  const std::array<const char*, 3> keys = {"service", "host", nullptr};
  const auto host = given.find("host");
  const std::array<const char*, 3> values = {
      service.c_str(), host == given.end() ? nullptr : host->second.c_str(), nullptr};
  const ConnectionHandle begun(PQconnectStartParams(keys.data(), values.data(), 0));
  const ConninfoHandle effective(PQconninfo(begun.get()));
  return Collect(effective.get());
}

bool HasPersonalRootFile() {
  const auto home = FromEnvironment("HOME");
  return home && access((*home + "/.postgresql/root.crt").c_str(), R_OK) == 0;
}

std::string SystemCaFile() {
  for (const char* file : kSystemCaFiles) {
    if (access(file, R_OK) == 0) return file;
  }
  return {};
}

// RFC 3986 unreserved characters stay, others become %XX.
std::string PercentEncode(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  constexpr std::string_view kKept = "-._~:,[]";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool is_alnum =
        (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (is_alnum || kKept.find(c) != std::string_view::npos) {
      out += c;
    } else {
      out += '%';
      out += kHex[byte >> 4U];
      out += kHex[byte & 15U];
    }
  }
  return out;
}

bool IsLoopbackAddress(std::string_view host) {
  in_addr address{};
  if (inet_pton(AF_INET, std::string(host).c_str(), &address) != 1) return false;
  return ntohl(address.s_addr) >> 24U == 127;
}

bool IsLocalName(std::string_view host) {
  return host.empty() || host.front() == '/' || host.front() == '@' || host == "localhost" ||
         host == "::1" || IsLoopbackAddress(host);
}

}  // namespace

bool IsLocalHost(std::string_view hosts) {
  while (true) {
    const std::size_t comma = hosts.find(',');
    if (!IsLocalName(hosts.substr(0, comma))) return false;
    if (comma == std::string_view::npos) return true;
    hosts.remove_prefix(comma + 1);
  }
}

Result<SourceUrl> SourceUrl::Parse(std::string_view text, std::string_view primary) {
  SLUICE_ASSIGN_OR_RETURN(SourceUrl url, Parse(text));
  if (primary.empty()) return url;
  SLUICE_ASSIGN_OR_RETURN(SourceUrl other, Parse(primary));
  url.primary_ = std::make_shared<const SourceUrl>(std::move(other));
  return url;
}

Result<SourceUrl> SourceUrl::Parse(std::string_view text) {
  if (text.find('\0') != std::string_view::npos) {
    return Error{.kind = ErrorKind::kConfig,
                 .message = "the source's URL holds a zero byte",
                 .code = "SLU-2001"};
  }
  SourceUrl url;
  if (!text.empty()) {
    char* libpq_error = nullptr;
    const ConninfoHandle parsed(PQconninfoParse(std::string(text).c_str(), &libpq_error));
    const MemoryHandle owner(libpq_error);
    if (parsed == nullptr) {
      // libpq's text may quote the URL, hence the password: it goes nowhere.
      return Error{.kind = ErrorKind::kConfig,
                   .message = "the source's URL cannot be read",
                   .code = "SLU-2001",
                   .advice =
                       "write postgres://user@host:5432/database, with special characters in "
                       "user and password as %XX, or host=... dbname=... user=..."};
    }
    url.keywords_ = Collect(parsed.get());
  }
  // These are ours to set on each connection.
  for (const char* key : {"application_name", "fallback_application_name", "replication"}) {
    url.keywords_.erase(key);
  }
  const Keywords defaults = Defaults(url.keywords_);
  const auto effective = [&](const char* key) {
    return ValueOr(url.keywords_, key, ValueOr(defaults, key, ""));
  };
  // Where libpq connects to, if it is there; the host is only a name for the certificate then.
  const std::string address = effective("hostaddr");
  url.host_ = effective("host");
  if (url.host_.empty()) url.host_ = address;
  url.port_ = effective("port");
  url.user_ = effective("user");
  url.database_ = effective("dbname");
  if (url.database_.empty()) url.database_ = url.user_;

  // "prefer" in the defaults is libpq's own, not the user's, unless the variable says it.
  const std::string default_mode = ValueOr(defaults, "sslmode", "prefer");
  const bool is_given =
      url.keywords_.contains("sslmode") || FromEnvironment("PGSSLMODE") || default_mode != "prefer";
  if (!is_given && !(IsLocalHost(url.host_) && IsLocalHost(address))) {
    url.keywords_["sslmode"] = "verify-full";
    url.is_ssl_mode_ours_ = true;
  }
  url.ssl_mode_ = ValueOr(url.keywords_, "sslmode", default_mode);
  if (url.ssl_mode_.starts_with("verify") && effective("sslrootcert").empty() &&
      !HasPersonalRootFile()) {
    if (std::string file = SystemCaFile(); !file.empty()) {
      url.keywords_["sslrootcert"] = std::move(file);
    }
  }

  url.redacted_ = "postgres://";
  if (!url.user_.empty()) url.redacted_ += PercentEncode(url.user_) + '@';
  url.redacted_ += PercentEncode(url.host_);
  if (!url.port_.empty()) url.redacted_ += ':' + PercentEncode(url.port_);
  url.redacted_ += '/' + PercentEncode(url.database_);
  return url;
}

SourceUrl SourceUrl::WithPassword(std::string password) const {
  SourceUrl copy = *this;
  copy.keywords_["password"] = std::move(password);
  return copy;
}

}  // namespace sluice::postgres
