/// \file
/// Quoting for SQL and for the replication commands. Pure; always quotes.
///
/// A zero byte cannot be quoted; Connection::Exec() refuses a statement that holds one.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "sluice/ids.h"

namespace sluice::postgres {

/// "name", inner quotes doubled.
std::string QuoteIdentifier(std::string_view name);
/// "schema"."table".
std::string QuoteTable(const TableName& name);
/// 'text'; E'text' where it holds a backslash, so that standard_conforming_strings does not matter.
std::string QuoteLiteral(std::string_view text);
/// 'text' for the replication grammar, which has no E'' and takes backslashes as they are.
std::string QuoteReplicationLiteral(std::string_view text);
/// The value of START_REPLICATION's publication_names: identifiers quoted inside a list inside a
/// replication literal (T39).
std::string QuotePublicationNames(std::span<const std::string> names);
/// A one-dimensional text array as a parameter's text: {"a","b"}.
std::string ArrayLiteral(std::span<const std::string> elements);

}  // namespace sluice::postgres
