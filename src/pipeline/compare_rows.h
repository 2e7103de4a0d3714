/// \file
/// `--on-lost-slot repair` and `--skip-transaction`: a copy that keeps the rows that lie at the
/// destination and brings only what differs (docs/decisions/014-lost-slot.md).
///
/// The table is being copied as any other: its changes are held, a snapshot is taken. What S sees
/// is compared with the rows that lie there, to which nothing is applied meanwhile; the rows of the
/// keys that differ are read under S, and land in the place of a copy.
#pragma once

#include <optional>
#include <stop_token>
#include <string_view>

#include "sluice/destination.h"

#include "engine/copy_pool.h"
#include "telemetry/log.h"

namespace sluice::pipeline {

/// Begins the reason of a pending table that is to be compared: so a restart knows it.
inline constexpr std::string_view kComparedReason = "compared with the source";
bool IsToBeCompared(const TableRecord& record);

/// nullopt: the table is to be copied; it is not one of these, it has no key or a log, was altered,
/// lets values go, or more than 1,000 rows differ. Any thread.
/// Errors: of both sides.
Result<std::optional<engine::ComparedRows>> CompareOldRows(const engine::OldRows& rows,
                                                           Destination& destination,
                                                           telemetry::Logger& logger,
                                                           std::stop_token stop);

}  // namespace sluice::pipeline
