// What the deferred backend is for: nothing runs before stream_synchronize, and what the contract lets a caller do in
// between may be done.
#include "base/status.h"
#include "op_fixture.h"

#include <array>
#include <thread>

using namespace abyssal;
using namespace abyssal::test;

namespace {

constexpr aby_dtype kF32 = ABY_DTYPE_F32;

// out = [1, 2] [[3, 4]]^T = 11 on a device.
struct Eleven {
  explicit Eleven(OpDevice &on) : device(on), args{} {
    args.rows = 1;
    args.x = device.rows({1, 2}, 1, 2, kF32);
    args.w = device.weight(matrix_of(1, 2, {3, 4}));
    args.out = device.rows({}, 1, 1, kF32);
    device.must(device.api.stream_synchronize(device.stream), "stream_synchronize");
  }
  void queue() const { device.must(device.run(ABK_OP_LINEAR, &args), "linear"); }
  void read(float *to) const { device.must(device.api.copy_out(device.stream, to, args.out.span, 4), "copy_out"); }

  OpDevice &device;
  abk_linear_args args;
};

} // namespace

TEST_CASE("a deferred op's result is not there before the stream is synchronised") {
  OpDevice device(deferred());
  Eleven eleven(device);
  float got = -1;
  eleven.queue();
  eleven.read(&got);
  std::this_thread::yield();
  CHECK(got == -1);
  device.must(device.api.stream_synchronize(device.stream), "stream_synchronize");
  CHECK(got == 11);
}

TEST_CASE("deferred copies and ops run in order, with what they were given when they were queued") {
  OpDevice device(deferred());
  Eleven eleven(device);
  std::array<float, 2> x = {5, 6};
  std::array<float, 3> got = {-1, -1, -1};
  const abk_span out = eleven.args.out.span;
  eleven.queue();
  device.must(device.api.copy_out(device.stream, &got[0], out, 4), "copy_out");
  device.must(device.api.copy_in(device.stream, eleven.args.x.span, x.data(), 8), "copy_in");
  x = {0, 0};
  device.must(device.api.copy_out(device.stream, &got[1], out, 4), "copy_out"); // nothing was computed since
  eleven.queue();
  eleven.args = {};
  device.must(device.api.copy_out(device.stream, &got[2], out, 4), "copy_out");
  CHECK(got == std::array<float, 3>{-1, -1, -1});
  device.must(device.api.stream_synchronize(device.stream), "stream_synchronize");
  CHECK(got == std::array<float, 3>{11, 11, 39});
}

TEST_CASE("a deferred op that fails ends the queue, which is empty then") {
  OpDevice device(deferred());
  Eleven eleven(device);
  float before = -1, after = -1;
  eleven.queue();
  eleven.read(&before);
  abk_linear_args bad = eleven.args;
  bad.x.cols = 1;
  bad.x.stride = 1;
  CHECK(device.run(ABK_OP_LINEAR, &bad) == ABY_OK); // looked at when it runs
  eleven.read(&after);
  CHECK(device.api.stream_synchronize(device.stream) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(std::string(device.api.error_text()).find("linear: w") != std::string::npos);
  CHECK(before == 11);
  CHECK(after == -1);
  CHECK(device.api.stream_synchronize(device.stream) == ABY_OK);
  CHECK(after == -1); // not later either
  eleven.queue();
  eleven.read(&after);
  CHECK(device.api.stream_synchronize(device.stream) == ABY_OK);
  CHECK(after == 11);
}

TEST_CASE("the deferred backend tells what was destroyed before it ran") {
  for (const std::string what : {"buffer", "weight", "batch"}) {
    OpDevice device(deferred());
    const abk_backend &api = device.api;
    WeightData data = matrix_of(4, 2, Values(8, 1));
    data.use = ABK_USE_EMBEDDING;
    // A number that was destroyed may be destroyed again, as the fixture does: it is looked up, and not there.
    abk_buffer *buffer = nullptr;
    device.must(api.buffer_create(device.device, &buffer, 8), "buffer_create");
    abk_weight *weight = device.weight(data);
    abk_batch *batch = device.batch({{0}, {0, 1}, {0}, {0}, {}, 1, 0, 0});
    const abk_embed_args args{weight, nullptr, {{buffer, 0}, kF32, 2, 2}};
    device.must(device.run(ABK_OP_EMBED, &args, batch), "embed");
    if (what == "buffer")
      api.buffer_destroy(buffer);
    else if (what == "weight")
      api.weight_destroy(weight);
    else
      api.batch_destroy(batch);
    INFO(what);
    CHECK(api.stream_synchronize(device.stream) == ABY_ERROR_DEVICE);
    const std::string text = api.error_text();
    INFO(text);
    CHECK(text.find("embed") != std::string::npos);
    CHECK(text.find(what) != std::string::npos);
    CHECK(text.find("destroyed") != std::string::npos);
    CHECK(api.stream_synchronize(device.stream) == ABY_OK);
  }
}

TEST_CASE("the deferred backend knows handles of another device, and those that are gone") {
  OpDevice device(deferred()), other(deferred());
  Eleven eleven(device), elsewhere(other);
  for (const bool weight : {false, true}) {
    abk_linear_args args = eleven.args;
    if (weight)
      args.w = elsewhere.args.w;
    else
      args.x = elsewhere.args.x;
    CHECK(device.run(ABK_OP_LINEAR, &args) == ABY_ERROR_INVALID_ARGUMENT);
    CHECK(std::string(device.api.error_text()).find("another device") != std::string::npos);
  }
  abk_buffer *buffer = nullptr;
  device.must(device.api.buffer_create(device.device, &buffer, 8), "buffer_create");
  device.api.buffer_destroy(buffer);
  CHECK(device.api.copy_in(device.stream, {buffer, 0}, "1234", 4) == ABY_ERROR_INVALID_ARGUMENT);
}
