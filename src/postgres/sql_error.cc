#include "postgres/sql_error.h"

#include <algorithm>
#include <array>

namespace sluice::postgres {
namespace {

struct Rule {
  std::string_view prefix;  // of the SQLSTATE; the first that fits counts
  SqlStateClass result;
};

constexpr std::string_view kReconnect = "Sluice connects again by itself";

constexpr auto kRules = std::to_array<Rule>({
    {"28", {ErrorKind::kAuth, "SLU-2004", "check user, password and pg_hba.conf"}},
    {"3D000", {ErrorKind::kConfig, "SLU-2006", "check the database's name in the source's URL"}},
    {"42501", {ErrorKind::kAuth, "SLU-2010", "run `sluice check --sql` for the statements"}},
    {"57014", {ErrorKind::kTimeout, "SLU-2008", ""}},
    {"57P01", {ErrorKind::kConnection, "SLU-2015", kReconnect}},
    {"57P02", {ErrorKind::kConnection, "SLU-2015", kReconnect}},
    {"57P03", {ErrorKind::kConnection, "SLU-2015", kReconnect}},
    {"57P04", {ErrorKind::kConfig, "SLU-2006", "the database was dropped"}},
    {"57P05", {ErrorKind::kConnection, "SLU-2007", kReconnect}},
    {"53300",
     {ErrorKind::kConnection, "SLU-2009", "raise max_connections, or the role's CONNECTION LIMIT"}},
    {"53400",
     {ErrorKind::kConfig, "SLU-2031",
      "raise max_replication_slots, or drop a slot that nobody uses"}},
    {"53", {ErrorKind::kConnection, "SLU-2013", "the server is out of memory or disk space"}},
    {"55P03", {ErrorKind::kTimeout, "SLU-2017", "another session holds the lock"}},
    {"40", {ErrorKind::kTimeout, "SLU-2013", ""}},  // serialization failure, deadlock: try again
    {"25P03", {ErrorKind::kConnection, "SLU-2007", kReconnect}},
    {"25P04", {ErrorKind::kConnection, "SLU-2007", kReconnect}},
    {"08P01", {ErrorKind::kProtocol, "SLU-2019", ""}},
    {"08", {ErrorKind::kConnection, "SLU-2007", kReconnect}},
    {"XX", {ErrorKind::kConnection, "SLU-2013", "see the server's log"}},
    {"58", {ErrorKind::kConnection, "SLU-2013", "see the server's log"}},
    {"0A000", {ErrorKind::kUnsupported, "SLU-2013", ""}},
});

bool Contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

/// Of an error in an output plugin's callback: "slot "s", output plugin "pgoutput", in the change
/// callback, associated LSN 0/16B3748". Empty: there is no such line.
std::string_view PlaceLine(std::string_view context) {
  while (!context.empty()) {
    const std::size_t end = std::min(context.find('\n'), context.size());
    const std::string_view line = context.substr(0, end);
    context.remove_prefix(std::min(end + 1, context.size()));
    const std::size_t blank = line.rfind(' ');
    if (blank != std::string_view::npos && ParseLsn(line.substr(blank + 1))) return line;
  }
  return {};
}

/// Line breaks and tabs as single blanks.
std::string OneLine(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool is_blank = c == '\n' || c == '\t' || c == '\r' || c == ' ';
    if (!is_blank) {
      out += c;
    } else if (!out.empty() && out.back() != ' ') {
      out += ' ';
    }
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

/// libpq's verbose text without what only its developers read: "LOCATION: ..." lines, and the
/// SQLSTATE, which stands elsewhere.
std::string ServerWords(std::string_view text, std::string_view sqlstate) {
  std::string kept;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!line.starts_with("LOCATION: ")) kept.append(line).append("\n");
  }
  const std::string state = ":  " + std::string(sqlstate) + ": ";
  for (std::size_t at = 0; !sqlstate.empty() && (at = kept.find(state, at)) != std::string::npos;) {
    kept.replace(at, state.size(), ": ");
  }
  return OneLine(kept);
}

// What stays wrong until somebody corrects it. Anything else that breaks a handshake (a reset, a
// damaged record) is the network's, and may be gone the next time.
bool IsTlsFailure(std::string_view text) {
  constexpr std::string_view kLasting[] = {"certificate", "no encryption", "does not support SSL",
                                           "private key", "protocol",      "handshake failure",
                                           "cipher",      "unknown ca",    "access denied"};
  return std::any_of(std::begin(kLasting), std::end(kLasting),
                     [&](std::string_view word) { return Contains(text, word); });
}

Error TlsError(std::string_view text, const ConnectFailure& target) {
  const bool is_unsupported = Contains(text, "does not support SSL");
  std::string advice;
  if (Contains(text, "does not match host name")) {
    advice =
        "connect by a name that the certificate has; sslmode=verify-ca in the source's URL checks "
        "the authority and not the name";
  } else if (is_unsupported) {
    advice =
        "switch TLS on at the server, or, where the network between is trusted, write "
        "sslmode=disable into the source's URL";
  } else {
    advice =
        "name the authority's file with sslrootcert=FILE; sslmode=require in the source's URL "
        "encrypts without checking who answers";
  }
  return Error{.kind = ErrorKind::kConfig,
               .message = std::string(is_unsupported ? "the server does not offer TLS"
                                                     : "TLS cannot be set up") +
                          " as sslmode=" + std::string(target.ssl_mode) + " asks" +
                          (target.is_ssl_mode_ours ? " (the default for hosts elsewhere)" : "") +
                          ": " + std::string(target.redacted_url),
               .server_message = OneLine(text),
               .code = "SLU-2005",
               .advice = advice};
}

/// The server answered, and said no.
Error RefusedConnect(std::string_view sqlstate, std::string_view text, const std::string& where) {
  const SqlStateClass found = ClassifySqlState(sqlstate);
  Error error{.kind = found.kind,
              .message = "cannot connect to " + where + ": SQLSTATE " + std::string(sqlstate),
              .server_message = ServerWords(text, sqlstate),
              .sqlstate = std::string(sqlstate),
              .code = std::string(found.code),
              .advice = std::string(found.advice)};
  if (sqlstate == "28P01") {
    error.message = "the server refused user or password: " + where;
    error.advice = "check both; the password may stand in ~/.pgpass (mode 0600) or PGPASSWORD";
  } else if (sqlstate.starts_with("28")) {
    error.message = "the server does not let this user in from here: " + where;
    error.advice = "check the user's name, and the lines of the server's pg_hba.conf";
  } else if (sqlstate == "3D000") {
    error.message = "there is no such database: " + where;
  } else if (sqlstate == "53300" && Contains(text, "max_wal_senders")) {
    error.message = "no walsender is free: " + where;
    error.code = "SLU-2032";
    error.advice = "raise max_wal_senders and restart the server";
  } else if (sqlstate == "53300") {
    error.message = "the server has no connection free: " + where;
  } else if (sqlstate == "42501") {
    // Of a statement it is about tables; while connecting it is about REPLICATION.
    error.message = "the role may not replicate: " + where;
    error.code = "SLU-2033";
    error.advice = "ALTER ROLE ... REPLICATION, or the provider's command";
  } else if (sqlstate == "57P03") {
    error.message = "the server takes no connections just now: " + where;
  }
  return error;
}

/// libpq looks at some values only when it connects: nothing was sent, and trying again is no use.
bool IsBadParameter(std::string_view text) {
  constexpr auto kStarts = std::to_array<std::string_view>(
      {"invalid port number", "invalid sslmode value", "invalid integer value",
       "invalid channel_binding value", "invalid target_session_attrs value", "invalid gssencmode",
       "invalid ssl_min_protocol_version", "invalid ssl_max_protocol_version",
       "invalid load_balance_hosts", "invalid require_auth", "could not match ",
       "could not parse network address"});
  return std::any_of(kStarts.begin(), kStarts.end(),
                     [&](std::string_view start) { return text.starts_with(start); });
}

}  // namespace

SqlStateClass ClassifySqlState(std::string_view sqlstate) {
  if (sqlstate.empty()) return {ErrorKind::kConnection, "SLU-2007", kReconnect};
  for (const Rule& rule : kRules) {
    if (sqlstate.starts_with(rule.prefix)) return rule.result;
  }
  return {ErrorKind::kConfig, "SLU-2013", ""};
}

Error ErrorFrom(const ServerMessage& server, std::string_view doing) {
  const SqlStateClass found = ClassifySqlState(server.sqlstate);
  std::string words = server.message;
  if (!server.detail.empty()) words += " (" + server.detail + ")";
  if (!server.hint.empty()) words += "; hint: " + server.hint;
  if (const std::string_view place = PlaceLine(server.context); !place.empty())
    words.append("; ").append(place);
  std::string message = "cannot " + std::string(doing);
  message += server.sqlstate.empty() ? ": the connection broke" : ": SQLSTATE " + server.sqlstate;
  return Error{.kind = found.kind,
               .message = std::move(message),
               .server_message = OneLine(words),
               .sqlstate = server.sqlstate,
               .code = std::string(found.code),
               .advice = std::string(found.advice)};
}

std::optional<Lsn> DecodedPlace(std::string_view server_message) {
  const std::size_t blank = server_message.rfind(' ');
  if (blank == std::string_view::npos) return std::nullopt;
  return ParseLsn(server_message.substr(blank + 1));
}

std::string_view FindSqlState(std::string_view libpq_text) {
  // The last one: with several hosts, or a second try without TLS, earlier attempts come before.
  std::string_view found;
  for (std::size_t at = 0; (at = libpq_text.find(":  ", at)) != std::string_view::npos; ++at) {
    const std::string_view rest = libpq_text.substr(at + 3);
    if (rest.size() < 6 || rest[5] != ':') continue;
    const std::string_view state = rest.substr(0, 5);
    if (state.find_first_not_of("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == std::string_view::npos) {
      found = state;
    }
  }
  return found;
}

Error ErrorFromConnect(std::string_view libpq_text, const ConnectFailure& target) {
  const std::string_view sqlstate = FindSqlState(libpq_text);
  const std::string where = std::string(target.redacted_url);
  if (sqlstate == "28000" && Contains(libpq_text, "no encryption") &&
      target.ssl_mode == "disable") {
    return Error{.kind = ErrorKind::kConfig,
                 .message = "the server accepts this user only over TLS: " + where,
                 .server_message = ServerWords(libpq_text, sqlstate),
                 .sqlstate = std::string(sqlstate),
                 .code = "SLU-2005",
                 .advice = "write sslmode=verify-full or sslmode=require into the source's URL"};
  }
  if (!sqlstate.empty()) return RefusedConnect(sqlstate, libpq_text, where);
  if (IsBadParameter(libpq_text)) {
    return Error{.kind = ErrorKind::kConfig,
                 .message = "a parameter of the source's URL cannot be used: " + where,
                 .server_message = OneLine(libpq_text),
                 .code = "SLU-2001",
                 .advice = "correct it; see PostgreSQL's documentation of connection strings"};
  }
  if (Contains(libpq_text, "could not translate host name")) {
    // The name server does not answer: it may the next time.
    const bool is_passing = Contains(libpq_text, "Temporary failure");
    return Error{.kind = is_passing ? ErrorKind::kConnection : ErrorKind::kConfig,
                 .message = "the source's host name is not known: " + where,
                 .server_message = OneLine(libpq_text),
                 .code = "SLU-2003",
                 .advice = "check the host in the source's URL"};
  }
  if (IsTlsFailure(libpq_text)) return TlsError(libpq_text, target);
  if (Contains(libpq_text, "no password supplied") || Contains(libpq_text, "fe_sendauth")) {
    return Error{.kind = ErrorKind::kAuth,
                 .message = "the server asks for a password and none was given: " + where,
                 .server_message = OneLine(libpq_text),
                 .code = "SLU-2004",
                 .advice = "put it into ~/.pgpass (mode 0600) or PGPASSWORD"};
  }
  return Error{.kind = ErrorKind::kConnection,
               .message = "cannot reach the source: " + where,
               .server_message = OneLine(libpq_text),
               .code = "SLU-2002",
               .advice = "check host and port, listen_addresses, and the firewall"};
}

}  // namespace sluice::postgres
