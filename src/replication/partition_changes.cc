#include "replication/partition_changes.h"

#include <algorithm>
#include <map>

namespace sluice::replication {
namespace {

struct Partition {
  std::string_view file;
  std::string_view attached;
  bool was_empty = false;
  bool is_leaving = false;
};

/// By oid, as text.
std::map<std::string_view, Partition> Parse(std::string_view files) {
  std::map<std::string_view, Partition> partitions;
  while (!files.empty()) {
    const std::size_t end = std::min(files.find(' '), files.size());
    const std::string_view entry = files.substr(0, end);
    files.remove_prefix(std::min(end + 1, files.size()));
    const std::size_t file = entry.find('/');
    const std::size_t attached = entry.rfind('/');
    if (file == std::string_view::npos) continue;
    Partition& partition = partitions[entry.substr(0, file)];
    partition.file = entry.substr(file + 1, attached - file - 1);
    partition.attached = entry.substr(attached + 1);
    const std::size_t digits = partition.attached.find_first_not_of("0123456789");
    if (digits == std::string_view::npos) continue;
    const std::string_view marks = partition.attached.substr(digits);
    partition.attached = partition.attached.substr(0, digits);
    partition.was_empty = marks.find_first_of("+e") != std::string_view::npos;
    partition.is_leaving = marks.find('-') != std::string_view::npos;
  }
  return partitions;
}

std::string Of(std::string_view oid, std::string_view what) {
  return "the partition with oid " + std::string(oid) + " " + std::string(what);
}

}  // namespace

bool HasPartitions(std::string_view files) {
  return files.find('/') != std::string_view::npos;
}

bool HasPartition(std::string_view files, RelationId partition) {
  return Parse(files).contains(std::to_string(partition.value));
}

std::string PartitionChange(std::string_view from, std::string_view to) {
  if (from == to || (!HasPartitions(from) && !HasPartitions(to))) return {};
  const auto before = Parse(from);
  const auto now = Parse(to);
  for (const auto& [oid, partition] : before) {
    const auto found = now.find(oid);
    if (found == now.end()) return Of(oid, "was detached or dropped");
    if (found->second.attached != partition.attached ||
        found->second.is_leaving != partition.is_leaving)
      return Of(oid, "was detached");
    if (found->second.file != partition.file) return Of(oid, "was truncated or rewritten");
  }
  for (const auto& [oid, partition] : now) {
    if (!before.contains(oid) && !partition.was_empty) return Of(oid, "was attached");
  }
  return {};
}

}  // namespace sluice::replication
