/// \file
/// The memory destination's read side and its copy writer.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sluice/destination.h"

#include "destinations/memory/memory_storage.h"

namespace sluice::memory {

class MemoryReader final : public DestinationReader {
 public:
  explicit MemoryReader(const MemoryStorage& storage);

  Status Scan(const TableRecord& table, const std::vector<std::int32_t>& columns,
              const std::function<Status(const RowsPtr&)>& sink) override;
  Result<DeliveryState> State() override { return state_; }

 private:
  std::map<TableName, std::shared_ptr<const Table>> tables_;
  DeliveryState state_;
};

class MemoryCopyWriter final : public CopyWriter {
 public:
  MemoryCopyWriter(std::shared_ptr<MemoryStorage> storage, CopyTarget target, bool strict);

  Status Append(const CopiedRows& copied) override;
  Status Finish() override;

 private:
  std::shared_ptr<MemoryStorage> storage_;
  CopyTarget target_;
  const bool strict_;
  std::map<std::string, Entry> rows_;
  bool is_finished_ = false;
};

}  // namespace sluice::memory
