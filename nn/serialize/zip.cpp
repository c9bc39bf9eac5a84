#include "ebb/nn/serialize/zip.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <vector>

#include "ebb/core/error.h"
#include "ebb/nn/serialize/shown.h"

namespace ebb::detail {
namespace {

constexpr uint32_t kLocal = 0x04034b50, kCentral = 0x02014b50, kEnd = 0x06054b50;
constexpr size_t kLocalSize = 30, kCentralSize = 46, kEndSize = 22;
constexpr uint16_t kUtf8 = 1 << 11, kStored = 0, kDeflated = 8;
constexpr uint64_t kMost = std::numeric_limits<uint32_t>::max() - 1;  // the largest one means ZIP64

// Appends little-endian numbers.
void put(std::string& to, uint16_t n) {
  to.append({static_cast<char>(n), static_cast<char>(n >> 8)});
}
void put(std::string& to, uint32_t n) {
  put(to, static_cast<uint16_t>(n));
  put(to, static_cast<uint16_t>(n >> 16));
}
uint16_t get16(const char* from) {
  uint16_t n;
  std::memcpy(&n, from, sizeof n);
  return n;
}
uint32_t get32(const char* from) {
  uint32_t n;
  std::memcpy(&n, from, sizeof n);
  return n;
}

uint32_t crc_of(uint32_t crc, std::string_view bytes) {
  return static_cast<uint32_t>(
      crc32_z(crc, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

// A stream of zlib without a header.
class Stream {
 public:
  explicit Stream(bool compress) : compress_(compress) {
    const int code = compress ? deflateInit2(&z_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8,
                                             Z_DEFAULT_STRATEGY)
                              : inflateInit2(&z_, -MAX_WBITS);
    if (code != Z_OK) fail("zlib", "out of memory");
  }
  ~Stream() { compress_ ? deflateEnd(&z_) : inflateEnd(&z_); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // Appends the compressed form of `from`, below 4 GB.
  void deflate_to(std::string& to, std::string_view from, bool is_last) {
    set_input(from);
    char block[1 << 14];
    do {
      z_.next_out = reinterpret_cast<Bytef*>(block);
      z_.avail_out = sizeof block;
      ::deflate(&z_, is_last ? Z_FINISH : Z_NO_FLUSH);
      to.append(block, sizeof block - z_.avail_out);
    } while (z_.avail_out == 0);
  }

  // Returns true if `from` becomes exactly as many bytes as `to` has.
  bool inflate_all(std::string& to, std::string_view from) {
    set_input(from);
    char spare;
    z_.next_out = reinterpret_cast<Bytef*>(to.empty() ? &spare : to.data());
    z_.avail_out = static_cast<uInt>(std::max<size_t>(to.size(), 1));
    return ::inflate(&z_, Z_FINISH) == Z_STREAM_END && z_.total_out == to.size() &&
           z_.avail_in == 0;
  }

 private:
  void set_input(std::string_view from) {
    z_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(from.data()));
    z_.avail_in = static_cast<uInt>(from.size());
  }

  bool compress_;
  z_stream z_{};
};

struct Entry {
  std::string name;
  uint16_t flags, method;
  uint32_t crc, packed, size, offset;
};

// Reads archives, of which it trusts no number.
class Reader {
 public:
  Reader(std::string_view op, const std::string& path, File& file)
      : op_(op), path_(path), file_(file), size_(static_cast<uint64_t>(file.size())) {}

  std::vector<Entry> directory() {
    // The end record is the last of the file, in front of a comment of up to 65535 bytes.
    const uint64_t tail = std::min<uint64_t>(size_, kEndSize + 65535);
    const std::string last = bytes_at(size_ - tail, tail);
    size_t at = std::string::npos;
    for (size_t i = last.size() < kEndSize ? 0 : last.size() - kEndSize + 1; i-- > 0;) {
      if (get32(last.data() + i) == kEnd &&
          i + kEndSize + get16(last.data() + i + 20) == last.size()) {
        at = i;
        break;
      }
    }
    if (at == std::string::npos) fail(op_, path_, ": truncated, or not a .npz file");
    const char* const end = last.data() + at;
    const uint64_t count = get16(end + 10), length = get32(end + 12), offset = get32(end + 16);
    if (count == 0xFFFF || length > kMost || offset > kMost)
      fail(op_, path_, ": a ZIP64 archive, of more than 4 GB or 65534 arrays");
    if (get16(end + 8) != count || offset + length > size_ - tail + at)
      fail(op_, path_, ": the directory of the archive is damaged");
    const std::string text = bytes_at(offset, length);
    std::vector<Entry> entries;
    size_t next = 0;
    uint64_t total = 0;
    for (uint64_t i = 0; i < count; ++i) {
      entries.push_back(entry(text, next));
      total += entries.back().packed + uint64_t{kLocalSize};
    }
    if (total > offset) fail(op_, path_, ": entries of the archive overlap");
    return entries;
  }

  std::string content(const Entry& entry) {
    const std::string name = shown(entry.name);
    const auto damaged = [&](const char* why) { fail(op_, path_, ": array ", name, ": ", why); };
    if (entry.flags & 1) damaged("is encrypted");
    if (entry.method != kStored && entry.method != kDeflated)
      fail(op_, path_, ": array ", name, ": compressed by method ", entry.method,
           ", expected 0 or 8");
    if (entry.packed > kMost || entry.size > kMost || entry.offset > kMost)
      damaged("more than 4 GB (ZIP64)");
    if (entry.offset + uint64_t{kLocalSize} > size_) damaged("begins after the end of the file");
    const std::string local = bytes_at(entry.offset, kLocalSize);
    if (get32(local.data()) != kLocal) damaged("does not begin with the header of an entry");
    const uint64_t start =
        entry.offset + uint64_t{kLocalSize} + get16(local.data() + 26) + get16(local.data() + 28);
    if (start + entry.packed > size_) damaged("truncated");
    // Deflate shrinks its input at most 1032 times.
    if (entry.method == kStored ? entry.size != entry.packed : entry.size / 1032 > entry.packed)
      damaged("its size does not fit its bytes in the file");
    std::string packed = bytes_at(start, entry.packed);
    if (entry.method == kDeflated) {
      std::string whole(entry.size, '\0');
      if (!Stream(false).inflate_all(whole, packed)) damaged("its compressed data are damaged");
      packed = std::move(whole);
    }
    if (crc_of(0, packed) != entry.crc) damaged("its check sum is wrong");
    return packed;
  }

 private:
  std::string bytes_at(uint64_t offset, uint64_t count) {
    std::string bytes(count, '\0');
    file_.seek(static_cast<int64_t>(offset));
    file_.read(bytes.data(), bytes.size());
    return bytes;
  }

  Entry entry(const std::string& text, size_t& at) const {
    const char* const from = text.data() + at;
    const bool fits = text.size() - at >= kCentralSize && get32(from) == kCentral;
    const size_t name = fits ? get16(from + 28) : 0;
    const size_t whole = fits ? kCentralSize + name + get16(from + 30) + get16(from + 32) : 0;
    if (!fits || text.size() - at < whole)
      fail(op_, path_, ": the directory of the archive is damaged");
    at += whole;
    return {std::string(from + kCentralSize, name),
            get16(from + 8),
            get16(from + 10),
            get32(from + 16),
            get32(from + 20),
            get32(from + 24),
            get32(from + 42)};
  }

  std::string_view op_;
  const std::string& path_;
  File& file_;
  uint64_t size_;
};

}  // namespace

void ZipWriter::check_size(uint64_t bytes) const {
  if (bytes > kMost) fail(op_, path_, ": more than 4 GB: use save_safetensors");
}

void ZipWriter::add(const std::string& name, std::string_view head, std::string_view body,
                    bool compress) {
  const uint64_t size = head.size() + body.size();
  check_size(size);
  if (++count_ == 0xFFFF) fail(op_, path_, ": more than 65534 tensors: use save_safetensors");
  if (name.size() > 0xFFFF) fail(op_, path_, ": the name ", shown(name), " is too long");
  std::string packed;
  if (compress) {
    Stream stream(true);
    stream.deflate_to(packed, head, false);
    stream.deflate_to(packed, body, true);
  }
  const uint64_t stored = compress ? packed.size() : size;
  check_size(stored);
  check_size(at_);

  std::string fields;         // those that both headers of an entry have
  put(fields, uint16_t{20});  // the version that is needed to read deflated entries
  put(fields, kUtf8);
  put(fields, compress ? kDeflated : kStored);
  put(fields, uint32_t{0x00210000});  // 1980-01-01, so that equal tensors are equal files
  put(fields, crc_of(crc_of(0, head), body));
  put(fields, static_cast<uint32_t>(stored));
  put(fields, static_cast<uint32_t>(size));
  put(fields, static_cast<uint16_t>(name.size()));
  put(fields, uint16_t{0});  // no extra field

  std::string local;
  put(local, kLocal);
  local += fields + name;
  file_.write(local.data(), local.size());
  if (compress) {
    file_.write(packed.data(), packed.size());
  } else {
    file_.write(head.data(), head.size());
    file_.write(body.data(), body.size());
  }

  put(directory_, kCentral);
  put(directory_, uint16_t{20});
  directory_ += fields;
  directory_.append(10, '\0');  // comment, disk, attributes
  put(directory_, static_cast<uint32_t>(at_));
  directory_ += name;
  at_ += local.size() + stored;
}

void ZipWriter::finish() {
  check_size(at_);
  check_size(directory_.size());
  std::string end;
  put(end, kEnd);
  put(end, uint32_t{0});  // disks
  put(end, static_cast<uint16_t>(count_));
  put(end, static_cast<uint16_t>(count_));
  put(end, static_cast<uint32_t>(directory_.size()));
  put(end, static_cast<uint32_t>(at_));
  put(end, uint16_t{0});  // no comment
  file_.write(directory_.data(), directory_.size());
  file_.write(end.data(), end.size());
}

void read_zip(std::string_view op, const std::string& path, File& file,
              const std::function<void(std::string, std::string_view)>& each) {
  Reader reader(op, path, file);
  for (const Entry& entry : reader.directory()) {
    if (entry.name.ends_with('/')) continue;  // a folder
    each(entry.name, reader.content(entry));
  }
}

}  // namespace ebb::detail
