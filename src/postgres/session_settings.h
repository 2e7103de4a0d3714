/// \file
/// The settings every session of ours has, whatever the role, the database or the environment say:
/// they decide how values read as text, whether rows are hidden, and who ends a session. Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace sluice::postgres {

struct PinnedSetting {
  std::string_view name;   ///< lower case
  std::string_view value;  ///< as current_setting() says it, or its beginning up to a comma
  int first_version = 0;   ///< server_version_num that knows it
  bool at_startup = true;  ///< in the startup packet's options; else by SET afterwards
};

std::span<const PinnedSetting> PinnedSettings();

/// "-c name=value ..." after what the user gave, so that ours win.
std::string StartupOptions(std::string_view given);

/// The setting in force is the pinned one.
bool IsAsPinned(const PinnedSetting& setting, std::string_view in_force);

/// SELECT of (lower-case name, setting) for all of them.
std::string PinnedSettingsQuery();

}  // namespace sluice::postgres
