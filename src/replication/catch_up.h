/// \file
/// When the log is read by SQL and how far a call reads; see postgres/catch_up_reader.h. Pure.
///
/// Each call decodes the log again from where the slot restarts, which stands still while a long
/// transaction is open, and the server keeps its result until it is sent. So a call reads as much
/// new log as it has to read again, between a least and a most; and where it would have to read
/// too much again, the log is read as a stream. What is compressed in the log is larger in a
/// result: where one was much larger than its log, the calls behind it read less; the first call
/// reads little, and none more than twice as much as the one before.
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

/// Is what is unread at least `from`, and can it be read by SQL? 0: also where nothing is unread.
bool IsFarBehind(const LogPlaces& places, std::uint64_t from);

/// So little is unread that the stream takes over: an eighth of `from`. Never where that is 0.
bool IsNearEnough(const LogPlaces& places, std::uint64_t from);

struct NextCall {
  Lsn upto;
  int changes_max = 0;
};
/// What is known of the calls before.
struct PastCalls {
  int barren = 0;               ///< the last so many brought nothing new
  std::uint64_t log_bytes = 0;  ///< by how much the last one that went on did
  double growth = 0;            ///< the largest of result over log

  void Add(std::uint64_t log, std::uint64_t result);
};
/// nullopt: it is not to be read by SQL any more.
std::optional<NextCall> PlanCall(const LogPlaces& places, const PastCalls& past);

/// Did a call that gave so many changes reach its end of the log? Else it ended at its limit,
/// behind some transaction.
bool HasReachedItsEnd(const NextCall& call, std::uint64_t changes);

}  // namespace sluice::replication
