/// \file
/// pg_type as far as tables need it, and from there to how a column is carried.
///
/// Filled by postgres/ from TypeRowsSql() and AttributeRowsSql(), once at the start and again when
/// a Relation message names a type that is not known. Without rows the built-in types resolve.
/// Domains become their base type, arrays and vectors LIST, composites STRUCT, hstore MAP; what is
/// unknown is text (docs/types.md).
///
/// Thread safety: const members from any thread while nobody adds.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "sluice/ids.h"
#include "sluice/result.h"
#include "sluice/schema.h"

namespace sluice::types {

class TypePolicies;
class TableRules;

/// One row of pg_type. Members in the order of TypeRowsSql()'s columns.
struct TypeRow {
  Oid oid = {};
  std::string name = {};  ///< typname
  std::string namespace_name = {};
  char typtype = 'b';  ///< b base, c composite, d domain, e enum, r range, m multirange, p pseudo
  char typcategory = 'U';
  bool is_array = false;  ///< a true array (array_in reads it), of `typelem`
  Oid typelem = {};
  Oid typbasetype = {};         ///< domains
  std::int32_t typtypmod = -1;  ///< domains
  std::uint32_t typrelid = 0;   ///< composites: pg_class.oid
  char typdelim = ',';
  bool has_send = true;        ///< false: the server has no binary form of it
  Oid range_element = {};      ///< r, m: the type of the bounds
  std::string extension = {};  ///< that owns it; empty: none
};

/// One attribute of a composite type. Members in the order of AttributeRowsSql()'s columns.
struct AttributeRow {
  std::uint32_t typrelid = 0;
  std::int16_t attnum = 0;
  std::string name = {};
  Oid type = {};
  std::int32_t typmod = -1;
};

class TypeCatalog {
 public:
  void AddType(TypeRow row);
  /// Ascending by attnum within one typrelid; dropped ones left out.
  void AddAttribute(AttributeRow row);

  bool Contains(Oid oid) const;

  /// How a column of this type is carried. An oid that is neither built in nor added: text, with
  /// the name "type <oid>".
  ///
  /// Errors: kUnsupported (SLU-4120) where types nest too deeply.
  Result<ColumnType> Resolve(Oid oid, std::int32_t typmod) const;

  /// The same with what was declared for this column of this table (type_policies.h).
  /// Errors: also kConfig SLU-4121, the type cannot be kept as declared.
  Result<ColumnType> ResolveColumn(const TableName& table, std::string_view column, Oid oid,
                                   std::int32_t typmod) const;
  /// What becomes of misfits of this column.
  OnMisfit MisfitPolicy(const TableName& table, std::string_view column,
                        const ColumnType& type) const;
  /// Null: nothing was declared.
  void SetPolicies(std::shared_ptr<const TypePolicies> policies) {
    policies_ = std::move(policies);
  }
  /// What was declared for tables: which columns are excluded. Null: nothing.
  void SetRules(std::shared_ptr<const TableRules> rules) { rules_ = std::move(rules); }
  const std::shared_ptr<const TableRules>& rules() const { return rules_; }
  /// The same declarations as those of another catalog of the same database.
  void TakeDeclared(const TypeCatalog& other) {
    policies_ = other.policies_;
    rules_ = other.rules_;
  }

 private:
  Result<ColumnType> Resolve(Oid oid, std::int32_t typmod, int depth) const;
  bool IsSent(Oid oid, const ColumnType& type) const;
  Result<ColumnType> ResolveRow(const TypeRow& row, std::int32_t typmod, int depth) const;
  Result<ColumnType> ResolveComposite(const TypeRow& row, int depth) const;

  std::unordered_map<Oid, TypeRow> types_;
  std::unordered_map<std::uint32_t, std::vector<AttributeRow>> attributes_;
  std::shared_ptr<const TypePolicies> policies_;
  std::shared_ptr<const TableRules> rules_;
};

/// SELECT that gives TypeRow's members in order; works on 14 and later; types that no column can
/// have (shells, tables' row types nobody uses as a column type are kept: they are composites).
std::string_view TypeRowsSql();
/// SELECT that gives AttributeRow's members in order, for every composite type.
std::string_view AttributeRowsSql();

/// True where the type and all it contains have a codec.
bool HasCodec(const ColumnType& type);

}  // namespace sluice::types
