/// \file
/// The pipeline's publication: made, kept to the selection, read and removed.
///
/// Ours is called sluice_NAME, holds exactly the tables that have a usable identity, publishes
/// through partition roots, and carries the pipeline's generation as its comment. Tables that are
/// only appended to are in a companion, sluice_NAME_append, with the same comment, which publishes
/// INSERT and nothing else. It is made with ours, or later, and says then in its comment from where
/// on it may be read: the server looks it up as of the change that it decodes, and fails where it
/// was not there yet. A user's publication is read as it is and never altered.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/ids.h"
#include "sluice/lsn.h"
#include "sluice/result.h"

#include "postgres/connection.h"

namespace sluice::postgres {

/// Of a publication of ours: the one for tables that are appended to.
struct Companion {
  Oid oid;
  /// Whatever commits from here on was begun when it was there; 0: whatever the slot has. nullopt:
  /// not known yet, and it may not be read.
  std::optional<Lsn> since;

  bool may_be_read_from(Lsn start) const { return since && *since <= start; }
};

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
  std::optional<Companion> companion;

  bool publishes_everything() const {
    return publishes_insert && publishes_update && publishes_delete && publishes_truncate;
  }
};

struct PublishedTable {
  RelationId relation;
  TableName name;
  /// A hash, another one where changes may have been left out meanwhile: of the publication's own
  /// row, which says what it publishes, and of `membership`.
  std::uint32_t entry = 0;
  /// Another number where it left and came back: pg_publication_rel.oid, or that of its schema's
  /// membership; 0: by FOR ALL TABLES (T33). Of partitions and partitioned tables in a publication
  /// of the user's a hash: of how they are attached, of what holds their ancestors, and of the
  /// publication's own row. Older files have it as the table's entry.
  std::uint32_t membership = 0;
  bool has_row_filter = false;
  bool has_column_list = false;
  bool is_append = false;  ///< by the companion

  /// A table that is stored with `known`, 0: with nothing, is as it was; or nobody can tell.
  bool is_as_in(std::uint32_t known) const {
    return known == 0 || known == entry || known == membership;
  }
};

/// The longest name of ours that may have a companion.
inline constexpr std::size_t kCompanionNameMax = 63 - 7;
std::string CompanionOf(std::string_view publication);

/// nullopt: there is none of that name in this database.
Result<std::optional<Publication>> ReadPublication(Connection& connection, std::string_view name);
/// What the server says is in it, and in its companion (partitions folded into the root where it
/// publishes so).
Result<std::vector<PublishedTable>> ReadPublishedTables(Connection& connection,
                                                        std::string_view name);

/// What ours begins with. The caller chose tables with a usable identity, those that are appended
/// to apart.
struct PublicationContents {
  std::vector<TableName> tables;
  std::vector<TableName> append;
  bool has_companion = false;
};
/// Creates ours with the comment, in one transaction. Errors: kAuth SLU-2010 (not owner, no
/// CREATE), kTimeout SLU-2017.
Status CreatePublication(Connection& connection, std::string_view name, std::string_view generation,
                         const PublicationContents& contents, std::stop_token stop = {});
/// The companion of a publication that has none: empty, and not to be read yet. Errors: as
/// CreatePublication(); kConfig where a publication of that name is there.
Status CreateCompanion(Connection& connection, std::string_view name, std::string_view generation,
                       std::stop_token stop = {});
/// It may be read from `since` on.
Status SetCompanionSince(Connection& connection, std::string_view name, std::string_view generation,
                         Lsn since, std::stop_token stop = {});
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
  bool is_append = false;
};
Result<MembershipChange> KeepPublication(Connection& connection, std::string_view name,
                                         std::span<const WantedTable> wanted, Duration lock_timeout,
                                         std::stop_token stop = {});
/// One of ours joins or leaves the publication called `name`, which may be the companion; the lock
/// on the table is waited for at most `lock_timeout`. Errors: kTimeout (the lock), kConfig (the
/// table is gone), kAuth, of the connection.
Status AddToPublication(Connection& connection, std::string_view name, const TableName& table,
                        Duration lock_timeout, std::stop_token stop = {});
Status DropFromPublication(Connection& connection, std::string_view name, const TableName& table,
                           Duration lock_timeout, std::stop_token stop = {});
/// With its companion. Not an error when it is not there. A standby sees that later.
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
