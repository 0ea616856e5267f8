#include "weights/gguf_source.h"

#include "weights/gguf_arrange.h"
#include "weights/gguf_names.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <unordered_map>

namespace abyssal {

namespace {

using Located = GgufModel::Located;

constexpr std::int64_t kMostExperts = 1 << 14; // far above every published model

[[noreturn]] void refuse(const Located &at, const std::string &reason) {
  fail(ABY_ERROR_FORMAT, at.file->path(), ": tensor ", at.tensor->name, " (offset ", at.tensor->offset, ") has shape ",
       shape_text(at.tensor->view.shape), "; ", reason);
}

std::string place_of(const Located &at, std::uint64_t offset) {
  return concat(std::filesystem::path(at.file->path()).filename().string(), ", ", at.tensor->name, ", offset ", offset,
                ", ", at.tensor->stored);
}

class GgufSource final : public TensorSource {
public:
  explicit GgufSource(std::shared_ptr<const GgufModel> model) : model_(std::move(model)), head_dim_(read_head_dim()) {
    std::map<std::string, Halves> halves;
    for (const Located &at : model_->tensors())
      add(at, halves);
    for (const auto &[name, pair] : halves)
      add_joined(name, pair);
  }

  const TensorView *find(const std::string &name) const override {
    const auto found = tensors_.find(name);
    return found == tensors_.end() ? nullptr : &found->second.view;
  }
  std::vector<std::byte> make(const std::string &name) const override {
    const Presented &made = tensors_.at(name);
    return made.values.tensor != nullptr ? join_kv_b(made.stored.tensor->view, made.values.tensor->view)
                                         : unpermute_rows(made.stored.tensor->view, head_dim_);
  }
  Stored stored(const std::string &name) const override {
    const auto found = tensors_.find(name);
    if (found == tensors_.end())
      return {};
    const Presented &tensor = found->second;
    if (tensor.values.tensor == nullptr)
      return {tensor.view.bytes, {tensor.view.dtype}};
    const TensorView &keys = tensor.stored.tensor->view, &values = tensor.values.tensor->view;
    return {keys.bytes + values.bytes, {keys.dtype, values.dtype}};
  }
  std::vector<std::string> names() const override {
    std::vector<std::string> all;
    all.reserve(tensors_.size());
    for (const auto &[name, tensor] : tensors_)
      all.push_back(name);
    std::sort(all.begin(), all.end());
    return all;
  }
  std::string identity() const override { return model_->identity(); }
  std::string title() const override { return model_->path(); }
  std::string origin(const std::string &name) const override {
    const auto found = tensors_.find(name);
    if (found == tensors_.end())
      return "nowhere";
    const Presented &tensor = found->second;
    if (tensor.values.tensor == nullptr)
      return place_of(tensor.stored, tensor.offset);
    return place_of(tensor.stored, tensor.offset) + ", and " + place_of(tensor.values, tensor.values.tensor->offset);
  }
  void release(const std::string &name) const noexcept override {
    const auto found = tensors_.find(name);
    if (found == tensors_.end())
      return;
    for (const Located &at : {found->second.stored, found->second.values}) {
      if (at.tensor != nullptr)
        at.file->release(*at.tensor);
    }
  }
  bool stays_in_place(const std::string &name) const noexcept override {
    const TensorView *view = find(name);
    return view != nullptr && view->data != nullptr &&
           reinterpret_cast<std::uintptr_t>(view->data) % dtype_alignment(view->dtype) == 0;
  }

private:
  struct Presented {
    TensorView view; // without data for a made tensor
    Located stored;
    std::uint64_t offset = 0;         // in the file
    Located values{nullptr, nullptr}; // the second half of kv_b_proj
  };
  struct Halves {
    Located keys{nullptr, nullptr}, values{nullptr, nullptr};
  };

  // Rows of a head of q_proj and k_proj, where they are permuted; else 0.
  std::int64_t read_head_dim() const {
    const GgufMetadata &metadata = model_->metadata();
    if (metadata.text("general.architecture").value_or("") != "llama")
      return 0;
    const auto given = metadata.integer("llama.attention.key_length");
    const std::int64_t heads = metadata.integer("llama.attention.head_count").value_or(0);
    const std::int64_t hidden = metadata.integer("llama.embedding_length").value_or(0);
    const std::int64_t dim = given ? *given : heads > 0 ? hidden / heads : 0;
    if (dim < 2 || dim % 2 != 0)
      metadata.refuse("llama.attention.head_count",
                      concat("makes heads of ", dim, " elements; expected an even number"));
    return dim;
  }

  void add(const Located &at, std::map<std::string, Halves> &halves) {
    const auto [role, name] = published_name(at.tensor->name);
    const TensorView &view = at.tensor->view;
    switch (role) {
    case GgufRole::kExperts:
      return add_experts(at, name);
    case GgufRole::kKeyHalf:
      halves[name].keys = at;
      return;
    case GgufRole::kValueHalf:
      halves[name].values = at;
      return;
    case GgufRole::kQuery:
      if (head_dim_ == 0)
        break;
      if (view.shape.size() > 2 || view.shape[0] % head_dim_ != 0)
        refuse(at, concat("expected rows for heads of ", head_dim_));
      return insert(name, {without_data(view), at, at.tensor->offset});
    default:
      break;
    }
    insert(name, {view, at, at.tensor->offset});
  }

  static TensorView without_data(TensorView view) {
    view.data = nullptr;
    return view;
  }

  void insert(const std::string &name, Presented &&tensor) {
    const Located at = tensor.stored;
    if (const auto [there, fresh] = tensors_.try_emplace(name, std::move(tensor)); !fresh)
      fail(ABY_ERROR_FORMAT, at.file->path(), ": tensor ", at.tensor->name, " (offset ", at.tensor->offset,
           ") stands for ", name, ", as ", there->second.stored.tensor->name, " does");
  }

  void add_experts(const Located &at, const std::string &pattern) {
    const TensorView &stack = at.tensor->view;
    if (stack.shape.size() != 3)
      refuse(at, "expected [experts, outputs, inputs]");
    if (stack.shape[0] > kMostExperts)
      refuse(at, concat("expected at most ", kMostExperts, " experts"));
    add_stack(at, pattern);
  }

  // Each matrix of a stack, in place, under its number.
  void add_stack(const Located &at, const std::string &pattern) {
    const TensorView &stack = at.tensor->view;
    const auto count = static_cast<std::uint64_t>(stack.shape[0]);
    const std::uint64_t bytes = stack.bytes / count;
    const std::size_t gap = pattern.find("{}");
    for (std::uint64_t e = 0; e < count; ++e) {
      TensorView slice{stack.dtype, {stack.shape[1], stack.shape[2]}, stack.data + e * bytes, bytes};
      std::string name = pattern;
      insert(name.replace(gap, 2, std::to_string(e)), {std::move(slice), at, at.tensor->offset + e * bytes});
    }
  }

  // Files with the whole kv_b_proj may repeat it in halves.
  void add_joined(const std::string &name, const Halves &halves) {
    if (tensors_.contains(name))
      return;
    const Located &keys = halves.keys, &values = halves.values;
    if (keys.tensor == nullptr || values.tensor == nullptr) {
      const Located &one = keys.tensor != nullptr ? keys : values;
      fail(ABY_ERROR_NOT_FOUND, one.file->path(), ": tensor ", one.tensor->name, " is one half of ", name,
           "; the other half is missing");
    }
    const auto &k = keys.tensor->view.shape, &v = values.tensor->view.shape;
    if (k.size() != 3)
      refuse(keys, "expected [heads, kv_lora_rank, qk_nope_head_dim]");
    if (v.size() != 3 || v[0] != k[0] || v[2] != k[1])
      refuse(values,
             concat("expected [", k[0], ", v_head_dim, ", k[1], "], as ", keys.tensor->name, " is ", shape_text(k)));
    for (const Located &half : {keys, values}) {
      if (!is_weight_dtype(half.tensor->view.dtype) || half.tensor->view.dtype == ABY_DTYPE_F8_E4M3)
        fail(ABY_ERROR_UNSUPPORTED, half.file->path(), ": tensor ", half.tensor->name, " (offset ", half.tensor->offset,
             ") has type ", half.tensor->stored, ", which is not supported");
    }
    // Both lie in the file, so that these products are far from overflow.
    TensorView view{ABY_DTYPE_F32, {k[0] * (k[2] + v[1]), k[1]}, nullptr, 0};
    view.bytes = static_cast<std::uint64_t>(view.elements()) * sizeof(float);
    insert(name, {std::move(view), keys, keys.tensor->offset, values});
    // And as they are, a head to a matrix: self_attn.k_b_proj.HEAD, self_attn.v_b_proj.HEAD.
    add_stack(keys, half_name(name, "k_b_proj.{}"));
    add_stack(values, half_name(name, "v_b_proj.{}"));
  }

  static std::string half_name(std::string name, const char *half) {
    constexpr const char *kWhole = "kv_b_proj";
    return name.replace(name.find(kWhole), std::string_view(kWhole).size(), half);
  }

  std::shared_ptr<const GgufModel> model_;
  std::int64_t head_dim_;
  std::unordered_map<std::string, Presented> tensors_;
};

} // namespace

std::shared_ptr<const TensorSource> make_gguf_source(std::shared_ptr<const GgufModel> model) {
  return std::make_shared<const GgufSource>(std::move(model));
}

} // namespace abyssal
