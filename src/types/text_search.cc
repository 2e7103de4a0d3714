#include <array>
#include <string_view>
#include <vector>

#include "types/text_formats.h"

namespace sluice::types {
namespace {

/// Positions and weights share 16 bits: two for the weight, 14 for the position.
constexpr unsigned kPositionMask = 0x3FFF;

void AppendQuotedLexeme(std::string_view lexeme, std::string& out) {
  out.push_back('\'');
  for (const char c : lexeme) {
    if (c == '\'' || c == '\\') out.push_back(c);
    out.push_back(c);
  }
  out.push_back('\'');
}

enum class QueryKind : std::uint8_t { kLexeme, kNot, kAnd, kOr, kPhrase };

struct QueryNode {
  QueryKind kind = QueryKind::kLexeme;
  std::string_view lexeme;
  unsigned weights = 0;
  bool is_prefix = false;
  unsigned distance = 0;
  std::size_t left = 0;  ///< also the operand of kNot
  std::size_t right = 0;
};

int Priority(QueryKind kind) {
  switch (kind) {
    case QueryKind::kOr:
      return 1;
    case QueryKind::kAnd:
      return 2;
    case QueryKind::kPhrase:
      return 3;
    case QueryKind::kNot:
      return 4;
    case QueryKind::kLexeme:
      return 5;
  }
  return 0;
}

bool ReadNode(base::ByteReader& reader, QueryNode& node) {
  constexpr unsigned kOperand = 1;
  constexpr unsigned kOperator = 2;
  const unsigned type = reader.ReadU8();
  if (type == kOperand) {
    node.weights = reader.ReadU8();
    node.is_prefix = reader.ReadU8() != 0;
    node.lexeme = reader.ReadCString();
    return reader.ok() && node.weights <= 15;
  }
  const unsigned code = reader.ReadU8();
  if (type != kOperator || code < 1 || code > 4) return false;
  constexpr std::array<QueryKind, 4> kKinds = {QueryKind::kNot, QueryKind::kAnd, QueryKind::kOr,
                                               QueryKind::kPhrase};
  node.kind = kKinds[code - 1];
  if (node.kind == QueryKind::kPhrase) node.distance = reader.ReadU16();
  return reader.ok();
}

/// Reads the nodes, which come operator first, then its right operand, then its left one. The root
/// is node 0. A query is as deep as its user made it, so nothing here recurses.
bool ReadQuery(base::ByteReader& reader, std::vector<QueryNode>& nodes) {
  const std::uint32_t count = reader.ReadU32();
  if (!reader.ok() || count > reader.remaining() / 2) return false;
  nodes.resize(count);
  for (QueryNode& node : nodes) {
    if (!ReadNode(reader, node)) return false;
  }
  if (!reader.Finish()) return false;
  std::vector<std::size_t> roots;
  for (std::size_t i = nodes.size(); i-- > 0;) {
    QueryNode& node = nodes[i];
    if (node.kind == QueryKind::kNot) {
      if (roots.empty()) return false;
      node.left = roots.back();
      roots.pop_back();
    } else if (node.kind != QueryKind::kLexeme) {
      if (roots.size() < 2) return false;
      node.right = roots.back();
      roots.pop_back();
      node.left = roots.back();
      roots.pop_back();
    }
    roots.push_back(i);
  }
  return roots.size() == (count == 0 ? 0U : 1U);
}

void AppendOperand(const QueryNode& node, std::string& out) {
  AppendQuotedLexeme(node.lexeme, out);
  if (node.weights == 0 && !node.is_prefix) return;
  out.push_back(':');
  if (node.is_prefix) out.push_back('*');
  for (unsigned i = 0; i < 4; ++i) {
    if ((node.weights & (8U >> i)) != 0) out.push_back("ABCD"[i]);
  }
}

void AppendOperator(const QueryNode& node, std::string& out) {
  if (node.kind == QueryKind::kAnd) {
    out.append(" & ");
  } else if (node.kind == QueryKind::kOr) {
    out.append(" | ");
  } else if (node.distance == 1) {
    out.append(" <-> ");
  } else {
    out.append(" <");
    AppendUnsigned(node.distance, out);
    out.append("> ");
  }
}

/// What is still to be printed, last first.
struct PrintTask {
  enum class What : std::uint8_t { kNode, kOperator, kClose };
  What what;
  std::size_t node = 0;
  int parent_priority = -1;
  /// A phrase on the right of a phrase keeps its parentheses: distances do not associate.
  bool is_right_of_phrase = false;
};

void PrintQuery(const std::vector<QueryNode>& nodes, std::string& out) {
  using What = PrintTask::What;
  std::vector<PrintTask> tasks = {{What::kNode}};
  while (!tasks.empty()) {
    const PrintTask task = tasks.back();
    tasks.pop_back();
    if (task.what == What::kClose) {
      out.append(" )");
      continue;
    }
    const QueryNode& node = nodes[task.node];
    if (task.what == What::kOperator) {
      AppendOperator(node, out);
      continue;
    }
    if (node.kind == QueryKind::kLexeme) {
      AppendOperand(node, out);
      continue;
    }
    const int priority = Priority(node.kind);
    const bool is_phrase = node.kind == QueryKind::kPhrase;
    if (priority < task.parent_priority || (is_phrase && task.is_right_of_phrase)) {
      out.append("( ");
      tasks.push_back({What::kClose});
    }
    if (node.kind == QueryKind::kNot) {
      out.push_back('!');
    } else {
      tasks.push_back({What::kNode, node.right, priority, is_phrase});
      tasks.push_back({What::kOperator, task.node});
    }
    tasks.push_back({What::kNode, node.left, priority, false});
  }
}

}  // namespace

bool FormatTsVector(Wire wire, std::string& out) {
  base::ByteReader reader(wire);
  const std::uint32_t count = reader.ReadU32();
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::string_view lexeme = reader.ReadCString();
    const unsigned position_count = reader.ReadU16();
    if (!reader.ok() || position_count > reader.remaining() / 2) return false;
    if (i > 0) out.push_back(' ');
    AppendQuotedLexeme(lexeme, out);
    for (unsigned p = 0; p < position_count; ++p) {
      const unsigned entry = reader.ReadU16();
      out.push_back(p == 0 ? ':' : ',');
      AppendUnsigned(entry & kPositionMask, out);
      const unsigned weight = entry >> 14;
      if (weight > 0) out.push_back("DCBA"[weight]);
    }
  }
  return reader.Finish();
}

bool FormatTsQuery(Wire wire, std::string& out) {
  base::ByteReader reader(wire);
  std::vector<QueryNode> nodes;
  if (!ReadQuery(reader, nodes)) return false;
  if (!nodes.empty()) PrintQuery(nodes, out);
  return true;
}

}  // namespace sluice::types
