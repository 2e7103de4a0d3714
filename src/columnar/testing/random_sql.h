/// \file
/// Pieces of random SQL that scalar types and composed ones share. Behind random_values.h.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "columnar/testing/random_values.h"

namespace sluice::columnar::testing {

using Choices = std::vector<std::string>;

std::string Quoted(std::string_view text);
const std::string& OneOf(Random& random, const Choices& choices);
/// Characters of every plane, and those that quoting rules care about.
std::string Text(Random& random, std::size_t characters_max);

/// A type whose values are quoted texts.
RandomType Plain(std::string name, std::function<std::string(Random&)> text,
                 bool has_order = false);
RandomType Expression(std::string name, std::function<RandomValue(Random&)> value,
                      bool has_order = false);
/// A range by its constructor function, which has the range's name; the bounds are put in order.
std::string RangeOf(const RandomType& bounds, const std::string& constructor, Random& random);

}  // namespace sluice::columnar::testing
