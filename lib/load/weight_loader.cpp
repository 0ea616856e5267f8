#include "load/weight_loader.h"

#include "base/status.h"

#include <algorithm>
#include <exception>

namespace abyssal {

namespace {

std::int64_t blocks(std::int64_t size, std::int64_t block) noexcept { return (size + block - 1) / block; }

// A norm weight published as [n], or a matrix [n, k].
std::vector<std::int64_t> expected_shape(const WeightSpec &spec) {
  if (spec.use == ABK_USE_VECTOR)
    return {spec.n};
  return {spec.n, spec.k};
}

} // namespace

std::string scale_name(const std::string &name) { return name + "_scale_inv"; }

const TensorView &WeightReader::checked(const WeightSpec &spec, const std::string &name) const {
  const TensorView *view = source_.find(name);
  if (view == nullptr)
    fail(ABY_ERROR_NOT_FOUND, "tensor ", name, " is missing from ", source_.title());
  const auto shape = expected_shape(spec);
  if (view->shape != shape)
    fail(ABY_ERROR_FORMAT, "tensor ", name, " (", source_.origin(name), ") has shape ", shape_text(view->shape),
         "; the config asks for ", shape_text(shape));
  if (view->dtype == ABY_DTYPE_AUTO)
    fail(ABY_ERROR_UNSUPPORTED, "tensor ", name, " (", source_.origin(name),
         ") is stored in a type that is not supported");
  const bool fp8_allowed = spec.use == ABK_USE_MATRIX || spec.use == ABK_USE_MLA_KV_B;
  const bool blocks_allowed = spec.use != ABK_USE_VECTOR;
  if (!is_weight_dtype(view->dtype) || (view->dtype == ABY_DTYPE_F8_E4M3 && !fp8_allowed) ||
      (is_block_format(view->dtype) && !blocks_allowed))
    fail(ABY_ERROR_FORMAT, "tensor ", name, " (", source_.origin(name), ") has type ", dtype_name(view->dtype),
         "; expected f32, f16",
         fp8_allowed      ? ", bf16, f8_e4m3"
         : blocks_allowed ? ", bf16"
                          : " or bf16",
         blocks_allowed ? " or a block format" : "");
  return *view;
}

const TensorView &WeightReader::checked_scale(const WeightSpec &spec, const std::string &name) const {
  if (!fp8_)
    fail(ABY_ERROR_FORMAT, "tensor ", name, " (", source_.origin(name),
         ") has type f8_e4m3, but the config has no quantization_config for its scales");
  const std::string scales = scale_name(name);
  const TensorView *view = source_.find(scales);
  if (view == nullptr)
    fail(ABY_ERROR_NOT_FOUND, "tensor ", scales, " is missing from ", source_.title(), ": the block scales of ", name);
  const std::vector<std::int64_t> shape = {blocks(spec.n, block_n_), blocks(spec.k, block_k_)};
  if (view->shape != shape)
    fail(ABY_ERROR_FORMAT, "tensor ", scales, " (", source_.origin(scales), ") has shape ", shape_text(view->shape),
         "; blocks of [", block_n_, ", ", block_k_, "] need ", shape_text(shape));
  if (view->dtype != ABY_DTYPE_F32 && view->dtype != ABY_DTYPE_BF16 && view->dtype != ABY_DTYPE_F8_E8M0)
    fail(ABY_ERROR_FORMAT, "tensor ", scales, " (", source_.origin(scales), ") has type ", dtype_name(view->dtype),
         "; expected f32, bf16 or f8_e8m0");
  return *view;
}

WeightReader::Prepared WeightReader::prepare(const WeightSpec &spec) {
  Prepared prepared;
  const TensorView &first = checked(spec, spec.names.front());
  const bool scaled = first.dtype == ABY_DTYPE_F8_E4M3;
  bool stays = true, quantised = false;
  aby_dtype scale_dtype = ABY_DTYPE_AUTO;
  for (const std::string &name : spec.names) {
    const TensorView &view = checked(spec, name);
    if (view.dtype != first.dtype)
      fail(ABY_ERROR_FORMAT, "tensor ", name, " (", source_.origin(name), ") has type ", dtype_name(view.dtype), "; ",
           spec.names.front(), " beside it has ", dtype_name(first.dtype));
    prepared.data.push_back(view.data);
    const TensorSource::Stored stored = source_.stored(name);
    prepared.file_bytes += stored.bytes;
    prepared.stored = stored.dtypes.front();
    totals_.dtypes.insert(stored.dtypes.begin(), stored.dtypes.end());
    quantised = quantised || stored.quantised();
    stays = stays && source_.stays_in_place(name);
    if (!scaled)
      continue;
    const TensorView &scale = checked_scale(spec, name);
    if (scale_dtype != ABY_DTYPE_AUTO && scale.dtype != scale_dtype)
      fail(ABY_ERROR_FORMAT, "tensor ", scale_name(name), " (", source_.origin(scale_name(name)), ") has type ",
           dtype_name(scale.dtype), "; those of the other experts have ", dtype_name(scale_dtype));
    scale_dtype = scale.dtype;
    prepared.scales.push_back(scale.data);
    prepared.file_bytes += scale.bytes;
    stays = stays && source_.stays_in_place(scale_name(name));
  }
  abk_weight_desc &desc = prepared.desc;
  desc.use = spec.use;
  desc.dtype = first.dtype;
  desc.n = spec.n;
  desc.k = spec.k;
  desc.count = static_cast<std::int64_t>(spec.names.size());
  desc.data = prepared.data.data();
  desc.scales = scaled ? prepared.scales.data() : nullptr;
  desc.scale_dtype = scale_dtype;
  desc.block_n = scaled ? block_n_ : 0;
  desc.block_k = scaled ? block_k_ : 0;
  desc.borrowed = stays ? 1 : 0;
  desc.compute = spec.use == ABK_USE_ROUTER ? ABY_DTYPE_F32 : quantised ? arithmetic_.quantised : arithmetic_.plain;
  desc.heads = spec.heads;
  desc.qk_nope = spec.qk_nope;
  desc.v_dim = spec.v_dim;

  const auto elements = static_cast<std::uint64_t>(spec.n * spec.k * desc.count);
  if (spec.repeated) {
    prepared.file_bytes = 0;
    return prepared;
  }
  totals_.parameters += elements;
  totals_.file_bytes += prepared.file_bytes;
  if (spec.outer)
    totals_.outer_parameters += elements;
  if (desc.count > 1)
    totals_.routed_parameters += elements;
  return prepared;
}

bool WeightReader::repacks(const WeightSpec &spec) {
  if (device_ == nullptr)
    return false;
  const Prepared prepared = prepare(spec);
  abk_weight_size size{};
  device_->check(device_->api().weight_size(device_->handle(), &prepared.desc, &size), spec.key().c_str());
  return size.layout != nullptr;
}

WeightPtr WeightReader::take(const WeightSpec &spec) {
  const Prepared prepared = prepare(spec);
  abk_weight_size size{};
  device_->check(device_->api().weight_size(device_->handle(), &prepared.desc, &size), spec.names.front().c_str());
  totals_.weight_bytes += size.bytes;
  totals_.mapped_bytes += size.borrowed_bytes;
  const abk_weight_desc &desc = prepared.desc;
  if (size.layout != nullptr || prepared.stored != desc.dtype) {
    LayoutTotals &layout =
        totals_.layouts[{prepared.stored, size.layout != nullptr ? size.layout : dtype_name(desc.dtype)}];
    const auto elements = static_cast<std::uint64_t>(desc.n * desc.count) * static_cast<std::uint64_t>(desc.k);
    layout.elements += elements;
    layout.stored_bytes += elements / static_cast<std::uint64_t>(desc.k) * row_bytes(prepared.stored, desc.k);
    layout.kept_bytes += size.bytes;
  }
  return nullptr;
}

// Halves of kv_b_proj that are made change with it.
bool WeightLoader::touched(const WeightSpec &spec) const {
  return (!spec.whole.empty() && (changed_.contains(spec.whole) || changed_.contains(scale_name(spec.whole)))) ||
         std::any_of(spec.names.begin(), spec.names.end(), [&](const std::string &name) {
           return changed_.contains(name) || changed_.contains(scale_name(name));
         });
}

namespace {

// Gives a backend the matrices of a weight that are made, one at a time.
class MatrixGiver {
public:
  MatrixGiver(const TensorSource &source, const std::vector<std::string> &names, const std::vector<const void *> &data)
      : source_(source), names_(names), data_(data) {}

  static const void *next(void *context, std::int64_t matrix) noexcept {
    return static_cast<MatrixGiver *>(context)->give(static_cast<std::size_t>(matrix));
  }
  // Throws what has gone wrong within next.
  void rethrow() const {
    if (failure_)
      std::rethrow_exception(failure_);
  }

private:
  const void *give(std::size_t matrix) noexcept {
    if (matrix > 0)
      source_.release(names_[matrix - 1]); // the backend has taken it over
    try {
      made_ = {};
      if (data_[matrix] != nullptr)
        return data_[matrix];
      made_ = source_.make(names_[matrix]);
      return made_.data();
    } catch (...) {
      failure_ = std::current_exception();
      return nullptr;
    }
  }

  const TensorSource &source_;
  const std::vector<std::string> &names_;
  const std::vector<const void *> &data_;
  std::vector<std::byte> made_;
  std::exception_ptr failure_;
};

} // namespace

WeightPtr WeightLoader::create(const WeightSpec &spec, Prepared &prepared) {
  const std::string &name = spec.key();
  abk_weight_size size{};
  device()->check(device()->api().weight_size(device()->handle(), &prepared.desc, &size), name.c_str());
  const bool has_image = images_ != nullptr && size.image_bytes > 0;
  if (const std::byte *image = has_image ? images_->find(name, size.image_bytes) : nullptr) {
    prepared.desc.data = nullptr;
    prepared.desc.image = image;
    image_bytes_ += size.image_bytes;
    return std::make_shared<const Weight>(device(), prepared.desc);
  }
  WeightPtr weight = make(spec, prepared);
  // What was copied need not stay in memory twice.
  for (std::size_t i = 0; size.borrowed_bytes == 0 && i < spec.names.size(); ++i)
    source().release(spec.names[i]);
  if (has_image) {
    if (const void *image = weight->image())
      images_->add(name, static_cast<const std::byte *>(image), size.image_bytes);
  }
  return weight;
}

WeightPtr WeightLoader::make(const WeightSpec &spec, Prepared &prepared) const {
  MatrixGiver giver(source(), spec.names, prepared.data);
  if (std::find(prepared.data.begin(), prepared.data.end(), nullptr) != prepared.data.end()) {
    prepared.desc.data = nullptr;
    prepared.desc.next = MatrixGiver::next;
    prepared.desc.next_context = &giver;
  }
  try {
    return std::make_shared<const Weight>(device(), prepared.desc);
  } catch (const Error &) {
    giver.rethrow();
    throw;
  }
}

WeightPtr WeightLoader::take(const WeightSpec &spec) {
  Prepared prepared = prepare(spec);
  WeightPtr &slot = loaded_[spec.key()];
  const auto old = reuse_.find(spec.key());
  slot = old != reuse_.end() && !touched(spec) ? old->second : create(spec, prepared);
  done_ += prepared.file_bytes;
  if (progress_)
    progress_(done_);
  return slot;
}

} // namespace abyssal
