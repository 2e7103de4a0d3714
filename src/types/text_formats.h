/// \file
/// One function a scalar type: binary wire form in, PostgreSQL's text appended. Behind
/// text_output.h.
///
/// Every function returns false on bytes that are not of its type; `out` may then hold a partial
/// text. Text taken from the wire is not checked for UTF-8 here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/byte_reader.h"

namespace sluice::types {

using Wire = std::span<const std::byte>;

void AppendSigned(std::int64_t value, std::string& out);
void AppendUnsigned(std::uint64_t value, std::string& out);
/// At least two digits, zero filled.
void AppendTwoDigits(std::uint32_t value, std::string& out);
void AppendHex(Wire bytes, std::string& out);

// text_numbers.cc
void AppendFloat4(float value, std::string& out);
void AppendFloat8(double value, std::string& out);
bool FormatNumeric(Wire wire, std::string& out);
bool FormatMoney(Wire wire, std::string& out);

// text_datetime.cc
bool FormatDate(Wire wire, std::string& out);
bool FormatTime(Wire wire, std::string& out);
bool FormatTimeTz(Wire wire, std::string& out);
bool FormatTimestamp(Wire wire, std::string& out);
bool FormatTimestampTz(Wire wire, std::string& out);
bool FormatInterval(Wire wire, std::string& out);

// text_network.cc
bool FormatInet(Wire wire, std::string& out);
bool FormatMacAddress(Wire wire, std::size_t byte_count, std::string& out);
bool FormatUuid(Wire wire, std::string& out);

// text_geometry.cc
bool FormatPoint(Wire wire, std::string& out);
bool FormatSegment(Wire wire, std::string& out);
bool FormatPath(Wire wire, std::string& out);
bool FormatBox(Wire wire, std::string& out);
bool FormatPolygon(Wire wire, std::string& out);
bool FormatLine(Wire wire, std::string& out);
bool FormatCircle(Wire wire, std::string& out);

// text_search.cc
bool FormatTsVector(Wire wire, std::string& out);
bool FormatTsQuery(Wire wire, std::string& out);

// text_scalars.cc
bool FormatByteChar(Wire wire, std::string& out);
bool FormatBytea(Wire wire, std::string& out);
bool FormatBits(Wire wire, std::string& out);
bool FormatVersionedText(Wire wire, std::string& out);
bool FormatTid(Wire wire, std::string& out);
bool FormatLsn(Wire wire, std::string& out);
bool FormatSnapshot(Wire wire, std::string& out);
bool FormatHstore(Wire wire, std::string& out);

// text_extensions.cc
bool FormatVector(Wire wire, std::string& out);
bool FormatHalfVector(Wire wire, std::string& out);
bool FormatSparseVector(Wire wire, std::string& out);
bool FormatEwkb(Wire wire, std::string& out);

}  // namespace sluice::types
