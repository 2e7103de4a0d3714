/// \file
/// When the log is read by SQL and how far a call reads; see postgres/catch_up_reader.h. Pure.
///
/// Each call decodes the log again from where the slot restarts, which stands still while a long
/// transaction is open, and the server keeps its result until it is sent. So a call reads as much
/// new log as it has to read again, between a least and a most; and where it would have to read
/// too much again, the log is read as a stream. What is compressed in the log is larger in a
/// result: where one was much larger than its log, the calls behind it read less; the first call
/// reads little, and none more than twice as much as the one before.
///
/// A stream that runs is left for SQL where `from` is unread, as that costs a session and log that
/// is decoded twice; where one would begin, an eighth of it is enough.
#pragma once

#include <cstdint>
#include <optional>

#include "sluice/lsn.h"

namespace sluice::replication {

struct LogPlaces {
  Lsn restart;    ///< of the slot
  Lsn confirmed;  ///< of the slot
  Lsn received;   ///< by us, or durable at a connect
  Lsn flushed;    ///< the end of the server's log
};

/// More to read again than this: it is read as a stream.
inline constexpr std::uint64_t kReadAgainMax = 512ULL << 20;
/// So many calls in a row that bring nothing new, each twice as large as the one before.
inline constexpr int kBarrenCallsMax = 4;

/// Is so much unread that a stream is left, and can it be read by SQL? 0: also where nothing is
/// unread.
bool IsFarBehind(const LogPlaces& places, std::uint64_t from);

/// The same where no stream has begun.
bool BeginsBySql(const LogPlaces& places, std::uint64_t from);

struct NextCall {
  Lsn upto;
  int changes_max = 0;
};
/// What is known of the calls before.
struct PastCalls {
  int barren = 0;               ///< the last so many brought nothing new
  std::uint64_t log_bytes = 0;  ///< by how much the last one that went on did
  double growth = 0;            ///< the largest of result over log
  /// The last one's, when it began; default: there was none.
  LogPlaces places = {};

  void Add(std::uint64_t log, std::uint64_t result);
};

/// The stream is to take over: little is unread, and either all is read that was there when the
/// last call began, or the calls gain nothing on the server. Never where `from` is 0.
bool MayTakeOver(const LogPlaces& places, std::uint64_t from, const PastCalls& past);

/// nullopt: it is not to be read by SQL any more.
std::optional<NextCall> PlanCall(const LogPlaces& places, const PastCalls& past);

/// Did a call that gave so many changes reach its end of the log? Else it ended at its limit,
/// behind some transaction.
bool HasReachedItsEnd(const NextCall& call, std::uint64_t changes);

}  // namespace sluice::replication
