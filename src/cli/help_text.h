/// \file
/// What `sluice help` prints. Pure but for CommandText()'s table of options.
#pragma once

#include <string>
#include <string_view>

#include "cli/command.h"

namespace sluice::cli {

inline constexpr std::size_t kHelpWidth = 80;

/// All commands with their summaries.
std::string OverviewText();
/// Synopsis, text and flags of one command.
std::string CommandText(const Command& command);
/// Title, cause and remedy; empty: no such code.
std::string ErrorCodeText(std::string_view code);
/// Every error code, Markdown: docs/errors.md is this, and `sluice help errors`.
std::string ErrorCodesMarkdown();
/// The command whose name is nearest to what was typed; empty: none is near.
std::string NearestCommand(std::string_view typed);

/// Words of `text` in lines of at most `width` bytes, each after the first indented; paragraphs are
/// kept, and so are lines that begin with a space.
std::string Wrapped(std::string_view text, std::size_t indent, std::size_t width = kHelpWidth);

}  // namespace sluice::cli
