#include "weights/joined_source.h"

#include "base/status.h"
#include "weights/widened_matrix.h"

#include <algorithm>
#include <map>

namespace abyssal {

namespace {

constexpr std::string_view kWholeName = "kv_b_proj", kFirstKeys = "k_b_proj.0.weight";

class JoinedSource final : public TensorSource {
public:
  explicit JoinedSource(std::shared_ptr<const TensorSource> source) : source_(std::move(source)) {}

  void add(const std::string &name) {
    std::int64_t heads = 0;
    while (source_->find(half_name(name, "k_b_proj", heads)) != nullptr)
      ++heads;
    const TensorView &keys = half(name, "k_b_proj", 0), &values = half(name, "v_b_proj", 0);
    for (std::int64_t head = 0; head < heads; ++head) {
      for (const auto &[which, first] : {std::pair{"k_b_proj", &keys}, {"v_b_proj", &values}}) {
        const TensorView &view = half(name, which, head);
        if (view.shape != first->shape || view.shape.size() != 2 || view.dtype == ABY_DTYPE_F8_E4M3 ||
            !is_weight_dtype(view.dtype))
          refuse(half_name(name, which, head), view);
      }
    }
    if (values.shape[1] != keys.shape[0])
      refuse(half_name(name, "v_b_proj", 0), values);
    TensorView view{ABY_DTYPE_F32, {heads * (keys.shape[1] + values.shape[0]), keys.shape[0]}, nullptr, 0};
    view.bytes = static_cast<std::uint64_t>(view.elements()) * sizeof(float);
    joined_.emplace(name, Joined{std::move(view), heads});
  }

  const TensorView *find(const std::string &name) const override {
    const auto found = joined_.find(name);
    return found == joined_.end() ? source_->find(name) : &found->second.view;
  }
  std::vector<std::byte> make(const std::string &name) const override {
    const auto found = joined_.find(name);
    return found == joined_.end() ? source_->make(name) : join(name, found->second);
  }
  Stored stored(const std::string &name) const override {
    const auto found = joined_.find(name);
    if (found == joined_.end())
      return source_->stored(name);
    Stored all;
    for (const char *which : {"k_b_proj", "v_b_proj"}) {
      for (std::int64_t head = 0; head < found->second.heads; ++head) {
        const Stored one = source_->stored(half_name(name, which, head));
        all.bytes += one.bytes;
        all.rounded = all.rounded || one.rounded;
        if (head == 0)
          all.dtypes.insert(all.dtypes.end(), one.dtypes.begin(), one.dtypes.end());
      }
    }
    return all;
  }
  std::vector<std::string> names() const override {
    std::vector<std::string> all = source_->names();
    for (const auto &[name, joined] : joined_)
      all.push_back(name);
    std::sort(all.begin(), all.end());
    return all;
  }
  std::string identity() const override { return source_->identity(); }
  std::string title() const override { return source_->title(); }
  std::string origin(const std::string &name) const override {
    return source_->origin(joined_.contains(name) ? half_name(name, "k_b_proj", 0) : name);
  }
  void release(const std::string &name) const noexcept override {
    if (!joined_.contains(name))
      source_->release(name);
  }
  bool stays_in_place(const std::string &name) const noexcept override {
    return !joined_.contains(name) && source_->stays_in_place(name);
  }

private:
  struct Joined {
    TensorView view; // without data
    std::int64_t heads;
  };

  const TensorView &half(const std::string &name, const char *which, std::int64_t head) const {
    const TensorView *view = source_->find(half_name(name, which, head));
    if (view == nullptr)
      fail(ABY_ERROR_NOT_FOUND, "tensor ", half_name(name, which, head), " is missing from ", source_->title(),
           ", which has other halves of ", name);
    return *view;
  }
  [[noreturn]] void refuse(const std::string &name, const TensorView &view) const {
    fail(ABY_ERROR_FORMAT, "tensor ", name, " (", source_->origin(name), ") has shape ", shape_text(view.shape),
         " and type ", dtype_name(view.dtype), "; the other halves beside it do not fit that");
  }

  std::vector<std::byte> join(const std::string &name, const Joined &joined) const {
    std::vector<std::byte> bytes(joined.view.bytes);
    auto *out = reinterpret_cast<float *>(bytes.data()); // operator new aligns it
    std::vector<float> column;
    for (std::int64_t head = 0; head < joined.heads; ++head) {
      const WidenedMatrix keys(*source_, half_name(name, "k_b_proj", head), 1, 1);
      const WidenedMatrix values(*source_, half_name(name, "v_b_proj", head), 1, 1);
      const std::int64_t lora = keys.n(), nope = keys.k();
      column.resize(static_cast<std::size_t>(nope));
      for (std::int64_t l = 0; l < lora; ++l) {
        keys.row(l, column.data());
        for (std::int64_t i = 0; i < nope; ++i)
          out[i * lora + l] = column[static_cast<std::size_t>(i)];
      }
      out += nope * lora;
      for (std::int64_t i = 0; i < values.n(); ++i, out += lora)
        values.row(i, out);
    }
    return bytes;
  }

  std::shared_ptr<const TensorSource> source_;
  std::map<std::string, Joined> joined_;
};

} // namespace

std::string half_name(const std::string &kv_b, const char *which, std::int64_t head) {
  std::string name = kv_b;
  return name.replace(name.find(kWholeName), kWholeName.size(), concat(which, ".", head));
}

std::shared_ptr<const TensorSource> join_halves(std::shared_ptr<const TensorSource> source) {
  std::vector<std::string> wholes;
  for (const std::string &name : source->names()) {
    if (!name.ends_with(kFirstKeys))
      continue;
    std::string whole = name.substr(0, name.size() - kFirstKeys.size()) + "kv_b_proj.weight";
    if (source->find(whole) == nullptr)
      wholes.push_back(std::move(whole));
  }
  if (wholes.empty())
    return source;
  auto joined = std::make_shared<JoinedSource>(std::move(source));
  for (const std::string &whole : wholes)
    joined->add(whole);
  return joined;
}

} // namespace abyssal
