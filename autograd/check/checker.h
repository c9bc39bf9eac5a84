// The comparison of analytic gradients with finite differences that gradcheck and gradgradcheck
// make. Internal to autograd/check.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "ebb/autograd/check/gradcheck.h"
#include "ebb/autograd/check/values.h"
#include "ebb/core/random.h"

namespace ebb::detail {

/// One check of a function f at its inputs.
class Checker {
  using Jacobian = Values;  // one list per output, row-major

 public:
  /// upstreams: the number of inputs at the end of the list that are upstream gradients. A gradient
  /// always depends on these.
  Checker(std::string_view op, const TensorFunction& f, std::vector<Tensor> inputs,
          GradcheckOptions options, size_t upstreams = 0)
      : op_(op),
        f_(f),
        inputs_(std::move(inputs)),
        options_(options),
        own_(inputs_.size() - upstreams),
        upstreams_(upstreams),
        most_(inputs_.size(), 0) {}

  /// Finds faults of the backward of outputs = f(inputs) other than wrong values.
  void add_faults_of(const TensorFunction& f, const std::vector<Tensor>& inputs,
                     const std::vector<Tensor>& outputs);

  /// Compares the gradients. Throws Error if the inputs cannot be checked, and if the check fails
  /// and options.raise is true.
  GradcheckReport run();

 private:
  void check_inputs() const;

  // Returns f at the current values of the inputs.
  Values evaluate() const;

  void report_faults();

  // In order 1 every input must have an influence. In order 2 one is enough, because most functions
  // are linear in some.
  void check_influence();

  // If all derivatives are below atol, any gradient passes. As above, in order 2 one input with
  // larger derivatives is enough.
  void check_scale();

  bool is_checked(size_t i) const { return inputs_[i].defined() && inputs_[i].requires_grad(); }

  // ---- every element ----

  void check_elements();

  void check_input(size_t i, const Jacobian& analytic);

  // Returns the Jacobian (elements of outputs, elements of the input), with one backward per output
  // element.
  Jacobian analytic_jacobian(const Tensor& input) const;

  // Returns f above and below element j of x.
  std::pair<Values, Values> evaluate_beside(const Tensor& x, int64_t j);

  // ---- random projections: u^T J v ----

  void check_projections();

  // Computes random upstream gradients u for all outputs, and u^T J for all inputs.
  void project(const std::vector<Tensor>& wanted, const std::vector<Tensor>& roots,
               Generator& generator, std::vector<Values>& upstreams,
               std::vector<Values>& gradients) const;

  // Returns true if both derivatives are zero.
  bool compare_projection(const Tensor& x, size_t input, const Values& u,
                          const std::vector<double>& gradient, Generator& generator);

  // ---- the report ----

  void compare(GradcheckFailure f, double right, double left);

  std::string location_of(const GradcheckFailure& f) const;
  std::string value_of(const GradcheckFailure& f) const;

  void problem(const std::string& text);

  void finish();

  std::string_view op_;
  const TensorFunction& f_;
  std::vector<Tensor> inputs_, outputs_;
  GradcheckOptions options_;
  GradcheckReport report_;
  Values center_;
  size_t own_, upstreams_;
  std::vector<std::string> faults_;  // of backward, other than wrong values
  std::vector<double> most_;         // the largest |numeric| by each input
  size_t lines_ = 0;
  bool wrong_ = false;  // a gradient is wrong, so an op may be at fault
};

}  // namespace ebb::detail
