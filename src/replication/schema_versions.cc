#include "replication/schema_versions.h"

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "replication/partition_changes.h"
#include "types/hidden_columns.h"

namespace sluice::replication {
namespace {

constexpr Oid kText{25};
constexpr Oid kVarchar{1043};
constexpr Oid kVarbit{1562};
constexpr Oid kNumeric{1700};
constexpr std::uint32_t kFirstUserOid = 16'384;
constexpr std::string_view kLabelRenamed = "a label of an enum was renamed";

// time, timestamp, timestamptz, timetz: the modifier is a number of digits.
bool HasPrecision(Oid oid) {
  return oid == Oid{1083} || oid == Oid{1114} || oid == Oid{1184} || oid == Oid{1266};
}

/// The catalog row of a shared column was written anew since.
bool WasAltered(const Column& from, const Column& to) {
  return from.altered_by != 0 && to.altered_by != 0 && from.altered_by != to.altered_by;
}

/// Also back to the name that it had.
bool WasLabelRenamed(const CatalogFacts& from, const CatalogFacts& to) {
  return std::ranges::any_of(from.labels, [&](const EnumLabel& label) {
    const auto found = std::ranges::find(to.labels, label.oid, &EnumLabel::oid);
    if (found == to.labels.end()) return false;
    const bool is_known = label.written_by != 0 && found->written_by != 0;
    return found->text != label.text || (is_known && found->written_by != label.written_by);
  });
}

/// What a rewrite may have done, that no message carries. Empty: nothing.
std::string RewriteReason(const TableSchema& from, const TableSchema& to,
                          const std::vector<std::optional<std::size_t>>& origins) {
  if (HasPartitions(from.facts.files) || HasPartitions(to.facts.files))
    return PartitionChange(from.facts.files, to.facts.files);
  if (from.facts.files.empty() || to.facts.files.empty() || from.facts.files == to.facts.files)
    return {};
  for (std::size_t i = 0; i < to.columns.size(); ++i) {
    const Column& column = to.columns[i];
    if (!origins[i]) return "its rows were rewritten when column " + column.name + " was added";
    if (WasAltered(from.columns[*origins[i]], column))
      return "its rows were rewritten when column " + column.name + " was altered";
  }
  return {};
}

/// A column that finds rows now had values that were let go, maybe.
std::string LostKeyReason(const TableSchema& from, const TableSchema& to,
                          const std::vector<std::optional<std::size_t>>& origins) {
  for (const std::int32_t index : to.key) {
    const auto& origin = origins[static_cast<std::size_t>(index)];
    if (!origin || from.columns[*origin].on_misfit == OnMisfit::kHalt) continue;
    const bool was_key = std::find(from.key.begin(), from.key.end(),
                                   static_cast<std::int32_t>(*origin)) != from.key.end();
    if (!was_key)
      return "column " + from.columns[*origin].name + ", which on_misfit let be NULL, became a key";
  }
  return {};
}

std::string CopyReason(const TableSchema& from, const TableSchema& to,
                       const std::vector<std::optional<std::size_t>>& origins) {
  // Labels are what is stored here; at the source only their numbers are. First, for who asks
  // WaitsForOlderWriters().
  if (WasLabelRenamed(from.facts, to.facts)) return std::string(kLabelRenamed);
  for (std::size_t i = 0; i < to.columns.size(); ++i) {
    const Column& column = to.columns[i];
    if (!origins[i]) {
      const bool is_older = column.attnum != 0 && column.attnum <= from.facts.attnum_max;
      if (is_older) return "column " + column.name + " was there before it was published";
      continue;
    }
    const Column& before = from.columns[*origins[i]];
    if (!KeepsValues(before.type, column.type))
      return "column " + column.name + " was " + before.type.name + " and is " + column.type.name;
  }
  if (std::string reason = RewriteReason(from, to, origins); !reason.empty()) return reason;
  if (std::string reason = LostKeyReason(from, to, origins); !reason.empty()) return reason;
  return {};
}

/// Bytes a value takes in a row of the source; 0: any. A column can only become one of another size
/// by a rewrite.
int StoredSize(const ColumnType& type) {
  if (type.oid.value >= kFirstUserOid) return 0;
  static constexpr auto kSizes = std::to_array<std::pair<std::uint32_t, int>>(
      {{16, 1},   {18, 1},   {19, 64},   {20, 8},    {21, 2},    {23, 4},   {26, 4},
       {700, 4},  {701, 8},  {790, 8},   {829, 6},   {774, 8},   {1082, 4}, {1083, 8},
       {1114, 8}, {1184, 8}, {1186, 16}, {1266, 12}, {2950, 16}, {3220, 8}, {600, 16},
       {601, 32}, {603, 32}, {628, 24},  {718, 24}});
  for (const auto& [oid, size] : kSizes) {
    if (type.oid.value == oid) return size;
  }
  return -1;
}

bool MayBeSame(const ColumnType& a, const ColumnType& b) {
  const int left = StoredSize(a);
  const int right = StoredSize(b);
  return left == 0 || right == 0 || left == right;
}

/// Which numbers the columns of a message have: counts the assignments that fit, up to two.
class Placement {
 public:
  Placement(const TableSchema& known, const TableSchema& catalog, const TableSchema& described)
      : described_(described) {
    for (const Column& column : known.columns) {
      candidates_.push_back({&column, !Has(catalog, column.attnum), false});
    }
    for (const Column& column : catalog.columns) {
      if (Has(known, column.attnum)) continue;
      candidates_.push_back({&column, true, true});
    }
    std::sort(candidates_.begin(), candidates_.end(), [](const Candidate& a, const Candidate& b) {
      return a.column->attnum < b.column->attnum;
    });
    // Numbers given out since and taken back: columns of which nothing is known any more.
    for (int number = known.facts.attnum_max + 1; number <= catalog.facts.attnum_max; ++number) {
      if (!Has(catalog, static_cast<std::int16_t>(number))) has_gap_ = true;
    }
  }

  /// Per described column; empty: none fits, or more than one.
  std::vector<const Column*> Find() {
    Try(0, 0, true);
    return found_count_ == 1 ? best_ : std::vector<const Column*>{};
  }
  bool has_gap() const { return has_gap_; }

 private:
  struct Candidate {
    const Column* column;
    bool is_optional;
    bool is_added;
  };

  static bool Has(const TableSchema& schema, std::int16_t attnum) {
    return std::any_of(schema.columns.begin(), schema.columns.end(),
                       [&](const Column& column) { return column.attnum == attnum; });
  }

  /// `takes_added`: no added column was left out yet; they come in the order of their numbers.
  void Try(std::size_t candidate, std::size_t column, bool takes_added) {
    if (found_count_ > 1 || ++steps_ > kStepsMax) {
      found_count_ = 2;
      return;
    }
    const std::size_t left = described_.columns.size() - column;
    if (left > candidates_.size() - candidate) return;
    if (candidate == candidates_.size()) {
      ++found_count_;
      best_ = chosen_;
      return;
    }
    const Candidate& next = candidates_[candidate];
    const bool may_take = left > 0 && (!next.is_added || takes_added) &&
                          MayBeSame(next.column->type, described_.columns[column].type);
    if (may_take) {
      chosen_.push_back(next.column);
      Try(candidate + 1, column + 1, takes_added);
      chosen_.pop_back();
    }
    if (next.is_optional) Try(candidate + 1, column, takes_added && !next.is_added);
  }

  static constexpr int kStepsMax = 100'000;
  const TableSchema& described_;
  std::vector<Candidate> candidates_;
  std::vector<const Column*> chosen_;
  std::vector<const Column*> best_;
  int found_count_ = 0;
  int steps_ = 0;
  bool has_gap_ = false;
};

bool IsNumbered(const TableSchema& schema) {
  return std::all_of(schema.columns.begin(), schema.columns.end(),
                     [](const Column& column) { return column.attnum != 0; });
}

bool IsPlacedAs(const std::vector<const Column*>& placed, const TableSchema& schema) {
  return std::equal(placed.begin(), placed.end(), schema.columns.begin(), schema.columns.end(),
                    [](const Column* a, const Column& b) { return a->attnum == b.attnum; });
}

/// Under FULL the message does not tell the primary key: the known one, where it is still whole;
/// without it rows are matched as a whole, which is exact as well.
void SetKey(TableSchema* schema, const TableSchema& known, const TableSchema& catalog) {
  schema->key = schema->identity_columns;
  if (schema->identity != ReplicaIdentity::kFull) return;
  schema->key.clear();
  const auto numbers = [](const TableSchema& of) {
    std::vector<std::int16_t> out;
    for (const std::int32_t index : of.key)
      out.push_back(of.columns[static_cast<std::size_t>(index)].attnum);
    std::sort(out.begin(), out.end());
    return out;
  };
  if (known.identity != ReplicaIdentity::kFull || catalog.identity != ReplicaIdentity::kFull ||
      numbers(known) != numbers(catalog))
    return;
  const std::vector<std::int16_t> key = numbers(known);
  for (std::size_t i = 0; i < schema->columns.size(); ++i) {
    if (std::binary_search(key.begin(), key.end(), schema->columns[i].attnum))
      schema->key.push_back(static_cast<std::int32_t>(i));
  }
  if (schema->key.size() != key.size()) schema->key.clear();
}

}  // namespace

bool KeepsValues(const ColumnType& from, const ColumnType& to) {
  if (from == to) return true;
  if (from.carrier != to.carrier) return false;
  const bool widens = to.typmod == -1 || (from.typmod != -1 && to.typmod >= from.typmod);
  if (from.oid == kNumeric && to.oid == kNumeric) {
    return from.carrier == Carrier::kDecimal && to.carrier == Carrier::kDecimal &&
           from.scale == to.scale && from.precision <= to.precision;
  }
  if (from.oid == to.oid && HasPrecision(from.oid)) return widens;
  if (from.oid == to.oid) return (from.oid == kVarchar || from.oid == kVarbit) && widens;
  const auto is_string = [](const ColumnType& type) {
    return type.oid == kText || type.oid == kVarchar;
  };
  return is_string(from) && is_string(to) && to.typmod == -1;
}

SchemaComparison CompareVersions(const TableSchema& from, const TableSchema& to) {
  const auto origins = ColumnOrigins(from, to);
  if (std::string reason = CopyReason(from, to, origins); !reason.empty())
    return {SchemaChange::kCopyAgain, std::move(reason)};
  const bool is_same = ChangesBetween(from, to).empty() &&
                       from.identity_columns.size() == to.identity_columns.size();
  return {is_same ? SchemaChange::kNone : SchemaChange::kInPlace, {}};
}

bool LooksSame(const TableSchema& a, const TableSchema& b) {
  return a.identity == b.identity &&
         std::equal(a.columns.begin(), a.columns.end(), b.columns.begin(), b.columns.end(),
                    [](const Column& x, const Column& y) {
                      return x.name == y.name && x.type == y.type && x.is_identity == y.is_identity;
                    });
}

Result<std::shared_ptr<TableSchema>> DescribedBy(const pgoutput::Relation& relation,
                                                 const types::TypeCatalog& types) {
  auto schema = std::make_shared<TableSchema>();
  schema->relation = relation.id;
  schema->name = relation.name;
  schema->identity = relation.identity;
  for (const pgoutput::RelationColumn& sent : relation.columns) {
    Column column;
    column.name = sent.name;
    SLUICE_ASSIGN_OR_RETURN(column.type,
                            types.ResolveColumn(relation.name, sent.name, sent.type, sent.typmod));
    column.on_misfit = types.MisfitPolicy(relation.name, sent.name, column.type);
    column.is_identity = sent.is_identity;
    if (sent.is_identity)
      schema->identity_columns.push_back(static_cast<std::int32_t>(schema->columns.size()));
    schema->columns.push_back(std::move(column));
  }
  if (relation.identity != ReplicaIdentity::kFull) schema->key = schema->identity_columns;
  const bool is_append =
      types.rules() && types.rules()->For(relation.name).mode == types::TableMode::kAppend;
  if (is_append) types::ForgetIdentity(*schema);
  return schema;
}

SchemaPtr PlaceVersion(const SchemaPtr& known, const SchemaPtr& catalog,
                       const TableSchema& described) {
  if (!IsNumbered(*known)) return LooksSame(*catalog, described) ? catalog : nullptr;
  Placement placement(*known, *catalog, described);
  const std::vector<const Column*> placed = placement.Find();
  if (placed.size() != described.columns.size() || placed.empty()) return nullptr;
  if (placement.has_gap()) {
    // One of the forgotten columns may stand in the place of a known one, unless there are as few
    // columns as there ever were.
    const auto dropped = static_cast<std::size_t>(
        std::count_if(known->columns.begin(), known->columns.end(), [&](const Column& column) {
          return std::none_of(catalog->columns.begin(), catalog->columns.end(),
                              [&](const Column& c) { return c.attnum == column.attnum; });
        }));
    if (placed.size() + dropped != known->columns.size()) return nullptr;
  }
  if (IsPlacedAs(placed, *catalog) && LooksSame(*catalog, described)) return catalog;
  if (IsPlacedAs(placed, *known) && LooksSame(*known, described)) return known;
  auto version = std::make_shared<TableSchema>(described);
  version->since = catalog->since;
  version->facts = known->facts;
  version->facts.stamp.clear();
  for (std::size_t i = 0; i < placed.size(); ++i) {
    Column& column = version->columns[i];
    column.attnum = placed[i]->attnum;
    column.is_nullable = placed[i]->is_nullable;
    column.missing_value = placed[i]->missing_value;
    column.altered_by = placed[i]->altered_by;
    version->facts.attnum_max = std::max(version->facts.attnum_max, column.attnum);
  }
  SetKey(version.get(), *known, *catalog);
  return version;
}

bool IsInForce(const TableSchema& known, std::span<const ColumnAlteration> all,
               const std::function<bool(std::uint32_t)>& has_passed) {
  if (!IsNumbered(known)) return false;
  return std::all_of(all.begin(), all.end(), [&](const ColumnAlteration& column) {
    const auto found = std::find_if(known.columns.begin(), known.columns.end(),
                                    [&](const Column& c) { return c.attnum == column.attnum; });
    const bool is_published = found != known.columns.end();
    // Gone before, or not published: as it was.
    if (!is_published && column.attnum <= known.facts.attnum_max) return true;
    if (is_published && found->altered_by == column.altered_by) return true;
    return has_passed(column.altered_by);
  });
}

Error CopyAgainError(const std::string& reason) {
  return {.kind = ErrorKind::kSchemaConflict,
          .message = "schema changed: " + reason,
          .code = "SLU-4207"};
}

bool IsHealedByCopy(const Error& error) {
  static constexpr auto kCodes =
      std::to_array<std::string_view>({"SLU-4202", "SLU-4207", "SLU-5027", "SLU-5028", "SLU-5113"});
  return std::find(kCodes.begin(), kCodes.end(), error.code) != kCodes.end();
}

bool WaitsForOlderWriters(const Error& error) {
  return error.code == "SLU-4207" && error.message.ends_with(kLabelRenamed);
}

}  // namespace sluice::replication
