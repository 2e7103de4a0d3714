#include "pipeline/companion.h"

#include <algorithm>
#include <utility>

#include "base/failpoint.h"
#include "postgres/server_facts.h"
#include "postgres/snapshot_export.h"
#include "types/hidden_columns.h"

namespace sluice::pipeline {
namespace {

/// Transactions end; what is open for longer is named.
constexpr Duration kPatience = std::chrono::seconds(10);
constexpr Duration kTryAgain = std::chrono::minutes(1);

}  // namespace

bool HasAppended(std::span<const TableRecord> tables) {
  return std::ranges::any_of(tables, [](const TableRecord& record) {
    const bool gets_rows = record.state == TableState::kLive || record.kept;
    const bool is_append =
        record.schema ? types::IsAppend(*record.schema) : record.mode == TableMode::kAppend;
    return gets_rows && is_append;
  });
}

Status CheckCompanion(const Birth& birth, const std::optional<postgres::Publication>& publication,
                      bool has_appended, Lsn durable) {
  if (!has_appended || !birth.owns_publication) return {};
  const bool is_there = publication && publication->companion;
  if (is_there && publication->companion->may_be_read_from(durable)) return {};
  return Error{.kind = ErrorKind::kConfig,
               .message = "publication " + postgres::CompanionOf(birth.publication) +
                          (is_there ? " was made again" : " is gone") +
                          ", by which tables were published that are appended to",
               .code = "SLU-3018",
               .advice =
                   "what was inserted meanwhile is in no stream: `sluice run` with --on-lost-slot "
                   "resync or repair"};
}

Error WaitsForCompanion(const Birth& birth) {
  return {.kind = ErrorKind::kConfig,
          .message = "it waits for publication " + postgres::CompanionOf(birth.publication) +
                     ", which the stream does not read yet",
          .advice = "nothing to do; transactions that were open when it was made have to end"};
}

bool LeaveOutWaiting(const Birth& birth, const Error& reason,
                     std::vector<postgres::PlannedTable>& planned) {
  if (!birth.owns_publication) return false;
  bool waits = false;
  for (postgres::PlannedTable& table : planned) {
    if (!table.is_append || table.is_skipped) continue;
    waits = true;
    table.is_skipped = true;
    table.reason = reason.message;
    table.advice = reason.advice;
  }
  return waits;
}

bool HoldBackAppended(engine::DeliveryWriter& writer, const types::TableRules& rules,
                      const Error& reason) {
  const std::vector<TableRecord> records = writer.Records();
  if (HasAppended(records)) return false;
  for (const TableRecord& record : records) {
    const bool is_on_its_way =
        record.state == TableState::kPending || record.state == TableState::kCopying;
    if (is_on_its_way && rules.For(record.source).mode == TableMode::kAppend)
      writer.Skip(record.relation, reason);
  }
  return true;
}

bool CompanionMaker::IsRead(const std::optional<postgres::Publication>& publication) const {
  if (!publication || !publication->companion) return false;
  const postgres::Companion& companion = *publication->companion;
  const std::int64_t read = read_.load();
  // The first stream is about to find the same.
  if (read == kNotKnown) return companion.may_be_read_from(progress_.durable.Load());
  return read == companion.oid.value;
}

void CompanionMaker::Want() {
  if (Clock::now() < not_before_) return;
  is_wanted_ = true;
  is_under_way_.store(true);
}

void CompanionMaker::Compare(const postgres::Publication& publication) {
  const std::int64_t now = publication.companion ? publication.companion->oid.value : 0;
  if (read_.load() > 0 && read_.load() != now) restart_stream_.Wish();
}

Result<bool> CompanionMaker::Step(postgres::Connection& connection, const std::stop_token& stop) {
  if (!is_wanted_) return false;
  SLUICE_ASSIGN_OR_RETURN(const std::optional<postgres::Publication> publication,
                          postgres::ReadPublication(connection, birth_.publication));
  if (!publication) return false;  // the connect checks say what that means
  if (!publication->companion) return Make(connection, stop);
  const postgres::Companion& companion = *publication->companion;
  if (!companion.since) {
    SLUICE_RETURN_IF_ERROR(Date(connection, stop));
    return false;
  }
  if (!IsRead(publication)) {
    // An idle server is asked how far its log goes.
    if (!wish_) wish_ = std::make_unique<engine::PositionWish>(progress_);
    if (companion.may_be_read_from(progress_.durable.Load()) && read_.load() != kNotKnown)
      restart_stream_.Wish();
    return false;
  }
  SLUICE_FAILPOINT("companion.read");
  wish_.reset();
  is_wanted_ = false;
  problem_.reset();
  return true;
}

Result<bool> CompanionMaker::Make(postgres::Connection& connection, const std::stop_token& stop) {
  older_than_.reset();
  Status made = postgres::CreateCompanion(connection, birth_.publication, birth_.generation, stop);
  if (made) {
    logger_.Info("publication {} is made, for tables that are appended to",
                 postgres::CompanionOf(birth_.publication));
    SLUICE_FAILPOINT("companion.made");
    return false;
  }
  if (!connection.is_alive() || stop.stop_requested()) return std::move(made).error();
  problem_ = std::move(made).error();
  problem_->message = "it is appended to, and " + problem_->message;
  if (problem_->sqlstate == "42710")
    problem_->advice = "drop or rename that publication, which is not this pipeline's";
  not_before_ = Clock::now() + kTryAgain;
  is_wanted_ = false;
  return true;
}

/// Whoever began before it must have ended, as a slot's first snapshot waits, too.
Status CompanionMaker::Date(postgres::Connection& connection, const std::stop_token& stop) {
  if (!older_than_) {
    SLUICE_ASSIGN_OR_RETURN(older_than_, postgres::AssignTransactionId(connection));
    waits_since_ = Clock::now();
    has_said_whom_ = false;
  }
  SLUICE_ASSIGN_OR_RETURN(const bool have_ended,
                          postgres::AreAllBeforeFinished(connection, *older_than_));
  if (!have_ended) return SayWhom(connection);
  SLUICE_ASSIGN_OR_RETURN(const postgres::WalPositions positions,
                          postgres::ReadWalPositions(connection));
  SLUICE_RETURN_IF_ERROR(postgres::SetCompanionSince(
      connection, birth_.publication, birth_.generation, positions.insert_lsn, stop));
  SLUICE_FAILPOINT("companion.dated");
  older_than_.reset();
  return {};
}

Status CompanionMaker::SayWhom(postgres::Connection& connection) {
  if (has_said_whom_ || Clock::now() - waits_since_ < kPatience) return {};
  SLUICE_ASSIGN_OR_RETURN(const std::optional<postgres::OpenTransaction> oldest,
                          postgres::ReadOldestTransaction(connection));
  if (!oldest) return {};
  has_said_whom_ = true;
  logger_.Warn("publication {} waits for {}", postgres::CompanionOf(birth_.publication),
               postgres::Describe(*oldest));
  return {};
}

}  // namespace sluice::pipeline
