/// \file
/// Owners of libpq's handles. No other file names PQfinish, PQclear or PQfreemem.
#pragma once

#include <libpq-fe.h>

#include <memory>

namespace sluice::postgres {

struct FreeConnection {
  void operator()(PGconn* connection) const noexcept { PQfinish(connection); }
};
struct FreeResult {
  void operator()(PGresult* result) const noexcept { PQclear(result); }
};
struct FreeMemory {
  void operator()(char* memory) const noexcept { PQfreemem(memory); }
};
struct FreeCancel {
  void operator()(PGcancel* cancel) const noexcept { PQfreeCancel(cancel); }
};
struct FreeConninfo {
  void operator()(PQconninfoOption* options) const noexcept { PQconninfoFree(options); }
};

using ConnectionHandle = std::unique_ptr<PGconn, FreeConnection>;
using ResultHandle = std::unique_ptr<PGresult, FreeResult>;
using MemoryHandle = std::unique_ptr<char, FreeMemory>;
using CancelHandle = std::unique_ptr<PGcancel, FreeCancel>;
using ConninfoHandle = std::unique_ptr<PQconninfoOption, FreeConninfo>;

}  // namespace sluice::postgres
