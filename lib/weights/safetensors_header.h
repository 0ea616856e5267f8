// The header of one safetensors file: u64 length, JSON, then the tensors' bytes.
#pragma once

#include "base/mapped_file.h"
#include "base/tensor_view.h"

#include <map>
#include <memory>
#include <string>

namespace abyssal {

struct SafetensorsEntry {
  TensorView view;          // dtype AUTO for a stored type that the library has no name for
  std::string stored;       // the type as stored, such as "BF16"
  std::uint64_t offset = 0; // of the data in the file
};

// Reads and checks the whole header. Throws FORMAT with file, tensor and offset.
std::map<std::string, SafetensorsEntry> read_safetensors_header(const MappedFile &file);

} // namespace abyssal
