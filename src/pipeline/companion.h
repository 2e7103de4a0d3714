/// \file
/// The second publication of a pipeline that was made without one, for the first table that is to
/// be appended to.
///
///   made         empty, and not to be read yet
///   read from    once every transaction that was open then has ended: an LSN behind them, kept in
///                its comment
///   read         the stream has passed that and begins again, with both publications
///
/// The server looks a publication up as of each change that it decodes, and fails where it was not
/// there. So no transaction that began before it may be sent to a stream that asks for it, neither
/// now nor when a crash of the server has put its slot back.
///
/// Each step is found at the source, or is taken again by the next start.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "sluice/destination.h"

#include "engine/delivery_writer.h"
#include "engine/progress.h"
#include "engine/restart_wishes.h"
#include "postgres/connection.h"
#include "postgres/preflight.h"
#include "postgres/publication.h"
#include "telemetry/log.h"
#include "types/table_rules.h"

namespace sluice::pipeline {

/// What a stream asks for besides the publication: the companion's oid, 0 none, or not known before
/// the first one begins.
using ReadCompanion = std::atomic<std::int64_t>;
constexpr std::int64_t kNotKnown = -1;

/// Rows of an appended table come by the stream, or are kept.
bool HasAppended(std::span<const TableRecord> tables);

/// \param has_appended HasAppended()
/// Errors: kConfig SLU-3018.
Status CheckCompanion(const Birth& birth, const std::optional<postgres::Publication>& publication,
                      bool has_appended, Lsn durable);

/// Leaves out the tables that wait for it. \return whether there is one.
bool LeaveOutWaiting(const Birth& birth, const Error& reason,
                     std::vector<postgres::PlannedTable>& planned);
Error WaitsForCompanion(const Birth& birth);

/// The stream does not read it: what is inserted into these tables from here on comes by no stream,
/// so none of them may go live by a copy that has begun. They are skipped until they join it.
/// In the writer's thread. \return false: one gets rows already (HasAppended()), and is lost.
bool HoldBackAppended(engine::DeliveryWriter& writer, const types::TableRules& rules,
                      const Error& reason);

/// Thread safety: none; is_under_way() from any thread.
class CompanionMaker {
 public:
  /// All outlive it.
  CompanionMaker(const Birth& birth, engine::Progress& progress, telemetry::Logger& logger,
                 const ReadCompanion& read, engine::RestartWishes& restart_stream)
      : birth_(birth),
        progress_(progress),
        logger_(logger),
        read_(read),
        restart_stream_(restart_stream) {}

  /// Tables may be published by it, and their copies begin.
  bool IsRead(const std::optional<postgres::Publication>& publication) const;
  /// Why tables wait.
  Error Reason() const { return problem_.value_or(WaitsForCompanion(birth_)); }

  void Want();
  bool is_wanted() const { return is_wanted_; }
  bool is_under_way() const { return is_under_way_.load(); }
  /// What `publication` says was looked at: a stream that asks for another one begins again.
  void Compare(const postgres::Publication& publication);
  /// Goes on as far as it can. \return true: it is read now, or cannot be made.
  Result<bool> Step(postgres::Connection& connection, const std::stop_token& stop);
  /// Whoever waited has joined.
  void Finish() { is_under_way_.store(false); }

 private:
  Result<bool> Make(postgres::Connection& connection, const std::stop_token& stop);
  Status Date(postgres::Connection& connection, const std::stop_token& stop);
  Status SayWhom(postgres::Connection& connection);

  const Birth& birth_;
  engine::Progress& progress_;
  telemetry::Logger& logger_;
  const ReadCompanion& read_;
  engine::RestartWishes& restart_stream_;

  bool is_wanted_ = false;
  std::optional<Error> problem_;
  Clock::time_point not_before_{};  ///< tried again
  /// Every transaction that may have begun without it is below this.
  std::optional<std::uint64_t> older_than_;
  Clock::time_point waits_since_{};
  bool has_said_whom_ = false;
  std::unique_ptr<engine::PositionWish> wish_;
  std::atomic<bool> is_under_way_{false};
};

}  // namespace sluice::pipeline
