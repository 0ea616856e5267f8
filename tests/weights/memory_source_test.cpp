#include "base/status.h"
#include "weights/memory_source.h"

#include <doctest/doctest.h>

#include <functional>

using namespace abyssal;

namespace {

const float kValues[6] = {1, 2, 3, 4, 5, 6};

aby_tensor tensor(const char *name) {
  aby_tensor made{};
  made.struct_size = sizeof made;
  made.dtype = ABY_DTYPE_F32;
  made.name = name;
  made.data = kValues;
  made.bytes = sizeof kValues;
  made.rank = 2;
  made.shape[0] = 2;
  made.shape[1] = 3;
  return made;
}

aby_status status_of(const std::function<void(aby_tensor &)> &change) {
  aby_tensor made = tensor("t");
  change(made);
  try {
    make_memory_source({&made, 1});
    return ABY_OK;
  } catch (const Error &error) {
    return error.status();
  }
}

std::shared_ptr<const TensorSource> source_of(const std::vector<aby_tensor> &tensors) {
  return make_memory_source(tensors);
}

} // namespace

TEST_CASE("tensors are copied, and found by name") {
  std::vector<float> values(6, 7.0f);
  aby_tensor made = tensor("t");
  made.data = values.data();
  const auto source = source_of({made, tensor("s")});
  values.assign(6, 0.0f);
  CHECK(source->names() == std::vector<std::string>{"s", "t"});
  CHECK(load_as_float(source->find("t")->data, ABY_DTYPE_F32, 5) == 7.0f);
  CHECK(source->find("t")->shape == std::vector<std::int64_t>{2, 3});
  CHECK(source->find("u") == nullptr);
  CHECK(source->stays_in_place("t"));
}

TEST_CASE("what cannot be a tensor is refused") {
  CHECK(status_of([](aby_tensor &) {}) == ABY_OK);
  CHECK(status_of([](aby_tensor &t) { t.name = nullptr; }) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(status_of([](aby_tensor &t) { t.name = ""; }) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(status_of([](aby_tensor &t) { t.data = nullptr; }) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(status_of([](aby_tensor &t) { t.dtype = 99; }) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(status_of([](aby_tensor &t) { t.rank = 0; }) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(status_of([](aby_tensor &t) { t.rank = 5; }) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(status_of([](aby_tensor &t) { t.shape[0] = 0; }) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(status_of([](aby_tensor &t) { t.shape[0] = INT64_MAX; }) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(status_of([](aby_tensor &t) { t.bytes -= 1; }) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK_THROWS_WITH(source_of({tensor("t"), tensor("t")}), doctest::Contains("twice"));
}

TEST_CASE("block formats: rows are whole blocks") {
  const auto with = [](std::int64_t row, std::uint64_t bytes) {
    return status_of([&](aby_tensor &t) {
      t.dtype = ABY_DTYPE_Q8_0;
      t.shape[0] = 1;
      t.shape[1] = row;
      t.bytes = bytes;
    });
  };
  CHECK(with(0, 0) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(with(16, 17) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(with(32, 32) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(with(-32, 34) == ABY_ERROR_INVALID_ARGUMENT);

  const std::vector<std::byte> block(34);
  aby_tensor made = tensor("t");
  made.dtype = ABY_DTYPE_Q8_0;
  made.data = block.data();
  made.shape[0] = 1;
  made.shape[1] = 32;
  made.bytes = block.size();
  CHECK(source_of({made})->find("t")->bytes == 34);
}

TEST_CASE("an overlay replaces by name, and lets go of what was replaced") {
  auto first = source_of({tensor("a"), tensor("b")});
  const std::weak_ptr<const TensorSource> watched = first;
  auto layered = overlay(first, source_of({tensor("b")}));
  first.reset();
  CHECK(layered->names() == std::vector<std::string>{"a", "b"});
  CHECK_FALSE(watched.expired()); // a is still its own
  layered = overlay(layered, source_of({tensor("a")}));
  CHECK(watched.expired());
  CHECK(layered->find("a") != nullptr);
  CHECK(layered->find("b") != nullptr);
  CHECK(layered->stays_in_place("a"));
}
