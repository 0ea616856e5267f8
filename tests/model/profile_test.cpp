#include "model/profile.h"

#include "model/forward.h"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstring>
#include <set>
#include <string>

using namespace abyssal;

TEST_CASE("a profiled pass replaces every op of the table, and nothing else") {
  const auto device = Device::open({"reference", 0, 1});
  Profile profile;
  profile.start({});
  ForwardModel model;
  model.profile = &profile;
  const ProfiledPass pass(*device, model);
  const auto *own = reinterpret_cast<const std::byte *>(&device->api());
  const auto *timed = reinterpret_cast<const std::byte *>(&pass.api());
  REQUIRE(own != timed);
  constexpr std::size_t first = offsetof(abk_backend, embed), slot = sizeof(void *);
  CHECK(std::memcmp(own, timed, first) == 0);
  // Ops are the last functions of the table: one that is added and not timed fails here.
  CHECK((sizeof(abk_backend) - first) / slot == 10);
  for (std::size_t at = first; at < sizeof(abk_backend); at += slot) {
    INFO("function ", (at - first) / slot, " after embed");
    CHECK(std::memcmp(own + at, timed + at, slot) != 0);
  }
}

TEST_CASE("without a profile that is on, a pass uses the device's own table") {
  const auto device = Device::open({"reference", 0, 1});
  Profile profile;
  ForwardModel model;
  CHECK(&ProfiledPass(*device, model).api() == &device->api());
  model.profile = &profile;
  CHECK(&ProfiledPass(*device, model).api() == &device->api());
  profile.start({});
  profile.stop();
  CHECK(&ProfiledPass(*device, model).api() == &device->api());
}

TEST_CASE("an op that fails is not counted, and its status and text are the backend's") {
  const auto device = Device::open({"reference", 0, 1});
  Profile profile;
  profile.start({});
  ForwardModel model;
  model.profile = &profile;
  const ProfiledPass pass(*device, model);
  const abk_linear_args empty{};
  CHECK(pass.api().linear(device->stream(), &empty) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(std::string(pass.api().error_text()).find("linear") != std::string::npos);
  CHECK(profile.totals(Part::kProjections).calls == 0);
}

TEST_CASE("parts add up, and a start begins from nothing") {
  Profile profile;
  CHECK(profile.timed(Part::kSampling, [] { return 5; }) == 5); // not on: not counted
  CHECK(profile.totals(Part::kSampling).calls == 0);
  profile.start({});
  profile.record({Part::kHead, 10, 3}, 0.5);
  profile.record({Part::kHead, 20, 4}, 0.25);
  CHECK(profile.timed(Part::kSampling, [] { return 7; }) == 7);
  const PartTotals head = profile.totals(Part::kHead);
  CHECK(head.calls == 2);
  CHECK(head.flops == 30);
  CHECK(head.bytes == 7);
  CHECK(head.seconds == 0.75);
  CHECK(profile.totals(Part::kSampling).calls == 1);
  profile.start({});
  CHECK(profile.totals(Part::kHead).calls == 0);
  std::set<std::string> names;
  for (std::size_t i = 0; i < kParts; ++i)
    names.insert(part_name(static_cast<Part>(i)));
  CHECK(names.size() == kParts);
}
