/// \file
/// Pieces of catalog SQL that several queries share. They rely on search_path = pg_catalog.
#pragma once

#include <string_view>

namespace sluice::postgres {

/// An expression over pg_class `c`: 'u' usable, 'm' missing, 'n' nothing, 'b' broken, 'g' and 'v'
/// with a generated column (stored; one of them virtual) in it. What the server itself asks before
/// it lets an UPDATE of a published table through (T40): from 18 on it refuses one whose identity
/// has a column that is not published. Before 18 a whole row goes without such columns, but a key
/// without one of its columns finds no row.
inline constexpr std::string_view kIdentityStateSql = R"(
  CASE c.relreplident WHEN 'f' THEN
    CASE WHEN current_setting('server_version_num')::int < 180000 THEN 'u' ELSE coalesce(
      (SELECT CASE WHEN bool_or(a.attgenerated = 'v') THEN 'v' ELSE 'g' END FROM pg_attribute a
       WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated <> ''
       HAVING count(*) > 0), 'u') END
  WHEN 'n' THEN 'n' ELSE coalesce(
    (SELECT CASE WHEN i.indisvalid AND i.indimmediate AND i.indisunique AND i.indpred IS NULL
        AND i.indexprs IS NULL AND NOT EXISTS (
          SELECT FROM unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) k
          JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k WHERE NOT a.attnotnull)
      THEN CASE WHEN EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid
        AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]) AND a.attgenerated <> '')
        THEN 'g' ELSE 'u' END
      ELSE 'b' END
    FROM pg_index i WHERE i.indrelid = c.oid
      AND CASE c.relreplident WHEN 'd' THEN i.indisprimary ELSE i.indisreplident END
    ORDER BY i.indisvalid DESC LIMIT 1),
    CASE c.relreplident WHEN 'd' THEN 'm' ELSE 'b' END) END)";

}  // namespace sluice::postgres
