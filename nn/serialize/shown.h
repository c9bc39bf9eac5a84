// Text from files: quotes it in messages, and checks its encoding.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace ebb::detail {

/// Returns text from a file in a form that is safe to print: in quotes, on one line, in ASCII.
/// Other characters are escaped as in JSON ("\n", "\u001b"). After `most` bytes the text is cut,
/// and "..." marks the cut.
///
///     shown("line\nbreak")  // "line\nbreak", with a backslash and an n
std::string shown(std::string_view text, size_t most = 100);

/// Returns true if text is UTF-8.
bool is_utf8(std::string_view text);

}  // namespace ebb::detail
