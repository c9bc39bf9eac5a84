// Text from files in messages.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace ebb::detail {

/// Returns text that came from a file in a form that is safe to print: in quotes, on one line, in ASCII (everything else is
/// escaped as in JSON, "\n" or "\u001b"), and cut behind `most` bytes, which "..." tells.
///
///     shown("line\nbreak")  // "line\nbreak", with a backslash and an n
std::string shown(std::string_view text, size_t most = 100);

}  // namespace ebb::detail
