#include "cli/command.h"
#include "cli/passwords.h"

int main(int argc, char** argv) {
  return sluice::cli::RunCommandLine(sluice::cli::TakeArguments(argc, argv));
}
