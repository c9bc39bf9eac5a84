#include "ebb/nn/interop/tensorboard.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <limits>
#include <map>

#include "ebb/autograd/graph/node.h"
#include "ebb/autograd/ops/rearrange.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/grad_mode.h"
#include "ebb/nn/interop/png.h"
#include "ebb/nn/interop/protobuf.h"
#include "ebb/nn/serialize/file.h"
#include "ebb/nn/serialize/shown.h"

namespace ebb {
namespace {

using detail::ProtoMessage;

constexpr std::string_view kOp = "SummaryWriter";

// CRC-32C (Castagnoli), with the rotation that records use so that a check sum of data that hold
// check sums is a good one.
uint32_t masked_crc(std::string_view bytes) {
  static constexpr std::array<uint32_t, 256> kTable = [] {
    std::array<uint32_t, 256> table{};
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t c = i;
      for (int bit = 0; bit < 8; ++bit) c = c & 1 ? c >> 1 ^ 0x82F63B78u : c >> 1;
      table[i] = c;
    }
    return table;
  }();
  uint32_t crc = ~0u;
  for (char c : bytes) crc = kTable[(crc ^ static_cast<unsigned char>(c)) & 0xFF] ^ crc >> 8;
  crc = ~crc;
  return (crc >> 15 | crc << 17) + 0xA282EAD8u;
}

template <class T> std::string raw(T number) {
  std::string bytes(sizeof number, '\0');
  std::memcpy(bytes.data(), &number, sizeof number);
  return bytes;
}

std::string record(const std::string& event) {
  const std::string length = raw(uint64_t{event.size()});
  return length + raw(masked_crc(length)) + event + raw(masked_crc(event));
}

ProtoMessage event_at(int64_t step) {
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  ProtoMessage event;
  event.add_double(1, now.count());
  event.add_int(2, step);
  return event;
}

// ---- values of a Summary ----

ProtoMessage tagged(std::string_view tag) {
  if (tag.empty() || !detail::is_utf8(tag))
    fail(kOp, "expected a tag that is not empty and UTF-8, got ", tag.size(), " bytes");
  ProtoMessage value;
  value.add_bytes(1, tag);
  return value;
}

ProtoMessage histogram_of(const Tensor& values, int bins) {
  check_defined(kOp, values);
  if (bins < 1 || bins > 1 << 20) fail(kOp, "expected 1 to 1048576 bins, got ", bins);
  std::vector<double> finite = values.detach().to(Device::cpu()).to_vector<double>();
  std::erase_if(finite, [](double v) { return !std::isfinite(v); });
  if (finite.empty()) fail(kOp, "a histogram of ", values.shape(), " without finite elements");
  const auto [low, high] = std::minmax_element(finite.begin(), finite.end());
  const double first = *low, width = (*high - first) / bins;
  std::vector<double> limits(static_cast<size_t>(bins)), counts(limits.size());
  for (size_t i = 0; i < limits.size(); ++i) limits[i] = first + width * static_cast<double>(i + 1);
  limits.back() = *high;
  double sum = 0, squares = 0;
  for (double v : finite) {
    const auto bin = width > 0 ? static_cast<size_t>((v - first) / width) : 0;
    ++counts[std::min(bin, counts.size() - 1)];
    sum += v;
    squares += v * v;
  }
  ProtoMessage histogram;
  histogram.add_double(1, first);
  histogram.add_double(2, *high);
  histogram.add_double(3, static_cast<double>(finite.size()));
  histogram.add_double(4, sum);
  histogram.add_double(5, squares);
  histogram.add_doubles(6, limits);
  histogram.add_doubles(7, counts);
  return histogram;
}

// Returns u8 pixels (H, W, C).
Tensor pixels_of(const Tensor& image) {
  check_defined(kOp, image);
  const bool fits = (image.dim() == 2 || image.dim() == 3) &&
                    (image.dtype() == DType::U8 || is_floating(image.dtype()));
  if (!fits)
    fail(kOp, "expected a u8 or floating image (H, W) or (C, H, W), got ", image.dtype(), " ",
         image.shape());
  const NoGrad guard;
  Tensor x = image.detach().to(Device::cpu());
  if (x.dim() == 2) x = unsqueeze(x, 0);
  x = permute(x, {1, 2, 0}).contiguous();
  if (x.dtype() == DType::U8) return x;
  std::vector<uint8_t> bytes;
  for (double v : x.to_vector<double>())
    bytes.push_back(static_cast<uint8_t>(std::lround(255 * (v > 0 ? std::min(v, 1.0) : 0))));
  return from_data(bytes, x.shape());
}

ProtoMessage image_of(const Tensor& image) {
  const Tensor pixels = pixels_of(image);
  ProtoMessage message;
  message.add_int(1, pixels.size(0));
  message.add_int(2, pixels.size(1));
  message.add_int(3, pixels.size(2));
  message.add_bytes(4, detail::encode_png(kOp, pixels));
  return message;
}

// ---- graphs ----

class GraphBuilder {
 public:
  explicit GraphBuilder(const std::vector<std::pair<std::string, Tensor>>& names) {
    for (const auto& [name, tensor] : names) {
      if (tensor.defined() && tensor.requires_grad()) leaves_.emplace(tensor.node(), name);
    }
  }

  // Adds all nodes below `root`, inputs first. Not recursive, because graphs may be deep.
  std::string build(const Node* root) {
    std::vector<std::pair<const Node*, size_t>> path{{root, 0}};
    while (!path.empty()) {
      auto& [node, next] = path.back();
      if (next == 0 && names_.contains(node)) {
        path.pop_back();
        continue;
      }
      if (next < node->edges().size()) {
        const Node* input = node->edges()[next++].node();
        if (input && !names_.contains(input)) path.emplace_back(input, 0);
        continue;
      }
      const Node* done = node;
      path.pop_back();
      add(done);
    }
    ProtoMessage versions;
    versions.add_int(1, 22);  // the producer version that TensorBoard expects
    graph_.add_message(4, versions);
    return graph_.bytes();
  }

 private:
  void add(const Node* node) {
    if (names_.contains(node)) return;
    const auto leaf = leaves_.find(node);
    std::string name = leaf != leaves_.end() ? leaf->second : std::string(node->name());
    std::replace(name.begin(), name.end(), '.', '/');  // TensorBoard groups names at slashes
    const int number = counts_[name]++;
    if (number > 0) name += "_" + std::to_string(number);
    names_.emplace(node, name);
    ProtoMessage message;
    message.add_bytes(1, name);
    message.add_bytes(2, node->is_leaf() ? "leaf" : node->name());
    for (const Edge& edge : node->edges()) {
      const Node* input = edge.node();
      if (!input) continue;
      const std::string& from = names_.at(input);
      message.add_bytes(3, edge.index ? from + ":" + std::to_string(edge.index) : from);
    }
    graph_.add_message(1, message);
  }

  std::map<const Node*, std::string> leaves_, names_;
  std::map<std::string, int> counts_;
  ProtoMessage graph_;
};

std::string new_path(const std::string& folder) {
  static std::atomic<int> count{0};
  char host[256] = "host";
  if (::gethostname(host, sizeof host - 1) != 0) host[0] = '\0';
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(
      std::chrono::system_clock::now().time_since_epoch());
  const std::string name = "events.out.tfevents." + std::to_string(seconds.count()) + "." + host +
                           "." + std::to_string(::getpid()) + "." + std::to_string(count++);
  return (std::filesystem::path(folder) / name).string();
}

}  // namespace

struct SummaryWriter::State {
  std::string path;
  detail::File file;
  std::string waiting;
  int64_t written = 0;

  explicit State(const std::string& folder)
      : path(new_path(folder)), file(detail::File::claim(kOp, path)) {
    ProtoMessage event = event_at(0);
    event.add_bytes(3, "brain.Event:2");
    add(event);
    flush();
  }

  ~State() {
    try {
      flush();
    } catch (const Error&) {
      // A destructor has no way to report it; flush() has.
    }
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void add(const ProtoMessage& event) {
    constexpr size_t kMostWaiting = 1 << 16;
    waiting += record(event.bytes());
    if (waiting.size() > kMostWaiting) flush();
  }
  void add_value(const ProtoMessage& value, int64_t step) {
    ProtoMessage summary, event = event_at(step);
    summary.add_message(1, value);
    event.add_message(5, summary);
    add(event);
  }
  // After an error the records are kept, and the next call writes them over the part that this one
  // has written.
  void flush() {
    try {
      file.write(waiting.data(), waiting.size());
    } catch (...) {
      file.seek(written);
      throw;
    }
    written += std::ssize(waiting);
    waiting.clear();
  }
};

SummaryWriter::SummaryWriter(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) fail(kOp, folder, ": ", error.message());
  state_ = std::make_unique<State>(folder);
}

SummaryWriter::~SummaryWriter() = default;
SummaryWriter::SummaryWriter(SummaryWriter&&) noexcept = default;
SummaryWriter& SummaryWriter::operator=(SummaryWriter&&) noexcept = default;

void SummaryWriter::add_scalar(std::string_view tag, double value, int64_t step) {
  ProtoMessage message = tagged(tag);
  message.add_float(2, static_cast<float>(value));
  state_->add_value(message, step);
}

void SummaryWriter::add_histogram(std::string_view tag, const Tensor& values, int64_t step,
                                  int bins) {
  ProtoMessage message = tagged(tag);
  message.add_message(5, histogram_of(values, bins));
  state_->add_value(message, step);
}

void SummaryWriter::add_image(std::string_view tag, const Tensor& image, int64_t step) {
  ProtoMessage message = tagged(tag);
  message.add_message(4, image_of(image));
  state_->add_value(message, step);
}

void SummaryWriter::add_text(std::string_view tag, std::string_view text, int64_t step) {
  if (!detail::is_utf8(text)) fail(kOp, "the text of a tag is not UTF-8");
  // A string tensor of one element, for the plugin "text".
  constexpr int kStringType = 7;
  ProtoMessage message = tagged(tag), plugin, metadata, size, shape, tensor;
  plugin.add_bytes(1, "text");
  metadata.add_message(1, plugin);
  size.add_int(1, 1);
  shape.add_message(2, size);
  tensor.add_int(1, kStringType);
  tensor.add_message(2, shape);
  tensor.add_bytes(8, text);
  message.add_message(8, tensor);
  message.add_message(9, metadata);
  state_->add_value(message, step);
}

void SummaryWriter::add_graph(const Tensor& root,
                              const std::vector<std::pair<std::string, Tensor>>& names) {
  check_defined(kOp, root);
  if (!root.requires_grad()) fail(kOp, "a graph of a tensor that does not require grad");
  ProtoMessage event = event_at(0);
  event.add_bytes(4, GraphBuilder(names).build(root.node()));
  state_->add(event);
}

void SummaryWriter::flush() { state_->flush(); }
const std::string& SummaryWriter::path() const { return state_->path; }

}  // namespace ebb
