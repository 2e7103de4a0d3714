/// \file
/// `sluice check`: everything that can be found wrong at both ends before the first byte, in one
/// go. Reads only: nothing is made at the source, and no file at the destination.
///
/// An end that cannot be looked at is a finding itself, and what depends on it is listed as not
/// checked; the other end is looked at all the same.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sluice/delivery_state.h"
#include "sluice/result.h"
#include "sluice/schema.h"

#include "engine/options.h"
#include "postgres/ddl_trigger.h"
#include "postgres/preflight.h"

namespace sluice::pipeline {

struct CheckReport {
  std::string source;       ///< without the password, with the server's version where known
  std::string destination;  ///< as the options name it
  std::string pipeline;
  std::vector<postgres::Finding> findings;  ///< problems first, then warnings, then left-out tables
  std::vector<postgres::PlannedTable> tables;
  std::vector<std::string> not_checked;
  std::uint64_t bytes_estimated = 0;  ///< of the tables at the source
  std::uint64_t bytes_free = 0;       ///< at the destination; 0: unknown
  bool has_position = false;          ///< the destination holds this pipeline's mirror already
  std::string script;                 ///< for an administrator
  std::optional<postgres::DdlTrigger> ddl_trigger;  ///< of the source's database
  std::string
      failover;  ///< what becomes of the slot at a promotion, as far as the primary shows it

  bool has_problem() const;
};

/// Never fails: what fails is in the report.
CheckReport Check(const engine::PipelineOptions& options);

/// The destination's half. `schemas`: of the tables that will be replicated; empty where the source
/// could not be read.
struct DestinationCheck {
  std::vector<postgres::Finding> findings;
  std::vector<std::string> not_checked;
  std::optional<DeliveryState> state;  ///< nullopt: nothing is there, or it cannot be read
  bool has_file = false;
  std::uint64_t bytes_free = 0;
};
DestinationCheck CheckDestination(const engine::PipelineOptions& options,
                                  std::uint64_t system_identifier,
                                  const std::vector<SchemaPtr>& schemas);

/// An error as a finding.
postgres::Finding FindingFrom(const Error& error, postgres::Severity severity);
/// Pure. A copy needs about what the tables take at the source; nullopt: there is enough, or it is
/// not known.
std::optional<postgres::Finding> JudgeSpace(std::uint64_t bytes_needed, std::uint64_t bytes_free);

}  // namespace sluice::pipeline
