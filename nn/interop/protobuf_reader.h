// Messages of Protocol Buffers, read field by field. Internal to the readers of nn/interop.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "ebb/core/error.h"

namespace ebb::detail {

/// Reads the fields of one message. It allocates no memory, and every length is compared with the
/// bytes that are left.
///
///     ProtoReader reader("read_point", "point.pb: ", bytes);
///     while (reader.next()) {
///       if (reader.field() == 2) std::cout << reader.bytes();
///     }
class ProtoReader {
 public:
  /// what: the start of errors, such as "model.onnx: ". REQUIRES that all texts outlive the
  /// reader.
  ProtoReader(std::string_view op, std::string_view what, std::string_view bytes)
      : op_(op), what_(what), rest_(bytes) {}

  /// Moves to the next field. Returns false at the end of the message. Throws Error if the bytes
  /// are not a message.
  bool next() {
    if (rest_.empty()) return false;
    const uint64_t key = varint();
    field_ = key >> 3;
    type_ = key & 7;
    if (field_ == 0 || field_ >> 29 != 0) damaged();
    switch (type_) {
      case 0: number_ = varint(); break;
      case 1: bytes_ = take(8); break;
      case 2: bytes_ = take(varint()); break;
      case 5: bytes_ = take(4); break;
      default: damaged();
    }
    return true;
  }

  uint64_t field() const { return field_; }
  /// Returns the value of a field of integers, text or a message. Throws Error if it has another
  /// type.
  int64_t number() const {
    if (type_ != 0) damaged();
    return static_cast<int64_t>(number_);
  }
  float float_number() const {
    if (type_ != 5) damaged();
    float value;
    std::memcpy(&value, bytes_.data(), sizeof value);
    return value;
  }
  std::string_view bytes() const {
    if (type_ != 2) damaged();
    return bytes_;
  }
  std::string text() const { return std::string(bytes()); }
  ProtoReader message() const { return {op_, what_, bytes()}; }
  /// Appends the integers of a repeated field, packed or not.
  void append_to(std::vector<int64_t>& list) const {
    if (type_ == 0) return list.push_back(number());
    for (ProtoReader packed = message(); !packed.rest_.empty();)
      list.push_back(static_cast<int64_t>(packed.varint()));
  }
  /// Appends the bytes of fixed numbers of a repeated field, packed or not.
  void append_raw_to(std::string& to) const {
    if (type_ == 0) damaged();
    to.append(bytes_);
  }

  [[noreturn]] void damaged() const {
    fail(op_, what_, "the file is damaged or not an ONNX model");
  }

 private:
  uint64_t varint() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (rest_.empty()) damaged();
      const auto byte = static_cast<unsigned char>(rest_[0]);
      rest_.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    damaged();
  }
  std::string_view take(uint64_t count) {
    if (count > rest_.size()) damaged();
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }

  std::string_view op_, what_, rest_, bytes_;
  uint64_t field_ = 0, type_ = 0, number_ = 0;
};

}  // namespace ebb::detail
