/// \file
/// What a run makes of what it finds before its first byte and at its end: pure, but for one last
/// look at the slot.
#pragma once

#include <vector>

#include "sluice/delivery_state.h"
#include "sluice/result.h"

#include "engine/options.h"
#include "engine/status.h"
#include "postgres/preflight.h"
#include "postgres/source_url.h"

namespace sluice::pipeline {

/// The exit code of an error. \param has_begun the first byte was touched \param is_born the
/// destination holds a position, which source and slot do not fit where the code is SLU-30nn.
int ExitCodeFor(const Error& error, bool has_begun, bool is_born);

/// What only matters while nothing was copied: a pipeline may be made at all, the destination holds
/// no copy of `sluice copy` that would be replaced unasked, every table that was named can be
/// replicated, and there is something to replicate. \param of_named what was found of named tables
/// Errors: kConfig SLU-1031, SLU-1038, those of `of_named`, SLU-2048.
Status JudgeFirstRun(const engine::PipelineOptions& options, const DeliveryState& restored,
                     const std::vector<postgres::PlannedTable>& planned,
                     const std::vector<postgres::Finding>& of_named);
/// The last of these alone: SLU-2048.
Status JudgeSomethingToCopy(const std::vector<postgres::PlannedTable>& planned);

/// Tables stay where they are: SLU-1039 where a live one is to be called otherwise now.
Status JudgeNames(const types::NameMap& names, const DeliveryState& restored);

/// Of a destination without a position: tables that `sluice copy` made. SLU-1038 says so.
bool HoldsCopy(const DeliveryState& state);
Error CopyIsThere();

/// No pipeline and no copy has ever written there.
bool IsUntouched(const DeliveryState& restored);

/// What the slot keeps now, for the last line; a slot that is gone is taken out of it. Waits at
/// most a second for the server, and leaves `last` as it is where there is no answer.
void ReadSlotAtEnd(const postgres::SourceUrl& url, engine::PipelineStatus& last);

}  // namespace sluice::pipeline
