#include "pipeline/memory_shortage.h"

#include <utility>

namespace sluice::pipeline {

bool MemoryShortage::MayGoOn(Clock::time_point now, Lsn durable) {
  if (durable > std::exchange(durable_, durable)) at_.clear();
  std::erase_if(at_, [&](Clock::time_point at) { return at < now - kWindow; });
  if (at_.size() >= kMax) return false;
  at_.push_back(now);
  return true;
}

}  // namespace sluice::pipeline
