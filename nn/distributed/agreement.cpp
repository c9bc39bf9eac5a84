#include "ebb/nn/distributed/agreement.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "ebb/core/creation.h"
#include "ebb/core/random.h"

namespace ebb::distributed {
namespace detail {
namespace {

// FNV-1a on words of eight bytes.
uint64_t hash_of(const void* data, size_t bytes) {
  constexpr uint64_t kPrime = 1099511628211u;
  uint64_t hash = 14695981039346656037u ^ bytes;
  const auto* from = static_cast<const char*>(data);
  for (size_t at = 0; at < bytes; at += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, from + at, std::min(sizeof word, bytes - at));
    hash = (hash ^ word) * kPrime;
    hash ^= hash >> 32;
  }
  return hash;
}

Tensor text_tensor(const std::string& text) {
  Tensor bytes = empty({static_cast<int64_t>(text.size())}, {.dtype = DType::U8});
  std::memcpy(bytes.raw(), text.data(), text.size());
  return bytes;
}

std::vector<std::string> lines_of(const Tensor& bytes) {
  const std::string text(reinterpret_cast<const char*>(bytes.raw()),
                         static_cast<size_t>(bytes.numel()));
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + '\n';
  return text;
}

[[noreturn]] void fail_different(std::string_view op, const std::vector<std::string>& first,
                                 const std::vector<std::string>& other, size_t rank) {
  const auto [a, b] = std::mismatch(first.begin(), first.end(), other.begin(), other.end());
  const std::string nothing = "nothing more";
  fail(op, "rank ", rank, " differs from rank 0: it has ", b == other.end() ? nothing : *b,
       ", rank 0 has ", a == first.end() ? nothing : *a);
}

}  // namespace

void check_same(const Group& group, std::string_view op, const std::vector<std::string>& lines) {
  if (group.size() == 1) return;
  const std::string text = joined(lines);
  const std::vector<uint64_t> hashes = group.all_gather(hash_of(text.data(), text.size()));
  // All ranks see the same hashes, so they take the same branch.
  if (std::count(hashes.begin(), hashes.end(), hashes[0]) == group.size()) return;
  const std::vector<Tensor> texts = group.all_gather(text_tensor(text));
  const std::vector<std::string> first = lines_of(texts[0]);
  for (size_t r = 1; r < texts.size(); ++r) {
    const std::vector<std::string> other = lines_of(texts[r]);
    if (other != first) fail_different(op, first, other, r);
  }
}

std::vector<std::string> described(const NamedTensors& tensors) {
  std::vector<std::string> lines;
  for (const auto& [name, tensor] : tensors)
    lines.push_back(name + ": " + to_text(tensor.dtype()) + " " + to_text(tensor.shape()));
  return lines;
}

void check_same_bits(const Group& group, std::string_view op, const NamedTensors& tensors,
                     std::string_view when) {
  if (group.size() == 1) return;
  std::vector<std::string> lines;
  for (const auto& [name, tensor] : tensors) {
    const Tensor host = tensor.detach().to(Device::cpu()).contiguous();
    const size_t bytes = static_cast<size_t>(host.numel()) * size_of(host.dtype());
    char hash[32];
    std::snprintf(hash, sizeof hash, "%016llx",
                  static_cast<unsigned long long>(hash_of(host.raw(), bytes)));
    lines.push_back(name + " with the hash " + hash + " " + std::string(when));
  }
  check_same(group, op, lines);
}

NamedTensors broadcast_tensors(const Group& group, const NamedTensors& tensors) {
  if (group.size() == 1) return tensors;
  const auto count = static_cast<int64_t>(tensors.size());
  const Tensor how_many = from_data(std::vector{count}, {1});
  group.broadcast(how_many);
  NamedTensors received;
  for (int64_t k = 0; k < how_many.item<int64_t>(); ++k) {
    // The shape precedes the elements; its first entries are the length of the name and the dtype.
    std::vector<int64_t> header(2 + 1 + kMaxDims);
    if (group.is_first()) {
      const auto& [name, tensor] = tensors[static_cast<size_t>(k)];
      header[0] = static_cast<int64_t>(name.size());
      header[1] = static_cast<int64_t>(tensor.dtype());
      header[2] = tensor.dim();
      for (int i = 0; i < tensor.dim(); ++i) header[static_cast<size_t>(3 + i)] = tensor.size(i);
    }
    const Tensor facts = from_data(header, {static_cast<int64_t>(header.size())});
    group.broadcast(facts);
    header = facts.to_vector<int64_t>();
    Tensor name = empty({header[0]}, {.dtype = DType::U8});
    Tensor tensor;
    if (group.is_first()) {
      name = text_tensor(tensors[static_cast<size_t>(k)].first);
      tensor = tensors[static_cast<size_t>(k)].second;
    } else {
      Shape shape;
      for (int64_t i = 0; i < header[2]; ++i) shape.push_back(header[static_cast<size_t>(3 + i)]);
      tensor = empty(shape, {.dtype = static_cast<DType>(header[1])});
    }
    group.broadcast(name);
    group.broadcast(tensor);
    received.emplace_back(
        std::string(reinterpret_cast<const char*>(name.raw()), static_cast<size_t>(name.numel())),
        tensor);
  }
  return received;
}

void copy_state(const Group& group, nn::Module& model, nn::Optimizer& optimizer) {
  if (group.size() == 1) return;
  for (const auto& [name, tensor] : model.named_parameters()) group.broadcast(tensor);
  for (const auto& [name, tensor] : model.named_buffers()) group.broadcast(tensor);
  const NamedTensors state = broadcast_tensors(group, optimizer.state_dict());
  if (!group.is_first()) optimizer.load_state_dict(state);
  Generator& generator = default_generator();
  const std::vector<int64_t> position{static_cast<int64_t>(generator.seed),
                                      static_cast<int64_t>(generator.offset)};
  const Tensor both = from_data(position, {2});
  group.broadcast(both);
  generator = {static_cast<uint64_t>(both[0].item<int64_t>()),
               static_cast<uint64_t>(both[1].item<int64_t>())};
}

}  // namespace detail

void synchronize(nn::Module& model, nn::Optimizer& optimizer, const Group& group) {
  if (group.size() == 1) return;
  std::vector<std::string> lines = detail::described(model.state_dict());
  for (std::string& line : detail::described(optimizer.state_dict()))
    lines.push_back("optimizer state " + line);
  for (size_t k = 0; k < optimizer.groups(); ++k)
    lines.push_back("learning rate " + to_text(optimizer.lr(k)));
  detail::check_same(group, "synchronize", lines);
  detail::copy_state(group, model, optimizer);
}

}  // namespace ebb::distributed
