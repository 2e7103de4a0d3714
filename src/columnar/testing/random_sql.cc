#include "columnar/testing/random_sql.h"

#include <fmt/format.h>

#include <utility>

namespace sluice::columnar::testing {
namespace {

void AppendUtf8(std::uint32_t point, std::string& out) {
  if (point < 0x80) {
    out += static_cast<char>(point);
  } else if (point < 0x800) {
    out += static_cast<char>(0xC0 | (point >> 6));
  } else if (point < 0x10000) {
    out += static_cast<char>(0xE0 | (point >> 12));
    out += static_cast<char>(0x80 | ((point >> 6) & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | (point >> 18));
    out += static_cast<char>(0x80 | ((point >> 12) & 0x3F));
    out += static_cast<char>(0x80 | ((point >> 6) & 0x3F));
  }
  if (point >= 0x80) out += static_cast<char>(0x80 | (point & 0x3F));
}

}  // namespace

std::size_t Below(Random& random, std::size_t count) {
  return count == 0 ? 0 : random() % count;
}

std::int64_t Between(Random& random, std::int64_t low, std::int64_t high) {
  const auto span = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low) + 1;
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(low) + random() % span);
}

bool OneIn(Random& random, std::size_t count) {
  return Below(random, count) == 0;
}

std::string Quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') out += c;
    out += c;
  }
  return out + "'";
}

const std::string& OneOf(Random& random, const Choices& choices) {
  return choices[Below(random, choices.size())];
}

std::string Text(Random& random, std::size_t characters_max) {
  constexpr std::string_view kSpecial = "\\\"'{}(),;:= \t\n\r\v\f\b*/NnUuLl0x-";
  if (OneIn(random, 12)) {
    const std::string word =
        OneOf(random, {"", "NULL", "null", "\\N", "\\.", "{}", "()", " ", "\"\""});
    return word.substr(0, characters_max);
  }
  std::string out;
  for (std::size_t left = Below(random, characters_max + 1); left > 0; --left) {
    if (OneIn(random, 2)) {
      out += kSpecial[Below(random, kSpecial.size())];
      continue;
    }
    const std::uint32_t plane =
        OneIn(random, 2) ? 0 : static_cast<std::uint32_t>(Below(random, 17));
    auto point = plane * 0x10000 + static_cast<std::uint32_t>(Below(random, 0x10000));
    if (point == 0 || (point >= 0xD800 && point < 0xE000)) point = 'a';
    AppendUtf8(OneIn(random, 3) ? point % 0x400 + 1 : point, out);
  }
  return out;
}

RandomType Plain(std::string name, std::function<std::string(Random&)> text, bool has_order) {
  std::string cast = "::" + name;
  return {.name = std::move(name),
          .value = [text = std::move(text), cast = std::move(cast)](
                       Random& random) { return RandomValue{Quoted(text(random)) + cast, false}; },
          .has_order = has_order};
}

RandomType Expression(std::string name, std::function<RandomValue(Random&)> value, bool has_order) {
  return {.name = std::move(name), .value = std::move(value), .has_order = has_order};
}

std::string RangeOf(const RandomType& bounds, const std::string& constructor, Random& random) {
  if (OneIn(random, 8)) return "'empty'::" + constructor;
  const auto bound = [&] {
    if (OneIn(random, 6)) return "NULL::" + bounds.name;
    for (;;) {
      const RandomValue value = bounds.value(random);
      // What the range's bounds cannot be cast to or rounded up to is no test of ours.
      if (!value.is_misfit) return value.sql;
    }
  };
  const std::string a = bound();
  const std::string b = bound();
  const std::string either = fmt::format("least({0}, {1}), greatest({0}, {1})", a, b);
  const bool is_open = a.starts_with("NULL") || b.starts_with("NULL");
  return fmt::format("{}({}, '{}')", constructor,
                     is_open ? "NULL, " + (a.starts_with("NULL") ? b : a) : either,
                     OneOf(random, {"[)", "[]", "(]", "()"}));
}

}  // namespace sluice::columnar::testing
