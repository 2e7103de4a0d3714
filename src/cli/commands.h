/// \file
/// One function per command: stands in <command>_command.cc, is listed in commands.cc.
#pragma once

#include "cli/command.h"

namespace sluice::cli {

int RunRun(const Arguments& arguments);
int RunHelp(const Arguments& arguments);
int RunVersion(const Arguments& arguments);

}  // namespace sluice::cli
