# Finds PyTorch's C++ frontend by its headers and libraries. Searches the folder EBB_TORCH (with
# include/ and lib/), then the Python package `torch` of EBB_PYTHON, then the system's libtorch-dev.
# (Torch's own TorchConfig.cmake requires the CUDA toolkit if the package was built with CUDA.
# Programs on the CPU do not need it.)
set(EBB_TORCH "" CACHE PATH "PyTorch's C++ frontend for benchmarks: a folder with include/ and lib/")
set(EBB_PYTHON python3 CACHE STRING "The Python whose package torch is used for benchmarks")

set(root "${EBB_TORCH}")
if(NOT root)
  execute_process(COMMAND ${EBB_PYTHON} -c "import torch.utils; print(torch.utils.cmake_prefix_path)"
                  OUTPUT_VARIABLE prefix OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(prefix)
    get_filename_component(root "${prefix}/../.." ABSOLUTE)
  endif()
endif()
# Searched again each time, because EBB_PYTHON may have changed.
foreach(result TorchFrontend_INCLUDE_DIR TorchFrontend_API_DIR TorchFrontend_CPU TorchFrontend_C10)
  unset(${result} CACHE)
endforeach()
find_path(TorchFrontend_INCLUDE_DIR ATen/ATen.h HINTS ${root}/include)
find_path(TorchFrontend_API_DIR torch/torch.h HINTS ${root}/include/torch/csrc/api/include
          PATH_SUFFIXES torch/csrc/api/include)
find_library(TorchFrontend_CPU torch_cpu HINTS ${root}/lib)
find_library(TorchFrontend_C10 c10 HINTS ${root}/lib)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(TorchFrontend REQUIRED_VARS TorchFrontend_INCLUDE_DIR TorchFrontend_API_DIR
                                  TorchFrontend_CPU TorchFrontend_C10)
if(TorchFrontend_FOUND AND NOT TARGET TorchFrontend::TorchFrontend)
  add_library(TorchFrontend::TorchFrontend INTERFACE IMPORTED)
  set_target_properties(TorchFrontend::TorchFrontend PROPERTIES
                        INTERFACE_INCLUDE_DIRECTORIES "${TorchFrontend_INCLUDE_DIR};${TorchFrontend_API_DIR}"
                        INTERFACE_LINK_LIBRARIES "${TorchFrontend_CPU};${TorchFrontend_C10}")
endif()
mark_as_advanced(TorchFrontend_INCLUDE_DIR TorchFrontend_API_DIR TorchFrontend_CPU TorchFrontend_C10)
