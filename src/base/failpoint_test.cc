#include "base/failpoint.h"

#ifndef NDEBUG

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <string>
#include <vector>

namespace sluice::base {
namespace {

std::string Read(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::string> Names() {
  const auto names = FailpointNames();
  return {names.begin(), names.end()};
}

TEST(Failpoints, EachNameOfTheListIsOnePlaceInTheCode) {
  const std::regex place(R"re(SLUICE_FAILPOINT\("([^"]+)"\);)re");
  std::vector<std::string> found;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(SLUICE_SOURCE_DIR "/src")) {
    if (entry.path().extension() != ".cc") continue;
    const std::string text = Read(entry.path());
    for (std::sregex_iterator it(text.begin(), text.end(), place), end; it != end; ++it) {
      found.push_back((*it)[1]);
    }
  }
  EXPECT_THAT(found, testing::UnorderedElementsAreArray(Names()));
}

TEST(Failpoints, TheDocumentSaysWhereEachIs) {
  std::string document = Read(SLUICE_SOURCE_DIR "/docs/reliability.md");
  document.erase(0, document.find("\n## Places\n"));
  const std::regex row(R"re(\n\| `([a-z]+\.[a-z_]+)` \|)re");
  std::vector<std::string> found;
  for (std::sregex_iterator it(document.begin(), document.end(), row), end; it != end; ++it) {
    found.push_back((*it)[1]);
  }
  EXPECT_THAT(found, testing::ElementsAreArray(Names()));
}

}  // namespace
}  // namespace sluice::base

#endif
