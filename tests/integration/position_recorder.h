/// \file
/// Writes down what a destination has said to be durable, before the engine is told.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "destinations/doubles/doubles.h"

namespace sluice::integration {

/// Of all incarnations of one destination. Thread safe.
class PositionRecord {
 public:
  Lsn durable() const {
    const std::scoped_lock lock(mutex_);
    return durable_;
  }

 private:
  friend class PositionRecorder;
  mutable std::mutex mutex_;
  std::map<std::uint64_t, Lsn> commits_;  ///< of this incarnation, not durable yet
  Lsn durable_;
};

class PositionRecorder final : public doubles::Decorator {
 public:
  PositionRecorder(std::unique_ptr<Destination> inner, std::shared_ptr<PositionRecord> record)
      : Decorator(std::move(inner)), record_(std::move(record)) {
    const std::scoped_lock lock(record_->mutex_);
    record_->commits_.clear();
  }

  Result<CommitOutcome> Commit(const CommitRecord& record) override {
    if (record.position) {
      const std::scoped_lock lock(record_->mutex_);
      record_->commits_[record.sequence] = record.position->lsn;
    }
    return Decorator::Commit(record);
  }
  void OnWatermark(std::function<void(const Watermarks&)> listener) override {
    Decorator::OnWatermark([record = record_, listener](const Watermarks& marks) {
      {
        const std::scoped_lock lock(record->mutex_);
        auto& commits = record->commits_;
        while (!commits.empty() && commits.begin()->first <= marks.durable_sequence) {
          record->durable_ = std::max(record->durable_, commits.begin()->second);
          commits.erase(commits.begin());
        }
      }
      if (listener) listener(marks);
    });
  }

 private:
  std::shared_ptr<PositionRecord> record_;
};

}  // namespace sluice::integration
