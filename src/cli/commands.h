/// \file
/// One function per command: stands in <command>_command.cc, is listed in commands.cc.
#pragma once

#include "cli/command.h"

namespace sluice::cli {

int RunRun(const Arguments& arguments);
int RunCopy(const Arguments& arguments);
int RunCheck(const Arguments& arguments);
int RunStatus(const Arguments& arguments);
int RunTables(const Arguments& arguments);
int RunVerify(const Arguments& arguments);
int RunRepair(const Arguments& arguments);
int RunResync(const Arguments& arguments);
int RunResume(const Arguments& arguments);
int RunSql(const Arguments& arguments);
int RunSlots(const Arguments& arguments);
int RunDrop(const Arguments& arguments);
int RunHelp(const Arguments& arguments);
int RunVersion(const Arguments& arguments);

}  // namespace sluice::cli
