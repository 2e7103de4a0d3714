#include "types/time_value.h"

#include <gtest/gtest.h>

namespace sluice::types {
namespace {

TEST(ShiftTimestamp, KeepsInfinitiesAndRefusesOverflow) {
  std::int64_t out = 0;
  EXPECT_EQ(ShiftTimestamp(0, out), ValueFault::kNone);
  EXPECT_EQ(out, 946'684'800'000'000);
  EXPECT_EQ(ShiftTimestamp(INT64_MAX, out), ValueFault::kNone);
  EXPECT_EQ(out, kTimestampInfinity);
  EXPECT_EQ(ShiftTimestamp(INT64_MIN, out), ValueFault::kNone);
  EXPECT_EQ(out, -kTimestampInfinity);
  // The last microsecond that PostgreSQL knows, 294276-12-31 23:59:59.999999.
  EXPECT_EQ(ShiftTimestamp(9'223'371'331'199'999'999, out), ValueFault::kTimeRange);
}

TEST(ShiftDate, KeepsInfinitiesAndTheWholeRange) {
  std::int32_t out = 0;
  EXPECT_EQ(ShiftDate(0, out), ValueFault::kNone);
  EXPECT_EQ(out, 10957);
  EXPECT_EQ(ShiftDate(INT32_MAX, out), ValueFault::kNone);
  EXPECT_EQ(out, INT32_MAX);
  EXPECT_EQ(ShiftDate(INT32_MIN, out), ValueFault::kNone);
  EXPECT_EQ(out, -INT32_MAX);
  EXPECT_EQ(ShiftDate(2'145'031'948, out), ValueFault::kNone);  // 5874897-12-31
  EXPECT_EQ(ShiftDate(INT32_MAX - 1, out), ValueFault::kTimeRange);
}

TEST(ParseDate, ReadsIsoWithEras) {
  std::int32_t out = 0;
  EXPECT_EQ(ParseDate("1970-01-01", out), ValueFault::kNone);
  EXPECT_EQ(out, 0);
  EXPECT_EQ(ParseDate("2000-02-29", out), ValueFault::kNone);
  EXPECT_EQ(out, 11016);
  EXPECT_EQ(ParseDate("4714-11-24 BC", out), ValueFault::kNone);
  EXPECT_EQ(out, -2440588);
  EXPECT_EQ(ParseDate("5874897-12-31", out), ValueFault::kNone);
  EXPECT_EQ(out, 2'145'042'541 + 364);
  EXPECT_EQ(ParseDate("-infinity", out), ValueFault::kNone);
  EXPECT_EQ(out, -kDateInfinity);
  for (const char* text :
       {"", "2001-02-29", "2001-13-01", "2001-1-01", "01-01-2001", "2001-01-01x"}) {
    EXPECT_EQ(ParseDate(text, out), ValueFault::kMalformed) << text;
  }
}

TEST(ParseTimestamp, ReadsFractionsZonesAndEras) {
  std::int64_t out = 0;
  EXPECT_EQ(ParseTimestamp("2000-01-01 00:00:00", false, out), ValueFault::kNone);
  EXPECT_EQ(out, 946'684'800'000'000);
  EXPECT_EQ(ParseTimestamp("1969-12-31 23:59:59.5", false, out), ValueFault::kNone);
  EXPECT_EQ(out, -500'000);
  EXPECT_EQ(ParseTimestamp("1970-01-01 05:30:12+05:30:12", true, out), ValueFault::kNone);
  EXPECT_EQ(out, 0);
  EXPECT_EQ(ParseTimestamp("0001-01-01 00:00:00+00 BC", true, out), ValueFault::kNone);
  EXPECT_EQ(out, -62'167'219'200'000'000);
  EXPECT_EQ(ParseTimestamp("294276-12-31 23:59:59.999999", false, out), ValueFault::kTimeRange);
  EXPECT_EQ(ParseTimestamp("2000-01-01 00:00:00+00", false, out), ValueFault::kMalformed);
  EXPECT_EQ(ParseTimestamp("2000-01-01T00:00:00", false, out), ValueFault::kMalformed);
}

TEST(ParseTime, ReachesTwentyFourHours) {
  std::int64_t out = 0;
  EXPECT_EQ(ParseTime("24:00:00", out), ValueFault::kNone);
  EXPECT_EQ(out, kMicrosPerDay);
  EXPECT_EQ(ParseTime("00:00:00.000001", out), ValueFault::kNone);
  EXPECT_EQ(out, 1);
  EXPECT_EQ(ParseTime("24:00:01", out), ValueFault::kMalformed);
  EXPECT_EQ(ParseTime("12:60:00", out), ValueFault::kMalformed);
}

TEST(ParseInterval, KeepsMonthsDaysAndTimeApart) {
  IntervalValue out;
  EXPECT_EQ(ParseInterval("1 year 2 mons -3 days +04:05:06.7", out), ValueFault::kNone);
  EXPECT_EQ(out, (IntervalValue{14'706'700'000, -3, 14}));
  EXPECT_EQ(ParseInterval("00:00:00", out), ValueFault::kNone);
  EXPECT_EQ(out, IntervalValue{});
  EXPECT_EQ(ParseInterval("-1 mons +1 day", out), ValueFault::kNone);
  EXPECT_EQ(out, (IntervalValue{0, 1, -1}));
  EXPECT_EQ(ParseInterval("-00:00:01", out), ValueFault::kNone);
  EXPECT_EQ(out.micros, -1'000'000);
  EXPECT_EQ(ParseInterval("2562047788:00:54.775807", out), ValueFault::kNone);
  EXPECT_EQ(out.micros, INT64_MAX);
  EXPECT_EQ(ParseInterval("-2562047788:00:54.775808", out), ValueFault::kNone);
  EXPECT_EQ(out.micros, INT64_MIN);
  EXPECT_EQ(ParseInterval("-178956970 years -8 mons", out), ValueFault::kNone);
  EXPECT_EQ(out.months, INT32_MIN);
  EXPECT_EQ(ParseInterval("infinity", out), ValueFault::kInfiniteInterval);
  for (const char* text : {"", "1", "1 year 2", "1 week", "00:00", "00:00:00 1 day", "1  day"}) {
    EXPECT_EQ(ParseInterval(text, out), ValueFault::kMalformed) << text;
  }
}

}  // namespace
}  // namespace sluice::types
