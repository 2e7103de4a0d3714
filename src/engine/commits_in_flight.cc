#include "engine/commits_in_flight.h"

#include <algorithm>
#include <chrono>

namespace sluice::engine {
namespace {

constexpr Duration kPatience = std::chrono::minutes(10);

}  // namespace

CommitsInFlight::CommitsInFlight(Progress& progress, std::uint64_t last)
    : progress_(progress), durable_sequence_(last), visible_sequence_(last) {}

Status CommitsInFlight::WaitForRoom(std::size_t most) {
  const Clock::time_point deadline = Clock::now() + kPatience;
  const base::MutexLock lock(mutex_);
  while (std::max(not_durable_.size(), not_visible_.size()) >= most) {
    if (is_interrupted_) {
      return Error{.kind = ErrorKind::kCancelled,
                   .message = "stopped while earlier commits were not durable"};
    }
    if (Clock::now() >= deadline) {
      return Error{
          .kind = ErrorKind::kTimeout,
          .message = "the destination did not make earlier commits durable within 10 minutes",
          .code = "SLU-5006"};
    }
    changed_.wait_until(mutex_, deadline);
  }
  return {};
}

void CommitsInFlight::Add(std::uint64_t sequence, Lsn end, UnixMicros committed_at) {
  const base::MutexLock lock(mutex_);
  not_durable_.push_back({sequence, end, committed_at});
  not_visible_.push_back({sequence, end, committed_at});
}

void CommitsInFlight::OnWatermarks(const Watermarks& marks) {
  const base::MutexLock lock(mutex_);
  durable_sequence_ = std::max(durable_sequence_, marks.durable_sequence);
  visible_sequence_ = std::max(visible_sequence_, marks.visible_sequence);
  while (!not_durable_.empty() && not_durable_.front().sequence <= marks.durable_sequence) {
    const Commit& front = not_durable_.front();
    progress_.durable.Store(front.end);
    if (front.committed_at.value != 0) {
      progress_.last_commit_unix_us.store(front.committed_at.value, std::memory_order_relaxed);
    }
    not_durable_.pop_front();
  }
  while (!not_visible_.empty() && not_visible_.front().sequence <= marks.visible_sequence) {
    progress_.visible.Store(not_visible_.front().end);
    not_visible_.pop_front();
  }
  progress_.oldest_pending_commit_us.store(
      not_durable_.empty() ? 0 : not_durable_.front().committed_at.value,
      std::memory_order_relaxed);
  changed_.notify_all();
}

void CommitsInFlight::Interrupt() {
  const base::MutexLock lock(mutex_);
  is_interrupted_ = true;
  changed_.notify_all();
}

std::uint64_t CommitsInFlight::durable_sequence() const {
  const base::MutexLock lock(mutex_);
  return durable_sequence_;
}

std::uint64_t CommitsInFlight::visible_sequence() const {
  const base::MutexLock lock(mutex_);
  return visible_sequence_;
}

}  // namespace sluice::engine
