#include "weights/gguf_type.h"

namespace abyssal {

namespace {

struct Numbered {
  std::uint32_t number;
  GgufType type;
};

// A number that is missing here was withdrawn, or is younger than this list.
constexpr Numbered kTypes[] = {
    {0, {"F32", ABY_DTYPE_F32, {1, 4}}},          {1, {"F16", ABY_DTYPE_F16, {1, 2}}},
    {2, {"Q4_0", ABY_DTYPE_Q4_0, {32, 18}}},      {3, {"Q4_1", ABY_DTYPE_Q4_1, {32, 20}}},
    {6, {"Q5_0", ABY_DTYPE_Q5_0, {32, 22}}},      {7, {"Q5_1", ABY_DTYPE_Q5_1, {32, 24}}},
    {8, {"Q8_0", ABY_DTYPE_Q8_0, {32, 34}}},      {9, {"Q8_1", ABY_DTYPE_AUTO, {32, 40}}},
    {10, {"Q2_K", ABY_DTYPE_Q2_K, {256, 84}}},    {11, {"Q3_K", ABY_DTYPE_Q3_K, {256, 110}}},
    {12, {"Q4_K", ABY_DTYPE_Q4_K, {256, 144}}},   {13, {"Q5_K", ABY_DTYPE_Q5_K, {256, 176}}},
    {14, {"Q6_K", ABY_DTYPE_Q6_K, {256, 210}}},   {15, {"Q8_K", ABY_DTYPE_AUTO, {256, 292}}},
    {16, {"IQ2_XXS", ABY_DTYPE_AUTO, {256, 66}}}, {17, {"IQ2_XS", ABY_DTYPE_AUTO, {256, 74}}},
    {18, {"IQ3_XXS", ABY_DTYPE_AUTO, {256, 98}}}, {19, {"IQ1_S", ABY_DTYPE_AUTO, {256, 50}}},
    {20, {"IQ4_NL", ABY_DTYPE_IQ4_NL, {32, 18}}}, {21, {"IQ3_S", ABY_DTYPE_AUTO, {256, 110}}},
    {22, {"IQ2_S", ABY_DTYPE_AUTO, {256, 82}}},   {23, {"IQ4_XS", ABY_DTYPE_IQ4_XS, {256, 136}}},
    {24, {"I8", ABY_DTYPE_I8, {1, 1}}},           {25, {"I16", ABY_DTYPE_AUTO, {1, 2}}},
    {26, {"I32", ABY_DTYPE_I32, {1, 4}}},         {27, {"I64", ABY_DTYPE_I64, {1, 8}}},
    {28, {"F64", ABY_DTYPE_AUTO, {1, 8}}},        {29, {"IQ1_M", ABY_DTYPE_AUTO, {256, 56}}},
    {30, {"BF16", ABY_DTYPE_BF16, {1, 2}}},       {34, {"TQ1_0", ABY_DTYPE_AUTO, {256, 54}}},
    {35, {"TQ2_0", ABY_DTYPE_AUTO, {256, 66}}},   {39, {"MXFP4", ABY_DTYPE_MXFP4, {32, 17}}},
    {40, {"NVFP4", ABY_DTYPE_AUTO, {64, 36}}},
};

} // namespace

const GgufType *gguf_type(std::uint32_t number) noexcept {
  for (const Numbered &known : kTypes) {
    if (known.number == number)
      return &known.type;
  }
  return nullptr;
}

} // namespace abyssal
