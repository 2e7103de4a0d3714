/// \file
/// SLUICE_CHECK: our own mistakes, in every build. Guards memory safety and the order of progress;
/// never looks at bytes of a peer, a file or a user.
#pragma once

#include <cstdio>
#include <cstdlib>

#define SLUICE_CHECK(condition)                                             \
  do {                                                                      \
    if (!(condition)) [[unlikely]] {                                        \
      std::fprintf(stderr, "%s:%d: check failed: %s\n", __FILE__, __LINE__, \
                   #condition); /* NOLINT */                                \
      std::abort();                                                         \
    }                                                                       \
  } while (false)
