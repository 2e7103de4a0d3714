/// \file
/// Pieces of catalog SQL that several queries share. They rely on search_path = pg_catalog.
#pragma once

#include <string_view>

namespace sluice::postgres {

/// An expression over pg_class `c`: 'u' usable, 'm' missing, 'n' nothing, 'b' broken. What the
/// server itself asks before it lets an UPDATE of a published table through (T40).
inline constexpr std::string_view kIdentityStateSql = R"(
  CASE c.relreplident WHEN 'f' THEN 'u' WHEN 'n' THEN 'n' ELSE coalesce(
    (SELECT CASE WHEN i.indisvalid AND i.indimmediate AND i.indisunique AND i.indpred IS NULL
        AND i.indexprs IS NULL AND NOT EXISTS (
          SELECT FROM unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) k
          JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k WHERE NOT a.attnotnull)
      THEN 'u' ELSE 'b' END
    FROM pg_index i WHERE i.indrelid = c.oid
      AND CASE c.relreplident WHEN 'd' THEN i.indisprimary ELSE i.indisreplident END
    ORDER BY i.indisvalid DESC LIMIT 1),
    CASE c.relreplident WHEN 'd' THEN 'm' ELSE 'b' END) END)";

}  // namespace sluice::postgres
