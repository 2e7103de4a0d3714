/// \file
/// From a SQLSTATE to what the receiver should do. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "sluice/lsn.h"
#include "sluice/result.h"

namespace sluice::postgres {

struct SqlStateClass {
  ErrorKind kind = ErrorKind::kConfig;
  std::string_view code;    ///< SLU-2nnn
  std::string_view advice;  ///< may be empty
};

/// \param sqlstate five characters, or empty where the transport failed.
SqlStateClass ClassifySqlState(std::string_view sqlstate);

/// What the server (or libpq) said.
struct ServerMessage {
  std::string severity = {};  ///< not localised: "ERROR", "FATAL", "WARNING", ...
  std::string sqlstate = {};
  std::string message = {};
  std::string detail = {};
  std::string hint = {};
  std::string context = {};
  std::string source_function = {};  ///< of the server, not localised
};

/// \param doing what was tried, lower case: "create publication sluice_shop".
Error ErrorFrom(const ServerMessage& server, std::string_view doing);

/// The place of the log at which logical decoding failed: the server ends a line of its context
/// with it, in any language, and ErrorFrom() keeps that line behind its words. nullopt: it named
/// none.
std::optional<Lsn> DecodedPlace(std::string_view server_message);

/// libpq's text of a failed connection attempt, made with PQERRORS_VERBOSE, read by us.
struct ConnectFailure {
  /// What SSL mode and host are meant.
  std::string_view redacted_url = {};
  std::string_view ssl_mode = {};
  bool is_ssl_mode_ours = false;
};
/// Kinds: kAuth, kConfig (unknown host, database, TLS), kConnection (refused, shutting down, no
/// connection free). The text libpq gives holds no password.
Error ErrorFromConnect(std::string_view libpq_text, const ConnectFailure& target);

/// The SQLSTATE in "FATAL:  28P01: password ..."; empty: none there.
std::string_view FindSqlState(std::string_view libpq_text);

}  // namespace sluice::postgres
