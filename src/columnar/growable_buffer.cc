#include "columnar/growable_buffer.h"

#include <arrow/buffer.h>
#include <arrow/result.h>

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace sluice::columnar {
namespace {

// Small: most batches of a busy database have few rows of most tables.
constexpr std::size_t kFirstCapacityBytes = 64;
// An estimate larger than this is not worth its risk to be wrong.
constexpr std::size_t kEstimateBytesMax = 32U << 20;

}  // namespace

GrowableBuffer::GrowableBuffer(GrowableBuffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      capacity_(std::exchange(other.capacity_, 0)),
      estimate_(other.estimate_),
      owner_(std::move(other.owner_)) {}

GrowableBuffer& GrowableBuffer::operator=(GrowableBuffer&& other) noexcept {
  data_ = std::exchange(other.data_, nullptr);
  size_ = std::exchange(other.size_, 0);
  capacity_ = std::exchange(other.capacity_, 0);
  estimate_ = other.estimate_;
  owner_ = std::move(other.owner_);
  return *this;
}

GrowableBuffer::~GrowableBuffer() = default;

void GrowableBuffer::Grow(std::size_t count) {
  std::size_t wanted = std::max({size_ + count, capacity_ * 2, kFirstCapacityBytes});
  if (owner_ == nullptr) {
    wanted = std::max(wanted, std::min(estimate_, kEstimateBytesMax));
    auto made = arrow::AllocateResizableBuffer(static_cast<std::int64_t>(wanted));
    SLUICE_CHECK(made.ok());
    owner_ = *std::move(made);
  } else {
    SLUICE_CHECK(owner_->Resize(static_cast<std::int64_t>(wanted), /*shrink_to_fit=*/false).ok());
  }
  data_ = owner_->mutable_data();
  capacity_ = static_cast<std::size_t>(owner_->capacity());
  // Only [0, size of the buffer) may be written; the pool rounds up beyond it.
  SLUICE_CHECK(owner_->Resize(static_cast<std::int64_t>(capacity_), false).ok());
}

std::shared_ptr<arrow::Buffer> GrowableBuffer::Finish() {
  if (owner_ == nullptr) Grow(0);
  const bool is_roomy = capacity_ / 2 > std::max(size_, kFirstCapacityBytes);
  SLUICE_CHECK(owner_->Resize(static_cast<std::int64_t>(size_), is_roomy).ok());
  estimate_ = size_ + size_ / 16;  // the next one is hardly of just that size
  data_ = nullptr;
  size_ = 0;
  capacity_ = 0;
  return std::move(owner_);
}

}  // namespace sluice::columnar
