// How the tests of bad arguments ask: one op, good arguments, one change at a time.
#pragma once

#include "op_fixture.h"

#include <functional>

namespace abyssal::test {

// What was called must have been refused, with a text that holds `text`.
inline void expect_refusal(const OpDevice &device, aby_status status, const std::string &text) {
  INFO("expected: ", text);
  CHECK(status == ABY_ERROR_INVALID_ARGUMENT);
  const std::string got = device.api.error_text();
  INFO("got: ", got);
  CHECK(got.find(text) != std::string::npos);
}

template <typename Test> void on_every_backend(Test &&test) {
  for (const abk_backend *backend : backends()) {
    INFO(std::string(backend->name));
    OpDevice device(backend);
    test(device);
  }
}

// One op with good arguments, and what is said when they are changed.
template <typename Args> class Refusals {
public:
  using Op = std::function<aby_status(const Args *)>;
  Refusals(OpDevice &device, std::string op, Op call, const Args &good)
      : device_(device), op_(std::move(op)), call_(std::move(call)), good_(good) {
    must_work();
    refused(nullptr, op_ + ": args");
  }

  // text: what the message must hold; it begins with the op's name.
  template <typename Change> void expect(const std::string &text, Change &&change) {
    Args args = good_;
    change(args);
    refused(&args, op_ + ": " + text);
    must_work();
  }

private:
  void must_work() {
    const aby_status status = device_.outcome(call_(&good_));
    INFO(op_, " with good arguments");
    if (status != ABY_OK)
      FAIL_CHECK(device_.api.error_text());
  }
  void refused(const Args *args, const std::string &text) {
    expect_refusal(device_, device_.outcome(call_(args)), text);
  }

  OpDevice &device_;
  std::string op_;
  Op call_;
  Args good_;
};

// Changes that are wrong for any rows of an op: `name` is the argument, at() gives it.
template <typename Args, typename At>
void expect_rows_checked(Refusals<Args> &refusals, const std::string &name, At &&at, bool always_f32 = false) {
  refusals.expect(name, [&](Args &a) { at(a).stride = at(a).cols - 1; });
  refusals.expect(name, [&](Args &a) { at(a).stride = std::int64_t{1} << 62; });
  refusals.expect(name, [&](Args &a) { at(a).stride = -1; });
  refusals.expect(name, [&](Args &a) { at(a).dtype = ABY_DTYPE_F16; });
  refusals.expect(name, [&](Args &a) { at(a).span.offset = std::uint64_t{1} << 40; });
  refusals.expect(name, [&](Args &a) { at(a).span.offset = ~std::uint64_t{3}; });
  refusals.expect(name, [&](Args &a) { at(a).span.offset += 4; }); // the last row sticks out
  refusals.expect(name, [&](Args &a) { at(a).span.offset -= 1; }); // not a multiple of the element
  if (always_f32)
    refusals.expect(name, [&](Args &a) { at(a).dtype = ABY_DTYPE_BF16; });
}

template <typename Args, typename At>
void expect_cols_checked(Refusals<Args> &refusals, const std::string &name, At &&at) {
  refusals.expect(name, [&](Args &a) {
    at(a).cols += 1;
    at(a).stride += 1;
  });
  refusals.expect(name, [&](Args &a) { at(a).cols -= 1; });
  refusals.expect(name, [&](Args &a) { at(a).cols = -1; });
}

template <typename Args, typename At> void expect_buffer(Refusals<Args> &refusals, const std::string &name, At &&at) {
  refusals.expect(name, [&](Args &a) { at(a).buffer = nullptr; });
}

// Small weights, copied when they are uploaded: they need not live any longer.
inline WeightData copied(WeightData data) {
  data.borrowed = false;
  return data;
}
inline WeightData some_matrix(std::int64_t n, std::int64_t k, std::int64_t count = 1) {
  Random random(2);
  return copied(random_matrix(random, n, k, count, {}));
}
inline WeightData some_vector(std::int64_t n) {
  Random random(3);
  return copied(random_vector(random, n, 0, 1));
}
inline WeightData some_kv_b(std::int32_t heads, std::int32_t nope, std::int32_t v, std::int64_t kv_lora) {
  Random random(4);
  return copied(random_kv_b(random, heads, nope, v, kv_lora, {}));
}

// The weights that ops of width 8 are given in place of the right one.
struct Wrong {
  explicit Wrong(OpDevice &device)
      : matrix(device.weight(some_matrix(3, 5))), stack(device.weight(some_matrix(8, 8, 3))),
        vector(device.weight(some_vector(8))), short_vector(device.weight(some_vector(7))),
        kv_b(device.weight(some_kv_b(1, 4, 4, 8))) {}
  abk_weight *matrix, *stack, *vector, *short_vector, *kv_b;
};

enum class Kind { kMatrix, kOptionalVector, kVector };

// at: a member of the arguments that is a weight.
template <typename Args>
void expect_weight_checked(Refusals<Args> &refusals, const Wrong &wrong, const std::string &name,
                           const abk_weight *Args::*at, Kind kind = Kind::kMatrix) {
  const auto expect = [&](const abk_weight *weight) { refusals.expect(name, [&](Args &a) { a.*at = weight; }); };
  if (kind != Kind::kOptionalVector)
    expect(nullptr);
  expect(wrong.matrix);
  expect(wrong.stack);
  expect(wrong.kv_b);
  expect(kind == Kind::kMatrix ? wrong.vector : wrong.short_vector);
}

// One byte less than what is asked for. A backend that asks for none is not tried.
template <typename Args> void expect_scratch_checked(OpDevice &device, Refusals<Args> &refusals, abk_op_desc desc) {
  std::uint64_t bytes = 0;
  device.must(device.api.supports(device.device, &desc, &bytes), "supports");
  if (bytes == 0)
    return;
  const abk_span small = device.buffer(bytes - 1);
  refusals.expect("scratch", [&](Args &a) { a.scratch = small; });
  refusals.expect("scratch", [&](Args &a) { a.scratch = {}; });
  refusals.expect("scratch", [&](Args &a) { a.scratch.offset += 64; });
}

inline abk_rows some_rows(OpDevice &device, std::int64_t cols, std::int64_t count = 3) {
  return device.rows(Values(static_cast<std::size_t>(count * cols), 0.5), count, cols, ABY_DTYPE_F32);
}

// An op as a function of its arguments only.
inline auto on_stream(OpDevice &device, abk_op op, const abk_batch *batch = nullptr) {
  return [&device, op, batch](const void *args) { return device.run(op, args, batch); };
}

inline abk_batch *some_batch(OpDevice &device, std::int32_t rope_dim) {
  Random random(4);
  return device.batch(make_batch(random, {{62, 2}, {0, 1}}, rope_dim, 10));
}

} // namespace abyssal::test
