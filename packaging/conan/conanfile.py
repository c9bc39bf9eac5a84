"""Conan 2 recipe: conan create packaging/conan --build=missing"""
import os

from conan import ConanFile
from conan.tools.cmake import CMake, CMakeToolchain, cmake_layout
from conan.tools.files import copy


class Ebb(ConanFile):
    name = "ebb"
    version = "0.1.0"
    license = "MIT"
    description = "Autograd deep learning in C++20"
    settings = "os", "compiler", "build_type", "arch"
    options = {"shared": [True, False], "onednn": [True, False], "cuda": [True, False]}
    default_options = {"shared": False, "onednn": False, "cuda": False}
    generators = "CMakeDeps"

    def export_sources(self):
        root = os.path.join(self.recipe_folder, "..", "..")
        for folder in ("core", "autograd", "nn", "backends", "cmake"):
            copy(self, f"{folder}/*", root, self.export_sources_folder)
        for file in ("CMakeLists.txt", "ebb.h", "LICENSE", "README.md", "CHANGELOG.md", "docs/*", "examples/*", "data/*"):
            copy(self, file, root, self.export_sources_folder)

    def requirements(self):
        self.requires("nlohmann_json/[>=3.11 <4]")
        self.requires("zlib/[>=1.2.11 <2]")

    def layout(self):
        cmake_layout(self)

    def generate(self):
        toolchain = CMakeToolchain(self)
        toolchain.variables["EBB_TESTS"] = False
        toolchain.variables["EBB_EXAMPLES"] = False
        toolchain.variables["EBB_ONEDNN"] = bool(self.options.onednn)
        toolchain.variables["EBB_CUDA"] = "ON" if self.options.cuda else "OFF"
        toolchain.generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        CMake(self).install()
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))

    def package_info(self):
        self.cpp_info.set_property("cmake_find_mode", "none")  # Ebb's own ebb-config.cmake
        self.cpp_info.builddirs.append(os.path.join("lib", "cmake", "ebb"))
