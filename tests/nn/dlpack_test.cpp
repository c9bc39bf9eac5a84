// DLPack structs, made by hand. tests/interop exchanges tensors with NumPy and PyTorch.
#include "ebb/nn/interop/dlpack.h"

#include <gtest/gtest.h>

#include "files.h"

namespace ebb {
namespace {

using namespace dlpack;
using test::expect_error;

// A struct around numbers of this test. It counts the calls of its deleter.
template <class Managed> struct Foreign {
  float values[6] = {0, 1, 2, 3, 4, 5};
  int64_t shape[9] = {2, 3, 1, 1, 1, 1, 1, 1, 1}, strides[9] = {3, 1, 1, 1, 1, 1, 1, 1, 1};
  int deletions = 0;
  Managed managed{};

  Foreign() {
    if constexpr (requires { managed.version; }) managed.version = {1, 0};
    managed.dl_tensor = {values, {kDLCPU, 0}, 2, {kDLFloat, 32, 1}, shape, strides, 0};
    managed.manager_ctx = this;
    managed.deleter = [](Managed* self) { ++static_cast<Foreign*>(self->manager_ctx)->deletions; };
  }
  DLTensor& tensor() { return managed.dl_tensor; }
};

template <class Managed> class DLPack : public ::testing::Test {
 protected:
  void expect_refused(const std::string& part) {
    expect_error([&] { from_dlpack(&foreign_.managed); }, "from_dlpack", {part});
    EXPECT_EQ(foreign_.deletions, 1);
  }
  Foreign<Managed> foreign_;
};
using Forms = ::testing::Types<DLManagedTensor, DLManagedTensorVersioned>;
TYPED_TEST_SUITE(DLPack, Forms);

TYPED_TEST(DLPack, ElementsAreSharedAndTheDeleterIsCalledOnceWithTheLastView) {
  auto& foreign = this->foreign_;
  {
    Tensor row;
    {
      const Tensor x = from_dlpack(&foreign.managed);
      EXPECT_EQ(x.dtype(), f32);
      EXPECT_EQ(x.shape(), Shape({2, 3}));
      EXPECT_EQ(static_cast<void*>(x.raw()), foreign.values);
      row = x[1];
      row.fill_(7);
      EXPECT_EQ(foreign.values[3], 7);
    }
    EXPECT_EQ(foreign.deletions, 0);
    EXPECT_EQ(row.to_vector<float>(), (std::vector<float>{7, 7, 7}));
  }
  EXPECT_EQ(foreign.deletions, 1);
}

TYPED_TEST(DLPack, StridesAndOffsetsAreThoseOfTheStruct) {
  auto& foreign = this->foreign_;
  foreign.shape[0] = 2;
  foreign.shape[1] = 2;
  foreign.strides[0] = 1;
  foreign.strides[1] = 3;
  foreign.tensor().byte_offset = 4;
  const Tensor x = from_dlpack(&foreign.managed);
  EXPECT_EQ(x.to_vector<float>(), (std::vector<float>{1, 4, 2, 5}));
}

TYPED_TEST(DLPack, WithoutStridesItIsRowMajor) {
  this->foreign_.tensor().strides = nullptr;
  const Tensor x = from_dlpack(&this->foreign_.managed);
  EXPECT_TRUE(x.is_contiguous());
  EXPECT_EQ(x.to_vector<float>(), (std::vector<float>{0, 1, 2, 3, 4, 5}));
}

TYPED_TEST(DLPack, TensorsWithoutDimsElementsOrADeleterAreTaken) {
  auto& foreign = this->foreign_;
  foreign.tensor().ndim = 0;
  foreign.tensor().shape = foreign.tensor().strides = nullptr;
  foreign.managed.deleter = nullptr;
  EXPECT_EQ(from_dlpack(&foreign.managed).item(), 0);
  foreign.tensor() = {nullptr, {kDLCPU, 0}, 1, {kDLFloat, 32, 1}, foreign.shape, nullptr, 0};
  foreign.shape[0] = 0;
  EXPECT_EQ(from_dlpack(&foreign.managed).numel(), 0);
  EXPECT_EQ(foreign.deletions, 0);
}

TYPED_TEST(DLPack, ElementTypesWithoutAnEquivalentAreRefused) {
  this->foreign_.tensor().dtype = {kDLBfloat, 16, 1};
  this->expect_refused("elements of type bfloat16: without a copy only float32");
}
TYPED_TEST(DLPack, VectorsAreRefused) {
  this->foreign_.tensor().dtype.lanes = 2;
  this->expect_refused("float32 in vectors");
}
TYPED_TEST(DLPack, UnknownElementTypesAreRefused) {
  this->foreign_.tensor().dtype.code = 99;
  this->expect_refused("elements of type code 32");
}
TYPED_TEST(DLPack, OtherDevicesAreRefused) {
  this->foreign_.tensor().device = {10, 0};
  this->expect_refused("device type 10");
}
TYPED_TEST(DLPack, TooManyDimsAreRefused) {
  this->foreign_.tensor().ndim = 9;
  this->expect_refused("a tensor of 9 dims: expected at most 8");
}
TYPED_TEST(DLPack, NegativeNumbersOfDimsAreRefused) {
  this->foreign_.tensor().ndim = -1;
  this->expect_refused("a tensor of -1 dims");
}
TYPED_TEST(DLPack, NegativeSizesAreRefused) {
  this->foreign_.shape[1] = -3;
  this->expect_refused("negative");
}
TYPED_TEST(DLPack, NegativeStridesAreRefused) {
  this->foreign_.strides[1] = -1;
  this->expect_refused("negative strides (3, -1)");
}
TYPED_TEST(DLPack, ShapesThatAreTooLargeAreRefused) {
  this->foreign_.shape[0] = this->foreign_.shape[1] = int64_t{1} << 40;
  this->expect_refused("too large");
}
TYPED_TEST(DLPack, StridesThatAreTooLargeAreRefused) {
  this->foreign_.strides[0] = std::numeric_limits<int64_t>::max();
  this->foreign_.shape[0] = 3;
  this->expect_refused("too large");
}
TYPED_TEST(DLPack, ElementsThatAreNotAlignedAreRefused) {
  this->foreign_.tensor().byte_offset = 2;
  this->expect_refused("not aligned to 4 bytes");
}
TYPED_TEST(DLPack, MissingShapesAndDataAreRefused) {
  this->foreign_.tensor().shape = nullptr;
  this->expect_refused("without a shape");
  this->foreign_.deletions = 0;
  this->foreign_.tensor().shape = this->foreign_.shape;
  this->foreign_.tensor().data = nullptr;
  this->expect_refused("of shape (2, 3) without data");
}

TEST(DLPackVersioned, OtherVersionsAndReadOnlyTensorsAreRefused) {
  Foreign<DLManagedTensorVersioned> foreign;
  foreign.managed.version = {2, 0};
  expect_error([&] { from_dlpack(&foreign.managed); }, "from_dlpack", {"version 2.0, expected 1"});
  foreign.managed.version = {1, 9};
  foreign.managed.flags = kReadOnly;
  expect_error([&] { from_dlpack(&foreign.managed); }, "from_dlpack", {"a read-only tensor"});
  EXPECT_EQ(foreign.deletions, 2);
  foreign.managed.flags = kIsCopied;
  EXPECT_EQ(from_dlpack(&foreign.managed).numel(), 6);
}

TEST(DLPackExport, TheStructDescribesTheTensorAndKeepsItsElements) {
  DLManagedTensorVersioned* managed = nullptr;
  {
    const Tensor base = from_data(std::vector<double>{0, 1, 2, 3, 4, 5}, {2, 3});
    managed = to_dlpack_versioned(make_view(base, {3, 2}, {1, 3}));
    EXPECT_EQ(managed->dl_tensor.data, base.raw());
  }
  const DLTensor& t = managed->dl_tensor;
  EXPECT_EQ(managed->version.major, 1u);
  EXPECT_EQ(managed->flags, 0u);
  EXPECT_EQ(t.device.device_type, kDLCPU);
  EXPECT_EQ(t.dtype.code, kDLFloat);
  EXPECT_EQ(t.dtype.bits, 64);
  ASSERT_EQ(t.ndim, 2);
  EXPECT_EQ(t.shape[0], 3);
  EXPECT_EQ(t.strides[1], 3);
  EXPECT_EQ(static_cast<const double*>(t.data)[t.strides[0] * 2 + t.strides[1]], 5);
  managed->deleter(managed);
}

TEST(DLPackExport, ATensorThatComesBackIsTheSameMemory) {
  for (const DType dtype : {f32, f64, i64, u8, boolean}) {
    const Tensor x = ones({2, 3}, dtype);
    const Tensor y = from_dlpack(to_dlpack(x)), z = from_dlpack(to_dlpack_versioned(x));
    EXPECT_EQ(y.dtype(), dtype);
    EXPECT_EQ(y.raw(), x.raw());
    EXPECT_EQ(z.raw(), x.raw());
  }
}

TEST(DLPackExport, UndefinedTensorsAndParametersAreRefused) {
  Tensor x = ones({2});
  x.requires_grad_();
  expect_error([&] { to_dlpack(x); }, "to_dlpack", {"requires grad: pass its detach()"});
  expect_error([] { to_dlpack(Tensor()); }, "to_dlpack", {"undefined"});
  expect_error([] { from_dlpack(static_cast<DLManagedTensor*>(nullptr)); }, "from_dlpack",
               {"null"});
}

}  // namespace
}  // namespace ebb
