#include "cli/passwords.h"

#include <algorithm>
#include <cctype>
#include <cstring>

namespace sluice::cli {
namespace {

struct Range {
  std::size_t begin = 0;
  std::size_t end = 0;
};

bool IsSpace(char c) {
  return std::isspace(static_cast<unsigned char>(c)) != 0;
}

char Lower(char c) {
  return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
}

bool EndsWithPassword(std::string_view keyword) {
  constexpr std::string_view kWord = "password";
  if (keyword.size() < kWord.size()) return false;
  keyword.remove_prefix(keyword.size() - kWord.size());
  return std::equal(keyword.begin(), keyword.end(), kWord.begin(),
                    [](char a, char b) { return Lower(a) == b; });
}

/// user:PASSWORD@ after "://" at `begin`. The last @ of the URL ends it: libpq takes a ? in a
/// password, and people forget to write / as %2F.
void FindUrlPassword(std::string_view url, std::size_t base, std::vector<Range>& out) {
  const std::size_t at = url.rfind('@');
  if (at == std::string_view::npos) return;
  const std::size_t colon = url.find(':');
  if (colon == std::string_view::npos || colon > at) return;
  out.push_back({base + colon + 1, base + at});
}

/// ?key=value&key=value: values of keys that end in "password", and of keys written with %XX.
void FindQueryPasswords(std::string_view url, std::size_t base, std::vector<Range>& out) {
  std::size_t at = url.find('?');
  while (at != std::string_view::npos) {
    const std::size_t begin = at + 1;
    const std::size_t end = std::min(url.find('&', begin), url.size());
    const std::size_t equals = url.find('=', begin);
    if (equals < end) {
      const std::string_view key = url.substr(begin, equals - begin);
      if (EndsWithPassword(key) || key.find('%') != std::string_view::npos) {
        out.push_back({base + equals + 1, base + end});
      }
    }
    at = end < url.size() ? end : std::string_view::npos;
  }
}

/// The end of a keyword's value that begins at `at`: quoted, or up to a space; \ takes the next.
std::size_t ValueEnd(std::string_view text, std::size_t at) {
  const bool is_quoted = at < text.size() && text[at] == '\'';
  if (is_quoted) ++at;
  while (at < text.size()) {
    if (text[at] == '\\') {
      at = std::min(at + 2, text.size());
    } else if (is_quoted ? text[at] == '\'' : IsSpace(text[at])) {
      return is_quoted ? at + 1 : at;
    } else {
      ++at;
    }
  }
  return text.size();
}

/// A URL and nothing else, as an argument is: a password in it may hold anything.
bool IsUrl(std::string_view text) {
  return text.starts_with("postgres://") || text.starts_with("postgresql://");
}

/// What follows "://", up to a space or a quote; of a text that is a URL, all of it.
std::vector<Range> FindUrls(std::string_view text) {
  if (IsUrl(text)) return {{text.find("://") + 3, text.size()}};
  std::vector<Range> out;
  for (std::size_t scheme = text.find("://"); scheme != std::string_view::npos;
       scheme = text.find("://", scheme + 3)) {
    const std::size_t begin = scheme + 3;
    std::size_t end = begin;
    while (end < text.size() && !IsSpace(text[end]) && text[end] != '"') ++end;
    out.push_back({begin, end});
  }
  return out;
}

/// password = value, outside of URLs.
void FindKeywordPasswords(std::string_view text, const std::vector<Range>& urls,
                          std::vector<Range>& out) {
  const auto is_in_url = [&](std::size_t at) {
    return std::any_of(urls.begin(), urls.end(),
                       [at](const Range& url) { return url.begin <= at && at < url.end; });
  };
  for (std::size_t equals = text.find('='); equals != std::string_view::npos;
       equals = text.find('=', equals + 1)) {
    std::size_t key_end = equals;
    while (key_end > 0 && IsSpace(text[key_end - 1])) --key_end;
    if (!EndsWithPassword(text.substr(0, key_end)) || is_in_url(equals)) continue;
    std::size_t begin = equals + 1;
    while (begin < text.size() && IsSpace(text[begin])) ++begin;
    const std::size_t end = ValueEnd(text, begin);
    if (begin < end) out.push_back({begin, end});
    if (end > equals) equals = end - 1;
  }
}

/// Ascending, disjoint.
std::vector<Range> FindPasswords(std::string_view text) {
  std::vector<Range> found;
  const std::vector<Range> urls = FindUrls(text);
  FindKeywordPasswords(text, urls, found);
  for (const Range& range : urls) {
    const std::string_view url = text.substr(range.begin, range.end - range.begin);
    FindUrlPassword(url, range.begin, found);
    FindQueryPasswords(url, range.begin, found);
  }
  std::sort(found.begin(), found.end(),
            [](const Range& a, const Range& b) { return a.begin < b.begin; });
  std::vector<Range> out;
  for (const Range& range : found) {
    if (!out.empty() && range.begin <= out.back().end) {
      out.back().end = std::max(out.back().end, range.end);
    } else if (range.begin < range.end) {
      out.push_back(range);
    }
  }
  return out;
}

}  // namespace

void BlankPasswords(std::span<char> argument) {
  for (const Range& range : FindPasswords({argument.data(), argument.size()})) {
    std::fill(argument.data() + range.begin, argument.data() + range.end, 'x');
  }
}

std::string WithoutPasswords(std::string_view text) {
  std::string out;
  std::size_t done = 0;
  for (const Range& range : FindPasswords(text)) {
    out.append(text.substr(done, range.begin - done)).append("***");
    done = range.end;
  }
  return out.append(text.substr(done));
}

std::vector<std::string> TakeArguments(int argc, char** argv) {
  std::vector<std::string> out;
  for (int i = 1; i < argc; ++i) {
    out.emplace_back(argv[i]);
    BlankPasswords({argv[i], std::strlen(argv[i])});
  }
  return out;
}

}  // namespace sluice::cli
