// Quotes text from files in messages.
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

}  // namespace ebb::detail
