# The GPU backend is not there yet: asking for it is an error, AUTO builds without it.
if(EBB_CUDA STREQUAL "ON")
  message(FATAL_ERROR "EBB_CUDA=ON: this version has no GPU backend yet; configure with EBB_CUDA=OFF")
endif()
