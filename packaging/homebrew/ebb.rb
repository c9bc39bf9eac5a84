# A template: url and sha256 are those of the source archive of a release (scripts/release).
class Ebb < Formula
  desc "Autograd deep learning in C++20"
  url "SOURCE_ARCHIVE"
  sha256 "CHECKSUM"
  license "MIT"

  depends_on "cmake" => :build
  depends_on "nlohmann-json" => :build
  depends_on :linux
  depends_on "onednn"
  depends_on "zlib"

  def install
    system "cmake", "-S", ".", "-B", "build", "-DEBB_TESTS=OFF", "-DEBB_EXAMPLES=OFF", "-DBUILD_SHARED_LIBS=ON", *std_cmake_args
    system "cmake", "--build", "build"
    system "cmake", "--install", "build"
  end

  test do
    (testpath/"main.cpp").write <<~CPP
      #include <ebb/ebb.h>
      int main() { return ebb::tensor({1., 2.}).sum().item() == 3 ? 0 : 1; }
    CPP
    flags = shell_output("pkg-config --cflags --libs ebb").chomp.split
    system ENV.cxx, "main.cpp", *flags, "-o", "main"
    system "./main"
  end
end
