/// \file
/// The default state store: one SQLite file a pipeline, STATE/NAME.state.
///
/// WAL mode, synchronous FULL: a commit is on disk at return. The file carries a format number;
/// a newer one is refused (SLU-5103). Errors: SLU-5101 not a database or damaged, SLU-5102 the file
/// cannot be opened or written, SLU-5104 locked by another process, SLU-5106 disk full, SLU-5107
/// another pipeline's or another source's, SLU-5108 any other refusal by SQLite.
#pragma once

#include <memory>
#include <string>

#include "stores/state_store.h"

namespace sluice::stores {

/// Does no I/O.
std::unique_ptr<StateStore> MakeSqliteStateStore(std::string path);

}  // namespace sluice::stores
