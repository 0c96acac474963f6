// Small text functions that the parsers of this folder share.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kezek/result.h"

namespace kezek::script {

// INVALID_ARGUMENT with this message.
Error Bad(std::string message);

// Pieces between separators; an empty text has one empty piece.
std::vector<std::string_view> Split(std::string_view text, char separator);

std::string Lower(std::string_view text);
bool IsDigits(std::string_view text);

// The text between quotes, with what would not print shown as `?` and cut at 60 bytes.
std::string Quoted(std::string_view text);

}  // namespace kezek::script
