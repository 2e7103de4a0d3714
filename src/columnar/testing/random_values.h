/// \file
/// Random types of PostgreSQL and random values of them, as SQL: the values that break decoders
/// come more often than their share.
///
/// What is generated depends on seed, server version and extensions only.
#pragma once

#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace sluice::columnar::testing {

using Random = std::mt19937_64;

/// [0, count)
std::size_t Below(Random& random, std::size_t count);
/// [low, high]
std::int64_t Between(Random& random, std::int64_t low, std::int64_t high);
/// One time in `count`.
bool OneIn(Random& random, std::size_t count);

struct RandomValue {
  std::string sql;         ///< an expression of the type, NULL without one
  bool is_misfit = false;  ///< has no exact carrier
};

struct RandomType {
  std::string name;  ///< as CREATE TABLE takes it
  std::function<RandomValue(Random&)> value;
  bool is_array = false;
  bool has_order = false;  ///< least() and a range take it
};

/// Every scalar type; `server`: major version. Without extensions.
std::vector<RandomType> ScalarTypes(int server);
/// Of contrib, for those of `extensions`.
std::vector<RandomType> ExtensionTypes(const std::vector<std::string>& extensions);
/// Types that are only understood as text.
std::vector<RandomType> TextOnlyTypes();

/// Makes types out of others: arrays, domains, composites, enums, ranges.
class TypeMaker {
 public:
  TypeMaker(std::vector<RandomType> scalars, Random& random)
      : scalars_(std::move(scalars)), random_(random) {}

  RandomType Make(int depth = 0);
  /// What made the types, to be run before they are used.
  const std::string& statements() const { return statements_; }

 private:
  RandomType ArrayOf(RandomType element);
  RandomType Domain(RandomType base);
  RandomType Composite(int depth);
  RandomType Enum();
  RandomType Range(const RandomType& bounds);
  std::string NewName() { return "made_" + std::to_string(++made_); }

  std::vector<RandomType> scalars_;
  Random& random_;
  std::string statements_;
  int made_ = 0;
};

}  // namespace sluice::columnar::testing
