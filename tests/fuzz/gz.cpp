// Compressed files: any bytes to both readers, which unpack what looks like gzip.
#include <zlib.h>

#include <cstdlib>

#include "ebb/nn/data/csv.h"
#include "ebb/nn/data/idx.h"
#include "target.h"

namespace {
std::string packed(const std::string& bytes) {
  z_stream stream{};
  constexpr int kGzip = 31;  // windowBits of a gzip stream
  if (deflateInit2(&stream, 9, Z_DEFLATED, kGzip, 8, Z_DEFAULT_STRATEGY) != Z_OK) std::abort();
  std::string out(bytes.size() + 100, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  if (deflate(&stream, Z_FINISH) != Z_STREAM_END) std::abort();
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}
}  // namespace

std::vector<std::string> ebb::fuzz::seeds() {
  using namespace std::string_literals;
  const std::string idx = "\0\0\x08\x02\0\0\0\4\0\0\0\4"s + std::string(16, 'x');
  return {packed("1,2\n3,4\n"), packed(idx), packed("1\n") + packed("2\n"),
          packed(std::string(5000, '1'))};
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static ebb::fuzz::InputFile file;
  file.write({reinterpret_cast<const char*>(data), size});
  ebb::fuzz::expect_error_at_most(
      [&] { ebb::data::read_csv(file.path(), {.max_bytes = 1 << 16}); });
  ebb::fuzz::expect_error_at_most(
      [&] { ebb::data::read_idx(file.path(), {.max_bytes = 1 << 16}); });
  return 0;
}
