// A model in one GGUF file, or split into several that lie side by side: NAME-00001-of-00003.gguf and so on.
#pragma once

#include "weights/gguf_file.h"

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace abyssal {

class GgufModel {
public:
  // path: the file, or any of its parts. Checks that every part is there, says that it is that part, and that together
  // they have the tensors that the first one promises. Throws as GgufFile::open.
  static std::shared_ptr<const GgufModel> open(const std::string &path);

  struct Located {
    const GgufTensor *tensor;
    const GgufFile *file;
  };
  // nullptr when no part has such a tensor; found and tensors live as long as the model.
  const Located *find(const std::string &name) const;
  std::vector<Located> tensors() const;                                                // of all parts, in order
  const GgufMetadata &metadata() const noexcept { return parts_.front()->metadata(); } // of the first part
  std::string identity() const;                                                        // a line a part
  const std::string &path() const noexcept { return parts_.front()->path(); }

private:
  GgufModel() = default;
  void add(std::shared_ptr<const GgufFile> part);

  std::vector<std::shared_ptr<const GgufFile>> parts_;
  std::unordered_map<std::string, Located> tensors_;
};

// The model in a folder that holds exactly one: the path of its file or first part; "" when there is none. Throws
// FORMAT with their names when there are several.
std::string find_gguf_model(const std::string &folder);

} // namespace abyssal
