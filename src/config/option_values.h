/// \file
/// From the text of one option to its value; errors name where the text came from and what is
/// allowed. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/result.h"

#include "config/options.h"

namespace sluice::config {

/// One setting of one table.
struct GivenTable {
  std::string name;
  std::string key;
  std::vector<std::string> values;
  std::string origin;  ///< "shop.yaml:7: tables.public.orders.mode"
};

/// What one option was given, and by whom.
struct Given {
  const OptionSpec* option = nullptr;
  std::vector<std::string> values;
  /// "--batch-rows", "SLUICE_BATCH_ROWS", "shop.yaml:7: batch_rows".
  std::string origin;
  bool is_flag = false;
  /// Of a kTables key, with an origin for each in the place of its line.
  std::vector<GivenTable> tables = {};

  const std::string& value() const { return values.back(); }
};

/// SLU-1001; the value is shown unless the option is secret.
Error NotAllowed(const Given& given);

Result<std::size_t> NumberOf(const Given& given, std::size_t least, std::size_t most);
Result<std::size_t> SizeOf(const Given& given, std::size_t least, std::size_t most);
Result<Duration> DurationOf(const Given& given, Duration most);
/// One of the words of OptionSpec::range.
Result<std::string> ChoiceOf(const Given& given);
Result<bool> FlagOf(const Given& given);
Result<Lsn> LsnOf(const Given& given);
Result<engine::Until> UntilOf(const Given& given);
Result<HttpOptions> HttpOf(const Given& given);

/// "a,b" to a and b; commas in double quotes stay.
std::vector<std::string> SplitList(std::string_view text);

/// The source with this password, whatever its form.
std::string WithPassword(const std::string& source, std::string_view password);

}  // namespace sluice::config
