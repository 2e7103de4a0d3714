/// \file
/// The only way at bytes that come from outside: big-endian, bounds-checked, with sticky failure.
///
/// After the first overrun every read returns zero or an empty view, and the failure is asked for
/// once, at the end (ok(), Finish()). So a decoder is straight-line code. Views point into the span
/// given and live as long as it. Thread safety: one object, one thread.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace sluice::base {

class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes)
      : at_(bytes.data()), end_(at_ + bytes.size()) {}

  std::uint8_t ReadU8() { return Read<std::uint8_t>(); }
  std::uint16_t ReadU16() { return Read<std::uint16_t>(); }
  std::uint32_t ReadU32() { return Read<std::uint32_t>(); }
  std::uint64_t ReadU64() { return Read<std::uint64_t>(); }
  std::int8_t ReadI8() { return static_cast<std::int8_t>(ReadU8()); }
  std::int16_t ReadI16() { return static_cast<std::int16_t>(ReadU16()); }
  std::int32_t ReadI32() { return static_cast<std::int32_t>(ReadU32()); }
  std::int64_t ReadI64() { return static_cast<std::int64_t>(ReadU64()); }

  std::span<const std::byte> ReadBytes(std::size_t count) {
    if (count > remaining()) {
      Fail();
      return {};
    }
    const std::span<const std::byte> view(at_, count);
    at_ += count;
    return view;
  }

  /// Up to and without the terminating zero, which must be there.
  std::string_view ReadCString() {
    const void* zero = remaining() == 0 ? nullptr : std::memchr(at_, 0, remaining());
    if (zero == nullptr) {
      Fail();
      return {};
    }
    const auto length = static_cast<std::size_t>(static_cast<const std::byte*>(zero) - at_);
    const std::string_view view(reinterpret_cast<const char*>(at_),
                                length);  // NOLINT: bytes are chars
    at_ += length + 1;
    return view;
  }

  std::size_t remaining() const { return static_cast<std::size_t>(end_ - at_); }
  bool ok() const { return !failed_; }
  /// No overrun, and nothing left over.
  bool Finish() const { return !failed_ && at_ == end_; }
  void Fail() {
    failed_ = true;
    at_ = end_;
  }

 private:
  template <class T>
  T Read() {
    if (sizeof(T) > remaining()) [[unlikely]] {
      Fail();
      return 0;
    }
    T value;
    std::memcpy(&value, at_, sizeof(T));
    at_ += sizeof(T);
    if constexpr (sizeof(T) == 1) {
      return value;
    } else if constexpr (std::endian::native == std::endian::little) {
      return Swap(value);
    } else {
      return value;
    }
  }
  static std::uint16_t Swap(std::uint16_t v) { return __builtin_bswap16(v); }
  static std::uint32_t Swap(std::uint32_t v) { return __builtin_bswap32(v); }
  static std::uint64_t Swap(std::uint64_t v) { return __builtin_bswap64(v); }

  const std::byte* at_;
  const std::byte* end_;
  bool failed_ = false;
};

inline std::span<const std::byte> AsBytes(std::string_view text) {
  return std::as_bytes(std::span<const char>(text.data(), text.size()));
}
inline std::string_view AsText(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};  // NOLINT: bytes are chars
}

}  // namespace sluice::base
