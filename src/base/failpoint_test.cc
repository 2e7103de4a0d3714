#include "base/failpoint.h"

#ifndef NDEBUG

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
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

/// What stands between `before` and `after`, wherever it does.
std::vector<std::string> Between(const std::string& text, const std::string& before,
                                 const std::string& after) {
  std::vector<std::string> found;
  for (std::size_t at = text.find(before); at != std::string::npos; at = text.find(before, at)) {
    at += before.size();
    const std::size_t end = text.find(after, at);
    if (end == std::string::npos || end > text.find('\n', at)) continue;
    found.push_back(text.substr(at, end - at));
  }
  return found;
}

TEST(Failpoints, EachNameOfTheListIsOnePlaceInTheCode) {
  std::vector<std::string> found;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(SLUICE_SOURCE_DIR "/src")) {
    if (entry.path().extension() != ".cc" || entry.path().filename() == "failpoint_test.cc")
      continue;
    for (std::string& name : Between(Read(entry.path()), "SLUICE_FAILPOINT(\"", "\");"))
      found.push_back(std::move(name));
  }
  EXPECT_THAT(found, testing::UnorderedElementsAreArray(Names()));
}

TEST(Failpoints, TheDocumentSaysWhereEachIs) {
  const std::string document = Read(SLUICE_SOURCE_DIR "/docs/reliability.md");
  const std::string places = document.substr(document.find("\n## Places\n"));
  EXPECT_THAT(Between(places, "\n| `", "` | "), testing::ElementsAreArray(Names()));
}

}  // namespace
}  // namespace sluice::base

#endif
