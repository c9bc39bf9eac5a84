# Compiler options, and the libraries that Ebb uses.

foreach(least GNU:12 Clang:16)
  string(REPLACE ":" ";" least ${least})
  list(GET least 0 compiler)
  list(GET least 1 version)
  if(CMAKE_CXX_COMPILER_ID STREQUAL compiler AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS version)
    message(FATAL_ERROR "Ebb needs g++ 12, clang 16, or newer: this is ${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}")
  endif()
endforeach()

find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(ZLIB REQUIRED)
find_package(nlohmann_json REQUIRED)
set(EBB_PRIVATE_LIBRARIES OpenMP::OpenMP_CXX ZLIB::ZLIB)
if(EBB_ONEDNN)
  find_package(OneDNN REQUIRED)
  list(APPEND EBB_PRIVATE_LIBRARIES OneDNN::OneDNN)
endif()

# Formulas are vectorized only with these options. Users' files need them too, because
# ebb::pointwise makes kernels there.
set(EBB_KERNEL_OPTIONS $<$<CXX_COMPILER_ID:GNU>:-fno-math-errno;-fno-trapping-math>
                       $<$<CXX_COMPILER_ID:Clang>:-fno-math-errno;-fno-trapping-math>)

function(ebb_public_options target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_compile_options(${target} PUBLIC "$<$<COMPILE_LANGUAGE:CXX>:${EBB_KERNEL_OPTIONS}>")
  target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/include>
                                              $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
endfunction()

# Options for Ebb's own code: warnings are errors unless EBB_WERROR is off; sanitizers if
# EBB_SANITIZE is set.
function(ebb_own_options target)
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;$<$<BOOL:${EBB_WERROR}>:-Werror>>)
  # g++ 12 warns of overlaps in std::string that do not exist (GCC bug 105651).
  target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
  if(EBB_SANITIZE)
    # Every finding ends the program, UBSan's too, which would only be printed.
    target_compile_options(${target} PRIVATE -fsanitize=${EBB_SANITIZE} -fno-sanitize-recover=all
                                             -fno-omit-frame-pointer -g)
    target_link_options(${target} PUBLIC -fsanitize=${EBB_SANITIZE})
  endif()
endfunction()

# Adds a floor: an object library that is linked into libebb.
function(ebb_floor target)
  add_library(${target} OBJECT ${ARGN})
  ebb_public_options(${target})
  ebb_own_options(${target})
  set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON)
endfunction()
