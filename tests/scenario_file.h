/// \file
/// The text form of a scenario: what is done at the source and with sluice, and what the
/// destination must hold then. Pure: text in, steps out.
///
/// A file is a sequence of steps. A line "-- VERB ARGUMENTS" begins one; what follows is its body,
/// and after a line "----" comes what is expected. Lines that begin with "# " are comments, at the
/// head they say what the scenario proves. {SOURCE}, {DATABASE}, {DESTINATION}, {FOLDER} and
/// {PIPELINE} stand for those of the run, {STANDBY} for the source's database at the standby,
/// {PLACE} for the LSN that the last command advised for --skip-transaction.
///
///   -- requires 15 | 14-17           skipped on servers older than PostgreSQL 15 | on others
///   -- requires extension NAME       skipped where the server does not have it
///   -- options --table 'public.a*'   added to every later `sluice run`
///   -- environment NAME VALUE        added to the environment of every later command
///   -- source [SESSION]              SQL; each session keeps its connection and transaction
///   -- source-fails SQLSTATE [SESSION]   SQL that the server must refuse with that code
///   -- source-eventually             a query, repeated until its rows are the expected ones
///   -- writer NAME                   SQL repeated on a connection of its own; {i} counts the
///   rounds
///   -- writers stop                  ends them; an error a writer met fails the scenario
///   -- sync [exit=N] [ARGUMENTS]     sluice run --until caught-up, to its end
///   -- start [ARGUMENTS]             sluice run in the background
///   -- settle                        waits until nothing is being copied and the source is caught
///   up
///   -- stop | kill                   SIGTERM and exit 0 within 10 s | SIGKILL
///   -- exited N                      the background run ends by itself with exit code N
///   -- pause MILLISECONDS            lets writers write; never to wait for sluice
///   -- own-server [NAME=VALUE ...]   a server of its own, with these settings
///   -- postgres restart-fast | restart-immediate | kill
///   -- postgres save | put-back | put-back-promoted   a cold backup | back to it | and promoted
///   there
///   -- postgres standby [NAME=VALUE ...] | cut-standby | fail-over   a streaming standby | which
///   gets
///                                    no more | and takes over, on the same port
///   -- postgres restart-standby | promote-standby   it is a primary then, beside the other
///   -- standby                       SQL, run at the standby
///   -- standby-eventually            as source-eventually, asked of the standby
///   -- mirror save | put-back        the destination file, sluice not running
///   -- destination [eventually]      a query on the mirror; cells joined with |, NULL as NULL
///   -- same                          a query that must give the same text on both sides
///   -- write-file PATH               the body becomes the file
///   -- change-file                   SQL run by DuckDB itself on the file, sluice not running
///   -- expect table S.T STATE [TEXT] its state in sluice.tables, and TEXT in its reason or advice
///   -- verify equal | different      sluice verify, by its exit code
///   -- sluice [exit=N] ARGUMENTS     any command; each expected line must occur in its output
///   -- administrator [ARGUMENTS]     what `sluice check --sql` prints, run at the source
///   -- file-limit BYTES | none       no file of later commands may grow beyond it
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sluice/result.h"

namespace sluice::tests {

struct ScenarioStep {
  int line = 0;  ///< Of the "-- VERB" line, from 1.
  std::string verb = {};
  std::vector<std::string> arguments = {};  ///< Split at blanks; '...' and "..." keep them.
  std::string body = {};
  bool has_expected = false;
  std::vector<std::string> expected = {};  ///< Without blank lines at the end.
};

/// Errors: kConfig with the line, for an unknown verb, a missing or unexpected body or argument.
Result<std::vector<ScenarioStep>> ParseScenario(std::string_view text);

/// Splits SQL at the semicolons that end statements, so that each is sent by itself and commits by
/// itself, as psql does. Quotes, E'' strings, dollar quotes and -- comments are respected.
std::vector<std::string> SplitStatements(std::string_view sql);

/// Reads comma-separated values with quotes as in RFC 4180; each row as its cells joined with '|',
/// line breaks within a cell as \n. The header line is left out.
std::vector<std::string> RowsOfCsv(std::string_view csv);

}  // namespace sluice::tests
