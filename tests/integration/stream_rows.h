/// \file
/// What pgoutput says of one row, read without our decoder: tests feed it to the builders and hold
/// the result against the server.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pgoutput/tuple.h"

namespace sluice::tests {

/// One change as the stream has it; the cells view the message.
struct StreamRow {
  char kind = ' ';  ///< I, U or D
  std::uint32_t relation = 0;
  int id = 0;  ///< the first cell, of the new row where there is one
  std::vector<pgoutput::TupleCell> row;
  std::vector<pgoutput::TupleCell> old;
};

/// nullopt: no row. A message that is not whole fails the running test.
std::optional<StreamRow> ReadStreamRow(std::string_view message);

/// The value of a cell of type int4.
int IntegerOf(const pgoutput::TupleCell& cell);

std::string FromHex(std::string_view hex);

}  // namespace sluice::tests
