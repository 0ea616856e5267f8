#include "engine/sequence.h"

#include "base/status.h"

#include <algorithm>

namespace abyssal {

namespace {

std::size_t blocks_for(std::size_t tokens) noexcept { return (tokens + ABK_BLOCK_TOKENS - 1) / ABK_BLOCK_TOKENS; }

template <typename Element>
OutputArray rows_of(const std::vector<Element> &values, aby_dtype dtype, std::int64_t cols) {
  return {dtype, values.data(), {static_cast<std::int64_t>(values.size()) / cols, cols}};
}

} // namespace

Sequence::Sequence(std::shared_ptr<LoadedModel> model) : model_(std::move(model)), epoch_(model_->epoch()) {}

Sequence::~Sequence() { release_blocks(0); }

std::unique_lock<std::mutex> Sequence::enter() {
  std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock.owns_lock())
    fail(ABY_ERROR_BUSY, "the sequence is in use by a call on another thread");
  drop_if_stale();
  return lock;
}

std::unique_lock<std::mutex> Sequence::enter_to_change(const void *writer) {
  auto lock = enter();
  if (writer_ != nullptr && writer_ != writer)
    fail(ABY_ERROR_BUSY,
         "a reply is being written onto the sequence: until it has ended or was destroyed, nothing else "
         "changes it");
  return lock;
}

std::optional<std::int32_t> Sequence::begin_writing(const void *writer, bool take_last) {
  const auto lock = enter_to_change();
  std::optional<std::int32_t> last;
  if (take_last && evaluated_ < tokens_.size())
    last = tokens_.back();
  else if (take_last && (!has_outputs_ || kept_.logits == 0))
    fail(ABY_ERROR_STATE, "there is no prompt, and the last evaluation of the sequence kept no logits");
  tokens_.reserve(tokens_.size() + 1);
  if (last)
    tokens_.pop_back();
  writer_ = writer;
  return last;
}

void Sequence::end_writing(std::optional<std::int32_t> left) noexcept {
  const std::lock_guard lock(mutex_);
  drop_if_stale();
  writer_ = nullptr;
  if (left && evaluated_ > 0)
    tokens_.push_back(*left); // room was made for it, by begin_writing and by each evaluation
}

void Sequence::drop_if_stale() noexcept {
  const std::uint64_t epoch = model_->epoch();
  if (epoch == epoch_)
    return;
  epoch_ = epoch;
  tokens_.clear();
  evaluated_ = 0;
  release_blocks(0);
  mtp_rows_ = 0;
  has_outputs_ = false;
}

void Sequence::release_blocks(std::size_t keep) noexcept {
  while (blocks_.size() > keep) {
    model_->cache().pool().release(blocks_.back());
    blocks_.pop_back();
  }
}

std::size_t Sequence::length() {
  const auto lock = enter();
  return tokens_.size();
}

std::vector<std::int32_t> Sequence::tokens() {
  const auto lock = enter();
  return tokens_;
}

void Sequence::truncate(std::size_t length) {
  const auto lock = enter_to_change();
  if (length > tokens_.size())
    fail(ABY_ERROR_INVALID_ARGUMENT, "truncate to ", length, ": the sequence has ", tokens_.size(), " tokens");
  if (length < evaluated_)
    outputs_.last_hidden.clear(); // of a token that is gone
  tokens_.resize(length);
  evaluated_ = std::min(evaluated_, length);
  release_blocks(blocks_for(evaluated_));
  mtp_rows_ = std::min(mtp_rows_, length == 0 ? 0 : length - 1);
  has_outputs_ = false;
}

std::shared_ptr<Sequence> Sequence::fork() {
  const auto lock = enter();
  auto copy = std::make_shared<Sequence>(model_);
  copy->epoch_ = epoch_;
  copy->tokens_ = tokens_;
  copy->evaluated_ = evaluated_;
  copy->mtp_rows_ = mtp_rows_;
  copy->outputs_.last_hidden = outputs_.last_hidden;
  copy->blocks_.reserve(blocks_.size());
  for (const std::int32_t block : blocks_) {
    model_->cache().pool().add_reference(block);
    copy->blocks_.push_back(block);
  }
  return copy;
}

OutputArray Sequence::output(aby_output_kind kind, std::int32_t layer) {
  const auto lock = enter();
  if (kind >= ABY_OUTPUT_CACHE_C_KV && kind <= ABY_OUTPUT_CACHE_V)
    return cache_output(kind, layer);
  const ModelSpec &spec = model_->spec();
  const std::int32_t layers = spec.layer_count();
  const auto need = [&](bool kept, const char *what) {
    if (!has_outputs_ || !kept)
      fail(ABY_ERROR_STATE, "the last evaluation of the sequence kept no ", what);
  };
  const bool last = layer == -1 || layer == layers;
  switch (kind) {
  case ABY_OUTPUT_LOGITS:
    need(kept_.logits > 0, "logits");
    return rows_of(outputs_.logits, ABY_DTYPE_F32, spec.vocab_size);
  case ABY_OUTPUT_HIDDEN:
    if (layer < -1 || layer > layers)
      fail(ABY_ERROR_INVALID_ARGUMENT, "hidden states of layer ", layer, ": expected -1 to ", layers);
    need(kept_.keep_layers || (last && kept_.keep_hidden), "hidden states of this layer");
    return rows_of(outputs_.hidden[static_cast<std::size_t>(last ? layers : layer)], ABY_DTYPE_F32, spec.hidden_size);
  case ABY_OUTPUT_ROUTE_INDEX:
  case ABY_OUTPUT_ROUTE_WEIGHT: {
    const bool known = layer >= 0 && layer < layers;
    const auto at = static_cast<std::size_t>(layer);
    const std::int32_t top_k = known ? spec.layers[at].feed_forward->routed().top_k : 0;
    if (top_k == 0)
      fail(ABY_ERROR_INVALID_ARGUMENT, "routes of layer ", layer, ": it is not a MoE layer");
    need(kept_.keep_routes, "routes");
    if (kind == ABY_OUTPUT_ROUTE_INDEX)
      return rows_of(outputs_.route_index[at], ABY_DTYPE_I32, top_k);
    return rows_of(outputs_.route_weight[at], ABY_DTYPE_F32, top_k);
  }
  case ABY_OUTPUT_MTP_LOGITS:
    need(kept_.mtp && kept_.logits > 0, "MTP logits");
    return rows_of(outputs_.mtp_logits, ABY_DTYPE_F32, spec.vocab_size);
  case ABY_OUTPUT_MTP_HIDDEN:
    need(kept_.mtp && kept_.keep_hidden, "MTP hidden states");
    return rows_of(outputs_.mtp_hidden, ABY_DTYPE_F32, spec.hidden_size);
  default:
    fail(ABY_ERROR_INVALID_ARGUMENT, "output ", kind, " is not known");
  }
}

OutputArray Sequence::cache_output(aby_output_kind kind, std::int32_t layer) {
  const bool latent = kind == ABY_OUTPUT_CACHE_C_KV || kind == ABY_OUTPUT_CACHE_K_ROPE;
  PagedCache &cache = model_->cache();
  const bool known = layer >= 0 && static_cast<std::size_t>(layer) < cache.layers().size();
  const std::span<const CacheSpec> caches = cache.caches(known ? static_cast<std::size_t>(layer) : 0);
  const bool has_latent = caches.front().kind == ABK_CACHE_LATENT;
  if (latent != has_latent)
    fail(ABY_ERROR_STATE, "the model caches ",
         has_latent ? "latent rows (c_kv, k_rope), not K and V" : "K and V, not latent rows");
  if (!known)
    fail(ABY_ERROR_INVALID_ARGUMENT, "cache of layer ", layer, ": expected 0 to ", cache.layers().size() - 1);
  const std::size_t which = kind == ABY_OUTPUT_CACHE_V ? 1 : 0;
  const CacheSpec &spec = caches[which];
  const bool main = layer < model_->spec().layer_count();
  const auto length = static_cast<std::int64_t>(main ? evaluated_ : mtp_rows_);
  std::vector<float> rows;
  {
    const std::lock_guard queue(model_->device()->queue_mutex());
    rows = cache.read(static_cast<std::size_t>(layer), which, blocks_, length);
  }
  if (!latent) {
    cache_copy_ = std::move(rows);
    return {ABY_DTYPE_F32, cache_copy_.data(), {length, spec.heads, spec.width}};
  }
  // A latent row is [c_kv | k_rope]; the part asked for is copied out of each row.
  const std::int64_t begin = kind == ABY_OUTPUT_CACHE_C_KV ? 0 : spec.width;
  const std::int64_t cols = kind == ABY_OUTPUT_CACHE_C_KV ? spec.width : spec.rope_dim;
  cache_copy_.resize(static_cast<std::size_t>(length * cols));
  for (std::int64_t row = 0; row < length; ++row)
    std::copy_n(rows.begin() + row * spec.values() + begin, cols, cache_copy_.begin() + row * cols);
  return {ABY_DTYPE_F32, cache_copy_.data(), {length, cols}};
}

} // namespace abyssal
