#include "postgres/query_result.h"

#include <charconv>
#include <limits>

namespace sluice::postgres {
namespace {

Error NotA(std::string_view what) {
  return Error{.kind = ErrorKind::kProtocol,
               .message = "the server's answer is not " + std::string(what),
               .code = "SLU-2019"};
}

template <class T>
std::optional<T> Parse(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool IsInside(const PGresult* result, std::size_t row, std::size_t column) {
  return result != nullptr && row < static_cast<std::size_t>(PQntuples(result)) &&
         column < static_cast<std::size_t>(PQnfields(result));
}

}  // namespace

ExecStatusType QueryResult::status() const {
  return result_ == nullptr ? PGRES_EMPTY_QUERY : PQresultStatus(result_.get());
}

std::size_t QueryResult::row_count() const {
  return result_ == nullptr ? 0 : static_cast<std::size_t>(PQntuples(result_.get()));
}

std::size_t QueryResult::column_count() const {
  return result_ == nullptr ? 0 : static_cast<std::size_t>(PQnfields(result_.get()));
}

bool QueryResult::is_null(std::size_t row, std::size_t column) const {
  return !IsInside(result_.get(), row, column) ||
         PQgetisnull(result_.get(), static_cast<int>(row), static_cast<int>(column)) != 0;
}

std::string_view QueryResult::text(std::size_t row, std::size_t column) const {
  if (!IsInside(result_.get(), row, column)) return {};
  const int r = static_cast<int>(row);
  const int c = static_cast<int>(column);
  return {PQgetvalue(result_.get(), r, c),
          static_cast<std::size_t>(PQgetlength(result_.get(), r, c))};
}

std::optional<std::string> QueryResult::optional_text(std::size_t row, std::size_t column) const {
  if (is_null(row, column)) return std::nullopt;
  return str(row, column);
}

std::int64_t QueryResult::integer_or(std::size_t row, std::size_t column,
                                     std::int64_t fallback) const {
  return Parse<std::int64_t>(text(row, column)).value_or(fallback);
}

Result<std::int64_t> QueryResult::Integer(std::size_t row, std::size_t column) const {
  const auto value = Parse<std::int64_t>(text(row, column));
  if (!value) return NotA("a number");
  return *value;
}

Result<std::uint32_t> QueryResult::Unsigned32(std::size_t row, std::size_t column) const {
  const auto value = Parse<std::uint32_t>(text(row, column));
  if (!value) return NotA("an object id");
  return *value;
}

Result<std::uint64_t> QueryResult::Unsigned64(std::size_t row, std::size_t column) const {
  const auto value = Parse<std::uint64_t>(text(row, column));
  if (!value) return NotA("an unsigned number");
  return *value;
}

Result<Lsn> QueryResult::LsnAt(std::size_t row, std::size_t column) const {
  const auto value = ParseLsn(text(row, column));
  if (!value) return NotA("an LSN");
  return *value;
}

std::int64_t QueryResult::affected_rows() const {
  if (result_ == nullptr) return 0;
  return Parse<std::int64_t>(PQcmdTuples(result_.get())).value_or(0);
}

std::optional<std::vector<std::string>> ParseArrayText(std::string_view text) {
  if (text.size() < 2 || text.front() != '{' || text.back() != '}') return std::nullopt;
  text = text.substr(1, text.size() - 2);
  std::vector<std::string> out;
  if (text.empty()) return out;
  std::size_t at = 0;
  while (true) {
    std::string element;
    if (at < text.size() && text[at] == '"') {
      for (++at; at < text.size() && text[at] != '"'; ++at) {
        if (text[at] == '\\' && ++at == text.size()) return std::nullopt;
        element += text[at];
      }
      if (at == text.size()) return std::nullopt;
      ++at;
    } else {
      while (at < text.size() && text[at] != ',') {
        if (text[at] == '{' || text[at] == '}' || text[at] == '"') return std::nullopt;
        element += text[at++];
      }
      if (element.empty()) return std::nullopt;
      if (element == "NULL") element.clear();
    }
    out.push_back(std::move(element));
    if (at == text.size()) return out;
    if (text[at++] != ',') return std::nullopt;
  }
}

}  // namespace sluice::postgres
