/// \file
/// Is this valid UTF-8? Fast where it is ASCII, which nearly all text is.
#pragma once

#include <cstddef>
#include <span>

namespace sluice::types {

/// False: a malformed, overlong, surrogate or too large sequence. Zero bytes count as valid.
bool IsUtf8(std::span<const std::byte> text);

}  // namespace sluice::types
