#include "config/options.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

#include "config/option_values.h"
#include "types/type_catalog.h"
#include "types/type_policies.h"

namespace sluice::config {
namespace {

using std::string;

class LoadOptionsTest : public ::testing::Test {
 protected:
  LoadOptionsTest() {
    request_.flags = {{"source", {"postgres://app@db/shop"}}, {"destination", {"shop.duckdb"}}};
    request_.environment = [this](const string& name) -> std::optional<string> {
      const auto found = variables_.find(name);
      if (found == variables_.end()) return std::nullopt;
      return found->second;
    };
    request_.read_file = [this](const string& path) -> Result<string> {
      const auto found = files_.find(path);
      if (found == files_.end()) return Error{.kind = ErrorKind::kConfig, .message = "no " + path};
      return found->second;
    };
    request_.machine_memory_bytes = std::size_t{4} << 30;
    request_.working_directory = "/home/me";
    variables_["HOME"] = "/home/me";
  }
  RunOptions Load() {
    auto options = LoadOptions(request_);
    if (!options) {
      ADD_FAILURE() << options.error().message;
      return {};
    }
    return *std::move(options);
  }
  Error Failure() {
    const auto options = LoadOptions(request_);
    if (options) {
      ADD_FAILURE() << "taken";
      return {};
    }
    return options.error();
  }
  void UseFile(const string& text) {
    request_.flags["config"] = {"shop.yaml"};
    files_["/home/me/shop.yaml"] = text;
  }

  LoadRequest request_;
  std::map<string, string> variables_;
  std::map<string, string> files_;
};

TEST_F(LoadOptionsTest, HasTheDefaultsOfTheManual) {
  const RunOptions options = Load();
  EXPECT_EQ(options.pipeline.source, "postgres://app@db/shop");
  EXPECT_EQ(options.pipeline.destination, "duckdb:/home/me/shop.duckdb");
  EXPECT_EQ(options.pipeline.pipeline, "shop");
  EXPECT_FALSE(options.is_pipeline_named);
  EXPECT_EQ(options.pipeline.memory_bytes, std::size_t{1} << 30);
  EXPECT_EQ(options.pipeline.state_dir, "/home/me/.local/state/sluice");
  EXPECT_EQ(options.http.host, "127.0.0.1");
  EXPECT_EQ(options.http.port, 9464);
  EXPECT_FALSE(options.http.is_named_by_user);
  EXPECT_TRUE(options.pipeline.copy_existing);
  EXPECT_TRUE(std::holds_alternative<engine::UntilNever>(options.pipeline.until));
  EXPECT_FALSE(options.pipeline.retry_for);
}

TEST_F(LoadOptionsTest, DefaultsDependOnTheMachineAndTheUser) {
  request_.machine_memory_bytes = std::size_t{64} << 30;
  request_.is_root = true;
  EXPECT_EQ(Load().pipeline.memory_bytes, std::size_t{2} << 30);
  EXPECT_EQ(Load().pipeline.state_dir, "/var/lib/sluice");
  request_.is_root = false;
  variables_["XDG_STATE_HOME"] = "/xdg";
  EXPECT_EQ(Load().pipeline.state_dir, "/xdg/sluice");
  variables_["XDG_STATE_HOME"] = "relative";
  EXPECT_EQ(Load().pipeline.state_dir, "/home/me/.local/state/sluice");
}

TEST_F(LoadOptionsTest, FlagsWinOverVariablesOverTheFileOverDefaults) {
  UseFile("batch_rows: 3\n");
  EXPECT_EQ(Load().pipeline.batch_rows, 3U);
  variables_["SLUICE_BATCH_ROWS"] = "2";
  EXPECT_EQ(Load().pipeline.batch_rows, 2U);
  request_.flags["batch-rows"] = {"1"};
  EXPECT_EQ(Load().pipeline.batch_rows, 1U);
}

TEST_F(LoadOptionsTest, ReadsTheExampleOfTheManual) {
  request_.flags.clear();
  UseFile(
      "pipeline: shop\n"
      "source:\n"
      "  url: postgres://app@db/shop\n"
      "  password_file: pw\n"
      "  tables: [public.*, \"!public.audit_*\"]\n"
      "destination: {url: /var/lib/shop.duckdb}\n"
      "memory: 2GiB\n"
      "http: 127.0.0.1:9464\n");
  files_["/home/me/pw"] = "p w'\n";
  const RunOptions options = Load();
  EXPECT_EQ(options.pipeline.source, "postgres://app@db/shop?password=%70%20%77%27");
  EXPECT_EQ(options.pipeline.destination, "duckdb:/var/lib/shop.duckdb");
  EXPECT_EQ(options.pipeline.selection.tables, std::vector<string>{"public.*"});
  EXPECT_EQ(options.pipeline.selection.excluded_tables, std::vector<string>{"public.audit_*"});
  EXPECT_TRUE(options.http.is_named_by_user);
  EXPECT_TRUE(options.is_pipeline_named);
}

TEST_F(LoadOptionsTest, ListsComeFromFlagsVariablesAndFiles) {
  variables_["SLUICE_TABLE"] = "a, \"b,c\".d , !e";
  EXPECT_EQ(Load().pipeline.selection.tables, (std::vector<string>{"a", "\"b,c\".d"}));
  EXPECT_EQ(Load().pipeline.selection.excluded_tables, std::vector<string>{"e"});
  request_.flags["table"] = {"x", "y"};
  request_.flags["exclude-table"] = {"z"};
  EXPECT_EQ(Load().pipeline.selection.tables, (std::vector<string>{"x", "y"}));
  EXPECT_EQ(Load().pipeline.selection.excluded_tables, std::vector<string>{"z"});
}

TEST_F(LoadOptionsTest, TakesEveryUntil) {
  request_.flags["until"] = {"copied"};
  EXPECT_TRUE(std::holds_alternative<engine::UntilCopied>(Load().pipeline.until));
  request_.flags["until"] = {"caught-up"};
  EXPECT_TRUE(std::holds_alternative<engine::UntilCaughtUp>(Load().pipeline.until));
  request_.flags["until"] = {"0/16B3748"};
  EXPECT_EQ(std::get<Lsn>(Load().pipeline.until), Lsn{0x16B3748});
}

TEST_F(LoadOptionsTest, WrongValuesNameTheirOriginAndWhatIsAllowed) {
  const std::pair<const char*, const char*> wrong[] = {
      {"copy-workers", "17"}, {"copy-workers", "0"},  {"copy-workers", "2x"}, {"memory", "1MiB"},
      {"memory", "lots"},     {"batch-age", "10"},    {"batch-age", "2h"},    {"batch-bytes", "1B"},
      {"until", "soon"},      {"until", "0/0"},       {"http", "9464"},       {"http", "::1:80"},
      {"http", "h:99999"},    {"http", "h:0"},        {"copy", "some"},       {"existing", "keep"},
      {"log-level", "loud"},  {"progress", "bar"},    {"slot", "Has-Caps"},   {"pipeline", "Shop"},
      {"pipeline", ""},       {"retry-for", "never"}, {"quiet", "yes"},       {"batch-rows", "-1"},
  };
  for (const auto& [name, value] : wrong) {
    const FlagValues before = request_.flags;
    request_.flags[name] = {value};
    const Error error = Failure();
    EXPECT_EQ(error.code, "SLU-1001") << name;
    EXPECT_EQ(error.kind, ErrorKind::kConfig);
    EXPECT_TRUE(error.message.starts_with(string("--") + name)) << error.message;
    request_.flags = before;
  }
  variables_["SLUICE_COPY_WORKERS"] = "x";
  EXPECT_EQ(Failure().message, "SLUICE_COPY_WORKERS: x is not allowed; allowed: 1 to 16");
  variables_.erase("SLUICE_COPY_WORKERS");
  UseFile("pipeline: a\ncopy_workers: x\n");
  EXPECT_EQ(Failure().message, "shop.yaml:2: copy_workers: x is not allowed; allowed: 1 to 16");
}

TEST_F(LoadOptionsTest, HttpCanBeOffOrNamed) {
  request_.flags["http"] = {"off"};
  EXPECT_FALSE(Load().http.is_enabled);
  request_.flags["http"] = {"[::1]:80"};
  EXPECT_EQ(Load().http.host, "[::1]");
  EXPECT_EQ(Load().http.port, 80);
}

TEST_F(LoadOptionsTest, WhatALostSlotMeansIsStopUnlessItIsSaid) {
  EXPECT_EQ(Load().pipeline.on_lost_slot, engine::OnLostSlot::kStop);
  request_.flags["on-lost-slot"] = {"repair"};
  EXPECT_EQ(Load().pipeline.on_lost_slot, engine::OnLostSlot::kRepair);
  request_.flags["on-lost-slot"] = {"resync"};
  EXPECT_EQ(Load().pipeline.on_lost_slot, engine::OnLostSlot::kResync);
}

TEST_F(LoadOptionsTest, APlaceToBeSkippedIsAnLsn) {
  EXPECT_EQ(Load().pipeline.skip_transaction, std::nullopt);
  request_.flags["skip-transaction"] = {"0/16B3748"};
  EXPECT_EQ(Load().pipeline.skip_transaction, Lsn{0x16B3748});
  request_.flags["skip-transaction"] = {"the last one"};
  EXPECT_EQ(Failure().message, "--skip-transaction: the last one is not allowed; allowed: an LSN");
  request_.flags["skip-transaction"] = {"0/0"};
  EXPECT_EQ(Failure().code, "SLU-1001");
}

TEST_F(LoadOptionsTest, IsReadBySqlFromSomeSizeOnOrNever) {
  EXPECT_EQ(Load().pipeline.catch_up_from, std::size_t{512} << 20);
  request_.flags["catch-up-from"] = {"0"};
  EXPECT_EQ(Load().pipeline.catch_up_from, 0U);
  request_.flags["catch-up-from"] = {"off"};
  EXPECT_EQ(Load().pipeline.catch_up_from, std::nullopt);
}

TEST_F(LoadOptionsTest, WhatTheSlotMayKeepIsASizeAndAPolicy) {
  EXPECT_EQ(Load().pipeline.wal_budget.max_bytes, 0U);
  request_.flags["max-retained-wal"] = {"2GiB"};
  request_.flags["on-retained-wal"] = {"drop-slot"};
  const engine::WalBudgetOptions budget = Load().pipeline.wal_budget;
  EXPECT_EQ(budget.max_bytes, std::uint64_t{2} << 30);
  EXPECT_EQ(budget.policy, engine::OnRetainedWal::kDropSlot);
  request_.flags["max-retained-wal"] = {"1KiB"};
  EXPECT_EQ(Failure().code, "SLU-1001");
}

TEST_F(LoadOptionsTest, ASizeOrATimeWithoutItsUnitIsToldTheUnits) {
  request_.flags["memory"] = {"256M"};
  EXPECT_EQ(
      Failure().message,
      "--memory: 256M is not allowed; allowed: at least 128MiB, written with KiB, MiB or GiB");
  request_.flags["memory"] = {"256MiB"};
  request_.flags["batch-age"] = {"5"};
  EXPECT_EQ(Failure().message,
            "--batch-age: 5 is not allowed; allowed: 0ms to 1h, written with ms, s, m or h");
}

TEST_F(LoadOptionsTest, ARangeOfACopyIsLargerWhereRowsAreUnlessItsSizeWasGiven) {
  EXPECT_EQ(Load().pipeline.copy_range_bytes, std::size_t{256} << 20);
  EXPECT_EQ(Load().pipeline.copy_range_bytes_most, std::size_t{1} << 30);
  request_.flags["copy-range"] = {"256MiB"};
  EXPECT_EQ(Load().pipeline.copy_range_bytes_most, std::size_t{256} << 20);
}

TEST_F(LoadOptionsTest, ModesOfTablesComeFromTheOptionAndTheFile) {
  EXPECT_EQ(Load().pipeline.tables.For({"public", "t"}).mode, TableMode::kMirror);
  request_.flags["mode"] = {"both"};
  UseFile("tables: {public.orders: {mode: history}, public.events: {mode: append}}\n");
  const types::TableRules rules = Load().pipeline.tables;
  EXPECT_EQ(rules.For({"public", "t"}).mode, TableMode::kBoth);
  EXPECT_EQ(rules.For({"public", "orders"}).mode, TableMode::kHistory);
  EXPECT_EQ(rules.For({"public", "events"}).mode, TableMode::kAppend);
}

TEST_F(LoadOptionsTest, TypesOfColumnsComeFromTheFile) {
  EXPECT_EQ(Load().pipeline.types, nullptr);
  UseFile("types: {public.orders.amount: \"decimal(38,4)\", arrays: text}\n");
  const auto types = Load().pipeline.types;
  ASSERT_NE(types, nullptr);
  ASSERT_EQ(types->declared().size(), 1U);
  EXPECT_EQ(types->declared()[0].table, (TableName{"public", "orders"}));
  EXPECT_EQ(types->declared()[0].column, "amount");
  for (const char* text :
       {"types: text\n", "types: [a]\n", "types: {public.orders.amount: doubles}\n",
        "types: {public.orders: text}\n", "types: {a.b.c: {x: y}}\n", "types: {arrays: 1}\n"}) {
    UseFile(text);
    EXPECT_EQ(Failure().code, "SLU-1001") << text;
    EXPECT_NE(Failure().message.find("types"), string::npos) << Failure().message;
  }
}

TEST_F(LoadOptionsTest, WrongSettingsOfTablesNameTheirLine) {
  const std::pair<const char*, const char*> wrong[] = {
      {"tables: text\n",
       "shop.yaml:1: key tables takes names with settings: PATTERN: {mode, columns: {exclude}, "
       "on_drop}"},
      {"tables:\n  public.a: text\n",
       "shop.yaml:2: tables.public.a must hold keys: mode, columns, on_drop"},
      {"tables:\n  public.a:\n    mdoe: append\n",
       "shop.yaml:3: unknown key tables.public.a.mdoe; allowed here: mode, columns, on_drop"},
      {"tables:\n  public.a:\n    columns:\n      include: [b]\n",
       "shop.yaml:4: unknown key tables.public.a.columns.include; allowed here: exclude"},
      {"tables:\n  public.a:\n    mode: full\n",
       "shop.yaml:3: tables.public.a.mode: full is not allowed; allowed: mirror, append, history, "
       "both"},
      {"tables:\n  public.a:\n    mode: [mirror]\n",
       "shop.yaml:3: key tables.public.a.mode takes one value"},
      {"tables:\n  public.a:\n    columns: {exclude: [[b]]}\n",
       "shop.yaml:3: key tables.public.a.columns.exclude takes a list of words"},
      {"tables:\n  public.a: {mode: mirror}\n  public.a: {mode: mirror}\n",
       "shop.yaml:3: key tables.public.a is there twice"},
      {"names: {tables: {public.a: {x: y}}}\n",
       "shop.yaml:1: key names.tables takes one value: SCHEMA.TABLE: SCHEMA.TABLE"},
      {"mode: full\n", "shop.yaml:1: mode: full is not allowed; allowed: mirror|history|both"},
      {"on_drop: x\n", "shop.yaml:1: on_drop: x is not allowed; allowed: keep|drop"},
  };
  for (const auto& [text, message] : wrong) {
    UseFile(text);
    EXPECT_EQ(Failure().message, message);
  }
}

TEST_F(LoadOptionsTest, SettingsOfTablesComeFromTheFile) {
  UseFile(
      "tables:\n  public.orders: {mode: mirror}\n  public.*: {columns: {exclude: [\"${SECRET}\", "
      "b]}}\n");
  variables_["SECRET"] = "Password";
  const types::TableSettings orders = Load().pipeline.tables.For({"public", "orders"});
  EXPECT_EQ(orders.mode, types::TableMode::kMirror);
  EXPECT_TRUE(orders.excludes("password"));
  EXPECT_TRUE(orders.excludes("b"));
}

TEST_F(LoadOptionsTest, NamesAtTheDestinationComeFromTheFile) {
  UseFile(
      "names: {schemas: {public: main}, tables: {public.orders: sales.orders}}\non_drop: drop\n");
  const engine::PipelineOptions options = Load().pipeline;
  EXPECT_EQ(options.names.For({"public", "users"}), (TableName{"main", "users"}));
  EXPECT_EQ(options.names.For({"public", "orders"}), (TableName{"sales", "orders"}));
  EXPECT_EQ(options.tables.For({"public", "users"}).on_drop, types::OnDrop::kDrop);
  UseFile("names:\n  tables: {a.*: b.c}\n");
  EXPECT_EQ(Failure().message,
            "shop.yaml:2: names.tables: a.*: a.* is not allowed; allowed: SCHEMA.TABLE");
}

TEST_F(LoadOptionsTest, MisfitsGoByOneWordOrByTypeAndColumn) {
  const auto amount = types::TypeCatalog().Resolve(Oid{1700}, (10 << 16) + 2 + 4);
  const auto list = types::TypeCatalog().Resolve(Oid{1007}, -1);
  const auto number = types::TypeCatalog().Resolve(Oid{23}, -1);
  ASSERT_TRUE(amount && list && number);
  const TableName orders{"public", "orders"};
  const auto policy = [&](const char* column, const ColumnType& type) {
    const auto loaded = Load().pipeline.types;
    EXPECT_NE(loaded, nullptr);
    return loaded == nullptr ? OnMisfit::kHalt : loaded->MisfitPolicy(orders, column, type);
  };
  for (const char* text :
       {"on_misfit: null\n", "on_misfit: null", "on_misfit: \"null\"\n", "{on_misfit: null}\n",
        "on_misfit: {default: null}\n", "on_misfit:\n  numeric: null # the word\n"}) {
    UseFile(text);
    EXPECT_EQ(policy("amount", *amount), OnMisfit::kNull) << text;
  }
  UseFile("on_misfit: {default: halt, arrays: null, public.Orders.\"Odd\": quarantine}\n");
  EXPECT_EQ(policy("amount", *amount), OnMisfit::kHalt);
  EXPECT_EQ(policy("tags", *list), OnMisfit::kNull);
  UseFile("on_misfit: {default: quarantine, public.orders.amount: null, numeric: halt}\n");
  EXPECT_EQ(policy("amount", *amount), OnMisfit::kNull);
  EXPECT_EQ(policy("other", *amount), OnMisfit::kHalt);
  EXPECT_EQ(policy("tags", *list), OnMisfit::kQuarantine);
  EXPECT_EQ(policy("number", *number), OnMisfit::kHalt);
  ASSERT_EQ(Load().pipeline.types->declared().size(), 1U);
  EXPECT_EQ(Load().pipeline.types->declared()[0].option, "on_misfit");
  for (const char* text :
       {"on_misfit:\n", "on_misfit: ~\n", "on_misfit: drop\n", "on_misfit: [null]\n",
        "on_misfit: {integer: null}\n", "on_misfit: {a.b: null}\n", "on_misfit: {numeric: }\n",
        "on_misfit:\nmemory: 1GiB\n"}) {
    UseFile(text);
    EXPECT_EQ(Failure().code, "SLU-1001") << text;
    EXPECT_NE(Failure().message.find("on_misfit"), string::npos) << Failure().message;
  }
}

TEST_F(LoadOptionsTest, MissingEndsAreNamedOnlyWhereNeeded) {
  request_.flags.erase("source");
  EXPECT_EQ(Failure().message, "the source is missing");
  request_.needs_source = false;
  Load();
  request_.flags.erase("destination");
  EXPECT_EQ(Failure().code, "SLU-1005");
  request_.needs_destination = false;
  EXPECT_EQ(Load().pipeline.pipeline, "");
}

TEST_F(LoadOptionsTest, GivesThePasswordOfTheSourceToItsPrimary) {
  UseFile("source: {password_file: pw, primary_url: postgres://app@main/shop}\n");
  files_["/home/me/pw"] = "secret\n";
  EXPECT_EQ(Load().pipeline.primary, "postgres://app@main/shop?password=%73%65%63%72%65%74");
}

TEST_F(LoadOptionsTest, AMissingFileIsAnError) {
  request_.flags["config"] = {"nope.yaml"};
  EXPECT_FALSE(LoadOptions(request_));
  request_.flags.erase("config");
  UseFile("source: {password_file: nope}\n");
  EXPECT_EQ(Failure().code, "SLU-1007");
}

TEST(WithPassword, FitsBothFormsOfASource) {
  EXPECT_EQ(WithPassword("host=db user=app", "it's\\"), "host=db user=app password='it\\'s\\\\'");
  EXPECT_EQ(WithPassword("postgresql://db/x?a=b", "@"), "postgresql://db/x?a=b&password=%40");
}

TEST(PipelineNameFor, FoldsCutsAndHashes) {
  const auto name = [](const string& path) {
    return PipelineNameFor({DestinationUrl::Kind::kDuckDb, path});
  };
  EXPECT_EQ(name("/var/lib/shop.duckdb"), "shop");
  EXPECT_EQ(name("/var/My Shop-2.db"), "my_shop_2");
  EXPECT_EQ(name("/var/caf\u00e9.db"), "caf_");
  EXPECT_EQ(PipelineNameFor({DestinationUrl::Kind::kNull, ""}), "null");
  EXPECT_EQ(PipelineNameFor({DestinationUrl::Kind::kMemory, "Test"}), "test");
  const string longest = name("/x/" + string(56, 'a') + ".db");
  EXPECT_EQ(longest, string(56, 'a'));
  const string cut = name("/x/" + string(57, 'a') + ".db");
  EXPECT_EQ(cut.size(), 56U);
  EXPECT_TRUE(cut.starts_with(string(47, 'a') + "_"));
  EXPECT_NE(cut, name("/x/" + string(58, 'a') + ".db"));
  EXPECT_FALSE(WhyNotAPipelineName(cut));
}

TEST(OptionTable, HasNoNameTwice) {
  std::set<string> names;
  for (const OptionSpec& option : OptionTable()) {
    for (const std::string_view text : {option.name, option.env}) {
      if (!text.empty()) {
        EXPECT_TRUE(names.insert(string(text)).second) << text;
      }
    }
    if (!option.key.empty()) {
      EXPECT_TRUE(names.insert("key " + string(option.key)).second);
    }
    EXPECT_FALSE(option.help.empty());
  }
}

TEST(OptionTable, IsWhatTheManualShows) {
  std::ifstream in(SLUICE_OPTIONS_MD);
  ASSERT_TRUE(in) << SLUICE_OPTIONS_MD << " is missing; the table is:\n" << OptionsMarkdown();
  std::stringstream text;
  text << in.rdbuf();
  EXPECT_NE(text.str().find(OptionsMarkdown()), string::npos) << "docs/options.md must contain:\n"
                                                              << OptionsMarkdown();
}

}  // namespace
}  // namespace sluice::config
