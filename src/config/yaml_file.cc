#include "config/yaml_file.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <utility>

namespace sluice::config {
namespace {

Error At(const std::string& file, int line, const char* code, std::string message) {
  return Error{.kind = ErrorKind::kConfig,
               .message = fmt::format("{}:{}: {}", file, line, message),
               .code = code};
}

int LineOf(const YAML::Node& node) {
  return node.Mark().line + 1;
}

/// Keys allowed below `prefix` ("" or "source."), for the error.
std::string AllowedBelow(const std::string& prefix) {
  std::vector<std::string> names;
  for (const OptionSpec& option : OptionTable()) {
    if (option.key.empty() || option.is_planned || !option.key.starts_with(prefix)) continue;
    const std::string_view rest = option.key.substr(prefix.size());
    std::string name(rest.substr(0, rest.find('.')));
    if (std::find(names.begin(), names.end(), name) == names.end())
      names.push_back(std::move(name));
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

const OptionSpec* ByKey(std::string_view key) {
  for (const OptionSpec& option : OptionTable()) {
    if (!option.key.empty() && option.key == key) return &option;
  }
  return nullptr;
}

/// The same of a table's settings: `prefix` "" or "columns.".
std::string AllowedOfTable(std::string_view prefix) {
  std::vector<std::string_view> names;
  for (const std::string_view key : kTableKeys) {
    if (!key.starts_with(prefix)) continue;
    const std::string_view rest = key.substr(prefix.size());
    names.push_back(rest.substr(0, rest.find('.')));
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

bool IsGroup(const std::string& key) {
  const auto options = OptionTable();
  return std::any_of(options.begin(), options.end(),
                     [&](const OptionSpec& o) { return o.key.starts_with(key + "."); });
}

class Walker {
 public:
  Walker(const std::string& file, std::string_view text, const Environment& environment)
      : file_(file), text_(text), environment_(environment) {}

  Status Walk(const YAML::Node& map, const std::string& prefix) {
    if (!map.IsMap()) {
      return At(file_, LineOf(map), "SLU-1001",
                fmt::format("{} must hold keys: {}",
                            prefix.empty() ? "the file" : prefix.substr(0, prefix.size() - 1),
                            AllowedBelow(prefix)));
    }
    for (const auto& entry : map) {
      SLUICE_RETURN_IF_ERROR(SeeOnce(entry.first, prefix));
      SLUICE_RETURN_IF_ERROR(Take(prefix, entry.first, entry.second));
    }
    return {};
  }

  std::vector<Setting> settings;

 private:
  Status Take(const std::string& prefix, const YAML::Node& name, const YAML::Node& value) {
    const std::string key = prefix + name.Scalar();
    const int line = LineOf(name);
    const OptionSpec* option = ByKey(key);
    if (option == nullptr) {
      if (IsGroup(key)) return Walk(value, key + ".");
      return At(file_, line, "SLU-1003",
                fmt::format("unknown key {}; allowed here: {}", key, AllowedBelow(prefix)));
    }
    Setting setting{.option = option, .values = {}, .line = line, .tables = {}};
    if (option->is_planned && option->name.empty()) {
      settings.push_back(std::move(setting));
      return {};
    }
    if (value.IsSequence() && option->kind == OptionKind::kList) {
      for (const auto& item : value) {
        SLUICE_RETURN_IF_ERROR(AddScalar(setting, item, key));
      }
    } else if (value.IsMap() &&
               (option->kind == OptionKind::kMap || option->kind == OptionKind::kChoiceOrMap)) {
      for (const auto& entry : value) {
        SLUICE_RETURN_IF_ERROR(SeeOnce(entry.first, key + "."));
        SLUICE_RETURN_IF_ERROR(AddScalar(setting, entry.first, key));
        SLUICE_RETURN_IF_ERROR(AddScalar(setting, entry.second, key));
      }
    } else if (option->kind == OptionKind::kTables) {
      SLUICE_RETURN_IF_ERROR(WalkTables(setting, value));
    } else if (option->kind == OptionKind::kMap) {
      return At(file_, line, "SLU-1001",
                fmt::format("key {} takes names with values: {}", key, option->range));
    } else {
      SLUICE_RETURN_IF_ERROR(AddScalar(setting, value, key));
    }
    settings.push_back(std::move(setting));
    return {};
  }

  Status WalkTables(Setting& setting, const YAML::Node& tables) {
    const std::string prefix = std::string(setting.option->key) + ".";
    if (!tables.IsMap()) {
      return At(file_, setting.line, "SLU-1001",
                fmt::format("key {} takes names with settings: {}", setting.option->key,
                            setting.option->range));
    }
    for (const auto& entry : tables) {
      SLUICE_RETURN_IF_ERROR(SeeOnce(entry.first, prefix));
      TableEntry table{.name = entry.first.Scalar(), .key = {}, .values = {}, .line = 0};
      SLUICE_RETURN_IF_ERROR(WalkTable(setting, table, prefix + table.name + ".", entry.second));
    }
    return {};
  }

  /// \param entry carries the table's name and the key so far ("columns.").
  Status WalkTable(Setting& setting, const TableEntry& entry, const std::string& path,
                   const YAML::Node& map) {
    if (!map.IsMap()) {
      return At(file_, LineOf(map), "SLU-1001",
                fmt::format("{} must hold keys: {}", path.substr(0, path.size() - 1),
                            AllowedOfTable(entry.key)));
    }
    for (const auto& node : map) {
      const YAML::Node& name = node.first;
      SLUICE_RETURN_IF_ERROR(SeeOnce(name, path));
      TableEntry inner{
          .name = entry.name, .key = entry.key + name.Scalar(), .values = {}, .line = LineOf(name)};
      const auto is_below = [&](std::string_view key) { return key.starts_with(inner.key + "."); };
      const bool is_group = std::any_of(std::begin(kTableKeys), std::end(kTableKeys), is_below);
      if (is_group) {
        inner.key += ".";
        SLUICE_RETURN_IF_ERROR(WalkTable(setting, inner, path + name.Scalar() + ".", node.second));
        continue;
      }
      if (std::find(std::begin(kTableKeys), std::end(kTableKeys), inner.key) ==
          std::end(kTableKeys)) {
        return At(file_, inner.line, "SLU-1003",
                  fmt::format("unknown key {}; allowed here: {}", path + name.Scalar(),
                              AllowedOfTable(entry.key)));
      }
      SLUICE_RETURN_IF_ERROR(TakeTableValues(inner, path + name.Scalar(), node.second));
      setting.tables.push_back(std::move(inner));
    }
    return {};
  }

  Status TakeTableValues(TableEntry& entry, const std::string& path, const YAML::Node& value) {
    const bool is_list = entry.key == "columns.exclude";
    const auto take = [&](const YAML::Node& item) -> Status {
      if (!item.IsScalar()) {
        return At(file_, entry.line, "SLU-1001",
                  fmt::format("key {} takes {}", path, is_list ? "a list of words" : "one value"));
      }
      SLUICE_ASSIGN_OR_RETURN(std::string text, Expand(item, path));
      entry.values.push_back(std::move(text));
      return {};
    };
    if (!is_list || !value.IsSequence()) return take(value);
    for (const auto& item : value) SLUICE_RETURN_IF_ERROR(take(item));
    return {};
  }

  /// A key is a word, and there once.
  Status SeeOnce(const YAML::Node& name, const std::string& prefix) {
    if (!name.IsScalar()) return At(file_, LineOf(name), "SLU-1003", "a key must be a word");
    const std::string key = prefix + name.Scalar();
    if (std::find(seen_.begin(), seen_.end(), key) != seen_.end()) {
      return At(file_, LineOf(name), "SLU-1003", fmt::format("key {} is there twice", key));
    }
    seen_.push_back(key);
    return {};
  }

  Result<std::string> Expand(const YAML::Node& value, const std::string& key) {
    auto expanded = ExpandVariables(value.Scalar(), environment_);
    if (expanded) return expanded;
    return At(file_, LineOf(value), "SLU-1007",
              fmt::format("key {}: {}", key, expanded.error().message));
  }

  /// The word null, which YAML takes for no value; not where nothing stands.
  bool IsWordNull(const YAML::Node& value) const {
    constexpr std::string_view kNull = "null";
    if (!value.IsNull() || value.Mark().pos < 0) return false;
    const std::string_view rest =
        text_.substr(std::min(text_.size(), static_cast<std::size_t>(value.Mark().pos)));
    if (!rest.starts_with(kNull)) return false;
    return rest.size() == kNull.size() ||
           std::string_view(" \t\r\n,}#").find(rest[kNull.size()]) != std::string_view::npos;
  }

  Status AddScalar(Setting& setting, const YAML::Node& value, const std::string& key) {
    if (setting.option->kind == OptionKind::kChoiceOrMap && IsWordNull(value)) {
      setting.values.emplace_back("null");
      return {};
    }
    if (!value.IsScalar()) {
      const char* wanted =
          setting.option->kind == OptionKind::kList ? "a list of words" : "one value";
      return At(file_, setting.line, "SLU-1001",
                fmt::format("key {} takes {}: {}", key, wanted, setting.option->range));
    }
    SLUICE_ASSIGN_OR_RETURN(std::string text, Expand(value, key));
    setting.values.push_back(std::move(text));
    return {};
  }

  const std::string& file_;
  std::string_view text_;
  const Environment& environment_;
  std::vector<std::string> seen_;
};

}  // namespace

Result<std::string> ExpandVariables(std::string_view text, const Environment& environment) {
  std::string out;
  while (!text.empty()) {
    if (text.starts_with("$${")) {
      out += "${";
      text.remove_prefix(3);
      continue;
    }
    if (!text.starts_with("${")) {
      out += text.front();
      text.remove_prefix(1);
      continue;
    }
    const std::size_t end = text.find('}');
    if (end == std::string_view::npos) {
      return Error{.kind = ErrorKind::kConfig, .message = "${ without }", .code = "SLU-1007"};
    }
    const std::string name(text.substr(2, end - 2));
    const auto value = environment(name);
    if (!value) {
      return Error{.kind = ErrorKind::kConfig,
                   .message = fmt::format("the variable {} is not set", name),
                   .code = "SLU-1007"};
    }
    out += *value;
    text.remove_prefix(end + 1);
  }
  return out;
}

Result<std::vector<Setting>> ParseConfig(const std::string& file, const std::string& text,
                                         const Environment& environment) {
  if (text.size() > kConfigBytesMax) {
    return At(file, 1, "SLU-1002", "the file is larger than 1 MiB");
  }
  Walker walker(file, text, environment);
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(text);
    if (documents.size() > 1) {
      return At(file, LineOf(documents[1]), "SLU-1002", "there must be one document in the file");
    }
    // An empty file says nothing, which is fine.
    if (documents.empty() || documents[0].IsNull()) return std::vector<Setting>{};
    SLUICE_RETURN_IF_ERROR(walker.Walk(documents[0], ""));
  } catch (const YAML::Exception& error) {
    return At(file, error.mark.line + 1, "SLU-1002", "not YAML: " + error.msg);
  }
  return std::move(walker.settings);
}

}  // namespace sluice::config
