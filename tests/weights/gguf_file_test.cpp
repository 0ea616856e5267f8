// The GGUF reader on good files and on every kind of damage.
#include "base/status.h"
#include "support/gguf_builder.h"
#include "weights/gguf_file.h"
#include "weights/gguf_type.h"

#include <doctest/doctest.h>

#include <random>

using namespace abyssal;
using namespace test;

namespace {

GgufBuilder good() {
  GgufBuilder builder;
  builder.text("general.architecture", "llama")
      .u32("a.u32", 7)
      .f32("a.f32", 0.5f)
      .boolean("a.bool", 1)
      .entry("a.texts", kGgufArray,
             Bytes().number<std::uint32_t>(kGgufText).number<std::uint64_t>(2).text("x").text("yz").get())
      .entry("a.numbers", kGgufArray,
             Bytes().number<std::uint32_t>(5).number<std::uint64_t>(3).number(1).number(-2).number(3).get());
  builder.floats("one", {3, 2}).tensor("two", {32, 4}, 8, std::string(4 * 34, '\1')).floats("three", {5});
  return builder;
}

// What opening these bytes throws; OK if nothing.
Error failure(const std::string &bytes) {
  const TemporaryFolder folder("gguf");
  const std::string path = folder.write("model.gguf", bytes);
  try {
    GgufFile::open(path);
  } catch (const Error &error) {
    return error;
  }
  return {ABY_OK, "opened"};
}

void refused(const std::string &bytes, const std::vector<std::string> &parts, aby_status status = ABY_ERROR_FORMAT) {
  const Error error = failure(bytes);
  INFO(error.text());
  CHECK(error.status() == status);
  CHECK(error.text().find("model.gguf") != std::string::npos);
  for (const std::string &part : parts) {
    INFO(part);
    CHECK(error.text().find(part) != std::string::npos);
  }
}

void refused(const GgufBuilder &builder, const std::vector<std::string> &parts, aby_status status = ABY_ERROR_FORMAT) {
  refused(builder.bytes(), parts, status);
}

std::string array(std::uint32_t type, std::uint64_t count) { return Bytes().number(type).number(count).get(); }

} // namespace

TEST_CASE("a good file: metadata by type, tensors rows first, data in place") {
  const TemporaryFolder folder("gguf");
  const auto file = GgufFile::open(folder.write("model.gguf", good().bytes()));
  const GgufMetadata &m = file->metadata();
  CHECK(m.text("general.architecture") == "llama");
  CHECK(m.integer("a.u32") == 7);
  CHECK(m.number("a.u32") == 7.0);
  CHECK(m.number("a.f32") == 0.5);
  CHECK(m.boolean("a.bool") == true);
  CHECK(*m.texts("a.texts") == std::vector<std::string_view>{"x", "yz"});
  CHECK(*m.integers("a.numbers") == std::vector<std::int64_t>{1, -2, 3});
  CHECK_FALSE(m.integer("absent").has_value());
  CHECK_FALSE(m.texts("absent").has_value());

  REQUIRE(file->tensors().size() == 3);
  const GgufTensor &one = file->tensors()[0], &two = file->tensors()[1];
  CHECK(one.view.shape == std::vector<std::int64_t>{2, 3});
  CHECK(load_as_float(one.view.data, one.view.dtype, 5) == 5.0f);
  CHECK(two.view.dtype == ABY_DTYPE_Q8_0);
  CHECK(two.view.bytes == 136);
  CHECK(two.offset % 32 == 0);
  CHECK(std::string(two.stored) == "Q8_0");
}

TEST_CASE("version 2, no tensors, another alignment, types that are only named") {
  GgufBuilder builder = good();
  builder.version = 2;
  CHECK(failure(builder.bytes()).status() == ABY_OK);
  CHECK(failure(GgufBuilder().bytes()).status() == ABY_OK);
  GgufBuilder wide;
  wide.alignment = 128;
  wide.u32("general.alignment", 128).floats("one", {3}).floats("two", {3});
  CHECK(failure(wide.bytes()).status() == ABY_OK);
  CHECK(failure(GgufBuilder().tensor("t", {256}, 16, std::string(66, 'x')).bytes()).status() == ABY_OK);
}

TEST_CASE("sizes of blocks are those of the types") {
  int read = 0;
  for (std::uint32_t number = 0; number < 64; ++number) {
    const GgufType *type = gguf_type(number);
    if (type == nullptr || type->dtype == ABY_DTYPE_AUTO)
      continue;
    ++read;
    CHECK(type->block.elements == dtype_block(type->dtype).elements);
    CHECK(type->block.bytes == dtype_block(type->dtype).bytes);
  }
  CHECK(read == 19);
}

TEST_CASE("what is no GGUF file of a version that is read") {
  refused("", {"magic", "0"});
  refused("GGU", {"magic"});
  refused("XGUF" + good().bytes().substr(4), {"does not begin with"});
  GgufBuilder builder = good();
  for (const std::uint32_t version : {0u, 1u, 4u, 0x7fffffffu}) {
    builder.version = version;
    refused(builder, {"version " + std::to_string(version)}, ABY_ERROR_UNSUPPORTED);
  }
  builder.version = __builtin_bswap32(3);
  refused(builder, {"big-endian", "version 3"}, ABY_ERROR_UNSUPPORTED);
}

TEST_CASE("every truncation of the header is refused, and names the file and an offset") {
  const std::string bytes = good().bytes();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const Error error = failure(bytes.substr(0, size));
    INFO(size << ": " << error.text());
    REQUIRE(error.status() == ABY_ERROR_FORMAT);
    REQUIRE(error.text().find("model.gguf") != std::string::npos);
    REQUIRE(error.text().find("offset") != std::string::npos);
  }
}

TEST_CASE("wild counts and lengths") {
  for (const std::int64_t extra : {std::int64_t{1}, std::int64_t{1000}, std::int64_t{1} << 40, std::int64_t{-10}}) {
    GgufBuilder tensors = good(), entries = good();
    tensors.extra_tensors = extra;
    entries.extra_entries = extra;
    CHECK(failure(tensors.bytes()).status() != ABY_OK);
    CHECK(failure(entries.bytes()).status() != ABY_OK);
  }
  for (const std::uint64_t count :
       {std::uint64_t{100}, std::uint64_t{1} << 32, std::uint64_t{1} << 61, ~std::uint64_t{0}}) {
    for (const std::uint32_t type : {0u, 5u, 8u, 10u, 12u})
      refused(GgufBuilder().entry("wild", kGgufArray, array(type, count)), {"key wild", "offset"});
    refused(GgufBuilder().entry("wild", kGgufText, Bytes().number(count).get()), {"key wild", "offset"});
    refused(GgufBuilder().raw_entry(Bytes().number(count).get()), {"metadata entry 0", "offset"});
  }
}

TEST_CASE("types and values that there are not") {
  refused(GgufBuilder().entry("odd", 13, ""), {"key odd", "number 13"});
  refused(GgufBuilder().entry("odd", kGgufArray, array(77, 0)), {"key odd", "number 77"});
  refused(GgufBuilder().entry("odd", kGgufArray, array(kGgufArray, 1)), {"key odd", "array of arrays"});
  refused(GgufBuilder().boolean("odd", 2), {"key odd", "boolean is 2"});
  refused(GgufBuilder().u32("odd", 1).u32("odd", 1), {"key odd", "twice"});
  refused(GgufBuilder().u32(std::string(70000, 'k'), 1), {"length 70000"});
}

TEST_CASE("metadata of another type than is asked for") {
  const TemporaryFolder folder("gguf");
  const auto file = GgufFile::open(folder.write("model.gguf", good().u64("a.u64", ~std::uint64_t{0}).bytes()));
  const GgufMetadata &m = file->metadata();
  const auto check = [&](const auto &read, const std::string &key, const std::string &part) {
    try {
      read();
      CHECK(part == "");
    } catch (const Error &error) {
      INFO(error.text());
      CHECK(error.status() == ABY_ERROR_FORMAT);
      CHECK(error.text().find("model.gguf: key " + key + " (offset ") != std::string::npos);
      CHECK(error.text().find(part) != std::string::npos);
    }
  };
  check([&] { m.integer("a.f32"); }, "a.f32", "f32; expected a whole number");
  check([&] { m.integer("a.texts"); }, "a.texts", "array of text; expected a whole number");
  check([&] { m.number("a.bool"); }, "a.bool", "bool; expected a number");
  check([&] { m.boolean("a.u32"); }, "a.u32", "expected a boolean");
  check([&] { m.text("a.u32"); }, "a.u32", "expected a text");
  check([&] { m.texts("a.numbers"); }, "a.numbers", "expected an array of texts");
  check([&] { m.texts("a.u32"); }, "a.u32", "expected an array of texts");
  check([&] { m.integers("a.texts"); }, "a.texts", "expected an array of whole numbers");
  check([&] { m.integer("a.u64"); }, "a.u64", "18446744073709551615");
}

TEST_CASE("alignments that are none") {
  for (const std::uint32_t alignment : {0u, 1u, 3u, 4u, 24u, 33u, 1u << 21, 0x80000000u})
    refused(GgufBuilder().u32("general.alignment", alignment), {"general.alignment", std::to_string(alignment)});
  refused(GgufBuilder().u64("general.alignment", std::uint64_t{1} << 40), {"general.alignment", "1099511627776"});
  refused(GgufBuilder().text("general.alignment", "32"), {"general.alignment", "whole number"});
}

TEST_CASE("tensors that contradict themselves, the file or each other") {
  const std::string data(1024, 'x');
  refused(GgufBuilder().tensor("t", {}, 0, data), {"tensor t", "0 dimensions"});
  refused(GgufBuilder().tensor("t", {1, 1, 1, 1, 1}, 0, data), {"tensor t", "5 dimensions"});
  refused(GgufBuilder().tensor("t", {0}, 0, data), {"tensor t", "dimension 0 is 0"});
  refused(GgufBuilder().tensor("t", {4, ~std::uint64_t{0}}, 0, data), {"tensor t", "dimension 1"});
  refused(GgufBuilder().tensor("t", {1u << 30, 1u << 30, 1u << 30}, 0, data), {"tensor t", "overflows"});
  refused(GgufBuilder().tensor("t", {31}, 8, data), {"tensor t", "rows of 31", "Q8_0", "32"});
  refused(GgufBuilder().tensor("t", {128}, 12, data), {"tensor t", "rows of 128", "Q4_K", "256"});
  refused(GgufBuilder().tensor("t", {4}, 57, data), {"tensor t", "number 57"}, ABY_ERROR_UNSUPPORTED);
  refused(GgufBuilder().tensor("t", {257}, 0, data), {"tensor t", "1028 bytes", "exceed"});
  refused(GgufBuilder().tensor_at("t", {4}, 0, 8, data), {"tensor t", "offset 8", "aligned to 32"});
  for (const std::uint64_t offset : {std::uint64_t{1} << 20, std::uint64_t{1} << 63, ~std::uint64_t{31}})
    refused(GgufBuilder().tensor_at("t", {4}, 0, offset, data), {"tensor t", "exceed"});
  refused(GgufBuilder().floats("t", {4}).floats("t", {4}), {"tensor t", "twice"});
  refused(GgufBuilder().tensor_at("a", {64}, 0, 0, data).tensor_at("b", {4}, 0, 64), {"tensor b", "overlaps tensor a"});
  refused(GgufBuilder().tensor_at("a", {4}, 0, 0, data).tensor_at("b", {4}, 0, 0), {"overlaps"});
  refused(GgufBuilder().floats(std::string(2000, 'n'), {4}), {"tensor 0", "2000"});
}

TEST_CASE("any change of bytes is read or refused, never more") {
  const std::string whole = good().bytes();
  std::mt19937 random(1);
  int opened = 0;
  constexpr int kRounds = 3000;
  for (int i = 0; i < kRounds; ++i) {
    std::string bytes = whole;
    for (unsigned n = 0; n <= random() % 4; ++n)
      bytes[random() % bytes.size()] = static_cast<char>(random() % 3 == 0 ? 0xff : random());
    const aby_status status = failure(bytes).status();
    CHECK((status == ABY_OK || status == ABY_ERROR_FORMAT || status == ABY_ERROR_UNSUPPORTED));
    opened += status == ABY_OK ? 1 : 0;
  }
  CHECK(opened > 0);
  CHECK(opened < kRounds);
}
