// The main loop of the three benchmark programs. Each prepares a row and measures it when
// scripts/bench asks for it, by lines on standard input and output.
//
//   info        -> a description of the program in one line
//   rows        -> one line per row, then an empty line: name, floor, amount
//                  ("mlp_2_16_16_2_b32 gemm 53248")
//   start NAME  -> "ok" when the row is prepared and warm; "none" if the program does not have it
//   run         -> microseconds per unit: the mean over about 20 ms of repetitions
//   memory      -> peak resident memory of the process in KB
//
//   PROGRAM count NAME N: prepares, warms up, and runs N repetitions in counted_repetitions(), for
//                         callgrind.
//   PROGRAM once NAME: prepares and runs one repetition, for the peak memory.
#pragma once

#include <time.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iostream>
#include <string>

#include "work.h"

namespace bench {

using Repetition = std::function<void()>;
/// Prepares a row and returns the function to measure, or nothing if the program does not have the
/// row.
using Prepare = std::function<Repetition(const Work&)>;

extern "C" [[gnu::noinline]] inline void counted_repetitions(const Repetition& repetition,
                                                             int64_t n) {
  for (int64_t i = 0; i < n; ++i) repetition();
}

/// Returns wall time, or, with BENCH_CPU_TIME, the CPU time of all threads of the process. CPU time
/// is for one thread on a machine with other load.
inline double now() {
  static const clockid_t clock =
      std::getenv("BENCH_CPU_TIME") ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC;
  timespec t;
  clock_gettime(clock, &t);
  return 1e6 * static_cast<double>(t.tv_sec) + 1e-3 * static_cast<double>(t.tv_nsec);
}

inline double microseconds(const Repetition& repetition, int64_t n) {
  const double start = now();
  for (int64_t i = 0; i < n; ++i) repetition();
  return now() - start;
}

inline std::string peak_memory_kb() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:"))
      return std::to_string(std::strtol(line.c_str() + 6, nullptr, 10));
  }
  return "0";
}

class Driver {
 public:
  Driver(std::string info, Prepare prepare) : info_(std::move(info)), prepare_(std::move(prepare)) {
    for (const auto& list : {all_work(), floor_work()})
      work_.insert(work_.end(), list.begin(), list.end());
  }

  int run(int argc, char** argv) {
    if (argc == 4 && std::string(argv[1]) == "count")
      return count(argv[2], 20, std::atoll(argv[3]));
    if (argc == 3 && std::string(argv[1]) == "once") return count(argv[2], 0, 1);
    for (std::string line; std::getline(std::cin, line);) {
      std::cout << answer(line) << std::endl;
    }
    return 0;
  }

 private:
  static constexpr double kRunTime = 20e3;  // microseconds

  std::string answer(const std::string& line) {
    if (line == "info") return info_;
    if (line == "rows") return rows();
    if (line == "memory") return peak_memory_kb();
    if (line.starts_with("start ")) return start(line.substr(6)) ? "ok" : "none";
    if (line == "run" && repetition_) {
      return std::to_string(microseconds(repetition_, n_) / static_cast<double>(n_ * units_));
    }
    return "error: " + line;
  }

  static std::string rows() {
    std::string text;
    for (const Work& w : all_work()) {
      const bool gemm = w.flops > 0, stream = w.bytes > 0;
      text += w.name +
              (gemm     ? " gemm "
               : stream ? " stream "
                        : " none ") +
              std::to_string(gemm ? w.flops : w.bytes) + "\n";
    }
    return text;
  }

  // The number of repetitions in a run depends on the duration of a warm repetition.
  bool start(const std::string& name) {
    repetition_ = nullptr;
    for (const Work& w : work_) {
      if (w.name == name) repetition_ = prepare_(w), units_ = w.units;
    }
    if (!repetition_) return false;
    for (int i = 0; i < 2; ++i)
      repetition_();  // not measured, because the first one may create code and threads
    n_ = 1;
    double spent = 0, last = 0;
    while (spent < kRunTime) {
      spent += last = microseconds(repetition_, n_);
      if (last < kRunTime / 4) n_ *= 2;
    }
    n_ = std::max<int64_t>(1, static_cast<int64_t>(kRunTime / last * static_cast<double>(n_)));
    return true;
  }

  int count(const std::string& name, int warm, int64_t n) {
    for (const Work& w : work_) {
      if (w.name == name) repetition_ = prepare_(w);
    }
    if (!repetition_) return std::cerr << "no row " << name << '\n', 1;
    for (int i = 0; i < warm; ++i) repetition_();
    counted_repetitions(repetition_, n);
    return 0;
  }

  std::string info_;
  Prepare prepare_;
  std::vector<Work> work_;
  Repetition repetition_;
  int64_t n_ = 1, units_ = 1;
};

}  // namespace bench
