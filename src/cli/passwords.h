/// \file
/// Passwords where they must not stay: in argv (which `ps` shows) and in texts for people. Pure.
///
/// Recognised: the user part of a URL (postgres://user:PASSWORD@host), and the values of every
/// keyword that ends in "password", in a URL's query or in a libpq keyword string.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::cli {

/// Every byte of a password in `argument` becomes 'x'; nothing else changes. Takes too much rather
/// than too little where a URL is odd.
void BlankPasswords(std::span<char> argument);
/// The text without the passwords that stand in it: "***" in their place.
std::string WithoutPasswords(std::string_view text);

/// A copy of argv without the program's name; then passwords in argv itself are overwritten.
std::vector<std::string> TakeArguments(int argc, char** argv);

}  // namespace sluice::cli
