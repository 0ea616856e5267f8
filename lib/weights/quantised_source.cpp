#include "weights/quantised_source.h"

#include "base/block_quantise.h"
#include "base/status.h"
#include "base/thread_pool.h"
#include "weights/joined_source.h"
#include "weights/widened_matrix.h"

#include <algorithm>
#include <set>
#include <unordered_map>

namespace abyssal {

namespace {

constexpr std::int64_t kRowsPerTask = 16;
constexpr std::int64_t kSmallMatrix = 1 << 18; // elements that are rounded sooner than threads are started

class QuantisedSource final : public TensorSource {
public:
  QuantisedSource(std::shared_ptr<const TensorSource> source, QuantiseList list)
      : source_(std::move(source)), list_(std::move(list)) {
    for (const auto &[name, format] : list_.matrices) {
      const TensorView &stored = *source_->find(name);
      rounded_.emplace(name, Rounded{rounded_view(format, stored.shape[0], stored.shape[1]), Role::kMatrix, name, 0});
      hidden_.insert(name + "_scale_inv");
    }
    for (const auto &[name, kv_b] : list_.kv_b) {
      for (std::int64_t head = 0; head < kv_b.heads; ++head) {
        add_half(name, "k_b_proj", head, rounded_view(kv_b.format, kv_b.lora, kv_b.nope), Role::kKeys);
        add_half(name, "v_b_proj", head, rounded_view(kv_b.format, kv_b.v, kv_b.lora), Role::kValues);
      }
      hidden_.insert(name);
      hidden_.insert(name + "_scale_inv");
    }
  }

  const TensorView *find(const std::string &name) const override {
    const auto found = rounded_.find(name);
    if (found != rounded_.end())
      return &found->second.view;
    return hidden_.contains(name) ? nullptr : source_->find(name);
  }
  std::vector<std::byte> make(const std::string &name) const override {
    const auto found = rounded_.find(name);
    if (found == rounded_.end())
      return source_->make(name);
    const Rounded &tensor = found->second;
    std::vector<std::byte> bytes(tensor.view.bytes);
    if (tensor.role == Role::kMatrix)
      round_matrix(name, tensor.view.dtype, bytes.data());
    else
      round_half(tensor, bytes.data());
    return bytes;
  }
  Stored stored(const std::string &name) const override {
    const auto found = rounded_.find(name);
    if (found == rounded_.end())
      return source_->stored(name);
    Stored result = source_->stored(found->second.stored);
    if (const TensorView *scale = source_->find(found->second.stored + "_scale_inv"))
      result.bytes += scale->bytes;
    // The first half of a tensor counts for all of them.
    if (found->second.role == Role::kValues || (found->second.role == Role::kKeys && found->second.head > 0))
      result.bytes = 0;
    result.rounded = true;
    return result;
  }
  std::vector<std::string> names() const override {
    std::vector<std::string> all = source_->names();
    for (const auto &[name, tensor] : rounded_)
      all.push_back(name);
    std::erase_if(all, [&](const std::string &name) { return hidden_.contains(name); });
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    return all;
  }
  std::string identity() const override { return source_->identity(); }
  std::string title() const override { return source_->title(); }
  std::string origin(const std::string &name) const override {
    const auto found = rounded_.find(name);
    return found == rounded_.end()
               ? source_->origin(name)
               : source_->origin(found->second.stored) + ", rounded to " + dtype_name(found->second.view.dtype);
  }
  void release(const std::string &name) const noexcept override {
    const auto found = rounded_.find(name);
    source_->release(found == rounded_.end() ? name : found->second.stored);
  }
  bool stays_in_place(const std::string &name) const noexcept override {
    return !rounded_.contains(name) && source_->stays_in_place(name);
  }

private:
  enum class Role { kMatrix, kKeys, kValues };
  struct Rounded {
    TensorView view; // without data
    Role role;
    std::string stored; // the name of what it is made from
    std::int64_t head;
  };

  // A half that the source has is a matrix like others.
  void add_half(const std::string &whole, const char *which, std::int64_t head, TensorView view, Role role) {
    std::string name = half_name(whole, which, head);
    if (source_->find(name) != nullptr)
      rounded_.emplace(name, Rounded{std::move(view), Role::kMatrix, name, head});
    else
      rounded_.emplace(std::move(name), Rounded{std::move(view), role, whole, head});
  }

  static TensorView rounded_view(aby_dtype format, std::int64_t n, std::int64_t k) {
    return {format, {n, k}, nullptr, static_cast<std::uint64_t>(n) * row_bytes(format, k)};
  }

  void round_matrix(const std::string &name, aby_dtype format, std::byte *out) const {
    const WidenedMatrix matrix(*source_, name, list_.scale_n, list_.scale_k);
    const std::size_t stride = row_bytes(format, matrix.k());
    const auto round_rows = [&](std::int64_t task, unsigned) {
      std::vector<float> row(static_cast<std::size_t>(matrix.k()));
      for (std::int64_t i = task * kRowsPerTask; i < std::min(matrix.n(), (task + 1) * kRowsPerTask); ++i) {
        matrix.row(i, row.data());
        quantise_blocks(format, row.data(), matrix.k(), out + static_cast<std::size_t>(i) * stride);
      }
    };
    const std::int64_t tasks = (matrix.n() + kRowsPerTask - 1) / kRowsPerTask;
    if (list_.threads > 1 && matrix.n() * matrix.k() > kSmallMatrix)
      return ThreadPool(list_.threads).run(tasks, round_rows);
    for (std::int64_t task = 0; task < tasks; ++task)
      round_rows(task, 0);
  }

  // Keys: row l, column i of the result is row i, column l of the head's part of kv_b_proj.
  void round_half(const Rounded &half, std::byte *out) const {
    const WidenedMatrix whole(*source_, half.stored, list_.scale_n, list_.scale_k);
    const QuantiseList::KvB &kv_b = list_.kv_b.at(half.stored);
    const bool keys = half.role == Role::kKeys;
    const std::int64_t first = half.head * (kv_b.nope + kv_b.v) + (keys ? 0 : kv_b.nope);
    const std::int64_t rows = keys ? kv_b.nope : kv_b.v;
    std::vector<float> part(static_cast<std::size_t>(rows * kv_b.lora));
    std::vector<float> row(static_cast<std::size_t>(kv_b.lora));
    for (std::int64_t i = 0; i < rows; ++i) {
      if (!keys) {
        whole.row(first + i, part.data() + i * kv_b.lora);
        continue;
      }
      whole.row(first + i, row.data());
      for (std::int64_t l = 0; l < kv_b.lora; ++l)
        part[static_cast<std::size_t>(l * kv_b.nope + i)] = row[static_cast<std::size_t>(l)];
    }
    quantise_blocks(kv_b.format, part.data(), rows * kv_b.lora, out);
  }

  std::shared_ptr<const TensorSource> source_;
  QuantiseList list_;
  std::unordered_map<std::string, Rounded> rounded_;
  std::set<std::string> hidden_; // tensors that others stand for
};

} // namespace

std::shared_ptr<const TensorSource> quantise_source(std::shared_ptr<const TensorSource> source, QuantiseList list) {
  return join_halves(std::make_shared<const QuantisedSource>(std::move(source), std::move(list)));
}

} // namespace abyssal
