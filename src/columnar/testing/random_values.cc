#include "columnar/testing/random_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <string_view>

#include "columnar/testing/random_sql.h"

namespace sluice::columnar::testing {
namespace {

std::int64_t Bits(Random& random) {
  const auto bits = static_cast<std::int64_t>(random());
  return bits >> Below(random, 64);
}

std::string Digits(Random& random, std::size_t count) {
  std::string out;
  // Runs of zeros and nines: groups of four digits that are empty or full.
  char run = '\0';
  for (std::size_t i = 0; i < count; ++i) {
    if (i % 4 == 0) run = OneIn(random, 3) ? (OneIn(random, 2) ? '0' : '9') : '\0';
    out += run != '\0' ? run : static_cast<char>('0' + Below(random, 10));
  }
  return out;
}

template <class F, class AsBits>
std::string Float(Random& random) {
  if (OneIn(random, 3)) {
    return OneOf(random,
                 {"NaN", "Infinity", "-Infinity", "-0", "0", "1", "0.1", "1e15", "123456.789"});
  }
  auto bits = static_cast<AsBits>(random());
  if (OneIn(random, 4))
    bits &= (AsBits{1} << (std::numeric_limits<F>::digits - 1)) - 1;  // denormal
  const F value = std::bit_cast<F>(bits);
  if (std::isnan(value)) return "NaN";
  return fmt::format("{}", value) == "inf"    ? "Infinity"
         : fmt::format("{}", value) == "-inf" ? "-Infinity"
                                              : fmt::format("{}", value);
}

std::string Double(Random& random) {
  return Float<double, std::uint64_t>(random);
}

template <class T>
RandomType Integer(const char* name) {
  return Plain(
      name,
      [](Random& random) {
        using Limits = std::numeric_limits<T>;
        if (OneIn(random, 4))
          return std::to_string(OneIn(random, 2) ? Limits::min() : Limits::max());
        return std::to_string(static_cast<T>(Bits(random)));
      },
      true);
}

RandomType Decimal(int precision, int scale) {
  return Expression(
      fmt::format("numeric({},{})", precision, scale),
      [=](Random& random) {
        const std::string cast = fmt::format("::numeric({},{})", precision, scale);
        if (OneIn(random, 40)) return RandomValue{"'NaN'" + cast, precision <= 38};
        const std::size_t before = Below(random, static_cast<std::size_t>(precision - scale) + 1);
        std::string text = OneIn(random, 2) ? "-" : "";
        text +=
            "0" + Digits(random, before) + "." + Digits(random, static_cast<std::size_t>(scale));
        return RandomValue{Quoted(text) + cast, false};
      },
      true);
}

RandomType AnyNumeric() {
  return Expression(
      "numeric",
      [](Random& random) {
        if (OneIn(random, 5)) {
          return RandomValue{
              OneOf(random,
                    {"'NaN'::numeric", "'Infinity'::numeric", "'-Infinity'::numeric",
                     "repeat('9', 131072)::numeric", "('0.' || repeat('1', 16383))::numeric",
                     "'1e131071'::numeric", "'1e-16383'::numeric", "'-0.00'::numeric",
                     "'10000'::numeric", "'0.0001'::numeric"}),
              false};
        }
        std::string text = OneIn(random, 2) ? "-" : "";
        text += "0" + Digits(random, Below(random, 60));
        if (OneIn(random, 2)) text += "." + Digits(random, Below(random, 60));
        return RandomValue{Quoted(text) + "::numeric", false};
      },
      true);
}

// Days and microseconds of a day; the whole range of PostgreSQL, more often around its borders.
std::int64_t Day(Random& random, std::int64_t last) {
  constexpr std::int64_t kFirst = -2'451'507;  // 4713-01-01 BC
  if (OneIn(random, 6)) return OneIn(random, 2) ? kFirst : last;
  return OneIn(random, 2) ? Between(random, -800'000, 800'000) : Between(random, kFirst, last);
}

std::string Clock(std::int64_t micros) {
  return fmt::format("{:02}:{:02}:{:02}.{:06}", micros / 3'600'000'000, micros / 60'000'000 % 60,
                     micros / 1'000'000 % 60, micros % 1'000'000);
}

std::int64_t MicrosOfDay(Random& random) {
  constexpr std::int64_t kDay = 86'400'000'000;
  if (OneIn(random, 4)) return OneIn(random, 2) ? 0 : kDay - 1;
  const std::int64_t micros = Between(random, 0, kDay - 1);
  return OneIn(random, 2) ? micros / 1'000'000 * 1'000'000 : micros;
}

RandomType Timestamp(const char* name) {
  const std::string cast = std::string("::") + name;
  return Expression(
      name,
      [cast](Random& random) {
        if (OneIn(random, 8))
          return RandomValue{(OneIn(random, 2) ? "'infinity'" : "'-infinity'") + cast, false};
        if (OneIn(random, 40)) {
          return RandomValue{
              OneOf(random, {"'294276-12-31 23:59:59.999999'", "'294247-01-10 04:00:54.775807'"}) +
                  cast,
              true};
        }
        if (OneIn(random, 20)) return RandomValue{"'294247-01-10 04:00:54.775806'" + cast, false};
        constexpr std::int64_t kLastDay = 106'741'033;  // the day before 294247-01-10
        return RandomValue{fmt::format("('2000-01-01'{} + interval '{} days {}')", cast,
                                       Day(random, kLastDay), Clock(MicrosOfDay(random))),
                           false};
      },
      true);
}

std::string IntervalText(Random& random) {
  const auto small = [&] { return static_cast<std::int32_t>(Bits(random) % 2'000'000'000); };
  const std::int64_t hours = Bits(random) % 2'147'483'647;
  return fmt::format("{} mons {} days {}{}:{:02}:{:02}.{:06}", small(), small(),
                     OneIn(random, 2) ? "-" : "", std::abs(hours), Below(random, 60),
                     Below(random, 60), OneIn(random, 2) ? 0 : Below(random, 1'000'000));
}

RandomType Interval(int server) {
  return Expression("interval", [server](Random& random) {
    if (server >= 17 && OneIn(random, 30))
      return RandomValue{OneIn(random, 2) ? "'infinity'::interval" : "'-infinity'::interval", true};
    if (server >= 15 && OneIn(random, 10)) {
      return RandomValue{OneOf(random, {"'9223372036854775807 microseconds'::interval",
                                        "'-9223372036854775808 microseconds'::interval",
                                        "'2147483647 mons -2147483648 days'::interval"}),
                         false};
    }
    if (OneIn(random, 5)) {
      return RandomValue{OneOf(random, {"'0'::interval", "'-1 mons +1 days'::interval",
                                        "'1 day -00:00:01'::interval",
                                        "'-1 years -2 mons +3 days -04:05:06.789'::interval",
                                        "'1 year 1 mon 1 day 01:01:01'::interval"}),
                         false};
    }
    return RandomValue{Quoted(IntervalText(random)) + "::interval", false};
  });
}

std::string Json(Random& random, int depth, bool is_jsonb) {
  switch (Below(random, depth > 3 ? 5 : 7)) {
    case 0:
      return OneOf(random, {"null", "true", "false"});
    case 1:
      return OneOf(random, {"0", "-0", "1.10", "1e5", "-1.5E-7", "123456789012345678901234567890"});
    case 2:
      return is_jsonb ? R"("\ud83d\ude00 \u00e9")" : R"("\ud800 \u0000")";
    case 3:
      return R"("a \" \\ \/ \b\n")";
    case 4: {
      std::string text;
      for (const char c : Text(random, 8)) {
        if (c == '"' || c == '\\') text += '\\';
        if (static_cast<unsigned char>(c) >= 0x20) text += c;
      }
      return '"' + text + '"';
    }
    case 5:
      return "[" + Json(random, depth + 1, is_jsonb) + ", " + Json(random, depth + 1, is_jsonb) +
             " ]";
    default:
      return "{\"k\":" + Json(random, depth + 1, is_jsonb) +
             ",  \"k\": " + Json(random, depth + 1, is_jsonb) + ", \"\": 1}";
  }
}

std::string Points(Random& random, std::size_t least) {
  std::string out;
  for (std::size_t left = least + Below(random, 4); left > 0; --left) {
    out += (out.empty() ? "(" : ",(") + Double(random) + "," + Double(random) + ")";
  }
  return out;
}

std::string BitText(Random& random, std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += OneIn(random, 2) ? '1' : '0';
  return out;
}

std::string Hex(Random& random, std::size_t bytes) {
  std::string out;
  for (std::size_t i = 0; i < bytes; ++i) out += fmt::format("{:02x}", Below(random, 256));
  return out;
}

std::string Address(Random& random) {
  if (OneIn(random, 2)) {
    return fmt::format("{}.{}.{}.{}", Below(random, 256), Below(random, 256), Below(random, 256),
                       Below(random, 256));
  }
  std::string out;
  for (int i = 0; i < 8; ++i) {
    const std::size_t group = OneIn(random, 2) ? 0 : Below(random, 0x10000);
    out += fmt::format("{}{:x}", i == 0 ? "" : ":", group);
  }
  return OneIn(random, 4) ? "::ffff:1.2.3.4" : out;
}

void AddNumbers(int server, std::vector<RandomType>& out) {
  out.push_back(Plain("bool", [](Random& r) { return OneIn(r, 2) ? "t" : "f"; }));
  out.push_back(Integer<std::int16_t>("int2"));
  out.push_back(Integer<std::int32_t>("int4"));
  out.push_back(Integer<std::int64_t>("int8"));
  out.push_back(Integer<std::uint32_t>("oid"));
  out.push_back(Integer<std::uint32_t>("xid"));
  out.back().has_order = false;
  out.push_back(Integer<std::uint64_t>("xid8"));
  out.push_back(Integer<std::uint32_t>("cid"));
  out.back().has_order = false;
  out.push_back(Plain("float4", Float<float, std::uint32_t>, true));
  out.push_back(Plain("float8", Double, true));
  for (const auto& [precision, scale] : {std::pair(1, 0),
                                         {1, 1},
                                         {4, 0},
                                         {5, 4},
                                         {10, 2},
                                         {18, 9},
                                         {19, 4},
                                         {38, 0},
                                         {38, 38},
                                         {38, 17},
                                         {39, 3},
                                         {1000, 500}}) {
    out.push_back(Decimal(precision, scale));
  }
  if (server >= 15) {
    for (const char* name : {"numeric(5,-3)", "numeric(3,8)"}) {
      const bool is_small = std::string_view(name) == "numeric(3,8)";
      out.push_back(Plain(
          name,
          [=](Random& r) {
            return (is_small ? "0.00000" : "") +
                   std::to_string(
                       Between(r, is_small ? 0 : -99'999'000, is_small ? 999 : 99'999'000));
          },
          true));
    }
  }
  out.push_back(AnyNumeric());
  out.push_back(Expression("money", [](Random& r) {
    return RandomValue{fmt::format("({}::numeric / 100)::money", Bits(r)), false};
  }));
}

void AddTexts(std::vector<RandomType>& out) {
  out.push_back(Plain("text", [](Random& r) { return Text(r, 20); }, true));
  out.push_back(Expression("text", [](Random& r) {
    return RandomValue{fmt::format("repeat({}, {})", Quoted(Text(r, 20)), Below(r, 3000)), false};
  }));
  out.push_back(Plain("varchar(7)", [](Random& r) { return Text(r, 7); }));
  out.push_back(Plain("char(5)", [](Random& r) { return Text(r, 5); }));
  out.push_back(Plain("name", [](Random& r) { return Text(r, 15); }));
  out.push_back(Expression("\"char\"", [](Random& r) {
    return RandomValue{fmt::format("({})::\"char\"", Between(r, 0, 127)), false};
  }));
  out.push_back(Plain("bytea", [](Random& r) { return "\\x" + Hex(r, Below(r, 40)); }));
  out.push_back(Plain("uuid", [](Random& r) { return Hex(r, 16); }));
  out.push_back(Plain("json", [](Random& r) { return Json(r, 0, false); }));
  out.push_back(Plain("jsonb", [](Random& r) { return Json(r, 0, true); }));
  out.push_back(Plain("xml", [](Random& r) {
    return OneOf(r, {"<a>\xC3\xA9</a>", "<?xml version=\"1.0\" encoding=\"UTF-8\"?><a/>",
                     "<?xml version=\"1.1\" standalone=\"yes\"?><a b=\"c\"/>", "just text", ""});
  }));
  out.push_back(Plain("jsonpath", [](Random& r) {
    return OneOf(
        r, {"$.a[*] ? (@ > 1)", "strict $.\"x y\"", "$[0 to last].type()", "lax $.**{2 to 3}"});
  }));
  out.push_back(Plain("refcursor", [](Random& r) { return Text(r, 10); }));
  out.push_back(Plain("bit(1)", [](Random& r) { return BitText(r, 1); }));
  out.push_back(Plain("bit(13)", [](Random& r) { return BitText(r, 13); }));
  out.push_back(Plain("bit(1000)", [](Random& r) { return BitText(r, 1000); }));
  out.push_back(Plain("varbit", [](Random& r) { return BitText(r, Below(r, 1001)); }));
}

void AddTimes(int server, std::vector<RandomType>& out) {
  out.push_back(Expression(
      "date",
      [](Random& r) {
        if (OneIn(r, 8))
          return RandomValue{OneIn(r, 2) ? "'infinity'::date" : "'-infinity'::date", false};
        return RandomValue{fmt::format("('2000-01-01'::date + ({}))", Day(r, 2'145'031'948)),
                           false};
      },
      true));
  out.push_back(Timestamp("timestamp"));
  out.push_back(Timestamp("timestamptz"));
  out.push_back(Plain("time", [](Random& r) {
    return OneIn(r, 6) ? std::string("24:00:00") : Clock(MicrosOfDay(r));
  }));
  out.push_back(Plain("timetz", [](Random& r) {
    const std::string zone =
        fmt::format("{}{:02}:{:02}:{:02}", OneIn(r, 2) ? "+" : "-", Below(r, 16),
                    OneIn(r, 2) ? 0 : Below(r, 60), OneIn(r, 2) ? 0 : Below(r, 60));
    return (OneIn(r, 6) ? std::string("24:00:00") : Clock(MicrosOfDay(r))) + zone;
  }));
  out.push_back(Interval(server));
}

void AddShapes(std::vector<RandomType>& out) {
  out.push_back(Plain("point", [](Random& r) { return "(" + Double(r) + "," + Double(r) + ")"; }));
  out.push_back(Plain("lseg", [](Random& r) {
    return "[(" + Double(r) + "," + Double(r) + "),(" + Double(r) + "," + Double(r) + ")]";
  }));
  out.push_back(Plain("box", [](Random& r) {
    return "(" + Double(r) + "," + Double(r) + "),(" + Double(r) + "," + Double(r) + ")";
  }));
  out.push_back(Plain("path", [](Random& r) {
    return OneIn(r, 2) ? "[" + Points(r, 1) + "]" : "(" + Points(r, 1) + ")";
  }));
  out.push_back(Plain("polygon", [](Random& r) { return "(" + Points(r, 1) + ")"; }));
  out.push_back(Plain("line", [](Random& r) {
    return fmt::format("{{{},{},{}}}", Between(r, 1, 9), Between(r, -9, 9), Between(r, -9, 9));
  }));
  out.push_back(Plain("circle", [](Random& r) {
    return fmt::format("<({},{}),{}>", Double(r), Double(r), Below(r, 100));
  }));
}

void AddOthers(std::vector<RandomType>& out) {
  out.push_back(Plain("inet", [](Random& r) {
    const std::string address = Address(r);
    const std::size_t bits = address.find(':') == std::string::npos ? 33 : 129;
    return OneIn(r, 2) ? address : address + "/" + std::to_string(Below(r, bits));
  }));
  out.push_back(Expression("cidr", [](Random& r) {
    const std::string address = Address(r);
    const std::size_t bits = address.find(':') == std::string::npos ? 33 : 129;
    return RandomValue{fmt::format("network('{}/{}'::inet)", address, Below(r, bits)), false};
  }));
  out.push_back(Plain("macaddr", [](Random& r) { return Hex(r, 6); }));
  out.push_back(Plain("macaddr8", [](Random& r) { return Hex(r, 8); }));
  out.push_back(Plain("pg_lsn", [](Random& r) {
    return fmt::format("{:X}/{:X}", Below(r, 0x100000000), Below(r, 0x100000000));
  }));
  out.push_back(Plain("tid", [](Random& r) {
    return fmt::format("({},{})", Below(r, 0x100000000), Below(r, 0x10000));
  }));
  out.push_back(Plain("pg_snapshot", [](Random& r) {
    return OneOf(r, {"10:20:10,14,15", "10:10:", "1:9223372036854775807:"});
  }));
  out.push_back(
      Plain("txid_snapshot", [](Random& r) { return OneOf(r, {"10:20:10,14,15", "1:1:"}); }));
  out.push_back(Plain("tsvector", [](Random& r) {
    return OneOf(r,
                 {"a:1A b:2,3 c", "", "'it''s':16383 '\\\\':1B,2C,3D", "'two words' \xC3\xA9:5"});
  }));
  out.push_back(Plain("tsquery", [](Random& r) {
    return OneOf(r,
                 {"a & !b | c:*", "", "'it''s' <-> b <3> c:AB", "!(a | b) & !!c", "!!a <2> (b|c)"});
  }));
  for (const char* name : {"int2vector", "oidvector"}) {
    out.push_back(Plain(name, [](Random& r) { return OneOf(r, {"", "1", "1 2 3 32767"}); }));
  }
}

void AddRanges(std::vector<RandomType>& out) {
  const auto find = [&](std::string_view name) {
    return *std::find_if(out.begin(), out.end(),
                         [&](const RandomType& t) { return t.name == name; });
  };
  // Discrete ranges round their bounds up: the last value has no next one.
  const RandomType day = Expression("date", [](Random& r) {
    return RandomValue{
        fmt::format("('2000-01-01'::date + ({}))", Between(r, -2'000'000, 2'000'000'000)), false};
  });
  const RandomType int4 = Plain(
      "int4", [](Random& r) { return std::to_string(Between(r, -2'147'483'648, 2'147'483'000)); });
  const RandomType int8 = Plain("int8", [](Random& r) { return std::to_string(Bits(r) / 2); });
  const std::pair<const char*, RandomType> ranges[] = {{"int4", int4},
                                                       {"int8", int8},
                                                       {"num", find("numeric")},
                                                       {"ts", find("timestamp")},
                                                       {"tstz", find("timestamptz")},
                                                       {"date", day}};
  for (const auto& [prefix, bounds] : ranges) {
    const std::string range = std::string(prefix) + "range";
    const std::string multirange = std::string(prefix) + "multirange";
    const RandomType copy = bounds;
    out.push_back(
        Expression(range, [=](Random& r) { return RandomValue{RangeOf(copy, range, r), false}; }));
    out.push_back(Expression(multirange, [=](Random& r) {
      std::string parts;
      for (std::size_t left = Below(r, 4); left > 0; --left)
        parts += (parts.empty() ? "" : ", ") + RangeOf(copy, range, r);
      return RandomValue{multirange + "(" + parts + ")", false};
    }));
  }
}

}  // namespace

std::vector<RandomType> ScalarTypes(int server) {
  std::vector<RandomType> out;
  AddNumbers(server, out);
  AddTexts(out);
  AddTimes(server, out);
  AddShapes(out);
  AddOthers(out);
  AddRanges(out);
  return out;
}

std::vector<RandomType> ExtensionTypes(const std::vector<std::string>& extensions) {
  std::vector<RandomType> out;
  const auto has = [&](std::string_view name) {
    return std::find(extensions.begin(), extensions.end(), name) != extensions.end();
  };
  if (has("citext")) out.push_back(Plain("citext", [](Random& r) { return Text(r, 9); }));
  if (has("hstore")) {
    out.push_back(Expression("hstore", [](Random& r) {
      std::string sql = "''::hstore";
      for (std::size_t left = Below(r, 4); left > 0; --left) {
        sql += " || hstore(" + Quoted(Text(r, 6)) + ", " +
               (OneIn(r, 4) ? std::string("NULL") : Quoted(Text(r, 6))) + ")";
      }
      return RandomValue{"(" + sql + ")", false};
    }));
  }
  if (has("ltree")) {
    out.push_back(Plain("ltree", [](Random& r) { return OneOf(r, {"", "Top", "a.b_1.C"}); }));
    out.push_back(Plain("lquery", [](Random& r) { return OneOf(r, {"a.*{1,2}.!b|c@", "*"}); }));
    out.push_back(Plain("ltxtquery", [](Random& r) { return OneOf(r, {"a & !b@*", "c"}); }));
  }
  return out;
}

std::vector<RandomType> TextOnlyTypes() {
  return {Plain("regtype", [](Random& r) { return OneOf(r, {"int4", "text[]", "-"}); }),
          Plain("regclass", [](Random& r) { return OneOf(r, {"pg_class", "-", "pg_type"}); }),
          Plain("aclitem", [](Random& /*random*/) { return std::string("=r/") + "postgres"; })};
}

}  // namespace sluice::columnar::testing
