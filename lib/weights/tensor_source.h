// Where a model's tensors come from: a checkpoint on disk or arrays in memory; by their published names in any case.
#pragma once

#include "base/status.h"
#include "base/tensor_view.h"

#include <algorithm>
#include <string>
#include <vector>

namespace abyssal {

class TensorSource {
public:
  virtual ~TensorSource() = default;

  // nullptr when there is no such tensor. The view lives as long as the source. A stored type that this library has no
  // name for (f64, bool, ...) is AUTO in the view; origin() names it. A view without data is of a tensor that is stored
  // in another arrangement than its name promises: make() gives its bytes.
  virtual const TensorView *find(const std::string &name) const = 0;

  // The bytes of a tensor whose view has no data, made anew at each call so that nobody keeps what is needed once.
  virtual std::vector<std::byte> make(const std::string &name) const {
    fail(ABY_ERROR_INTERNAL, "tensor ", name, " is not one that is made");
  }

  // All names, sorted.
  virtual std::vector<std::string> names() const = 0;

  // What the whole is called in messages: "tensor X is missing from ...".
  virtual std::string title() const { return "the checkpoint"; }

  // What tells the stored tensors from others of the same names: a line a file. "" where that is not known.
  virtual std::string identity() const { return ""; }

  // Where a tensor is stored, for messages: "model-00001-of-00002.safetensors, offset 1234, F64".
  virtual std::string origin(const std::string &name) const = 0;

  // What is stored for a tensor: bytes, and types, of which a made one may have several. rounded: what the source
  // presents has lost precision since.
  struct Stored {
    std::uint64_t bytes = 0;
    std::vector<aby_dtype> dtypes;
    bool rounded = false;
    bool quantised() const noexcept { return rounded || std::any_of(dtypes.begin(), dtypes.end(), is_block_format); }
  };
  virtual Stored stored(const std::string &name) const {
    const TensorView *view = find(name);
    return view == nullptr ? Stored{} : Stored{view->bytes, {view->dtype}};
  }

  // The bytes of a tensor are not needed soon, so that mapped memory can be given back.
  virtual void release(const std::string &) const noexcept {}

  // True when the bytes stay in place, unchanged, as long as the source lives, and are aligned to their element.
  virtual bool stays_in_place(const std::string &name) const noexcept = 0;
};

} // namespace abyssal
