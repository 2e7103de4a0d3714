#include "stores/sqlite/sqlite_state_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <utility>

#include "base/version.h"
#include "stores/fold_record.h"
#include "stores/schema_json.h"
#include "stores/sqlite/sqlite_connection.h"

namespace sluice::stores {
namespace {

constexpr std::int64_t kFormat = 1;
constexpr std::int64_t kApplicationId = 0x536C7563;  // "Sluc"

constexpr const char* kCreate = R"(
  CREATE TABLE delivery(part TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE tables(relation INTEGER PRIMARY KEY, value TEXT NOT NULL);
  CREATE TABLE epoch(one INTEGER PRIMARY KEY CHECK (one = 1), epoch INTEGER NOT NULL);
  INSERT INTO epoch VALUES (1, 0);
  PRAGMA application_id = 1399616867;
  PRAGMA user_version = 1;
)";
static_assert(kApplicationId == 1'399'616'867 && kFormat == 1);

class SqliteStateStore final : public StateStore {
 public:
  explicit SqliteStateStore(std::string path) : path_(std::move(path)) {}

  Result<DeliveryState> Open(const OpenRequest& request) override;
  Status StoreBirth(const Birth& birth) override;
  Status Commit(const CommitRecord& record) override;
  Status Forget() override;
  Status Close() override {
    db_.reset();
    return {};
  }

 private:
  /// Makes the file where there is none, mode 0600, and its directory.
  Status MakeFile() const;
  /// Empty: lay out; of another program or a newer format: refuse.
  Status CheckFormat();
  /// Whatever a later format changes, this table names its writer.
  Status NoteWriter();
  Error OfLaterFormat(std::int64_t format);
  Result<DeliveryState> Load();
  Result<std::optional<std::string>> Part(std::string_view part);
  Status SetPart(std::string_view part, const std::string& value);
  Status StoreRecord(const CommitRecord& record);
  Status Run(std::string_view sql) {
    SLUICE_ASSIGN_OR_RETURN(SqliteStatement statement, db_->Prepare(sql));
    return statement.Run();
  }

  /// Runs `body` in a write transaction that nobody else can begin meanwhile.
  template <class Body>
  Status InTransaction(const Body& body) {
    if (!db_) {
      return Error{.kind = ErrorKind::kInternal,
                   .message = "the state store is not open",
                   .code = "SLU-9001"};
    }
    SLUICE_RETURN_IF_ERROR(Run("BEGIN IMMEDIATE"));
    Status done = body();
    if (done) done = Run("COMMIT");
    if (!done) {
      // After a failed COMMIT or a full disk SQLite may have ended the transaction by itself.
      const Status ignored = db_->Exec("ROLLBACK");
      static_cast<void>(ignored);
    }
    return done;
  }

  const std::string path_;
  std::optional<SqliteConnection> db_;
  std::uint64_t epoch_ = 0;
  std::optional<Position> position_;  ///< as stored: nobody else writes in our epoch
};

Status SqliteStateStore::MakeFile() const {
  const std::filesystem::path directory = std::filesystem::path(path_).parent_path();
  std::error_code failed;
  if (!directory.empty() && !std::filesystem::exists(directory, failed)) {
    std::filesystem::create_directories(directory, failed);
    if (!failed) {
      std::filesystem::permissions(directory, std::filesystem::perms::owner_all, failed);
    }
  }
  const int fd = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) {
    const std::error_code why(errno, std::generic_category());
    return Error{
        .kind = ErrorKind::kConfig,
        .message = "state file " + path_ + " cannot be opened or written: " + why.message(),
        .code = "SLU-5102",
        .advice = "make its directory writable for this user, or use --state DIR"};
  }
  ::close(fd);
  return {};
}

Status SqliteStateStore::CheckFormat() {
  SLUICE_ASSIGN_OR_RETURN(const std::int64_t application, db_->Number("PRAGMA application_id"));
  SLUICE_ASSIGN_OR_RETURN(const std::int64_t format, db_->Number("PRAGMA user_version"));
  SLUICE_ASSIGN_OR_RETURN(const std::int64_t objects,
                          db_->Number("SELECT count(*) FROM sqlite_master"));
  if (application != kApplicationId && (application != 0 || objects != 0)) {
    return Error{.kind = ErrorKind::kConfig,
                 .message = "state file " + path_ + " is a database of another program",
                 .code = "SLU-5101",
                 .advice = "choose another --state directory"};
  }
  if (application == kApplicationId && format > kFormat) return OfLaterFormat(format);
  return {};
}

Status SqliteStateStore::NoteWriter() {
  SLUICE_RETURN_IF_ERROR(
      db_->Exec("CREATE TABLE IF NOT EXISTS writer(one INTEGER PRIMARY KEY CHECK (one = 1),"
                " version TEXT NOT NULL)"));
  SLUICE_ASSIGN_OR_RETURN(SqliteStatement upsert,
                          db_->Prepare("INSERT OR REPLACE INTO writer VALUES (1, ?)"));
  return upsert.Bind(base::kVersion).Run();
}

Error SqliteStateStore::OfLaterFormat(std::int64_t format) {
  std::string writer = "of a later version";
  auto query = db_->Prepare("SELECT version FROM writer");
  if (query) {
    const auto has_row = query->Step();
    if (has_row && *has_row) writer = "written by sluice " + std::string(query->Text(0));
  }
  return Error{.kind = ErrorKind::kConfig,
               .message = "state file " + path_ + " has format " + std::to_string(format) + ", " +
                          writer + "; this is sluice " + base::kVersion,
               .code = "SLU-5103",
               .advice = "install that version or a later one"};
}

Result<DeliveryState> SqliteStateStore::Open(const OpenRequest& request) {
  db_.reset();
  std::error_code failed;
  if (request.read_only && !std::filesystem::exists(path_, failed) && !failed) {
    return DeliveryState{};
  }
  if (!request.read_only) SLUICE_RETURN_IF_ERROR(MakeFile());
  SLUICE_ASSIGN_OR_RETURN(
      db_, SqliteConnection::Open(path_, request.read_only ? SqliteConnection::Mode::kReadOnly
                                                           : SqliteConnection::Mode::kCreate));
  SLUICE_RETURN_IF_ERROR(CheckFormat());
  if (request.read_only) {
    SLUICE_ASSIGN_OR_RETURN(const std::int64_t objects,
                            db_->Number("SELECT count(*) FROM sqlite_master"));
    if (objects == 0) return DeliveryState{};
    SLUICE_ASSIGN_OR_RETURN(DeliveryState state, Load());
    SLUICE_RETURN_IF_ERROR(CheckOwner(state.birth, request));
    return state;
  }
  SLUICE_RETURN_IF_ERROR(db_->Exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL"));
  DeliveryState state;
  Status taken = InTransaction([&]() -> Status {
    SLUICE_ASSIGN_OR_RETURN(const std::int64_t objects,
                            db_->Number("SELECT count(*) FROM sqlite_master"));
    if (objects == 0) SLUICE_RETURN_IF_ERROR(db_->Exec(kCreate));
    SLUICE_ASSIGN_OR_RETURN(state, Load());
    SLUICE_RETURN_IF_ERROR(CheckOwner(state.birth, request));
    ++state.epoch;
    SLUICE_RETURN_IF_ERROR(NoteWriter());
    return db_->Exec("UPDATE epoch SET epoch = epoch + 1");
  });
  if (!taken) return std::move(taken).error();
  epoch_ = state.epoch;
  position_ = state.position;
  return state;
}

Result<std::optional<std::string>> SqliteStateStore::Part(std::string_view part) {
  SLUICE_ASSIGN_OR_RETURN(SqliteStatement query,
                          db_->Prepare("SELECT value FROM delivery WHERE part = ?"));
  SLUICE_ASSIGN_OR_RETURN(const bool has_row, query.Bind(part).Step());
  if (!has_row) return std::optional<std::string>();
  return std::optional<std::string>(query.Text(0));
}

Status SqliteStateStore::SetPart(std::string_view part, const std::string& value) {
  SLUICE_ASSIGN_OR_RETURN(SqliteStatement upsert,
                          db_->Prepare("INSERT OR REPLACE INTO delivery VALUES (?, ?)"));
  return upsert.Bind(part).Bind(value).Run();
}

Result<DeliveryState> SqliteStateStore::Load() {
  DeliveryState state;
  SLUICE_ASSIGN_OR_RETURN(const std::int64_t epoch, db_->Number("SELECT epoch FROM epoch"));
  state.epoch = static_cast<std::uint64_t>(epoch);
  SLUICE_ASSIGN_OR_RETURN(const auto birth, Part("birth"));
  if (birth) {
    SLUICE_ASSIGN_OR_RETURN(state.birth, BirthFromJson(*birth));
  }
  SLUICE_ASSIGN_OR_RETURN(const auto position, Part("position"));
  if (position) {
    SLUICE_ASSIGN_OR_RETURN(state.position, PositionFromJson(*position));
  }
  SLUICE_ASSIGN_OR_RETURN(const auto passed, Part("passed"));
  if (passed) {
    SLUICE_ASSIGN_OR_RETURN(state.passed, PassedFromJson(*passed));
  }
  SLUICE_ASSIGN_OR_RETURN(SqliteStatement query,
                          db_->Prepare("SELECT value FROM tables ORDER BY relation"));
  for (;;) {
    SLUICE_ASSIGN_OR_RETURN(const bool has_row, query.Step());
    if (!has_row) return state;
    SLUICE_ASSIGN_OR_RETURN(TableRecord table, TableFromJson(query.Text(0)));
    state.tables.push_back(std::move(table));
  }
}

Status SqliteStateStore::StoreBirth(const Birth& birth) {
  position_.reset();
  return InTransaction([&]() -> Status {
    SLUICE_ASSIGN_OR_RETURN(const std::int64_t epoch, db_->Number("SELECT epoch FROM epoch"));
    SLUICE_RETURN_IF_ERROR(
        CheckCommit(static_cast<std::uint64_t>(epoch), epoch_, std::nullopt, {}));
    SLUICE_RETURN_IF_ERROR(db_->Exec("DELETE FROM delivery; DELETE FROM tables"));
    return SetPart("birth", BirthToJson(birth));
  });
}

Status SqliteStateStore::StoreRecord(const CommitRecord& record) {
  if (record.birth) {
    SLUICE_RETURN_IF_ERROR(db_->Exec("DELETE FROM delivery"));
    SLUICE_RETURN_IF_ERROR(SetPart("birth", BirthToJson(*record.birth)));
  }
  if (record.position) {
    SLUICE_RETURN_IF_ERROR(SetPart("position", PositionToJson(*record.position)));
  }
  if (record.passed) SLUICE_RETURN_IF_ERROR(SetPart("passed", PassedToJson(*record.passed)));
  if (record.tables.empty()) return {};
  SLUICE_ASSIGN_OR_RETURN(SqliteStatement upsert,
                          db_->Prepare("INSERT OR REPLACE INTO tables VALUES (?, ?)"));
  SLUICE_ASSIGN_OR_RETURN(SqliteStatement remove,
                          db_->Prepare("DELETE FROM tables WHERE relation = ?"));
  for (const TableRecord& table : record.tables) {
    const auto relation = static_cast<std::int64_t>(table.relation.value);
    if (table.was_removed) {
      SLUICE_RETURN_IF_ERROR(remove.Bind(relation).Run());
    } else {
      SLUICE_RETURN_IF_ERROR(upsert.Bind(relation).Bind(TableToJson(table)).Run());
    }
  }
  return {};
}

Status SqliteStateStore::Commit(const CommitRecord& record) {
  Status done = InTransaction([&]() -> Status {
    SLUICE_ASSIGN_OR_RETURN(const std::int64_t epoch, db_->Number("SELECT epoch FROM epoch"));
    SLUICE_RETURN_IF_ERROR(
        CheckCommit(static_cast<std::uint64_t>(epoch), epoch_, position_, record));
    return StoreRecord(record);
  });
  if (done && (record.position || record.birth)) position_ = record.position;
  return done;
}

Status SqliteStateStore::Forget() {
  position_.reset();
  return InTransaction(
      [&]() -> Status { return db_->Exec("DELETE FROM delivery; DELETE FROM tables"); });
}

}  // namespace

std::unique_ptr<StateStore> MakeSqliteStateStore(std::string path) {
  return std::make_unique<SqliteStateStore>(std::move(path));
}

}  // namespace sluice::stores
