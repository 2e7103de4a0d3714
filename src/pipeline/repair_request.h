/// \file
/// What `sluice repair` is asked for.
#pragma once

#include <string>
#include <vector>

namespace sluice::pipeline {

struct RepairRequest {
  std::vector<std::string> patterns;  ///< as for `verify`; empty: all live tables
  bool is_dry_run = false;            ///< only say what would be done
};

}  // namespace sluice::pipeline
