#include "postgres/session_settings.h"

#include <array>

namespace sluice::postgres {
namespace {

constexpr auto kSettings = std::to_array<PinnedSetting>({
    // Text forms (T84, finding 4: a role's settings reach the walsender's output too).
    {"client_encoding", "UTF8", 0, false},
    {"datestyle", "ISO"},
    {"intervalstyle", "postgres"},
    {"extra_float_digits", "3"},
    {"bytea_output", "hex"},
    {"timezone", "UTC"},
    {"lc_monetary", "C"},
    {"quote_all_identifiers", "off"},
    {"standard_conforming_strings", "on"},
    // What statements mean and see.
    {"search_path", "pg_catalog"},
    {"row_security", "off"},
    {"default_transaction_read_only", "off"},
    {"default_transaction_isolation", "read committed"},
    {"default_transaction_deferrable", "off"},
    // Deadlines are ours, on this side.
    {"statement_timeout", "0"},
    {"lock_timeout", "0"},
    {"idle_in_transaction_session_timeout", "0"},
    {"idle_session_timeout", "0"},
    {"transaction_timeout", "0", 170000, false},
    // A copy is one long scan; compiling it costs more than it saves.
    {"jit", "off"},
});

}  // namespace

std::span<const PinnedSetting> PinnedSettings() {
  return kSettings;
}

std::string StartupOptions(std::string_view given) {
  std::string out(given);
  for (const PinnedSetting& setting : kSettings) {
    if (!setting.at_startup) continue;
    if (!out.empty()) out += ' ';
    out.append("-c ").append(setting.name).append("=");
    for (const char c : setting.value) {
      if (c == ' ' || c == '\\') out += '\\';
      out += c;
    }
  }
  return out;
}

bool IsAsPinned(const PinnedSetting& setting, std::string_view in_force) {
  if (setting.name == "datestyle") in_force = in_force.substr(0, in_force.find(','));
  return in_force == setting.value;
}

std::string PinnedSettingsQuery() {
  std::string sql = "SELECT n, pg_catalog.current_setting(n, true) FROM pg_catalog.unnest(ARRAY[";
  for (const PinnedSetting& setting : kSettings) {
    if (sql.back() != '[') sql += ',';
    sql.append("'").append(setting.name).append("'");
  }
  return sql += "]::pg_catalog.text[]) AS n";
}

}  // namespace sluice::postgres
