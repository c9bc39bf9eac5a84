#include "ebb/autograd/ops/einsum.h"

#include <algorithm>
#include <cctype>
#include <map>

#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/matmul.h"
#include "ebb/autograd/ops/op.h"
#include "ebb/autograd/ops/rearrange.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"

namespace ebb {
namespace {

// The dims of "..." have labels below all letters. They are numbered 0, 1, ... from the last one.
using Label = int;
using Labels = std::vector<Label>;

constexpr Label kFirstLetter = kMaxDims;

struct Equation {
  std::vector<Labels> inputs;
  Labels output;
};

[[noreturn]] void refuse(std::string_view equation, const std::string& what) {
  fail("einsum", what, " in \"", std::string(equation), "\"");
}

bool has(const Labels& labels, Label l) { return std::ranges::find(labels, l) != labels.end(); }

// Returns the labels of one term. dims are those of its operand, or -1 for the result, whose "..."
// has `ellipsis` dims.
Labels parse_term(std::string_view equation, std::string_view term, int dims, int& ellipsis) {
  Labels before, behind;
  bool dots = false;
  for (size_t i = 0; i < term.size(); ++i) {
    const auto c = static_cast<unsigned char>(term[i]);
    if (std::isspace(c)) continue;
    if (std::isalpha(c)) (dots ? behind : before).push_back(kFirstLetter + c);
    else if (term.substr(i, 3) == "..." && !dots) dots = true, i += 2;
    else refuse(equation, std::string("unexpected '") + term[i] + "'");
  }
  const int letters = static_cast<int>(before.size() + behind.size());
  if (dims >= 0 && (dots ? letters > dims : letters != dims)) {
    refuse(equation, "operand of " + std::to_string(dims) + " dims has " + std::to_string(letters) +
                         " letters");
  }
  int count = dims < 0 ? ellipsis : dims - letters;
  if (dims >= 0) ellipsis = std::max(ellipsis, count);
  for (int i = dots ? count - 1 : -1; i >= 0; --i) before.push_back(i);
  before.insert(before.end(), behind.begin(), behind.end());
  return before;
}

Equation parse(std::string_view equation, const std::vector<Tensor>& operands) {
  const size_t arrow = equation.find("->");
  std::string_view left = equation.substr(0, arrow);
  Equation parsed;
  int ellipsis = 0;
  for (size_t at = 0;; ++at) {
    const size_t comma = left.find(',');
    if (at >= operands.size())
      refuse(equation, "more terms than the " + std::to_string(operands.size()) + " operands");
    parsed.inputs.push_back(
        parse_term(equation, left.substr(0, comma), operands[at].dim(), ellipsis));
    if (comma == std::string_view::npos) break;
    left.remove_prefix(comma + 1);
  }
  if (parsed.inputs.size() != operands.size())
    refuse(equation, "fewer terms than the " + std::to_string(operands.size()) + " operands");
  std::map<Label, int> counts;
  for (const Labels& term : parsed.inputs) {
    for (Label l : term) ++counts[l];
  }
  if (arrow != std::string_view::npos) {
    parsed.output = parse_term(equation, equation.substr(arrow + 2), -1, ellipsis);
    for (Label l : parsed.output) {
      if (std::ranges::count(parsed.output, l) > 1)
        refuse(equation, "a letter twice in the result");
      if (!counts.contains(l)) refuse(equation, "a letter of the result that no operand has");
    }
  } else {
    for (int i = ellipsis - 1; i >= 0; --i) parsed.output.push_back(i);
    for (const auto& [label, count] : counts) {
      if (label >= kFirstLetter && count == 1) parsed.output.push_back(label);
    }
  }
  return parsed;
}

struct Term {
  Tensor x;
  Labels labels;  // of the dims of x, without repetition
};

int position(const Term& t, Label l) {
  return static_cast<int>(std::ranges::find(t.labels, l) - t.labels.begin());
}

// Replaces dims with the same label by their diagonal.
Term without_repeats(std::string_view equation, Term t) {
  for (size_t i = 0; i < t.labels.size(); ++i) {
    for (size_t j = i + 1; j < t.labels.size();) {
      if (t.labels[j] != t.labels[i]) {
        ++j;
        continue;
      }
      const int a = static_cast<int>(i), b = static_cast<int>(j);
      if (t.x.shape()[a] != t.x.shape()[b]) refuse(equation, "a repeated letter with two sizes");
      const Label label = t.labels[i];
      t.x = diagonal(t.x, 0, a, b);
      t.labels.erase(t.labels.begin() + b);
      t.labels.erase(t.labels.begin() + a);
      t.labels.push_back(label);
      return without_repeats(equation, std::move(t));
    }
  }
  return t;
}

// Sums over the labels that no other operand and not the result have.
Term reduced(Term t, const auto& needed) {
  Shape dims;
  Labels kept;
  for (size_t i = 0; i < t.labels.size(); ++i) {
    if (needed(t.labels[i])) kept.push_back(t.labels[i]);
    else dims.push_back(static_cast<int64_t>(i));
  }
  if (!dims.empty()) t.x = sum(t.x, dims);
  t.labels = std::move(kept);
  return t;
}

// Returns x as (group 0, group 1, group 2), where each group of dims is merged into one.
Tensor grouped(const Term& t, const Labels& first, const Labels& second, const Labels& third) {
  Shape order, sizes;
  for (const Labels* group : {&first, &second, &third}) {
    int64_t size = 1;
    for (Label l : *group) {
      order.push_back(position(t, l));
      size *= t.x.shape()[position(t, l)];
    }
    sizes.push_back(size);
  }
  return reshape(permute(t.x, order), sizes);
}

// Removes dims of size 1 that broadcast over a dim of the other operand, so that each label has one
// size.
Term joined(std::string_view equation, Term a, Term b, const auto& needed) {
  for (Label l : Labels(a.labels)) {
    if (!has(b.labels, l)) continue;
    const int64_t m = a.x.shape()[position(a, l)], n = b.x.shape()[position(b, l)];
    if (m == n) continue;
    if (m != 1 && n != 1)
      refuse(equation,
             "sizes " + std::to_string(m) + " and " + std::to_string(n) + " of one letter");
    Term& one = m == 1 ? a : b;
    const int at = position(one, l);
    one.x = squeeze(one.x, at);
    one.labels.erase(one.labels.begin() + at);
  }
  Labels batch, left, right, summed;
  for (Label l : a.labels) {
    if (!has(b.labels, l)) left.push_back(l);
    else (needed(l) ? batch : summed).push_back(l);
  }
  for (Label l : b.labels) {
    if (!has(a.labels, l)) right.push_back(l);
  }
  // Without a sum, a product of matrices would only multiply.
  Term out{summed.empty()
               ? mul(grouped(a, batch, left, {}), grouped(b, batch, {}, right))
               : matmul(grouped(a, batch, left, summed), grouped(b, batch, summed, right)),
           batch};
  Shape shape;
  for (Label l : batch) shape.push_back(a.x.shape()[position(a, l)]);
  for (Label l : left) shape.push_back(a.x.shape()[position(a, l)]);
  for (Label l : right) shape.push_back(b.x.shape()[position(b, l)]);
  out.x = reshape(out.x, shape);
  out.labels.insert(out.labels.end(), left.begin(), left.end());
  out.labels.insert(out.labels.end(), right.begin(), right.end());
  return out;
}

}  // namespace

Tensor einsum(std::string_view equation, const TensorsArg& arg) {
  const CompositeScope scope(arg);
  const std::vector<Tensor>& operands = *arg;
  if (operands.empty()) fail("einsum", "expected at least one operand");
  std::vector<const Tensor*> list;
  for (const Tensor& x : operands) {
    check_floating("einsum", x);
    list.push_back(&x);
  }
  check_same_kind("einsum", list);
  const Equation parsed = parse(equation, operands);
  // True if a label is in the result or in an operand from `next` on.
  const auto needed_from = [&](size_t next) {
    return [&parsed, next](Label l) {
      bool found = has(parsed.output, l);
      for (size_t i = next; i < parsed.inputs.size(); ++i) found |= has(parsed.inputs[i], l);
      return found;
    };
  };
  Term result = without_repeats(equation, {operands[0], parsed.inputs[0]});
  result = reduced(std::move(result), needed_from(1));
  for (size_t i = 1; i < operands.size(); ++i) {
    Term next = without_repeats(equation, {operands[i], parsed.inputs[i]});
    const auto later = needed_from(i + 1);
    next = reduced(std::move(next), [&](Label l) { return later(l) || has(result.labels, l); });
    result = joined(equation, std::move(result), std::move(next), later);
    result = reduced(std::move(result), later);
  }
  Shape order;
  for (Label l : parsed.output) {
    if (!has(result.labels, l)) refuse(equation, "a letter of the result that no operand has");
    order.push_back(position(result, l));
  }
  return permute(result.x, order);
}

}  // namespace ebb
