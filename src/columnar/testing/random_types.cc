// What is made out of the scalar types: arrays, domains, composites, enums, ranges.
#include <fmt/format.h>

#include "columnar/testing/random_sql.h"
#include "columnar/testing/random_values.h"

namespace sluice::columnar::testing {

RandomType TypeMaker::Make(int depth) {
  const RandomType scalar = scalars_[Below(random_, scalars_.size())];
  if (depth > 2) return scalar;
  switch (Below(random_, 10)) {
    case 0:
    case 1:
    case 2: {
      RandomType element = OneIn(random_, 3) ? Make(depth + 1) : scalar;
      return element.is_array ? element : ArrayOf(std::move(element));
    }
    case 3:
      return Domain(OneIn(random_, 3) ? Make(depth + 1) : scalar);
    case 4:
      return Composite(depth);
    case 5:
      return OneIn(random_, 2) ? Enum() : Range(scalar);
    default:
      return scalar;
  }
}

RandomType TypeMaker::ArrayOf(RandomType element) {
  // An array of vectors would be taken for one of two dimensions.
  if (element.name.ends_with("vector")) return element;
  const std::string name = element.name + "[]";
  const auto value = [name, element](Random& random) {
    RandomValue out;
    std::string items;
    const std::size_t count = Below(random, 6);
    for (std::size_t i = 0; i < count; ++i) {
      RandomValue item = OneIn(random, 5) ? RandomValue{"NULL", false} : element.value(random);
      out.is_misfit = out.is_misfit || item.is_misfit;
      items += (items.empty() ? "" : ", ") + item.sql;
    }
    out.sql = "ARRAY[" + items + "]::" + name;
    if (count == 0 || !OneIn(random, 40)) return out;
    out.is_misfit = true;
    out.sql = OneIn(random, 2)
                  ? fmt::format("ARRAY[ARRAY[{0}], ARRAY[{0}]]::{1}", items, name)
                  : fmt::format("array_fill(({})::{}, ARRAY[2], ARRAY[{}])",
                                element.value(random).sql, element.name, OneIn(random, 2) ? 0 : 2);
    return out;
  };
  return {.name = name, .value = value, .is_array = true};
}

RandomType TypeMaker::Domain(RandomType base) {
  const std::string name = NewName();
  statements_ += "CREATE DOMAIN " + name + " AS " + base.name + ";\n";
  const auto value = [name, base](Random& random) {
    RandomValue out = base.value(random);
    out.sql = "(" + out.sql + ")::" + name;
    return out;
  };
  // Arrays of a domain over an array are written in another way.
  return {.name = name, .value = value, .is_array = base.is_array};
}

RandomType TypeMaker::Composite(int depth) {
  std::vector<RandomType> parts;
  std::string attributes;
  const bool has_dropped = OneIn(random_, 3);
  const std::size_t count = 1 + Below(random_, 4);
  for (std::size_t i = 0; i < count; ++i) {
    parts.push_back(Make(depth + 1));
    attributes += fmt::format("{}\"a {}\" {}", i == 0 ? "" : ", ", i, parts.back().name);
  }
  const std::string name = NewName();
  statements_ += fmt::format("CREATE TYPE {} AS ({}{});\n", name, has_dropped ? "gone int8, " : "",
                             attributes);
  if (has_dropped) statements_ += fmt::format("ALTER TYPE {} DROP ATTRIBUTE gone;\n", name);
  const auto value = [name, parts](Random& random) {
    RandomValue out;
    std::string items;
    for (const RandomType& part : parts) {
      RandomValue item = OneIn(random, 5) ? RandomValue{"NULL", false} : part.value(random);
      out.is_misfit = out.is_misfit || item.is_misfit;
      items += (items.empty() ? "" : ", ") + item.sql;
    }
    out.sql = "ROW(" + items + ")::" + name;
    return out;
  };
  return {.name = name, .value = value};
}

RandomType TypeMaker::Enum() {
  Choices labels;
  std::string list;
  for (std::size_t left = 1 + Below(random_, 4); left > 0; --left) {
    labels.push_back(std::to_string(left) + Text(random_, 10));
    list += (list.empty() ? "" : ", ") + Quoted(labels.back());
  }
  const std::string name = NewName();
  statements_ += "CREATE TYPE " + name + " AS ENUM (" + list + ");\n";
  return Plain(name, [labels](Random& random) { return OneOf(random, labels); });
}

RandomType TypeMaker::Range(const RandomType& bounds) {
  // A subtype has no modifier.
  if (!bounds.has_order || bounds.name.find('(') != std::string::npos) return bounds;
  const std::string name = NewName() + "_range";
  statements_ += "CREATE TYPE " + name + " AS RANGE (subtype = " + bounds.name + ");\n";
  return Expression(name, [bounds, name](Random& random) {
    return RandomValue{RangeOf(bounds, name, random), false};
  });
}

}  // namespace sluice::columnar::testing
