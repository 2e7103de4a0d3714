#include "postgres/catch_up_reader.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/byte_reader.h"
#include "postgres/copy_reader.h"
#include "postgres/quote.h"
#include "postgres/server_facts.h"
#include "postgres/slot.h"

namespace sluice::postgres {
namespace {

using namespace std::chrono_literals;

constexpr Duration kAskEvery = 100ms;
constexpr std::size_t kHeadBytes = 19;
constexpr std::array<char, 11> kSignature = {'P',  'G',    'C',  'O',  'P', 'Y',
                                             '\n', '\xFF', '\r', '\n', '\0'};

/// The result of a call is kept in memory up to the first, else in a file of the server's. What is
/// open and larger than the second is given in pieces.
constexpr std::string_view kSessionSql =
    "SET work_mem = '32MB'; SET logical_decoding_work_mem = '64MB'; "
    "SET client_min_messages = 'warning'";

/// What the server sees of a walsender's client it sees of this one too: a dead peer is noticed
/// within half a minute, also while the server sends or decodes, and lets the slot go. A server
/// whose system has no such thing refuses.
constexpr std::string_view kDeadPeerSql =
    "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3; "
    "SET tcp_user_timeout = 30000";
constexpr std::string_view kDeadPeerWhileDecodingSql =
    "SET client_connection_check_interval = 5000";

Error Malformed() {
  return Error{.kind = ErrorKind::kProtocol,
               .message = "a row of the log that was read by SQL is malformed",
               .code = "SLU-2019"};
}

Error InUse(const std::string& slot, const std::string& by) {
  return Error{
      .kind = ErrorKind::kConnection,
      .message = "the slot is in use: " + slot + by,
      .code = "SLU-2105",
      .advice = "another sluice uses it, or the server has not yet noticed that one ended"};
}

Error Moved(const std::string& slot, Lsn from, Lsn to) {
  return Error{.kind = ErrorKind::kConnection,
               .message = "slot " + slot + " was left at " + ToString(from) + " and stands at " +
                          ToString(to) + ": somebody else reads it",
               .code = "SLU-3026",
               .advice = "it is looked at again; if this stays: nobody else may read the slot"};
}

}  // namespace

std::string PeekSql(const StreamOptions& options, const PeekCall& call) {
  std::string sql = "COPY (SELECT lsn, data FROM pg_catalog.pg_logical_slot_peek_binary_changes(" +
                    QuoteLiteral(options.slot) + ", " + QuoteLiteral(ToString(call.upto)) + ", " +
                    std::to_string(call.changes_max) +
                    ", 'proto_version', '2', 'streaming', 'on', 'publication_names', " +
                    QuotePublicationNames(options.publications);
  if (options.is_binary) sql += ", 'binary', 'true'";
  if (options.with_messages) sql += ", 'messages', 'true'";
  return sql + ")) TO STDOUT (FORMAT binary)";
}

Result<LoggedMessage> ReadLoggedMessage(std::span<const std::byte> row, bool is_first) {
  base::ByteReader in(row);
  if (is_first) {
    const std::span<const std::byte> head = in.ReadBytes(kHeadBytes);
    const bool is_head =
        in.ok() && std::equal(kSignature.begin(), kSignature.end(), head.begin(),
                              [](char a, std::byte b) { return static_cast<std::byte>(a) == b; });
    // No flags, no extension.
    if (!is_head || std::any_of(head.begin() + kSignature.size(), head.end(),
                                [](std::byte b) { return b != std::byte{}; })) {
      return Malformed();
    }
    if (in.remaining() == 0) return LoggedMessage{};
  }
  const std::int16_t columns = in.ReadI16();
  if (columns == -1 && in.Finish()) return LoggedMessage{};
  LoggedMessage read;
  const bool has_lsn = columns == 2 && in.ReadI32() == 8;
  read.lsn = Lsn{in.ReadU64()};
  const std::int32_t size = in.ReadI32();
  if (!in.ok() || !has_lsn || size <= 0) return Malformed();
  read.message = in.ReadBytes(static_cast<std::size_t>(size));
  if (!in.Finish()) return Malformed();
  return read;
}

struct CatchUpReader::State {
  State(Connection first, Connection second, StreamOptions wanted, Lsn place)
      : control(std::move(first)),
        calls(std::move(second)),
        options(std::move(wanted)),
        confirmed(place) {}

  Connection control;
  Connection calls;  // before `reader`, which uses it
  StreamOptions options;
  Lsn confirmed;
  std::optional<CopyReader> reader;
  std::stop_source unwanted;
  bool has_rows = false;
  /// A call failed. Servers of some minor versions crash where a session decodes after an error.
  bool is_spent = false;
  std::uint64_t received_bytes = 0;

  Status CheckFirstRow();
  Error Refine(Error error) const;
};

CatchUpReader::CatchUpReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
CatchUpReader::~CatchUpReader() = default;
CatchUpReader::CatchUpReader(CatchUpReader&&) noexcept = default;
CatchUpReader& CatchUpReader::operator=(CatchUpReader&&) noexcept = default;

Result<CatchUpReader> CatchUpReader::Open(Connection control, Connection calls,
                                          StreamOptions options, Lsn confirmed) {
  for (const std::string_view sql : {kDeadPeerSql, kDeadPeerWhileDecodingSql}) {
    const auto set = calls.Exec("ask for a look at the client", sql);
    if (!set && !calls.is_alive()) return set.error();
  }
  SLUICE_RETURN_IF_ERROR(HoldSlot(calls, control, options.slot));
  SLUICE_RETURN_IF_ERROR(calls.Exec("prepare to read the log", kSessionSql));
  return CatchUpReader(
      std::make_unique<State>(std::move(control), std::move(calls), std::move(options), confirmed));
}

Result<Lsn> CatchUpReader::ReadFlushLsn() {
  return postgres::ReadFlushLsn(state_->control);
}

Result<SlotPlace> CatchUpReader::Look() {
  const State& s = *state_;
  SLUICE_ASSIGN_OR_RETURN(const std::optional<SlotRow> slot,
                          ReadSlot(state_->control, s.options.slot));
  if (!slot) {
    return Error{.kind = ErrorKind::kConnection,
                 .message = "there is no slot of that name: " + s.options.slot,
                 .code = "SLU-2102"};
  }
  if (slot->wal_status == "lost" || !slot->invalidation_reason.empty()) {
    return Error{.kind = ErrorKind::kConnection,
                 .message = "the slot can no longer be read from: " + s.options.slot,
                 .code = "SLU-2108"};
  }
  if (slot->active_pid != s.calls.backend_pid()) {
    return InUse(s.options.slot, ", by pid " + std::to_string(slot->active_pid) + " (" +
                                     slot->active_application + ")");
  }
  if (slot->confirmed_flush_lsn != s.confirmed) {
    return Moved(s.options.slot, s.confirmed, slot->confirmed_flush_lsn);
  }
  return SlotPlace{slot->restart_lsn, slot->confirmed_flush_lsn};
}

Status CatchUpReader::Advance(Lsn to, std::stop_token stop, Duration limit) {
  State& s = *state_;
  if (to <= s.confirmed) return {};
  Status advanced =
      AdvanceSlot(s.control, s.options.slot, to, Duration::zero(), std::move(stop), limit);
  if (!advanced) {
    Error error = std::move(advanced).error();
    // Whoever connects again finds out what happened to the slot.
    if (error.code == "SLU-2105") error.kind = ErrorKind::kConnection;
    return error;
  }
  s.confirmed = to;
  return {};
}

Status CatchUpReader::Begin(const PeekCall& call, std::function<bool()> is_wanted) {
  State& s = *state_;
  if (s.is_spent) {
    return Error{.kind = ErrorKind::kConnection,
                 .message = "a session reads no log after an error",
                 .code = "SLU-2007"};
  }
  s.unwanted = {};
  s.has_rows = false;
  (void)s.calls.TakeNotices();
  CopyReaderOptions options;
  options.idle_timeout = kAskEvery;
  // The connection is not given up: the call is cancelled, and what holds the slot ends with it.
  options.is_at_work = [unwanted = s.unwanted, is_wanted = std::move(is_wanted)]() mutable {
    if (!is_wanted()) unwanted.request_stop();
    return true;
  };
  SLUICE_ASSIGN_OR_RETURN(CopyReader reader,
                          CopyReader::Start(s.calls, PeekSql(s.options, call), options));
  s.reader.emplace(std::move(reader));
  return {};
}

/// The slot was let go before the first row came, and only moves forward: where it stands now is
/// where the call began.
Status CatchUpReader::State::CheckFirstRow() {
  has_rows = true;
  for (const Notice& notice : calls.notices()) {
    if (std::optional<Error> skipped = SkippedPublication(notice)) return *std::move(skipped);
  }
  SLUICE_ASSIGN_OR_RETURN(const std::optional<SlotRow> slot, ReadSlot(control, options.slot));
  const Lsn now = slot ? slot->confirmed_flush_lsn : Lsn{};
  return now == confirmed ? Status{} : Status(Moved(options.slot, confirmed, now));
}

Error CatchUpReader::State::Refine(Error error) const {
  if (error.sqlstate == "55006") return InUse(options.slot, "");
  if (!error.sqlstate.empty()) {
    error.message = "cannot read the log by SQL: SQLSTATE " + error.sqlstate;
  }
  return error;
}

Result<std::span<const CatchUpReader::Message>> CatchUpReader::Next(const std::stop_token& stop) {
  State& s = *state_;
  const std::size_t before = s.reader->received_bytes();
  const std::stop_callback forward(stop, [&s] { s.unwanted.request_stop(); });
  auto rows = s.reader->NextRows(s.unwanted.get_token());
  s.received_bytes += s.reader->received_bytes() - before;
  if (!rows) {
    Abandon();
    return s.Refine(std::move(rows).error());
  }
  if (!s.has_rows) {
    if (Status checked = s.CheckFirstRow(); !checked) {
      Abandon();
      return std::move(checked).error();
    }
  }
  if (rows->empty()) s.reader.reset();
  return *rows;
}

void CatchUpReader::Abandon() {
  state_->is_spent = state_->is_spent || state_->reader.has_value();
  state_->reader.reset();
}

bool CatchUpReader::is_calling() const {
  return state_->reader.has_value();
}
bool CatchUpReader::is_alive() const {
  return state_->calls.is_alive();
}
Lsn CatchUpReader::confirmed() const {
  return state_->confirmed;
}
std::uint64_t CatchUpReader::received_bytes() const {
  return state_->received_bytes;
}

}  // namespace sluice::postgres
