// What the opaque handles hold: a shared reference, so that children keep their parents alive.
#pragma once

#include "engine/generation.h"
#include "engine/loaded_model.h"
#include "engine/sequence.h"

#include <memory>
#include <string>

struct aby_device {
  abyssal::DevicePtr device;
  abk_device_info info; // its strings live as long as the device
};

struct aby_model {
  std::shared_ptr<abyssal::LoadedModel> model;
  std::string weight_types, weight_layouts;
};

struct aby_sequence {
  std::shared_ptr<abyssal::Sequence> sequence;
};

struct aby_constraint {
  std::shared_ptr<abyssal::LoadedModel> model; // whose vocabulary it knows
  std::shared_ptr<const abyssal::CompiledConstraint> compiled;
};

struct aby_generation {
  std::unique_ptr<abyssal::Generation> generation;
};
