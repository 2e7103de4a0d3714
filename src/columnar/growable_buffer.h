/// \file
/// Bytes that grow at the end and leave as an arrow::Buffer without being copied.
///
/// Memory comes from Arrow's default pool; a process that has none left ends, as with bad_alloc.
/// Thread safety: one object, one thread.
#pragma once

#include <arrow/type_fwd.h>

#include <cstddef>
#include <cstdint>
#include <memory>

namespace sluice::columnar {

class GrowableBuffer {
 public:
  GrowableBuffer() = default;
  GrowableBuffer(GrowableBuffer&& other) noexcept;
  GrowableBuffer& operator=(GrowableBuffer&& other) noexcept;
  ~GrowableBuffer();

  /// Room for `count` more bytes, not initialised; valid until the next call.
  std::uint8_t* Extend(std::size_t count) {
    if (capacity_ - size_ < count) [[unlikely]]
      Grow(count);
    std::uint8_t* at = data_ + size_;
    size_ += count;
    return at;
  }
  /// Forget what is behind the first `size` bytes; does nothing where there is less.
  void ShrinkTo(std::size_t size) {
    if (size < size_) size_ = size;
  }

  std::uint8_t* data() { return data_; }
  const std::uint8_t* data() const { return data_; }
  std::size_t size() const { return size_; }
  std::size_t capacity() const { return capacity_; }

  /// Hands the bytes over; never null. Afterwards empty; the next growth begins with about the room
  /// that was needed this time.
  std::shared_ptr<arrow::Buffer> Finish();

 private:
  void Grow(std::size_t count);

  std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
  std::size_t estimate_ = 0;
  std::unique_ptr<arrow::ResizableBuffer> owner_;
};

}  // namespace sluice::columnar
