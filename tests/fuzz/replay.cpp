// Runs a fuzz target without libFuzzer, with any compiler: on its seeds, on files (past crashes),
// and on mutations of both.
//
//   TARGET [--write-seeds FOLDER] [--mutations N] [FILE or FOLDER]...
//
// The mutations are the same on every machine. Prints how many inputs ran.
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "target.h"

namespace {

namespace fs = std::filesystem;

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return state_ >> 33;
  }
  size_t below(size_t n) { return n == 0 ? 0 : next() % n; }

 private:
  uint64_t state_;
};

// A few changes of single bytes, runs that are cut, doubled or filled.
std::string mutated(std::string bytes, Random& random) {
  constexpr unsigned char kTelling[] = {0, 1, 0x7F, 0x80, 0xFF, '"', ',', '\n', '{', '['};
  for (size_t turn = 1 + random.below(4); turn > 0; --turn) {
    const size_t at = random.below(bytes.size() + 1), n = 1 + random.below(8);
    switch (random.below(6)) {
      case 0: bytes.erase(at, n); break;
      case 1: bytes.insert(at, n, static_cast<char>(random.next())); break;
      case 2: bytes.insert(at, bytes.substr(random.below(bytes.size()), n)); break;
      case 3: bytes.resize(random.below(bytes.size() + 1)); break;
      default:
        for (size_t i = at; i < bytes.size() && i < at + n; i += 1 + random.below(3)) {
          bytes[i] = static_cast<char>(random.below(2) ? random.next()
                                                       : kTelling[random.below(sizeof kTelling)]);
        }
    }
  }
  return bytes;
}

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

const std::string* running = nullptr;

// Writes the input that ended the program to standard error, as `xxd -r -p` reads it.
void show_input(int signal) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text = "\nthe input, in hexadecimal: ";
  for (char c : *running) {
    const auto byte = static_cast<unsigned char>(c);
    text += {kDigits[byte >> 4], kDigits[byte & 15]};
  }
  text += '\n';
  (void)!write(2, text.data(), text.size());
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void run(const std::string& input) {
  running = &input;
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
}

}  // namespace

int main(int count, char** arguments) {
  std::vector<std::string> inputs = ebb::fuzz::seeds();
  size_t mutations = 0;
  for (int i = 1; i < count; ++i) {
    const std::string argument = arguments[i];
    if (argument == "--write-seeds" && i + 1 < count) {
      fs::create_directories(arguments[++i]);
      for (size_t k = 0; k < inputs.size(); ++k)
        std::ofstream(fs::path(arguments[i]) / ("seed-" + std::to_string(k)), std::ios::binary)
            << inputs[k];
      return 0;
    }
    if (argument == "--mutations" && i + 1 < count) {
      mutations = std::strtoul(arguments[++i], nullptr, 10);
    } else if (fs::is_directory(argument)) {
      for (const fs::directory_entry& entry : fs::recursive_directory_iterator(argument))
        if (entry.is_regular_file()) inputs.push_back(read_file(entry.path()));
    } else {
      inputs.push_back(read_file(argument));
    }
  }
  for (int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) std::signal(signal, show_input);
  for (const std::string& input : inputs) run(input);
  Random random(1);
  for (size_t i = 0; i < mutations; ++i) run(mutated(inputs[i % inputs.size()], random));
  std::printf("%zu inputs and %zu mutations of them ran\n", inputs.size(), mutations);
}
