/// \file
/// One budget in bytes for a process, shared by what buffers: batches in flight, staged
/// transactions, held changes.
///
/// A counter, not an allocator: parts add and remove what they hold and ask whether to spill or to
/// stop reading. Thread safety: every member from any thread.
#pragma once

#include <atomic>
#include <cstddef>

namespace sluice::base {

class MemoryBudget {
 public:
  explicit MemoryBudget(std::size_t limit_bytes) : limit_bytes_(limit_bytes) {}

  void Add(std::size_t bytes) {
    const std::size_t now = used_bytes_.fetch_add(bytes, std::memory_order_relaxed) + bytes;
    std::size_t peak = peak_bytes_.load(std::memory_order_relaxed);
    while (now > peak && !peak_bytes_.compare_exchange_weak(peak, now, std::memory_order_relaxed)) {
    }
  }
  void Remove(std::size_t bytes) { used_bytes_.fetch_sub(bytes, std::memory_order_relaxed); }

  std::size_t limit_bytes() const { return limit_bytes_; }
  std::size_t used_bytes() const { return used_bytes_.load(std::memory_order_relaxed); }
  std::size_t peak_bytes() const { return peak_bytes_.load(std::memory_order_relaxed); }

 private:
  const std::size_t limit_bytes_;
  std::atomic<std::size_t> used_bytes_{0};
  std::atomic<std::size_t> peak_bytes_{0};
};

}  // namespace sluice::base
