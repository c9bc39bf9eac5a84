// Every public function of tensors refuses an undefined tensor, as any of its arguments, with an
// Error that names the function.
#include <functional>

#include "ebb/autograd/check/functional.h"
#include "ebb/autograd/inspect/picture.h"
#include "ebb/core/random.h"
#include "ebb/ebb.h"
#include "ebb/tests/support/check.h"

namespace ebb {
namespace {

using Tensors = std::vector<Tensor>;

struct Call {
  const char* name;  // of the function, which the message names
  std::function<void(const Tensors&)> call;
  Tensors inputs;  // that it takes; each in turn is left undefined
};

void expect_refused(const std::vector<Call>& calls) {
  for (const Call& c : calls) {
    for (size_t k = 0; k < c.inputs.size(); ++k) {
      SCOPED_TRACE(std::string(c.name) + ", input " + std::to_string(k));
      Tensors inputs = c.inputs;
      inputs[k] = Tensor();
      test::expect_error([&] { c.call(inputs); }, c.name, {"undefined"});
    }
  }
}

using Unary = Tensor (*)(const TensorArg&);
using Binary = Tensor (*)(const TensorArg&, const Tensor&);

TEST(UndefinedArguments, OfOps) {
  const Tensor x = ones({2, 3}), index = zeros({2, 3}, {.dtype = i64}), row = index[0];
  std::vector<Call> calls;
  const std::pair<const char*, Unary> unary[] = {{"neg", neg},
                                                 {"square", square},
                                                 {"exp", exp},
                                                 {"log", log},
                                                 {"log1p", log1p},
                                                 {"expm1", expm1},
                                                 {"sqrt", sqrt},
                                                 {"erf", erf},
                                                 {"abs", abs},
                                                 {"sign", sign},
                                                 {"relu", relu},
                                                 {"sigmoid", sigmoid},
                                                 {"tanh", tanh},
                                                 {"silu", silu},
                                                 {"alias", alias},
                                                 {"logsigmoid", logsigmoid},
                                                 {"logical_not", logical_not}};
  for (const auto& [name, op] : unary)
    calls.push_back({name, [op = op](const Tensors& t) { op(t[0]); }, {x}});
  const std::pair<const char*, Binary> binary[] = {{"add", add},
                                                   {"sub", sub},
                                                   {"mul", mul},
                                                   {"div", div},
                                                   {"pow", pow},
                                                   {"maximum", maximum},
                                                   {"minimum", minimum},
                                                   {"less", less},
                                                   {"less_equal", less_equal},
                                                   {"greater", greater},
                                                   {"greater_equal", greater_equal},
                                                   {"eq", eq},
                                                   {"not_equal", not_equal},
                                                   {"logical_and", logical_and},
                                                   {"logical_or", logical_or},
                                                   {"matmul", matmul}};
  for (const auto& [name, op] : binary)
    calls.push_back({name, [op = op](const Tensors& t) { op(t[0], t[1]); }, {x, x}});
  const std::vector<Call> others = {
      {"add", [](const Tensors& t) { t[0] + 1.0; }, {x}},
      {"sub", [](const Tensors& t) { 1.0 - t[0]; }, {x}},
      {"mul", [](const Tensors& t) { t[0] * 2.0; }, {x}},
      {"div", [](const Tensors& t) { t[0] / 2.0; }, {x}},
      {"div", [](const Tensors& t) { 1.0 / t[0]; }, {x}},
      {"less", [](const Tensors& t) { t[0] < 1.0; }, {x}},
      {"eq", [](const Tensors& t) { t[0] == 1.0; }, {x}},
      {"pow", [](const Tensors& t) { pow(t[0], 2.0); }, {x}},
      {"clamp", [](const Tensors& t) { clamp(t[0], 0, 1); }, {x}},
      {"clamp_min", [](const Tensors& t) { clamp_min(t[0], 0); }, {x}},
      {"clamp_max", [](const Tensors& t) { clamp_max(t[0], 0); }, {x}},
      {"where", [](const Tensors& t) { where(t[0], t[1], t[2]); }, {x, x, x}},
      {"leaky_relu", [](const Tensors& t) { leaky_relu(t[0]); }, {x}},
      {"elu", [](const Tensors& t) { elu(t[0]); }, {x}},
      {"softplus", [](const Tensors& t) { softplus(t[0]); }, {x}},
      {"gelu", [](const Tensors& t) { gelu(t[0]); }, {x}},
      {"hardtanh", [](const Tensors& t) { hardtanh(t[0]); }, {x}},
      {"softmax", [](const Tensors& t) { softmax(t[0], 1); }, {x}},
      {"log_softmax", [](const Tensors& t) { log_softmax(t[0], 1); }, {x}},
      {"softmin", [](const Tensors& t) { softmin(t[0], 1); }, {x}},
      {"reshape", [](const Tensors& t) { reshape(t[0], {6}); }, {x}},
      {"flatten", [](const Tensors& t) { flatten(t[0]); }, {x}},
      {"transpose", [](const Tensors& t) { transpose(t[0]); }, {x}},
      {"permute",
       [](const Tensors& t) {
         permute(t[0], {1, 0});
       },
       {x}},
      {"unsqueeze", [](const Tensors& t) { unsqueeze(t[0], 0); }, {x}},
      {"squeeze", [](const Tensors& t) { squeeze(t[0], 0); }, {x}},
      {"slice", [](const Tensors& t) { slice(t[0], 0, 0, 1); }, {x}},
      {"select", [](const Tensors& t) { select(t[0], 0, 0); }, {x}},
      {"expand",
       [](const Tensors& t) {
         expand(t[0], {2, 2, 3});
       },
       {x}},
      {"cat", [](const Tensors& t) { cat(t); }, {x, x}},
      {"stack", [](const Tensors& t) { stack(t); }, {x, x}},
      {"slice_scatter",
       [](const Tensors& t) {
         slice_scatter(t[0], {4, 3}, 0, 0);
       },
       {x}},
      {"sum", [](const Tensors& t) { sum(t[0]); }, {x}},
      {"mean", [](const Tensors& t) { mean(t[0]); }, {x}},
      {"max", [](const Tensors& t) { max(t[0]); }, {x}},
      {"min", [](const Tensors& t) { min(t[0]); }, {x}},
      {"logsumexp", [](const Tensors& t) { logsumexp(t[0]); }, {x}},
      {"argmax", [](const Tensors& t) { argmax(t[0], 0); }, {x}},
      {"argmin", [](const Tensors& t) { argmin(t[0], 0); }, {x}},
      {"sum_to", [](const Tensors& t) { sum_to(t[0], {3}); }, {x}},
      {"gather", [](const Tensors& t) { gather(t[0], 0, t[1]); }, {x, index}},
      {"scatter_add",
       [](const Tensors& t) {
         scatter_add(t[0], {2, 3}, 0, t[1]);
       },
       {x, index}},
      {"index_select", [](const Tensors& t) { index_select(t[0], 0, t[1]); }, {x, row}},
      {"one_hot", [](const Tensors& t) { one_hot(t[0], 2); }, {row}},
      {"linear", [](const Tensors& t) { linear(t[0], t[1]); }, {x, x}},
  };
  calls.insert(calls.end(), others.begin(), others.end());
  expect_refused(calls);
}

TEST(UndefinedArguments, OfLosses) {
  using namespace nn;
  const Tensor x = full({2, 3}, 0.5), row = full({2}, 0.5), sign_row = ones({2}),
               classes = zeros({2}, {.dtype = i64}), labels = zeros({2, 3}, {.dtype = i64});
  std::vector<Call> calls;
  const auto add_call = [&](const char* name, Tensors inputs, auto call) {
    calls.push_back({name, call, std::move(inputs)});
  };
  const auto pair = [&](const char* name, auto op, const Tensor& target) {
    add_call(name, {x, target}, [op](const Tensors& t) { op(t[0], t[1], {}); });
  };
  pair("cross_entropy", cross_entropy, classes);
  pair("nll_loss", nll_loss, classes);
  pair("multi_margin_loss", multi_margin_loss, classes);
  pair("focal_loss", focal_loss, classes);
  pair("kl_div", kl_div, x);
  pair("soft_margin_loss", soft_margin_loss, x);
  pair("hinge_embedding_loss", hinge_embedding_loss, ones({2, 3}));
  pair("binary_cross_entropy", binary_cross_entropy, x);
  pair("binary_cross_entropy_with_logits", binary_cross_entropy_with_logits, x);
  pair("multilabel_margin_loss", multilabel_margin_loss, labels);
  pair("multilabel_soft_margin_loss", multilabel_soft_margin_loss, x);
  pair("sigmoid_focal_loss", sigmoid_focal_loss, x);
  pair("dice_loss", dice_loss, x);
  pair("l1_loss", l1_loss, x);
  pair("mse_loss", mse_loss, x);
  pair("smooth_l1_loss", smooth_l1_loss, x);
  pair("huber_loss", huber_loss, x);
  pair("poisson_nll_loss", poisson_nll_loss, x);
  add_call("gaussian_nll_loss", {x, x, x},
           [](const Tensors& t) { gaussian_nll_loss(t[0], t[1], t[2]); });
  add_call("gaussian_nll_loss", {x, x},
           [](const Tensors& t) { gaussian_nll_loss(t[0], t[1], 1.0); });
  add_call("margin_ranking_loss", {row, row, sign_row},
           [](const Tensors& t) { margin_ranking_loss(t[0], t[1], t[2]); });
  add_call("cosine_embedding_loss", {x, x, sign_row},
           [](const Tensors& t) { cosine_embedding_loss(t[0], t[1], t[2]); });
  add_call("pairwise_distance", {x, x}, [](const Tensors& t) { pairwise_distance(t[0], t[1]); });
  add_call("triplet_margin_loss", {x, x, x},
           [](const Tensors& t) { triplet_margin_loss(t[0], t[1], t[2]); });
  add_call("triplet_margin_with_distance_loss", {x, x, x},
           [](const Tensors& t) { triplet_margin_with_distance_loss(t[0], t[1], t[2]); });
  const Tensor log_probs = full({4, 2, 3}, -1.0), targets = ones({2, 2}, {.dtype = i64}),
               lengths = full({2}, 2, {.dtype = i64}), long_lengths = full({2}, 4, {.dtype = i64});
  add_call("ctc_loss", {log_probs, targets, long_lengths, lengths},
           [](const Tensors& t) { ctc_loss(t[0], t[1], t[2], t[3]); });
  expect_refused(calls);
}

TEST(UndefinedArguments, OfTheRest) {
  const Tensor x = ones({2, 3}), y = sum(ones({2}, {.dtype = f64}).requires_grad_());
  const auto f = [](const Tensors& t) { return Tensors{sum(t[0] * t[0])}; };
  expect_refused({
      {"empty_like", [](const Tensors& t) { empty_like(t[0]); }, {x}},
      {"zeros_like", [](const Tensors& t) { zeros_like(t[0]); }, {x}},
      {"ones_like", [](const Tensors& t) { ones_like(t[0]); }, {x}},
      {"uniform_",
       [](const Tensors& t) {
         Tensor u = t[0];
         uniform_(u, 0, 1);
       },
       {x}},
      {"normal_",
       [](const Tensors& t) {
         Tensor u = t[0];
         normal_(u, 0, 1);
       },
       {x}},
      {"bernoulli_",
       [](const Tensors& t) {
         Tensor u = t[0];
         bernoulli_(u, 0.5);
       },
       {x}},
      {"kaiming_uniform_",
       [](const Tensors& t) {
         Tensor u = t[0];
         nn::init::kaiming_uniform_(u);
       },
       {x}},
      {"xavier_normal_",
       [](const Tensors& t) {
         Tensor u = t[0];
         nn::init::xavier_normal_(u);
       },
       {x}},
      {"grad", [](const Tensors& t) { grad(t[0], t[1]); }, {y, y}},
      {"grad",
       [](const Tensors& t) {
         grad(t[0], {t[1], t[2]});
       },
       {y, y, y}},
      {"backward", [](const Tensors& t) { backward({t[0]}); }, {y}},
      {"backward", [](const Tensors& t) { t[0].backward({.inputs = {t[1]}}); }, {y, x}},
      {"vjp", [&](const Tensors& t) { vjp(f, {t[0]}, {t[1]}); }, {x, x}},
      {"jvp", [&](const Tensors& t) { jvp(f, {t[0]}, {t[1]}); }, {x, x}},
      {"hvp", [&](const Tensors& t) { hvp(f, {t[0]}, {t[1]}); }, {x, x}},
      {"jacobian", [&](const Tensors& t) { jacobian(f, {t[0]}); }, {x}},
      {"hessian", [&](const Tensors& t) { hessian(f, {t[0]}); }, {x}},
      {"graph_text", [](const Tensors& t) { graph_text(t[0]); }, {y}},
      {"to_dot", [](const Tensors& t) { to_dot(t[0]); }, {y}},
      {"dropout", [](const Tensors& t) { nn::dropout(t[0]); }, {x}},
      {"linear", [](const Tensors& t) { nn::Linear(3, 2)(t[0]); }, {x}},
  });
}

}  // namespace
}  // namespace ebb
