#include <sys/prctl.h>
#include <sys/stat.h>

#include "cli/command.h"
#include "cli/passwords.h"

int main(int argc, char** argv) {
  // Whatever is made here is for its owner, and a core dump would hold passwords and rows.
  ::umask(077);
  ::prctl(PR_SET_DUMPABLE, 0);
  return sluice::cli::RunCommandLine(sluice::cli::TakeArguments(argc, argv));
}
