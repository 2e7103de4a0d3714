#include "cli/passwords.h"

#include <gtest/gtest.h>

namespace sluice::cli {
namespace {

std::string Blanked(std::string text) {
  BlankPasswords({text.data(), text.size()});
  return text;
}

TEST(BlankPasswords, OverwritesTheUserPartOfAUrl) {
  EXPECT_EQ(Blanked("postgres://app:secret@db:5432/shop"), "postgres://app:xxxxxx@db:5432/shop");
  EXPECT_EQ(Blanked("postgresql://app:a/b?c@d@db/shop"), "postgresql://app:xxxxxxx@db/shop");
  EXPECT_EQ(Blanked("postgres://:pw@db/shop"), "postgres://:xx@db/shop");
  EXPECT_EQ(Blanked("postgres://app:se \"cret@db/shop"), "postgres://app:xxxxxxxx@db/shop");
}

TEST(BlankPasswords, LeavesUrlsWithoutOneAlone) {
  EXPECT_EQ(Blanked("postgres://app@db:5432/shop"), "postgres://app@db:5432/shop");
  EXPECT_EQ(Blanked("postgres://db:5432/shop?sslmode=require"),
            "postgres://db:5432/shop?sslmode=require");
  EXPECT_EQ(Blanked("duckdb:///var/lib/shop.duckdb"), "duckdb:///var/lib/shop.duckdb");
}

TEST(BlankPasswords, OverwritesPasswordsOfAQuery) {
  EXPECT_EQ(Blanked("postgres://db/shop?user=a&password=s3&sslmode=require"),
            "postgres://db/shop?user=a&password=xx&sslmode=require");
  EXPECT_EQ(Blanked("postgres:///shop?sslpassword=abc"), "postgres:///shop?sslpassword=xxx");
  EXPECT_EQ(Blanked("postgres:///shop?password=a b&x=1"), "postgres:///shop?password=xxx&x=1");
  EXPECT_EQ(Blanked("postgres:///shop?p%61ssword=abc&x=1"), "postgres:///shop?p%61ssword=xxx&x=1");
}

TEST(BlankPasswords, TakesAPasswordThatLooksLikeAUrl) {
  EXPECT_EQ(Blanked("host=db password=a://b&c=d x=1"), "host=db password=xxxxxxxxx x=1");
}

TEST(BlankPasswords, OverwritesKeywordStrings) {
  EXPECT_EQ(Blanked("host=db password=secret dbname=shop"), "host=db password=xxxxxx dbname=shop");
  EXPECT_EQ(Blanked("password = 'a b\\'c' host=db"), "password = xxxxxxxx host=db");
  EXPECT_EQ(Blanked("host=db PassWord=s\\ t x=1"), "host=db PassWord=xxxx x=1");
  EXPECT_EQ(Blanked("password='unfinished"), "password=xxxxxxxxxxx");
  EXPECT_EQ(Blanked("password="), "password=");
  EXPECT_EQ(Blanked("passfile=/home/a/.pgpass"), "passfile=/home/a/.pgpass");
}

TEST(WithoutPasswords, ReplacesThemInSentences) {
  EXPECT_EQ(WithoutPasswords("cannot read \"postgres://a:b@c/d\": no"),
            "cannot read \"postgres://a:***@c/d\": no");
  EXPECT_EQ(WithoutPasswords("a password=x here"), "a password=*** here");
  EXPECT_EQ(WithoutPasswords("nothing to hide"), "nothing to hide");
}

TEST(TakeArguments, CopiesFirstAndOverwritesThen) {
  char program[] = "sluice";
  char url[] = "postgres://a:b@c/d";
  char* argv[] = {program, url, nullptr};
  const auto taken = TakeArguments(2, argv);
  EXPECT_EQ(taken, std::vector<std::string>{"postgres://a:b@c/d"});
  EXPECT_STREQ(url, "postgres://a:x@c/d");
}

}  // namespace
}  // namespace sluice::cli
