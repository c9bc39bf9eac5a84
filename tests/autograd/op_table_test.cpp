// Combines every row of the op table with device, dtype and layout. Tests are registered by name,
// for example op_table.sigmoid/cpu/f32/strided; --gtest_filter='*sigmoid/*' selects some.
//
// contiguous, strided, broadcast, empty, scalar: value, shape and dtype against the reference;
// equal bits in every layout; in f64 gradcheck of orders 1 and 2 (3 if the row says so); in f32
// gradients of both orders against those in f64; in both, gradients with and without create_graph,
// and the call site of every op. points: values and gradients at kinks and limits. bad_input:
// messages. captured, on a GPU: the op in a captured step. index: docs/ops.md fits the sources;
// --write-index writes it.
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "ebb/autograd/ops/registry.h"
#include "ebb/core/backend.h"
#include "ebb/tests/support/check.h"
#include "ebb/tests/support/op_checks.h"
#include "ebb/tests/support/op_index.h"

namespace ebb::test {
namespace {

constexpr const char* kLayoutNames[] = {"contiguous", "strided", "broadcast", "empty", "scalar"};

class OpTableTest : public testing::Test {
 public:
  explicit OpTableTest(std::function<void()> body) : body_(std::move(body)) {}
  void TestBody() override { body_(); }

 private:
  std::function<void()> body_;
};

void add_test(const std::string& name, std::function<void()> body) {
  testing::RegisterTest(
      "op_table", name.c_str(), nullptr, nullptr, __FILE__, __LINE__,
      [body = std::move(body)]() -> OpTableTest* { return new OpTableTest(body); });
}

void register_row(const OpRow& row, Device device) {
  const std::string place = row.name + (device == Device::cpu() ? "/cpu/" : "/cuda/");
  bool any_floating = false;
  for (const Input& input : row.inputs) any_floating |= input.is_floating();
  for (DType dtype : {f32, f64}) {
    if (!any_floating && dtype == f64) continue;
    const std::string prefix = place + (any_floating ? std::string(name_of(dtype)) : "i64") + "/";
    const auto add = [&](Layout layout) {
      add_test(prefix + kLayoutNames[static_cast<int>(layout)], [&row, device, dtype, layout] {
        run_layout({row, device, dtype, layout});
      });
    };
    add(Layout::Contiguous);
    add(Layout::Strided);
    if (!row.broadcast.empty()) add(Layout::Broadcast);
    if (row.has_empty) add(Layout::Empty);
    if (row.has_scalar) add(Layout::Scalar);
    if (!row.points.empty())
      add_test(prefix + "points", [&row, device, dtype] { run_points(row, device, dtype); });
  }
  if (row.has_integers)
    add_test(place + "i64/contiguous", [&row, device] { run_integers(row, device); });
  if (device == Device::cpu()) add_test(place + "bad_input", [&row] { run_bad_inputs(row); });
  else add_test(place + "f32/captured", [&row] { run_captured(row); });
}

// Returns why the rows cannot run on a GPU, or "" if they can.
std::string no_cuda() {
  try {
    backend(Device::cuda());
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

void every_op_has_a_row(const std::vector<OpRow>& rows) {
  std::set<std::string> covered, names;
  for (const OpRow& row : rows) {
    EXPECT_TRUE(names.insert(row.name).second) << "two rows are called " << row.name;
    covered.insert(row.covers.begin(), row.covers.end());
    if (row.covers.empty()) covered.insert(row.name);
  }
  std::set<std::string> registered;
  for (std::string_view name : op_names()) {
    if (name.starts_with("test_")) continue;  // ops that are defined by tests
    registered.insert(std::string(name));
    EXPECT_TRUE(covered.contains(std::string(name)))
        << name << " has no row in tests/support/rows_*.cpp";
  }
  for (const OpRow& row : rows) {
    for (const std::string& name : row.covers) {
      EXPECT_TRUE(registered.contains(name))
          << "row " << row.name << " covers " << name << ", which is not an op";
    }
  }
}

// The index of ops, and the place of its page.
constexpr const char* kIndex = EBB_SOURCE_DIR "/docs/ops.md";

void index_is_current(const std::vector<OpRow>& rows) {
  std::vector<std::string> problems;
  const std::string want = op_index(rows, EBB_SOURCE_DIR, problems);
  for (const std::string& problem : problems) ADD_FAILURE() << problem;
  std::stringstream page;
  page << std::ifstream(kIndex).rdbuf();
  std::istringstream current(page.str()), right(want);
  std::string a, b;
  while (std::getline(current, a) && std::getline(right, b) && a == b) continue;
  if (page.str() != want) {
    ADD_FAILURE() << "docs/ops.md is stale: cmake --build BUILD --target ops_index writes it.\n"
                  << "page:    " << a << "\nsources: " << b;
  }
}

// Writes docs/ops.md. Returns the exit status.
int write_index() {
  std::vector<std::string> problems;
  const std::string page = op_index(all_rows(), EBB_SOURCE_DIR, problems);
  for (const std::string& problem : problems) std::cerr << problem << "\n";
  std::ofstream(kIndex) << page;
  std::cout << kIndex << ": written, " << problems.size() << " problems\n";
  return problems.empty() ? 0 : 1;
}

void register_all() {
  static const std::vector<OpRow> rows = all_rows();
  for (const OpRow& row : rows) register_row(row, Device::cpu());
  const std::string why = no_cuda();
  if (why.empty()) {
    for (const OpRow& row : rows) register_row(row, Device::cuda());
  } else {
    add_test("cuda/no_device",
             [why] { GTEST_SKIP() << why << ": " << rows.size() << " rows not run on a GPU"; });
  }
  add_test("every_op_has_a_row", [] { every_op_has_a_row(rows); });
  add_test("index", [] { index_is_current(rows); });
}

}  // namespace
}  // namespace ebb::test

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (argc == 2 && std::string_view(argv[1]) == "--write-index") return ebb::test::write_index();
  ebb::test::register_all();
  return RUN_ALL_TESTS();
}
