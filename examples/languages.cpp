// Tells from a single word which of ten languages it belongs to: a recurrent network and a small
// transformer side by side. Both read the letters of the word.
#include <algorithm>
#include <map>

#include "common.h"
#include "ebb/nn/data/gz_file.h"

using namespace ebb;

namespace {

constexpr int64_t kLetters = 27;  // a to z, and 0 in front of short words
constexpr int64_t kLongest = 16;

// Reads lines of the form language,word. The inputs are the letters of the words: (N, 16), i64.
data::Dataset load_words(const std::string& path) {
  data::GzFile file("load_words", path, int64_t{1} << 24);
  std::string text(size_t{1} << 24, ' ');
  text.resize(file.read(text.data(), text.size()));
  std::vector<std::pair<std::string, std::string>> lines;
  std::map<std::string, int64_t> languages;
  for (size_t at = 0, end; at < text.size(); at = end + 1) {
    end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    const size_t comma = line.find(',');
    const std::string word = comma == line.npos ? "" : line.substr(comma + 1);
    const bool fits = !word.empty() && word.size() <= kLongest &&
                      std::ranges::all_of(word, [](char c) { return c >= 'a' && c <= 'z'; });
    if (!fits)
      fail("load_words", path, ": expected language,word with up to 16 letters, got ", line);
    lines.emplace_back(line.substr(0, comma), word);
    languages[lines.back().first] = 0;
  }
  std::vector<std::string> names;
  for (auto& [name, number] : languages) {
    number = static_cast<int64_t>(names.size());
    names.push_back(name);
  }
  std::vector<int64_t> letters, targets;
  for (const auto& [language, word] : lines) {
    letters.insert(letters.end(), kLongest - word.size(), 0);
    for (const char c : word) letters.push_back(c - 'a' + 1);
    targets.push_back(languages[language]);
  }
  const int64_t n = static_cast<int64_t>(lines.size());
  return data::Dataset(from_data(letters, {n, kLongest}), from_data(targets, {n}), names);
}

// Reads a word letter by letter, in both directions. The last states know all of it.
class Recurrent : public nn::Layer {
 public:
  explicit Recurrent(int64_t languages)
      : letters_(kLetters, 32, {.padding_idx = 0}),
        gru_(32, 96, {.batch_first = true, .bidirectional = true}),
        dropout_(0.3),
        scores_(192, languages) {
    register_module("letters", letters_);
    register_module("gru", gru_);
    register_module("dropout", dropout_);
    register_module("scores", scores_);
  }
  Tensor forward(const Tensor& word) const override {
    const auto [outputs, last] = gru_(letters_(word));
    return scores_(dropout_(cat({last[0], last[1]}, 1)));
  }

 private:
  nn::Embedding letters_;
  nn::GRU gru_;
  nn::Dropout dropout_;
  nn::Linear scores_;
};

// Compares all letters of a word with each other. They carry their positions, because attention has
// no order.
class Transformer : public nn::Layer {
 public:
  explicit Transformer(int64_t languages)
      : letters_(kLetters, kWidth, {.padding_idx = 0}),
        positions_(kLongest, kWidth),
        encoder_(
            nn::TransformerEncoderLayer(kWidth, 4, {.dim_feedforward = 128, .batch_first = true}),
            2),
        scores_(kWidth, languages) {
    register_module("letters", letters_);
    register_module("positions", positions_);
    register_module("encoder", encoder_);
    register_module("scores", scores_);
  }
  Tensor forward(const Tensor& word) const override {
    const Tensor empty = eq(word, 0);
    const Tensor x = encoder_(letters_(word) + positions_.weight, Tensor(), empty);
    const Tensor kept = unsqueeze(logical_not(empty).to(x.dtype()), 2);
    return scores_(sum(x * kept, 1) / sum(kept, 1));  // of the mean of the letters
  }

 private:
  static constexpr int64_t kWidth = 64;
  nn::Embedding letters_, positions_;
  nn::TransformerEncoder encoder_;
  nn::Linear scores_;
};

}  // namespace

int main(int argc, char** argv) {
  examples::Flags defaults;
  defaults.epochs = 12;
  defaults.batch_size = 64;
  defaults.lr = 2e-3;
  defaults.data = EBB_DATA_DIR "/words.csv.gz";
  defaults.out = "runs/languages";
  return examples::run(
      argc, argv, "Languages of single words, ten classes", defaults,
      [](const examples::Flags& flags) {
        const data::Dataset words = load_words(flags.data);
        const data::Split split = data::stratified_split(words.targets(), 0.2, 0);
        const data::Dataset train = words.take(split.train), test = words.take(split.test);
        const int64_t languages = static_cast<int64_t>(words.class_names().size());
        const Device device = Device::parse(flags.device);

        Recurrent recurrent(languages);
        Transformer transformer(languages);
        examples::Comparison comparison(flags);
        const std::pair<const char*, nn::Layer*> models[] = {{"recurrent", &recurrent},
                                                             {"transformer", &transformer}};
        for (const auto& [name, model] : models) {
          model->to(device);
          if (!comparison.train(name, *model, train, nn::CrossEntropyLoss())) return 130;
        }
        for (const auto& [name, model] : models) {
          const nn::ConfusionMatrix matrix = nn::evaluate(*model, test, languages);
          int64_t parameters = 0;
          for (const Tensor& p : model->parameters()) parameters += p.numel();
          std::printf("\n%s, %lld parameters\n%s", name,
                      static_cast<long long>(parameters),
                      matrix.to_table(words.class_names(), nn::terminal_columns()).c_str());
          std::printf("test accuracy: %.2f %%\n", 100 * matrix.accuracy());
        }
        return 0;
      });
}
