/// \file
/// The pipeline's publication: made, kept to the selection, read and removed.
///
/// Ours is called sluice_NAME, holds exactly the tables that have a usable identity, publishes
/// through partition roots, and carries the pipeline's generation as its comment. A user's
/// publication is read as it is and never altered.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/ids.h"
#include "sluice/result.h"

#include "postgres/connection.h"

namespace sluice::postgres {

struct Publication {
  Oid oid;
  std::string name;
  std::string owner;
  bool is_ours_to_alter = false;
  bool is_all_tables = false;
  bool publishes_insert = true;
  bool publishes_update = true;
  bool publishes_delete = true;
  bool publishes_truncate = true;
  bool is_via_root = false;
  bool publishes_generated = false;  ///< 18: publish_generated_columns = stored
  std::string comment;               ///< of ours: "sluice generation <uuid>"

  bool publishes_everything() const {
    return publishes_insert && publishes_update && publishes_delete && publishes_truncate;
  }
};

struct PublishedTable {
  RelationId relation;
  TableName name;
  /// pg_publication_rel.oid, or that of its schema's membership; 0: by FOR ALL TABLES (T33).
  std::uint32_t entry = 0;
  bool has_row_filter = false;
  bool has_column_list = false;
};

/// nullopt: there is none of that name in this database.
Result<std::optional<Publication>> ReadPublication(Connection& connection, std::string_view name);
/// What the server says is in it (partitions folded into the root where it publishes so).
Result<std::vector<PublishedTable>> ReadPublishedTables(Connection& connection,
                                                        std::string_view name);

/// Creates ours with `tables` and the comment, in one transaction. The caller chose tables with a
/// usable identity. Errors: kAuth SLU-2010 (not owner, no CREATE), kTimeout SLU-2017.
Status CreatePublication(Connection& connection, std::string_view name, std::string_view generation,
                         std::span<const TableName> tables);
/// Brings ours from what it holds to `wanted`. One ALTER a table, each with the lock timeout; a
/// table that cannot be locked is in `not_done`, and the caller tries again.
struct MembershipChange {
  std::vector<TableName> added;
  std::vector<TableName> removed;
  std::vector<std::pair<TableName, Error>> not_done;
};
struct WantedTable {
  RelationId relation;
  TableName name;
};
Result<MembershipChange> KeepPublication(Connection& connection, std::string_view name,
                                         std::span<const WantedTable> wanted,
                                         Duration lock_timeout);
/// One of ours joins or leaves; the lock on the table is waited for at most `lock_timeout`.
/// Errors: kTimeout (the lock), kConfig (the table is gone), kAuth, of the connection.
Status AddToPublication(Connection& connection, std::string_view name, const TableName& table,
                        Duration lock_timeout);
Status DropFromPublication(Connection& connection, std::string_view name, const TableName& table,
                           Duration lock_timeout);
/// Not an error when it is not there.
Status DropPublication(Connection& connection, std::string_view name);

/// The generation in a comment, or empty.
std::string_view GenerationOf(std::string_view comment);
std::string GenerationComment(std::string_view generation);

/// Published tables whose UPDATE or DELETE fails at the source now, or that are no longer there.
struct LostIdentity {
  RelationId relation;
  TableName name;
  std::string reason;  ///< "primary key dropped"
};
/// Read every 5 s. Partitions are looked at too: one without identity breaks its own writes.
Result<std::vector<LostIdentity>> FindLostIdentities(Connection& connection,
                                                     std::string_view publication);

}  // namespace sluice::postgres
