// The version of Ebb as macros, for conditional compilation. CMake reads it from here.
//
//     #if EBB_VERSION >= 200  // 0.2.0 or newer
#pragma once

#define EBB_VERSION_MAJOR 0
#define EBB_VERSION_MINOR 1
#define EBB_VERSION_PATCH 0

/// The version as one number that can be compared: 10000 major + 100 minor + patch.
#define EBB_VERSION (10000 * EBB_VERSION_MAJOR + 100 * EBB_VERSION_MINOR + EBB_VERSION_PATCH)
