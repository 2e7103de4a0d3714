/// \file
/// Named places at which tests of failure end or stop the process.
///
/// SLUICE_FAILPOINTS=NAME:ACTION:COUNT[,...] in the environment: at the COUNTth time NAME is passed
/// the process is killed (`kill`, SIGKILL) or stopped (`stop`, SIGSTOP), after a line on stderr.
/// SLUICE_FAILPOINTS=list writes every name to stderr and changes nothing. Only where assert() is
/// compiled in, too: a release has none of it. Where nothing is asked for a place costs one relaxed
/// load; they stand at what happens once a batch or less.
///
/// Thread safety: any thread.
#pragma once

#ifndef NDEBUG

#include <atomic>
#include <span>

namespace sluice::base {

extern std::atomic<bool> failpoints_are_set;
void PassFailpoint(const char* name);
/// In the order of a pipeline's life.
std::span<const char* const> FailpointNames();

}  // namespace sluice::base

#define SLUICE_FAILPOINT(name)                                              \
  do {                                                                      \
    if (::sluice::base::failpoints_are_set.load(std::memory_order_relaxed)) \
      ::sluice::base::PassFailpoint(name);                                  \
  } while (false)

#else

#define SLUICE_FAILPOINT(name) static_cast<void>(0)

#endif
