# Packages: `cmake --workflow --preset package` makes .deb files and an archive in build-package/, and preset package-cuda the
# package with the GPU backend. A build with EBB_CUDA=ON differs from one without only in the library, so that
# libebb-cuda0.1 replaces libebb0.1, and libebb-dev serves both.
set(EBB_MAINTAINER "The Ebb authors <ebb@localhost>" CACHE STRING "Maintainer of packages")
set(abi ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
if(EBB_WITH_CUDA)
  set(runtime libebb-cuda${abi})
  set(other libebb${abi})
else()
  set(runtime libebb${abi})
  set(other libebb-cuda${abi})
endif()

set(CPACK_PACKAGE_NAME ebb)
set(CPACK_PACKAGE_VENDOR "The Ebb authors")
set(CPACK_PACKAGE_CONTACT "${EBB_MAINTAINER}")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "autograd deep learning in C++20")
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_STRIP_FILES ON)
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_GENERATOR DEB TGZ)
set(CPACK_COMPONENTS_ALL runtime dev doc examples)
if(EBB_WITH_CUDA)
  set(CPACK_COMPONENTS_ALL runtime)
endif()

# .deb files, one for each component. Dependencies of the library are found by dpkg-shlibdeps.
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "${EBB_MAINTAINER}")
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(version ${PROJECT_VERSION})
set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME ${runtime})
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_CONFLICTS ${other})
set(CPACK_DEBIAN_RUNTIME_PACKAGE_REPLACES ${other})
set(CPACK_DEBIAN_DEV_PACKAGE_NAME libebb-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS "libebb${abi} (= ${version}) | libebb-cuda${abi} (= ${version})")
set(CPACK_DEBIAN_DOC_PACKAGE_NAME ebb-doc)
set(CPACK_DEBIAN_EXAMPLES_PACKAGE_NAME ebb-examples)
foreach(component DOC EXAMPLES)
  set(CPACK_DEBIAN_${component}_PACKAGE_SECTION doc)
  set(CPACK_DEBIAN_${component}_PACKAGE_ARCHITECTURE all)
endforeach()
set(CPACK_DEBIAN_EXAMPLES_PACKAGE_DEPENDS "libebb-dev (>= ${version}), cmake, g++, libcli11-dev, libpng-dev")
set(CPACK_COMPONENT_RUNTIME_DESCRIPTION "Tensors, automatic differentiation of any order, layers, losses and optimizers.
The shared library.")
if(EBB_WITH_CUDA)
  string(APPEND CPACK_COMPONENT_RUNTIME_DESCRIPTION " With the GPU backend, which loads cuBLASLt when a program uses a GPU.")
endif()
set(CPACK_COMPONENT_DEV_DESCRIPTION "Tensors, automatic differentiation of any order, layers, losses and optimizers.
Headers, and files for CMake and pkg-config.")
set(CPACK_COMPONENT_DOC_DESCRIPTION "Tensors, automatic differentiation of any order, layers, losses and optimizers.
The manual in Markdown.")
set(CPACK_COMPONENT_EXAMPLES_DESCRIPTION "Tensors, automatic differentiation of any order, layers, losses and optimizers.
The sources and data of the examples, in /usr/share/ebb.")

# Debian requires a license and a changelog in each package.
string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC)
set(changelog ${PROJECT_BINARY_DIR}/packages)
file(MAKE_DIRECTORY ${changelog})
file(WRITE ${changelog}/copyright "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: ebb\n\n"
     "Files: *\nCopyright: 2026 The Ebb authors\nLicense: Expat\n")
file(STRINGS ${PROJECT_SOURCE_DIR}/LICENSE lines)
list(SUBLIST lines 4 -1 lines)
foreach(line IN LISTS lines)
  if(line STREQUAL "")
    set(line ".")
  endif()
  file(APPEND ${changelog}/copyright " ${line}\n")
endforeach()
file(WRITE ${changelog}/changelog "ebb (${version}) unstable; urgency=medium\n\n  * Version ${version}.\n\n"
     " -- ${EBB_MAINTAINER}  ${date}\n")
file(ARCHIVE_CREATE OUTPUT ${changelog}/changelog.gz PATHS ${changelog}/changelog FORMAT raw COMPRESSION GZip
     COMPRESSION_LEVEL 9)
file(WRITE ${changelog}/triggers "activate-noawait ldconfig\n")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_CONTROL_EXTRA ${changelog}/triggers)
foreach(component IN LISTS CPACK_COMPONENTS_ALL)
  string(TOUPPER ${component} upper)
  install(FILES ${changelog}/copyright ${changelog}/changelog.gz
          DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${CPACK_DEBIAN_${upper}_PACKAGE_NAME} COMPONENT ${component})
endforeach()

include(CPack)
