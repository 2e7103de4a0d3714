/// \file
/// Which function reads a type's binary form and which its text form. Chosen once per column.
#pragma once

#include "sluice/schema.h"

#include "columnar/column_builder.h"

namespace sluice::columnar {

/// `has_formatter`: the column's text_formatter() is there. A type whose binary form is not
/// understood gets a decoder that says so (kNotBinary).
DecodeBinary BinaryDecoderFor(const ColumnType& type, bool has_formatter);
DecodeText TextDecoderFor(const ColumnType& type);

/// Array, vector, composite and hstore text: nested_text.cc.
types::ValueFault DecodeListText(ColumnBuilder& column, std::string_view text);
types::ValueFault DecodeVectorText(ColumnBuilder& column, std::string_view text);
types::ValueFault DecodeStructText(ColumnBuilder& column, std::string_view text);
types::ValueFault DecodeMapText(ColumnBuilder& column, std::string_view text);

/// Array, vector, composite and hstore binary forms: nested_binary.cc.
types::ValueFault DecodeListBinary(ColumnBuilder& column, std::span<const std::byte> wire);
types::ValueFault DecodeVectorBinary(ColumnBuilder& column, std::span<const std::byte> wire);
types::ValueFault DecodeStructBinary(ColumnBuilder& column, std::span<const std::byte> wire);
types::ValueFault DecodeMapBinary(ColumnBuilder& column, std::span<const std::byte> wire);

}  // namespace sluice::columnar
