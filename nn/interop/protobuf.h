// Messages of Protocol Buffers, written field by field.
//
// TensorBoard's event files and ONNX models are such messages, of about thirty fields together.
// This writer needs neither libprotobuf nor generated code. Encoding:
// https://protobuf.dev/programming-guides/encoding.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

namespace ebb::detail {

/// A message under construction. Methods append a field of the given number.
///
///     ProtoMessage point;
///     point.add_int(1, 3);           // int64 x = 1
///     point.add_bytes(2, "origin");  // string name = 2
///     std::ofstream("point.pb", std::ios::binary) << point.bytes();
class ProtoMessage {
 public:
  /// int32, int64, bool or an enum.
  void add_int(int field, int64_t value) {
    put_key(field, 0);
    put_varint(static_cast<uint64_t>(value));
  }
  void add_float(int field, float value) {
    put_key(field, 5);
    put_raw(value);
  }
  void add_double(int field, double value) {
    put_key(field, 1);
    put_raw(value);
  }
  /// string, bytes or a message that is complete.
  void add_bytes(int field, std::string_view value) {
    put_key(field, 2);
    put_varint(value.size());
    bytes_.append(value);
  }
  void add_message(int field, const ProtoMessage& value) { add_bytes(field, value.bytes()); }
  /// repeated double, packed.
  void add_doubles(int field, std::span<const double> values) {
    add_bytes(field, {reinterpret_cast<const char*>(values.data()), values.size_bytes()});
  }
  /// repeated int64, packed.
  void add_ints(int field, std::span<const int64_t> values) {
    ProtoMessage packed;
    for (int64_t value : values) packed.put_varint(static_cast<uint64_t>(value));
    add_message(field, packed);
  }

  const std::string& bytes() const { return bytes_; }

 private:
  static_assert(std::endian::native == std::endian::little, "fixed numbers are little-endian");

  void put_key(int field, unsigned wire_type) {
    put_varint(static_cast<uint64_t>(field) << 3 | wire_type);
  }
  void put_varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(value | 0x80);
    bytes_ += static_cast<char>(value);
  }
  template <class T> void put_raw(T value) {
    char raw[sizeof value];
    std::memcpy(raw, &value, sizeof value);
    bytes_.append(raw, sizeof raw);
  }

  std::string bytes_;
};

}  // namespace ebb::detail
