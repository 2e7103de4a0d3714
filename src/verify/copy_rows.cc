#include "verify/copy_rows.h"

#include <string_view>

namespace sluice::verify {
namespace {

Error Malformed(std::string_view what) {
  return Error{.kind = ErrorKind::kProtocol,
               .message = "verify cannot read what the source sent: " + std::string(what),
               .code = "SLU-4501"};
}

}  // namespace

bool CopyRows::ReadHeader() {
  constexpr std::string_view kSignature("PGCOPY\n\377\r\n\0", 11);
  constexpr std::uint32_t kCriticalFlags = 0xFFFF0000;
  if (base::AsText(reader_.ReadBytes(kSignature.size())) != kSignature) return false;
  const std::uint32_t flags = reader_.ReadU32();
  reader_.ReadBytes(reader_.ReadU32());  // header extension
  has_header_ = reader_.ok() && (flags & kCriticalFlags) == 0;
  return has_header_;
}

Result<bool> CopyRows::Next() {
  if (reader_.remaining() == 0) return false;
  if (!has_header_ && !ReadHeader()) return Malformed("no header of a binary COPY");
  if (reader_.remaining() == 0) return false;
  if (has_trailer_) return Malformed("bytes after the end of the COPY");
  const std::int16_t count = reader_.ReadI16();
  if (count == -1) {
    has_trailer_ = true;
    if (!reader_.Finish()) return Malformed("bytes after the end of the COPY");
    return false;
  }
  if (count < 0 || static_cast<std::size_t>(count) != cells_.size()) {
    return Malformed("a row with another number of columns");
  }
  for (SourceCell& cell : cells_) {
    const std::int32_t length = reader_.ReadI32();
    cell.is_null = length == -1;
    if (length < -1) return Malformed("a value of negative length");
    cell.bytes = reader_.ReadBytes(cell.is_null ? 0 : static_cast<std::size_t>(length));
  }
  if (!reader_.ok()) return Malformed("a row is cut off");
  return true;
}

Status CopyRows::CheckComplete() const {
  if (!has_trailer_) return Malformed("the COPY ended early");
  return {};
}

}  // namespace sluice::verify
