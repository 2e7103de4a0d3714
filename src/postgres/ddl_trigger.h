/// \file
/// The event triggers that tell of schema changes, for whoever wants them: a transactional logical
/// message in the very transaction that alters, creates or drops a table. pgoutput sends it in its
/// place, so the stream knows when it has passed that transaction.
///
/// They are shared by the pipelines of a database, made only when asked for, and emit only: their
/// function catches every error, so that a statement of the user never fails because of it. It runs
/// with the rights of whoever alters. What a message says is not relied on, as anybody may emit
/// one: it counts that a transaction is seen, and the catalog says what that one did
/// (replication/schema_versions.h, IsInForce()).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "sluice/result.h"

#include "postgres/connection.h"

namespace sluice::postgres {

/// The prefix of the messages.
inline constexpr std::string_view kDdlMessagePrefix = "sluice_ddl";

struct DdlTrigger {
  bool is_current = false;         ///< all of it is there, enabled, and as this version makes it
  bool is_ours_to_remove = false;  ///< our role owns it, directly or by membership
  std::string owner;
};

/// nullopt: there is none in this database.
Result<std::optional<DdlTrigger>> ReadDdlTrigger(Connection& connection);

/// One transaction that makes it, or makes it anew, and how to remove it again.
std::string InstallDdlTriggerSql(int server_version);
std::string RemoveDdlTriggerSql();

/// Errors: kAuth SLU-2116 (event triggers take a superuser, or what a managed service has for it).
Status InstallDdlTrigger(Connection& connection);
/// Not an error when it is not there. Errors: kAuth SLU-2116 (it is another role's).
Status RemoveDdlTrigger(Connection& connection);

}  // namespace sluice::postgres
