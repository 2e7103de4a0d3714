#include "tests/integration/source_changes.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

namespace sluice::integration {
namespace {

/// What SourceRows() selects: in the text form of memory::CellText.
const std::map<std::string, std::string>& SelectLists() {
  static const std::map<std::string, std::string> lists = {
      {"keyed", "id, name, n, price, flag, uid, raw, (extract(epoch FROM at) * 1000000)::bigint"},
      {"composite", "v, b, a"},
      {"keyless", "k, note"},
      {"toasted", "big, small, id"},
  };
  return lists;
}

std::string KeyedRow(std::int64_t key) {
  return fmt::format(
      "({0}, CASE WHEN {0} % 5 = 0 THEN NULL ELSE 'n{0} ä' || chr(10) END, {0} % 97, ({0} % 9973) "
      "/ 100.0, {0} % 3 = 0, md5('{0}')::uuid, decode(md5('{0}'), 'hex'), "
      "'2001-02-03 04:05:06.789012+00'::timestamptz + {0} * interval '1 second')",
      key);
}

std::string BigValue(std::int64_t key) {
  return fmt::format("(SELECT string_agg(md5('{}/' || i), '') FROM generate_series(1, 90) i)", key);
}

}  // namespace

const std::vector<std::string>& TableNames() {
  static const std::vector<std::string> names = {"keyed", "composite", "keyless", "toasted"};
  return names;
}

Status MakeTables(testing::SqlSession& sql, int rows_each) {
  return sql.Exec(fmt::format(R"(
      CREATE TABLE keyed (id bigint PRIMARY KEY, name text, n int, price numeric(12,2), flag bool,
        uid uuid, raw bytea, at timestamptz);
      CREATE TABLE composite (v text, b text NOT NULL, a int NOT NULL, PRIMARY KEY (a, b));
      CREATE TABLE keyless (k int, note text);
      ALTER TABLE keyless REPLICA IDENTITY FULL;
      CREATE TABLE toasted (big text, small int, id int PRIMARY KEY);
      ALTER TABLE toasted ALTER COLUMN big SET STORAGE EXTERNAL;
      CREATE TABLE unpublished (k int, note text);
      INSERT INTO keyed SELECT i, 'first ' || i, i % 97, i / 4.0, i % 2 = 0, md5(i::text)::uuid,
        decode(md5(i::text), 'hex'), '2001-02-03'::timestamptz + i * interval '1 ms'
        FROM generate_series(1, {0}) i;
      INSERT INTO composite SELECT 'first', 'b' || i % 10, i / 10 FROM generate_series(1, {0}) i;
      INSERT INTO keyless SELECT i % 50, 'note ' || i % 7 FROM generate_series(1, {0}) i;
      INSERT INTO toasted SELECT repeat(md5(i::text), 100), i, i FROM generate_series(1, {0}/10) i
    )",
                              rows_each));
}

Result<testing::SqlRows> SourceRows(testing::SqlSession& sql, const std::string& table) {
  SLUICE_ASSIGN_OR_RETURN(
      testing::SqlRows rows,
      sql.Query(fmt::format("SELECT {} FROM {}", SelectLists().at(table), table)));
  std::sort(rows.begin(), rows.end());
  return rows;
}

SourceChanges::SourceChanges(std::string conninfo, ChangesOptions options)
    : conninfo_(std::move(conninfo)),
      options_(options),
      random_(options.seed),
      next_key_(options.first_key) {}

SourceChanges::~SourceChanges() {
  (void)Stop();
}

void SourceChanges::Start() {
  thread_ = std::jthread([this](const std::stop_token& stop) {
    ended_ = Run(stop);
    has_ended_.store(true);
  });
}

Status SourceChanges::Stop() {
  if (!thread_.joinable()) return ended_;
  thread_.request_stop();
  thread_.join();
  return ended_;
}

Status SourceChanges::Run(const std::stop_token& stop) {
  SLUICE_ASSIGN_OR_RETURN(testing::SqlSession sql, testing::SqlSession::Open(conninfo_));
  while (!stop.stop_requested()) {
    SLUICE_RETURN_IF_ERROR(sql.Exec(Transaction()));
    const std::int64_t done = ++transactions_;
    if (options_.transactions_max > 0 && done >= options_.transactions_max) break;
  }
  return {};
}

std::int64_t SourceChanges::Random(std::int64_t end) {
  return std::uniform_int_distribution<std::int64_t>(0, end - 1)(random_);
}

/// One of the first rows, or of those inserted lately.
std::int64_t SourceChanges::SomeKey() {
  return Random(2) == 0 ? 1 + Random(2000) : next_key_ - 1 - Random(200);
}

std::string SourceChanges::Transaction() {
  std::string sql = "BEGIN;";
  const std::int64_t changes = 1 + Random(8);
  for (std::int64_t i = 0; i < changes; ++i) {
    const std::int64_t dice = Random(10);
    if (dice > 1) {
      sql += Change();
      continue;
    }
    sql += "SAVEPOINT s;" + Change() + "SAVEPOINT t;" + Change();
    sql += Random(2) == 0 ? "ROLLBACK TO t;" : "RELEASE t;";
    sql += Change();
    sql += dice == 0 ? "ROLLBACK TO s;" : "RELEASE s;";
  }
  return sql + (Random(12) == 0 ? "ROLLBACK" : "COMMIT");
}

std::string SourceChanges::Change() {
  if (options_.truncates && Random(150) == 0) {
    const bool all = options_.keyless && Random(2) == 0;
    return all ? "TRUNCATE keyless, composite;" : "TRUNCATE composite;";
  }
  switch (Random(4)) {
    case 0:
      return CompositeChange();
    case 1:
      return options_.keyless ? KeylessChange() : KeyedChange();
    case 2:
      return ToastedChange();
    default:
      return KeyedChange();
  }
}

std::string SourceChanges::KeyedChange() {
  const std::int64_t key = SomeKey();
  switch (Random(8)) {
    case 0:
    case 1:
      return fmt::format("INSERT INTO keyed VALUES {};", KeyedRow(next_key_++));
    case 2:
      return fmt::format("UPDATE keyed SET n = n + 1, name = 'u{0}', price = NULL WHERE id = {0};",
                         key);
    case 3:
      return fmt::format("UPDATE keyed SET n = n - 1 WHERE id % 89 = {};", key % 89);
    case 4:
      return fmt::format("DELETE FROM keyed WHERE id = {};", key);
    case 5:
      return fmt::format("UPDATE keyed SET id = {} WHERE id = {};", next_key_++, key);
    case 6: {  // two rows change places
      const std::int64_t other = SomeKey();
      if (other == key) return {};
      return fmt::format(
          "UPDATE keyed SET id = -id WHERE id IN ({0}, {1}); UPDATE keyed SET id = {1} WHERE id = "
          "-{0}; UPDATE keyed SET id = {0} WHERE id = -{1};",
          key, other);
    }
    default:  // gone, and there again
      return fmt::format("DELETE FROM keyed WHERE id = {}; INSERT INTO keyed VALUES {};", key,
                         KeyedRow(key));
  }
}

std::string SourceChanges::CompositeChange() {
  const std::int64_t a = Random(220);
  const std::int64_t b = Random(10);
  switch (Random(4)) {
    case 0:
      return fmt::format("DELETE FROM composite WHERE a = {} AND b = 'b{}';", a, b);
    case 1:
      return fmt::format("UPDATE composite SET v = v || '.' WHERE a = {};", a);
    case 2:
      return fmt::format("UPDATE composite SET a = {} WHERE a = {} AND b = 'b{}';", next_key_++, a,
                         b);
    default:
      return fmt::format(
          "INSERT INTO composite VALUES ('i', 'b{}', {}) ON CONFLICT (a, b) DO UPDATE SET v = 'o';",
          b, a);
  }
}

std::string SourceChanges::KeylessChange() {
  const std::int64_t k = Random(60);
  switch (Random(4)) {
    case 0:
      return fmt::format(
          "DELETE FROM keyless WHERE ctid = (SELECT min(ctid) FROM keyless WHERE "
          "k = {});",
          k);
    case 1:
      return fmt::format("UPDATE keyless SET note = note || '' , k = k + 1 WHERE k = {};", k);
    default:
      return fmt::format("INSERT INTO keyless VALUES ({0}, 'twice'), ({0}, 'twice'), (NULL, NULL);",
                         k);
  }
}

std::string SourceChanges::ToastedChange() {
  const std::int64_t key = Random(2) == 0 ? 1 + Random(200) : SomeKey();
  switch (Random(6)) {
    case 0:
      return fmt::format("DELETE FROM toasted WHERE id = {};", key);
    case 1: {
      const std::int64_t fresh = next_key_++;
      return fmt::format("INSERT INTO toasted VALUES ({}, 0, {});", BigValue(fresh), fresh);
    }
    case 2:
      if (!options_.toasted_moves) return {};
      return fmt::format("UPDATE toasted SET id = {} WHERE id = {};", next_key_++, key);
    case 3:
      return fmt::format("UPDATE toasted SET big = {}, small = 7 WHERE id = {};", BigValue(key),
                         key);
    default:
      return fmt::format("UPDATE toasted SET small = small + 1 WHERE id = {};", key);
  }
}

}  // namespace sluice::integration
