# Builds the GPU backend: nvcc compiles the .cu files if there is a CUDA Toolkit. EBB_WITH_CUDA is
# ON in that case.
#
# tests/ compiles EBB_CUDA_SOURCES as plain C++ against the emulation.
file(GLOB EBB_CUDA_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/backends/cuda/*.cu
     ${PROJECT_SOURCE_DIR}/autograd/ops/formulas/*.cu ${PROJECT_SOURCE_DIR}/nn/losses/*.cu ${PROJECT_SOURCE_DIR}/nn/optim/*.cu)

set(EBB_HOST_LIBRARIES ${EBB_PRIVATE_LIBRARIES})
set(EBB_WITH_CUDA OFF)
if(NOT EBB_CUDA STREQUAL "OFF")
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    set(EBB_WITH_CUDA ON)
  elseif(EBB_CUDA STREQUAL "ON")
    message(FATAL_ERROR "EBB_CUDA=ON: no CUDA Toolkit was found (put nvcc on the PATH or set CMAKE_CUDA_COMPILER)")
  endif()
endif()
message(STATUS "GPU backend (EBB_CUDA=${EBB_CUDA}): ${EBB_WITH_CUDA}")

if(EBB_WITH_CUDA)
  # Machine code for A100 and H100, and PTX for later GPUs.
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES 80-real 90)
  endif()
  enable_language(CUDA)
  find_package(CUDAToolkit 12.0 REQUIRED)
  add_library(ebb_cuda OBJECT ${EBB_CUDA_SOURCES})
  ebb_public_options(ebb_cuda)
  # CMake 3.25 does not know that nvcc 13 supports C++20. Compression reduces the machine code to a
  # fifth.
  target_compile_options(
    ebb_cuda
    PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:-std=c++20 --expt-relaxed-constexpr $<$<BOOL:${EBB_WERROR}>:-Werror=all-warnings>
            -Xcompiler=-Wall,-Wextra,-Wno-unknown-pragmas -Xfatbin=-compress-all>)
  set_target_properties(ebb_cuda PROPERTIES POSITION_INDEPENDENT_CODE ON)
  # A program loads cuBLASLt and cuDNN when it first needs them. This folder is the last one that it
  # searches.
  set_source_files_properties(${PROJECT_SOURCE_DIR}/backends/cuda/cublas_lt.cu
                              ${PROJECT_SOURCE_DIR}/backends/cuda/cudnn.cu TARGET_DIRECTORY ebb_cuda
                              PROPERTIES COMPILE_DEFINITIONS EBB_CUDA_LIBRARY_DIR="${CUDAToolkit_LIBRARY_DIR}")
  # Square roots of normal numbers have 1 ulp instead of 0.5, and no branch.
  set_source_files_properties(${PROJECT_SOURCE_DIR}/backends/cuda/random.cu TARGET_DIRECTORY ebb_cuda
                              PROPERTIES COMPILE_OPTIONS --prec-sqrt=false)
  target_link_libraries(ebb_cuda PRIVATE CUDA::cudart_static)
  list(APPEND EBB_PRIVATE_LIBRARIES CUDA::cudart_static ${CMAKE_DL_LIBS})
endif()
