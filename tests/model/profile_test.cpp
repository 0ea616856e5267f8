#include "model/profile.h"

#include <doctest/doctest.h>

#include <set>
#include <string>

using namespace abyssal;

TEST_CASE("parts add up, and a start begins from nothing") {
  Profile profile;
  CHECK(profile.timed(Part::kSampling, [] { return 5; }) == 5); // not on: not counted
  CHECK(profile.totals(Part::kSampling).calls == 0);
  profile.start();
  profile.record(Part::kHead, {10, 3}, 0.5);
  profile.record(Part::kHead, {20, 4}, 0.25);
  CHECK(profile.timed(Part::kSampling, [] { return 7; }) == 7);
  const PartTotals head = profile.totals(Part::kHead);
  CHECK(head.calls == 2);
  CHECK(head.flops == 30);
  CHECK(head.bytes == 7);
  CHECK(head.seconds == 0.75);
  CHECK(profile.totals(Part::kSampling).calls == 1);
  profile.start();
  CHECK(profile.totals(Part::kHead).calls == 0);
  std::set<std::string> names;
  for (std::size_t i = 0; i < kParts; ++i)
    names.insert(part_name(static_cast<Part>(i)));
  CHECK(names.size() == kParts);
}
