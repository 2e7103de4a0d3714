/// \file
/// Why a table stopped, as `tables` and sluice.tables tell it: the error's code and message, and
/// behind them the key of the row, which holds values and therefore stands nowhere else.
#pragma once

#include <string>
#include <string_view>

#include "sluice/result.h"

namespace sluice::base {

/// "SLU-4104: column amount (numeric(10,2)): ...; row (id)=(2)". The key stands in server_message
/// of kConversion errors.
std::string ReasonText(const Error& error);

/// The same without the row's key: for logs and for HTTP, which carry no row data.
std::string_view WithoutRowKey(std::string_view reason);

}  // namespace sluice::base
