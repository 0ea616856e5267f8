// Prepared weights kept in a file between one opening of a model and the next. The file is an aid: whatever is wrong
// with it is a warning, and the weights are made from the checkpoint.
#pragma once

#include "load/packed_file.h"
#include "load/packed_writer.h"
#include "load/weight_images.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace abyssal {

struct PackedCacheOptions {
  std::optional<std::string> folder;                    // "": beside the checkpoint; nothing: no cache
  bool check = false;                                   // reads every byte of the file and compares its hash
  std::function<void(const std::string &text)> warning; // may be empty
};

// What a file is looked for by, and what must be in it.
struct PackedKey {
  std::string checkpoint; // path of a folder or a GGUF file
  std::string variant;    // part of the file's name: what may be wanted of one checkpoint side by side
  std::string identity;   // everything that the images depend on
};

class PackedCache final : public WeightImages {
public:
  // Maps the file that is there, if it is the right one; else one is written as weights are made.
  PackedCache(PackedCacheOptions options, PackedKey key);

  const std::byte *find(const std::string &name, std::uint64_t bytes) override;
  void add(const std::string &name, const std::byte *image, std::uint64_t bytes) override;
  // All weights are there: gives a file that was written its name.
  void finish();
  // What images of found weights lie in; null where none was found.
  const std::shared_ptr<const PackedFile> &file() const noexcept { return file_; }

private:
  void warn(const std::string &text) const;
  template <typename Step> void attempt(Step &&step);

  PackedCacheOptions options_;
  PackedKey key_;
  std::string path_;
  std::shared_ptr<const PackedFile> file_;
  std::unique_ptr<PackedWriter> writer_;
  bool writes_ = true;
};

} // namespace abyssal
