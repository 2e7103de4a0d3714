#include "config/yaml_file.h"

#include <gtest/gtest.h>

namespace sluice::config {
namespace {

std::optional<std::string> Env(const std::string& name) {
  if (name == "PW") return "s3cret";
  return std::nullopt;
}

Error Failure(const std::string& text) {
  const auto settings = ParseConfig("shop.yaml", text, Env);
  if (settings) {
    ADD_FAILURE() << "taken: " << text;
    return {};
  }
  return settings.error();
}

TEST(ParseConfig, ReadsNestedKeysListsAndVariables) {
  const auto settings = ParseConfig("shop.yaml",
                                    "pipeline: shop\n"
                                    "source:\n"
                                    "  url: postgres://app:${PW}@db/shop   # a comment\n"
                                    "  tables: [public.*, \"!public.audit_*\"]\n"
                                    "memory: 2GiB\n",
                                    Env);
  ASSERT_TRUE(settings) << settings.error().message;
  ASSERT_EQ(settings->size(), 4U);
  EXPECT_EQ((*settings)[1].values[0], "postgres://app:s3cret@db/shop");
  EXPECT_EQ((*settings)[1].line, 3);
  EXPECT_EQ((*settings)[2].values, (std::vector<std::string>{"public.*", "!public.audit_*"}));
}

TEST(ParseConfig, AnEmptyFileSaysNothing) {
  for (const char* text : {"", "# only a comment\n", "---\n"}) {
    const auto settings = ParseConfig("shop.yaml", text, Env);
    ASSERT_TRUE(settings) << text;
    EXPECT_TRUE(settings->empty());
  }
}

TEST(ParseConfig, AnUnknownKeyNamesFileLineAndWhatIsAllowed) {
  const Error top = Failure("pipeline: x\nmemroy: 2GiB\n");
  EXPECT_EQ(top.code, "SLU-1003");
  EXPECT_TRUE(top.message.starts_with("shop.yaml:2: unknown key memroy; allowed here: "))
      << top.message;
  EXPECT_NE(top.message.find("memory"), std::string::npos);
  const Error nested = Failure("source:\n  ulr: x\n");
  EXPECT_TRUE(nested.message.starts_with("shop.yaml:2: unknown key source.ulr; allowed here: url,"))
      << nested.message;
}

TEST(ParseConfig, RefusesShapesItDoesNotExpect) {
  EXPECT_EQ(Failure("pipeline: [a, b]\n").code, "SLU-1001");
  EXPECT_EQ(Failure("source: text\n").code, "SLU-1001");
  EXPECT_EQ(Failure("- a\n").code, "SLU-1001");
  EXPECT_EQ(Failure("pipeline: a\npipeline: b\n").code, "SLU-1003");
  EXPECT_EQ(Failure("? [a]\n: b\n").code, "SLU-1003");
  EXPECT_EQ(Failure("memory:\n").code, "SLU-1001");
  EXPECT_EQ(Failure("pipeline: a\n---\npipeline: b\n").code, "SLU-1002");
}

TEST(ParseConfig, WhatIsNotYamlNamesItsLine) {
  const Error error = Failure("pipeline: x\nsource: {url: \n");
  EXPECT_EQ(error.code, "SLU-1002");
  EXPECT_TRUE(error.message.starts_with("shop.yaml:")) << error.message;
  EXPECT_EQ(Failure(std::string(kConfigBytesMax + 1, '#')).code, "SLU-1002");
}

TEST(ParseConfig, AMissingVariableIsNamedWithItsLine) {
  const Error error = Failure("source:\n  url: postgres://${NOPE}@db\n");
  EXPECT_EQ(error.code, "SLU-1007");
  EXPECT_EQ(error.message, "shop.yaml:2: key source.url: the variable NOPE is not set");
}

TEST(ExpandVariables, LeavesDollarsAlone) {
  EXPECT_EQ(*ExpandVariables("a$b$${PW}${PW}", Env), "a$b${PW}s3cret");
  EXPECT_FALSE(ExpandVariables("${PW", Env));
}

}  // namespace
}  // namespace sluice::config
