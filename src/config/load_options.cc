#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "config/option_values.h"
#include "config/options.h"
#include "config/yaml_file.h"
#include "types/type_policies.h"

namespace sluice::config {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;
constexpr std::size_t kGiB = std::size_t{1} << 30;
constexpr std::size_t kMemoryLeast = 128 * kMiB;
constexpr std::size_t kMemoryMost = std::size_t{1} << 46;
constexpr std::size_t kMemoryDefaultMost = 2 * kGiB;

std::string Absolute(const LoadRequest& request, const std::string& path) {
  return (std::filesystem::path(request.working_directory) / path).lexically_normal().string();
}

/// What was given, one entry an option at most: flags win over variables over the file.
class Gathered {
 public:
  static Result<Gathered> From(const LoadRequest& request) {
    Gathered out;
    for (const OptionSpec& option : OptionTable()) out.TakeFlagOrVariable(request, option);
    if (const Given* config = out.Find("config")) {
      const std::string name = config->value();  // given_ grows below
      out.file_ = Absolute(request, name);
      SLUICE_ASSIGN_OR_RETURN(const std::string text, request.read_file(out.file_));
      SLUICE_ASSIGN_OR_RETURN(auto settings, ParseConfig(name, text, request.environment));
      for (Setting& setting : settings) {
        if (out.FindKey(setting.option->key) != nullptr) continue;
        Given& given = out.given_.emplace_back(
            Given{setting.option, std::move(setting.values),
                  fmt::format("{}:{}: {}", name, setting.line, setting.option->key)});
        for (TableEntry& entry : setting.tables) {
          const std::string origin = fmt::format("{}:{}: {}.{}.{}", name, entry.line,
                                                 setting.option->key, entry.name, entry.key);
          given.tables.push_back(
              {std::move(entry.name), std::move(entry.key), std::move(entry.values), origin});
        }
      }
    }
    return out;
  }

  const Given* Find(std::string_view name) const {
    const auto found = std::find_if(given_.begin(), given_.end(),
                                    [&](const Given& g) { return g.option->name == name; });
    return found == given_.end() ? nullptr : &*found;
  }
  const Given* FindKey(std::string_view key) const {
    const auto found = std::find_if(given_.begin(), given_.end(), [&](const Given& g) {
      return !key.empty() && g.option->key == key;
    });
    return found == given_.end() ? nullptr : &*found;
  }
  const std::vector<Given>& all() const { return given_; }
  const std::string& file() const { return file_; }

 private:
  void TakeFlagOrVariable(const LoadRequest& request, const OptionSpec& option) {
    if (option.name.empty()) return;
    const auto flag = request.flags.find(option.name);
    if (flag != request.flags.end() && !flag->second.empty()) {
      given_.push_back(
          {&option, flag->second,
           option.is_argument ? std::string(option.name) : fmt::format("--{}", option.name), true});
      return;
    }
    const auto variable = request.environment(std::string(option.env));
    if (!variable || variable->empty()) return;
    Given given{&option, {*variable}, std::string(option.env)};
    if (option.kind == OptionKind::kList) given.values = SplitList(*variable);
    if (!given.values.empty()) given_.push_back(std::move(given));
  }

  std::vector<Given> given_;
  std::string file_;
};

Error Unbuilt(const std::string& origin) {
  return Error{.kind = ErrorKind::kConfig,
               .message = fmt::format("{}: planned, and not in this version yet", origin),
               .code = "SLU-1006",
               .advice = "leave it out"};
}

/// Parts of the interface that this version does not have.
Status RefusePlanned(const Gathered& gathered) {
  for (const Given& given : gathered.all()) {
    if (!given.option->is_planned) continue;
    if (!given.values.empty() && given.option->kind == OptionKind::kChoice) {
      SLUICE_ASSIGN_OR_RETURN(const std::string choice, ChoiceOf(given));
      if (choice == given.option->default_text) continue;
    }
    return Unbuilt(given.origin);
  }
  return {};
}

void Select(const Gathered& gathered, engine::TableSelection& selection) {
  const auto take = [&](std::string_view name, std::vector<std::string>& included,
                        std::vector<std::string>* excluded) {
    const Given* given = gathered.Find(name);
    if (given == nullptr) return;
    for (const std::string& pattern : given->values) {
      if (!given->is_flag && excluded != nullptr && pattern.starts_with('!')) {
        excluded->push_back(pattern.substr(1));
      } else {
        included.push_back(pattern);
      }
    }
  };
  take("table", selection.tables, &selection.excluded_tables);
  take("exclude-table", selection.excluded_tables, nullptr);
  take("schema", selection.schemas, &selection.excluded_schemas);
  take("exclude-schema", selection.excluded_schemas, nullptr);
}

Result<std::string> DefaultStateDir(const LoadRequest& request) {
  if (request.is_root) return std::string("/var/lib/sluice");
  // The specification says to ignore a relative one.
  if (const auto xdg = request.environment("XDG_STATE_HOME"); xdg && xdg->starts_with('/')) {
    return *xdg + "/sluice";
  }
  if (const auto home = request.environment("HOME"); home && home->starts_with('/')) {
    return *home + "/.local/state/sluice";
  }
  return Error{.kind = ErrorKind::kConfig,
               .message = "no state directory: neither XDG_STATE_HOME nor HOME is set",
               .code = "SLU-1001",
               .advice = "use --state DIR"};
}

Status LoadEnds(const LoadRequest& request, const Gathered& gathered, RunOptions& options) {
  if (const Given* source = gathered.Find("source")) options.pipeline.source = source->value();
  if (const Given* primary = gathered.Find("primary")) options.pipeline.primary = primary->value();
  if (const Given* file = gathered.FindKey("source.password_file")) {
    auto text = request.read_file(Absolute(request, file->value()));
    if (!text) {
      return Error{.kind = ErrorKind::kConfig,
                   .message = fmt::format("{}: {}", file->origin, text.error().message),
                   .code = "SLU-1007"};
    }
    const std::string password = text->substr(0, text->find_first_of("\r\n"));
    options.pipeline.source = WithPassword(options.pipeline.source, password);
    if (!options.pipeline.primary.empty())
      options.pipeline.primary = WithPassword(options.pipeline.primary, password);
  }
  if (const Given* destination = gathered.Find("destination")) {
    SLUICE_ASSIGN_OR_RETURN(options.destination,
                            ParseDestinationUrl(destination->value(), request.working_directory));
    options.pipeline.destination = options.destination->ToString();
  }
  const bool lacks_source = request.needs_source && options.pipeline.source.empty();
  const bool lacks_destination = request.needs_destination && !options.destination;
  if (!lacks_source && !lacks_destination) return {};
  return Error{.kind = ErrorKind::kConfig,
               .message = lacks_source && lacks_destination ? "source and destination are missing"
                          : lacks_source                    ? "the source is missing"
                                                            : "the destination is missing",
               .code = "SLU-1005",
               .advice =
                   "give SOURCE and DESTINATION, or set SLUICE_SOURCE and "
                   "SLUICE_DESTINATION, or use --config FILE"};
}

Status LoadNames(const Gathered& gathered, RunOptions& options) {
  if (const Given* name = gathered.Find("pipeline")) {
    if (const auto why = WhyNotAPipelineName(name->value())) {
      return Error{.kind = ErrorKind::kConfig,
                   .message = fmt::format("{}: {}: {}", name->origin, name->value(), *why),
                   .code = "SLU-1001"};
    }
    options.pipeline.pipeline = name->value();
    options.is_pipeline_named = true;
  } else if (options.destination) {
    options.pipeline.pipeline = PipelineNameFor(*options.destination);
  }
  if (const Given* publication = gathered.Find("publication")) {
    if (publication->value().empty() || publication->value().size() > 63) {
      return NotAllowed(*publication);
    }
    options.pipeline.publication = publication->value();
  }
  if (const Given* slot = gathered.Find("slot")) {
    const std::string& name = slot->value();
    const bool is_name =
        !name.empty() && name.size() <= 63 &&
        name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos;
    if (!is_name) return NotAllowed(*slot);
    options.pipeline.slot = name;
  }
  return {};
}

Status LoadLimits(const LoadRequest& request, const Gathered& gathered,
                  engine::PipelineOptions& options) {
  options.memory_bytes =
      std::clamp(request.machine_memory_bytes / 4, kMemoryLeast, kMemoryDefaultMost);
  if (const Given* given = gathered.Find("memory")) {
    SLUICE_ASSIGN_OR_RETURN(options.memory_bytes, SizeOf(*given, kMemoryLeast, kMemoryMost));
  }
  if (const Given* given = gathered.Find("copy-workers")) {
    SLUICE_ASSIGN_OR_RETURN(const std::size_t workers, NumberOf(*given, 1, 16));
    options.copy_workers = static_cast<int>(workers);
  }
  if (const Given* given = gathered.Find("copy-range")) {
    SLUICE_ASSIGN_OR_RETURN(options.copy_range_bytes, SizeOf(*given, kMiB, 1024 * kGiB));
    options.copy_range_bytes_most = options.copy_range_bytes;
  }
  if (const Given* given = gathered.Find("batch-rows")) {
    SLUICE_ASSIGN_OR_RETURN(options.batch_rows, NumberOf(*given, 1, 10'000'000));
  }
  if (const Given* given = gathered.Find("batch-bytes")) {
    SLUICE_ASSIGN_OR_RETURN(options.batch_bytes, SizeOf(*given, 64 * 1024, kGiB));
  }
  if (const Given* given = gathered.Find("batch-age")) {
    SLUICE_ASSIGN_OR_RETURN(options.batch_age, DurationOf(*given, std::chrono::hours(1)));
  }
  if (const Given* given = gathered.Find("catch-up-from")) {
    options.catch_up_from.reset();
    if (given->value() != "off") {
      SLUICE_ASSIGN_OR_RETURN(options.catch_up_from, SizeOf(*given, 0, 1024 * kGiB));
    }
  }
  if (const Given* given = gathered.Find("keep-halted")) {
    SLUICE_ASSIGN_OR_RETURN(options.keep_halted_bytes, SizeOf(*given, 0, 1024 * kGiB));
  }
  if (const Given* given = gathered.Find("keep-halted-for")) {
    SLUICE_ASSIGN_OR_RETURN(options.keep_halted_for, DurationOf(*given, Duration::max()));
  }
  if (const Given* given = gathered.Find("max-retained-wal")) {
    SLUICE_ASSIGN_OR_RETURN(options.wal_budget.max_bytes,
                            SizeOf(*given, std::size_t{1} << 20, kGiB << 20));
  }
  if (const Given* given = gathered.Find("on-retained-wal")) {
    SLUICE_ASSIGN_OR_RETURN(const std::string choice, ChoiceOf(*given));
    options.wal_budget.policy = choice == "pause-copy"  ? engine::OnRetainedWal::kPauseCopy
                                : choice == "drop-slot" ? engine::OnRetainedWal::kDropSlot
                                                        : engine::OnRetainedWal::kWarn;
  }
  if (const Given* given = gathered.Find("retry-for")) {
    SLUICE_ASSIGN_OR_RETURN(options.retry_for, DurationOf(*given, Duration::max()));
  }
  return {};
}

Status LoadTypes(const Gathered& gathered, engine::PipelineOptions& options) {
  const Given* declared = gathered.FindKey("types");
  const Given* misfits = gathered.Find("on-misfit");
  if (declared == nullptr && misfits == nullptr) return {};
  auto policies = std::make_shared<types::TypePolicies>();
  for (std::size_t i = 0; declared != nullptr && i + 1 < declared->values.size(); i += 2) {
    Status added = policies->Add(declared->values[i], declared->values[i + 1]);
    if (!added) return std::move(added).error().At(declared->origin);
  }
  if (misfits != nullptr) {
    std::vector<std::string> pairs = misfits->values;
    if (pairs.size() == 1) pairs.insert(pairs.begin(), "default");
    for (std::size_t i = 0; i + 1 < pairs.size(); i += 2) {
      Status added = policies->AddMisfit(pairs[i], pairs[i + 1]);
      if (!added) return std::move(added).error().At(misfits->origin);
    }
  }
  options.types = std::move(policies);
  return {};
}

Status LoadTables(const Gathered& gathered, engine::PipelineOptions& options) {
  types::TableMode mode = types::TableMode::kMirror;
  types::OnDrop on_drop = types::OnDrop::kKeep;
  if (const Given* given = gathered.Find("mode")) {
    SLUICE_ASSIGN_OR_RETURN(const std::string choice, ChoiceOf(*given));
    mode = *types::ParseTableMode(choice);
  }
  if (const Given* given = gathered.Find("on-drop")) {
    SLUICE_ASSIGN_OR_RETURN(const std::string choice, ChoiceOf(*given));
    on_drop = *types::ParseOnDrop(choice);
  }
  options.tables.SetDefaults(mode, on_drop);
  const Given* tables = gathered.FindKey("tables");
  if (tables == nullptr) return {};
  for (const GivenTable& table : tables->tables) {
    Status taken = table.key == "mode" ? options.tables.SetMode(table.name, table.values.back())
                   : table.key == "on_drop"
                       ? options.tables.SetOnDrop(table.name, table.values.back())
                       : options.tables.Exclude(table.name, table.values);
    if (!taken) return std::move(taken).error().At(table.origin);
  }
  return {};
}

Status LoadNameMap(const Gathered& gathered, types::NameMap& names) {
  const auto take = [&](std::string_view key, auto map) -> Status {
    const Given* given = gathered.FindKey(key);
    for (std::size_t i = 0; given != nullptr && i + 1 < given->values.size(); i += 2) {
      Status taken = map(given->values[i], given->values[i + 1]);
      if (!taken) return std::move(taken).error().At(given->values[i]).At(given->origin);
    }
    return {};
  };
  SLUICE_RETURN_IF_ERROR(take("names.schemas", [&](std::string_view from, std::string_view to) {
    return names.MapSchema(from, to);
  }));
  return take("names.tables",
              [&](std::string_view from, std::string_view to) { return names.MapTable(from, to); });
}

Status LoadBehaviour(const Gathered& gathered, engine::PipelineOptions& options) {
  if (const Given* given = gathered.Find("copy")) {
    SLUICE_ASSIGN_OR_RETURN(const std::string copy, ChoiceOf(*given));
    options.copy_existing = copy == "all";
  }
  if (const Given* given = gathered.Find("until")) {
    SLUICE_ASSIGN_OR_RETURN(options.until, UntilOf(*given));
  }
  if (const Given* given = gathered.Find("existing")) {
    SLUICE_ASSIGN_OR_RETURN(const std::string existing, ChoiceOf(*given));
    options.existing = existing == "adopt"     ? engine::Existing::kAdopt
                       : existing == "replace" ? engine::Existing::kReplace
                                               : engine::Existing::kRefuse;
  }
  if (const Given* given = gathered.Find("on-lost-slot")) {
    SLUICE_ASSIGN_OR_RETURN(const std::string lost, ChoiceOf(*given));
    options.on_lost_slot = lost == "resync"   ? engine::OnLostSlot::kResync
                           : lost == "repair" ? engine::OnLostSlot::kRepair
                                              : engine::OnLostSlot::kStop;
  }
  if (const Given* given = gathered.Find("skip-transaction")) {
    SLUICE_ASSIGN_OR_RETURN(options.skip_transaction, LsnOf(*given));
  }
  return {};
}

Status LoadOutput(const Gathered& gathered, RunOptions& options) {
  if (const Given* given = gathered.Find("http")) {
    SLUICE_ASSIGN_OR_RETURN(options.http, HttpOf(*given));
  }
  if (const Given* given = gathered.Find("log-format")) {
    SLUICE_ASSIGN_OR_RETURN(const std::string format, ChoiceOf(*given));
    options.log_format = format == "json" ? LogFormat::kJson : LogFormat::kText;
  }
  if (const Given* given = gathered.Find("log-level")) {
    SLUICE_ASSIGN_OR_RETURN(options.log_level, ChoiceOf(*given));
  }
  if (const Given* given = gathered.Find("progress")) {
    SLUICE_ASSIGN_OR_RETURN(const std::string progress, ChoiceOf(*given));
    options.progress = progress == "plain" ? Progress::kPlain
                       : progress == "off" ? Progress::kOff
                                           : Progress::kAuto;
  }
  if (const Given* given = gathered.Find("quiet")) {
    SLUICE_ASSIGN_OR_RETURN(options.quiet, FlagOf(*given));
  }
  if (const Given* given = gathered.Find("report")) {
    if (given->value().empty()) return NotAllowed(*given);
    options.report = given->value();
  }
  return {};
}

}  // namespace

Result<RunOptions> LoadOptions(const LoadRequest& request) {
  SLUICE_ASSIGN_OR_RETURN(const Gathered gathered, Gathered::From(request));
  SLUICE_RETURN_IF_ERROR(RefusePlanned(gathered));
  RunOptions options;
  options.config_file = gathered.file();
  SLUICE_RETURN_IF_ERROR(LoadEnds(request, gathered, options));
  SLUICE_RETURN_IF_ERROR(LoadNames(gathered, options));
  Select(gathered, options.pipeline.selection);
  if (const Given* state = gathered.Find("state")) {
    if (state->value().empty()) return NotAllowed(*state);
    options.pipeline.state_dir = Absolute(request, state->value());
  } else {
    SLUICE_ASSIGN_OR_RETURN(options.pipeline.state_dir, DefaultStateDir(request));
  }
  SLUICE_RETURN_IF_ERROR(LoadLimits(request, gathered, options.pipeline));
  SLUICE_RETURN_IF_ERROR(LoadBehaviour(gathered, options.pipeline));
  SLUICE_RETURN_IF_ERROR(LoadTypes(gathered, options.pipeline));
  SLUICE_RETURN_IF_ERROR(LoadTables(gathered, options.pipeline));
  SLUICE_RETURN_IF_ERROR(LoadNameMap(gathered, options.pipeline.names));
  SLUICE_RETURN_IF_ERROR(LoadOutput(gathered, options));
  return options;
}

}  // namespace sluice::config
