/// \file
/// Reads the messages captured from a server in tests/data/pgoutput (capture.sh there).
#pragma once

#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "sluice/lsn.h"

namespace sluice::pgoutput::testing {

struct GoldenMessage {
  Lsn lsn;
  std::string bytes;
};

/// Empty: the file is missing or not of this form.
inline std::vector<GoldenMessage> ReadGoldens(const std::string& path) {
  std::vector<GoldenMessage> messages;
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string lsn;
    std::string xid;
    std::string hex;
    if (!(words >> lsn >> xid >> hex) || hex.size() % 2 != 0) return {};
    GoldenMessage message;
    message.lsn = ParseLsn(lsn).value_or(Lsn{});
    for (std::size_t at = 0; at < hex.size(); at += 2) {
      message.bytes.push_back(static_cast<char>(std::stoi(hex.substr(at, 2), nullptr, 16)));
    }
    messages.push_back(std::move(message));
  }
  return messages;
}

}  // namespace sluice::pgoutput::testing
