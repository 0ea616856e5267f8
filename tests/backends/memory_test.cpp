// Devices, buffers, copies and scratch sizes of every backend.
#include "refusals.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <numeric>
#include <thread>

using namespace abyssal;
using namespace abyssal::test;

namespace {

using Bytes = std::vector<unsigned char>;

Bytes read(OpDevice &device, abk_span span, std::size_t count) {
  Bytes bytes(count, 0xee);
  device.must(device.api.copy_out(device.stream, bytes.data(), span, count), "copy_out");
  device.must(device.api.stream_synchronize(device.stream), "stream_synchronize");
  return bytes;
}

} // namespace

TEST_CASE("a device is opened by its index") {
  for (const abk_backend *backend : backends()) {
    INFO(std::string(backend->name));
    CHECK(backend->version == ABK_VERSION);
    CHECK(backend->struct_size == sizeof(abk_backend));
    std::uint32_t count = 0;
    CHECK(backend->device_count(&count) == ABY_OK);
    CHECK(count >= 1);
    abk_device *device = nullptr;
    const abk_device_options beyond{count, 1};
    CHECK(backend->device_open(&device, &beyond) == ABY_ERROR_NOT_FOUND);
    CHECK(device == nullptr);
    CHECK(backend->device_open(nullptr, nullptr) == ABY_ERROR_INVALID_ARGUMENT);
    CHECK(backend->device_count(nullptr) == ABY_ERROR_INVALID_ARGUMENT);
    REQUIRE(backend->device_open(&device, nullptr) == ABY_OK);
    abk_device_info info{};
    CHECK(backend->device_info(device, &info) == ABY_OK);
    CHECK(std::string(info.name) != "");
    CHECK(std::string(info.isa) != "");
    CHECK(info.threads >= 1);
    CHECK(info.memory_bytes > 1 << 20);
    CHECK(backend->device_info(nullptr, &info) == ABY_ERROR_INVALID_ARGUMENT);
    CHECK(backend->device_info(device, nullptr) == ABY_ERROR_INVALID_ARGUMENT);
    backend->device_close(device);
  }
}

TEST_CASE("nothing may be destroyed, and a thread without an error has a text") {
  for (const abk_backend *backend : backends()) {
    backend->device_close(nullptr);
    backend->buffer_destroy(nullptr);
    backend->weight_destroy(nullptr);
    backend->batch_destroy(nullptr);
    backend->stream_destroy(nullptr);
    CHECK(backend->device_count(nullptr) != ABY_OK);
    std::thread([&] {
      CHECK(backend->error_text() != nullptr);
      CHECK(std::string(backend->error_text()) == "");
    }).join();
    CHECK(std::string(backend->error_text()) != "");
  }
}

TEST_CASE("a buffer is zero-filled, also where another one was") {
  on_every_backend([](OpDevice &device) {
    for (const std::size_t count : {1u, 63u, 64u, 65u, 4095u, 4096u, 4097u, 1u << 20}) {
      for (int again = 0; again < 2; ++again) {
        abk_buffer *buffer = nullptr;
        device.must(device.api.buffer_create(device.device, &buffer, count), "buffer_create");
        CHECK(read(device, {buffer, 0}, count) == Bytes(count));
        const Bytes ones(count, 0xff);
        device.must(device.api.copy_in(device.stream, {buffer, 0}, ones.data(), count), "copy_in");
        CHECK(read(device, {buffer, 0}, count) == ones);
        device.api.buffer_destroy(buffer);
      }
    }
  });
}

TEST_CASE("a buffer of no bytes, and sizes that no machine has") {
  on_every_backend([](OpDevice &device) {
    const abk_span none = device.buffer(0);
    unsigned char byte = 7;
    CHECK(device.outcome(device.api.copy_in(device.stream, none, &byte, 0)) == ABY_OK);
    CHECK(device.outcome(device.api.copy_out(device.stream, &byte, none, 0)) == ABY_OK);
    CHECK(device.outcome(device.api.copy_in(device.stream, none, &byte, 1)) == ABY_ERROR_INVALID_ARGUMENT);
    CHECK(byte == 7);
    constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
    for (const std::uint64_t bytes : {std::uint64_t{1} << 47, std::uint64_t{1} << 62, kMost / 2, kMost / 2 - 4096,
                                      kMost / 2 + 1, kMost - 4096, kMost}) {
      INFO(bytes, " bytes");
      abk_buffer *buffer = none.buffer;
      CHECK(device.api.buffer_create(device.device, &buffer, bytes) == ABY_ERROR_NO_MEMORY);
      CHECK(buffer == none.buffer);
      CHECK(std::string(device.api.error_text()).find("bytes") != std::string::npos);
    }
    CHECK(device.api.buffer_create(device.device, nullptr, 1) == ABY_ERROR_INVALID_ARGUMENT);
    abk_buffer *buffer = nullptr;
    CHECK(device.api.buffer_create(nullptr, &buffer, 1) == ABY_ERROR_INVALID_ARGUMENT);
  });
}

TEST_CASE("copies go where they are told, from memory that may be overwritten at once") {
  on_every_backend([](OpDevice &device) {
    Bytes bytes(256);
    std::iota(bytes.begin(), bytes.end(), static_cast<unsigned char>(0));
    const Bytes original = bytes;
    const abk_span a = device.buffer(256), b = device.buffer(300);
    device.must(device.api.copy_in(device.stream, a, bytes.data(), bytes.size()), "copy_in");
    std::fill(bytes.begin(), bytes.end(), static_cast<unsigned char>(9));
    device.must(device.api.copy(device.stream, {b.buffer, 33}, {a.buffer, 7}, 101), "copy");
    device.must(device.api.copy(device.stream, {a.buffer, 0}, {a.buffer, 128}, 128), "copy"); // side by side
    Bytes expected(300);
    std::copy_n(original.begin() + 7, 101, expected.begin() + 33);
    CHECK(read(device, b, 300) == expected);
    Bytes halves(original.begin() + 128, original.end());
    halves.insert(halves.end(), original.begin() + 128, original.end());
    CHECK(read(device, a, 256) == halves);
    CHECK(read(device, {a.buffer, 255}, 1) == Bytes{255});
  });
}

TEST_CASE("copies beyond a buffer are refused and change nothing") {
  on_every_backend([](OpDevice &device) {
    constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
    const Bytes before(100, 5);
    const abk_span a = device.buffer(100), b = device.buffer(100);
    for (const abk_span span : {a, b})
      device.must(device.api.copy_in(device.stream, span, before.data(), 100), "copy_in");
    Bytes host(200, 6);
    struct Range {
      std::uint64_t offset, bytes;
    };
    for (const Range &r : {Range{0, 101},
                           {1, 100},
                           {99, 2},
                           {100, 1},
                           {101, 1},
                           {kMost, 1},
                           {kMost, 2},
                           {50, kMost},
                           {0, kMost},
                           {kMost - 49, 100}}) {
      INFO(r.bytes, " bytes at ", r.offset);
      const abk_span span{a.buffer, r.offset};
      expect_refusal(device, device.outcome(device.api.copy_in(device.stream, span, host.data(), r.bytes)),
                     "copy_in: to");
      expect_refusal(device, device.outcome(device.api.copy_out(device.stream, host.data(), span, r.bytes)),
                     "copy_out: from");
      expect_refusal(device, device.outcome(device.api.copy(device.stream, b, span, r.bytes)), "copy: ");
      expect_refusal(device, device.outcome(device.api.copy(device.stream, span, b, r.bytes)), "copy: ");
    }
    CHECK(host == Bytes(200, 6));
    CHECK(read(device, a, 100) == before);
    CHECK(read(device, b, 100) == before);
  });
}

TEST_CASE("copies without a buffer, memory or a stream, and onto themselves, are refused") {
  on_every_backend([](OpDevice &device) {
    const abk_backend &api = device.api;
    const abk_span a = device.buffer(100);
    unsigned char byte = 3;
    expect_refusal(device, device.outcome(api.copy_in(device.stream, {}, &byte, 1)), "copy_in: to");
    expect_refusal(device, device.outcome(api.copy_in(device.stream, a, nullptr, 1)), "copy_in: from");
    expect_refusal(device, device.outcome(api.copy_out(device.stream, &byte, {}, 1)), "copy_out: from");
    expect_refusal(device, device.outcome(api.copy_out(device.stream, nullptr, a, 1)), "copy_out: to");
    expect_refusal(device, device.outcome(api.copy(device.stream, {}, a, 1)), "copy: to");
    expect_refusal(device, device.outcome(api.copy(device.stream, a, {}, 1)), "copy: from");
    expect_refusal(device, api.copy_in(nullptr, a, &byte, 1), "copy_in: stream");
    expect_refusal(device, api.copy_out(nullptr, &byte, a, 1), "copy_out: stream");
    expect_refusal(device, api.copy(nullptr, a, a, 1), "copy: stream");
    expect_refusal(device, api.stream_synchronize(nullptr), "stream_synchronize: stream");
    expect_refusal(device, device.outcome(api.copy(device.stream, a, {a.buffer, 9}, 10)), "overlap");
    expect_refusal(device, device.outcome(api.copy(device.stream, {a.buffer, 9}, a, 10)), "overlap");
    expect_refusal(device, device.outcome(api.copy(device.stream, a, a, 1)), "overlap");
    CHECK(device.outcome(api.copy(device.stream, a, {a.buffer, 10}, 10)) == ABY_OK);
    CHECK(byte == 3);
    abk_stream *stream = device.stream;
    CHECK(api.stream_create(nullptr, &stream) == ABY_ERROR_INVALID_ARGUMENT);
    CHECK(stream == device.stream);
    CHECK(api.stream_create(device.device, nullptr) == ABY_ERROR_INVALID_ARGUMENT);
  });
}

TEST_CASE("scratch for more is never less") {
  using Size = std::int32_t abk_op_desc::*;
  const std::vector<Size> sizes = {
      &abk_op_desc::rows,    &abk_op_desc::context,  &abk_op_desc::hidden,   &abk_op_desc::inter,
      &abk_op_desc::vocab,   &abk_op_desc::experts,  &abk_op_desc::top_k,    &abk_op_desc::heads,
      &abk_op_desc::q_lora,  &abk_op_desc::kv_heads, &abk_op_desc::head_dim, &abk_op_desc::kv_lora,
      &abk_op_desc::qk_nope, &abk_op_desc::rope_dim, &abk_op_desc::v_dim,    &abk_op_desc::shared_inter};
  on_every_backend([&](OpDevice &device) {
    for (abk_op op = ABK_OP_EMBED; op <= ABK_OP_LOGITS; ++op) {
      abk_op_desc desc{};
      desc.op = op;
      for (const Size size : sizes)
        desc.*size = 10;
      std::uint64_t least = 0;
      device.must(device.api.supports(device.device, &desc, &least), "supports");
      for (const Size size : sizes) {
        abk_op_desc more = desc;
        more.*size = 100;
        std::uint64_t bytes = 0;
        device.must(device.api.supports(device.device, &more, &bytes), "supports");
        CHECK(bytes >= least);
      }
    }
    std::uint64_t bytes = 77;
    for (const abk_op op : {-1, ABK_OP_LOGITS + 1}) {
      abk_op_desc desc{};
      desc.op = op;
      CHECK(device.api.supports(device.device, &desc, &bytes) == ABY_ERROR_UNSUPPORTED);
      CHECK(std::string(device.api.error_text()).find("has no op " + std::to_string(op)) != std::string::npos);
      CHECK(device.run(op, &desc) == ABY_ERROR_UNSUPPORTED);
    }
    const abk_op_desc desc{};
    CHECK(device.api.supports(nullptr, &desc, &bytes) == ABY_ERROR_INVALID_ARGUMENT);
    CHECK(device.api.supports(device.device, nullptr, &bytes) == ABY_ERROR_INVALID_ARGUMENT);
    CHECK(device.api.supports(device.device, &desc, nullptr) == ABY_ERROR_INVALID_ARGUMENT);
    CHECK(bytes == 77);
  });
}

TEST_CASE("host memory as a buffer: nothing is copied, and it is not freed with the buffer") {
  on_every_backend([](OpDevice &device) {
    if (device.api.buffer_wrap == nullptr)
      return;
    std::array<float, 4> memory = {1, 2, 3, 4};
    abk_buffer *buffer = nullptr;
    device.must(device.api.buffer_wrap(device.device, &buffer, memory.data(), sizeof memory), "buffer_wrap");
    const float five = 5;
    device.must(device.api.copy_in(device.stream, {buffer, 4}, &five, 4), "copy_in");
    device.must(device.api.stream_synchronize(device.stream), "stream_synchronize");
    CHECK(memory == std::array<float, 4>{1, 5, 3, 4});
    CHECK(device.api.copy_in(device.stream, {buffer, 13}, &five, 4) == ABY_ERROR_INVALID_ARGUMENT);
    device.api.buffer_destroy(buffer);
    CHECK(memory[3] == 4);
    CHECK(device.api.buffer_wrap(device.device, &buffer, nullptr, 4) == ABY_ERROR_INVALID_ARGUMENT);
  });
}

TEST_CASE("an argument at an address that its elements cannot have is refused") {
  OpDevice device(reference());
  std::array<float, 4> memory{};
  abk_buffer *buffer = nullptr;
  device.must(device.api.buffer_wrap(device.device, &buffer, reinterpret_cast<std::byte *>(memory.data()) + 1, 8),
              "buffer_wrap");
  abk_norm_add_args args{};
  args.rows = 1;
  args.residual = {{buffer, 0}, ABY_DTYPE_F32, 1, 1};
  expect_refusal(device, device.run(ABK_OP_NORM_ADD, &args), "norm_add: residual: the address");
  device.api.buffer_destroy(buffer);
}

TEST_CASE("a backend tells the size of a cached row, and reads rows") {
  on_every_backend([](OpDevice &device) {
    const auto bytes = [&](abk_cache_desc desc) {
      std::uint64_t size = 0;
      device.must(device.api.cache_row_bytes(device.device, &desc, &size), "cache_row_bytes");
      return size;
    };
    CHECK(bytes({ABK_CACHE_LATENT, ABY_DTYPE_F32, 1, 512, 64}) == 576 * 4);
    CHECK(bytes({ABK_CACHE_LATENT, ABY_DTYPE_BF16, 1, 512, 64}) == 576 * 2);
    CHECK(bytes({ABK_CACHE_HEADS, ABY_DTYPE_BF16, 8, 128, 0}) == 1024 * 2);
    std::uint64_t size = 77;
    const abk_cache_desc unknown = {ABK_CACHE_HEADS + 1, ABY_DTYPE_F32, 1, 8, 0};
    CHECK(device.api.cache_row_bytes(device.device, &unknown, &size) == ABY_ERROR_UNSUPPORTED);
    const abk_cache_desc half = {ABK_CACHE_HEADS, ABY_DTYPE_F16, 1, 8, 0};
    CHECK(device.api.cache_row_bytes(device.device, &half, &size) == ABY_ERROR_UNSUPPORTED);
    CHECK(size == 77);

    const abk_cache_desc desc = {ABK_CACHE_LATENT, ABY_DTYPE_BF16, 1, 2, 1};
    const abk_span rows = device.array({1, 2, 3, 4, 5, 6, 7, 8, 9}, ABY_DTYPE_BF16);
    std::array<float, 6> got{};
    device.must(device.api.cache_read(device.stream, &desc, got.data(), {rows.buffer, rows.offset + 6}, 2),
                "cache_read");
    device.must(device.api.stream_synchronize(device.stream), "stream_synchronize");
    CHECK(got == std::array<float, 6>{4, 5, 6, 7, 8, 9});
    const aby_status beyond =
        device.outcome(device.api.cache_read(device.stream, &desc, got.data(), {rows.buffer, rows.offset + 6}, 3));
    CHECK(beyond == ABY_ERROR_INVALID_ARGUMENT);
  });
}
