#include "testing/process.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <filesystem>

#include "base/testing/result_matchers.h"

namespace sluice::testing {
namespace {

using std::chrono::seconds;

std::string TemporaryFile(const std::string& name) {
  const std::string path = ::testing::TempDir() + name + std::to_string(getpid());
  std::filesystem::remove(path);
  return path;
}

TEST(Process, ReportsTheExitCode) {
  const auto exit = RunToEnd({.arguments = {"sh", "-c", "exit 3"}}, seconds(10));
  ASSERT_THAT(exit, IsOk());
  EXPECT_EQ(exit->code, 3);
  EXPECT_EQ(exit->signal, 0);
}

TEST(Process, SaysThatAProgramIsMissing) {
  EXPECT_THAT(Process::Start({.arguments = {"/nonexistent/program"}}), IsError(ErrorKind::kConfig));
}

TEST(Process, KeepsTheOutputOfAProcessThatWasKilled) {
  const std::string path = TemporaryFile("killed");
  auto process = Process::Start(
      {.arguments = {"sh", "-c", "echo first; exec sleep 1000"}, .stdout_path = path});
  ASSERT_THAT(process, IsOk());
  ASSERT_THAT(process->WaitForLine("first", seconds(10)), IsOk());
  process->Kill();
  EXPECT_EQ(process->Stdout(), "first\n");
  EXPECT_EQ(process->WaitExit(seconds(0))->signal, SIGKILL);
  std::filesystem::remove(path);
}

TEST(Process, IsStillRunningAtTheDeadline) {
  auto process = Process::Start({.arguments = {"sleep", "1000"}});
  ASSERT_THAT(process, IsOk());
  EXPECT_FALSE(process->WaitExit(std::chrono::milliseconds(1)).has_value());
  process->Signal(SIGTERM);
  EXPECT_EQ(process->WaitExit(seconds(10))->code, 128 + SIGTERM);
}

TEST(Process, SaysWhenALineWillNeverCome) {
  auto process = Process::Start({.arguments = {"true"}, .stdout_path = TemporaryFile("never")});
  ASSERT_THAT(process, IsOk());
  EXPECT_THAT(process->WaitForLine("hello", seconds(10)), IsError(ErrorKind::kInternal));
}

TEST(Process, GetsTheVariablesOfTheTest) {
  const std::string path = TemporaryFile("variables");
  const auto exit = RunToEnd({.arguments = {"sh", "-c", "echo $SLUICE_ONE"},
                              .environment = {{"SLUICE_ONE", "a b"}},
                              .stdout_path = path},
                             seconds(10));
  ASSERT_THAT(exit, IsOk());
  EXPECT_EQ(ReadWholeFile(path), "a b\n");
  std::filesystem::remove(path);
}

TEST(LastLines, KeepsWholeLinesFromTheEnd) {
  EXPECT_EQ(LastLines("a\nb\nc\n", 2), "b\nc\n");
  EXPECT_EQ(LastLines("a\nb", 5), "a\nb");
  EXPECT_EQ(LastLines("", 3), "");
}

}  // namespace
}  // namespace sluice::testing
