#include "config/destination_url.h"

#include <gtest/gtest.h>

namespace sluice::config {
namespace {

TEST(ParseDestinationUrl, TakesPathsInAllTheirForms) {
  const std::pair<const char*, const char*> cases[] = {
      {"shop.duckdb", "duckdb:/home/me/shop.duckdb"},
      {"./a/../shop.duckdb", "duckdb:/home/me/shop.duckdb"},
      {"/srv/shop.duckdb", "duckdb:/srv/shop.duckdb"},
      {"duckdb:shop.db", "duckdb:/home/me/shop.db"},
      {"duckdb:/srv/shop.db", "duckdb:/srv/shop.db"},
      {"duckdb:///srv/shop.db", "duckdb:/srv/shop.db"},
      {"./odd:name.db", "duckdb:/home/me/odd:name.db"},
      {"null:", "null:"},
      {"memory:x", "memory:x"},
  };
  for (const auto& [text, want] : cases) {
    const auto url = ParseDestinationUrl(text, "/home/me");
    ASSERT_TRUE(url) << text << ": " << url.error().message;
    EXPECT_EQ(url->ToString(), want) << text;
  }
}

TEST(ParseDestinationUrl, RefusesWhatItDoesNotKnowWithoutShowingPasswords) {
  for (const char* text : {"", "duckdb:", "duckdb://host/x", "dir/", "postgres://u:secret@h/db",
                           "clickhouse:x", "s3://bucket/x"}) {
    const auto url = ParseDestinationUrl(text, "/home/me");
    ASSERT_FALSE(url) << text;
    EXPECT_EQ(url.error().code, "SLU-1004");
    EXPECT_EQ(url.error().message.find("secret"), std::string::npos);
  }
}

}  // namespace
}  // namespace sluice::config
