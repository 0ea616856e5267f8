// Visitors that check a model's weights against a checkpoint and plan their memory, and that prepare them.
#pragma once

#include "load/weight_images.h"
#include "model/weight_visitor.h"
#include "weights/tensor_source.h"

#include <compare>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace abyssal {

// What activations may be rounded to in products: F32 or BF16 with plain weights; F32, I8 or I16 with weights in a
// block format.
struct Arithmetic {
  aby_dtype plain = ABY_DTYPE_F32;
  aby_dtype quantised = ABY_DTYPE_I8;
};

// Weights of one stored type in one layout of the backend's.
struct LayoutTotals {
  std::uint64_t elements = 0;
  std::uint64_t stored_bytes = 0, kept_bytes = 0;
};

struct WeightTotals {
  std::uint64_t parameters = 0; // elements, block scales not counted
  std::uint64_t file_bytes = 0;
  std::uint64_t weight_bytes = 0;
  std::uint64_t mapped_bytes = 0;
  std::uint64_t routed_parameters = 0; // elements of stacked experts
  std::uint64_t outer_parameters = 0;  // elements of embedding and head
  std::set<aby_dtype> dtypes;
  std::map<std::pair<aby_dtype, std::string>, LayoutTotals> layouts; // of block formats that are kept in another layout
};

// What all visitors share: looks a spec's tensors up, checks them and adds to the totals.
class WeightReader : public WeightVisitor {
public:
  WeightReader(DevicePtr device, const TensorSource &source, Arithmetic arithmetic, std::int64_t block_n,
               std::int64_t block_k, bool fp8)
      : device_(std::move(device)), source_(source), arithmetic_(arithmetic), block_n_(block_n), block_k_(block_k),
        fp8_(fp8) {}

  WeightPtr take(const WeightSpec &spec) override; // counts, and returns null
  bool has(const std::string &name) const override { return source_.find(name) != nullptr; }
  bool takes_halves() const override { return arithmetic_.quantised != ABY_DTYPE_F32; }
  bool repacks(const WeightSpec &spec) override;
  const WeightTotals &totals() const noexcept { return totals_; }

protected:
  // A description for the backend, with the arrays it points into.
  struct Prepared {
    abk_weight_desc desc{};
    std::vector<const void *> data, scales;
    std::uint64_t file_bytes = 0;
    aby_dtype stored = ABY_DTYPE_AUTO; // the type, or one of them
  };
  Prepared prepare(const WeightSpec &spec);
  const DevicePtr &device() const noexcept { return device_; }
  const TensorSource &source() const noexcept { return source_; }

private:
  const TensorView &checked(const WeightSpec &spec, const std::string &name) const;
  const TensorView &checked_scale(const WeightSpec &spec, const std::string &name) const;

  DevicePtr device_;
  const TensorSource &source_;
  Arithmetic arithmetic_;
  std::int64_t block_n_, block_k_;
  bool fp8_;
  WeightTotals totals_;
};

// Prepared weights by their keys.
using WeightMap = std::map<std::string, WeightPtr>;

// Prepares weights; those in reuse of which no tensor is in changed are taken over.
class WeightLoader : public WeightReader {
public:
  using Progress = std::function<void(std::uint64_t done)>; // bytes of tensors; throws to cancel

  WeightLoader(DevicePtr device, const TensorSource &source, Arithmetic arithmetic, std::int64_t block_n,
               std::int64_t block_k, bool fp8, Progress progress, WeightMap reuse = {},
               std::set<std::string> changed = {})
      : WeightReader(std::move(device), source, arithmetic, block_n, block_k, fp8), progress_(std::move(progress)),
        reuse_(std::move(reuse)), changed_(std::move(changed)) {}

  // Takes weights from images and gives them those it makes; null: neither.
  void use_images(WeightImages *images) noexcept { images_ = images; }

  WeightPtr take(const WeightSpec &spec) override;
  // Bytes of weights that were taken from images.
  std::uint64_t image_bytes() const noexcept { return image_bytes_; }
  WeightMap &loaded() noexcept { return loaded_; }

private:
  bool touched(const WeightSpec &spec) const;
  WeightPtr create(const WeightSpec &spec, Prepared &prepared);
  WeightPtr make(const WeightSpec &spec, Prepared &prepared) const;
  Progress progress_;
  WeightMap reuse_, loaded_;
  std::set<std::string> changed_;
  std::uint64_t done_ = 0, image_bytes_ = 0;
  WeightImages *images_ = nullptr;
};

// The name of the block scales of a weight: NAME.weight -> NAME.weight_scale_inv.
std::string scale_name(const std::string &name);

} // namespace abyssal
