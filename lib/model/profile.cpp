#include "model/profile.h"

#include "base/dtype.h"
#include "model/forward.h"

#include <algorithm>
#include <initializer_list>
#include <span>

namespace abyssal {

namespace {

thread_local ProfiledPass *current_pass = nullptr;

using Clock = std::chrono::steady_clock;

std::uint64_t u64(std::int64_t value) noexcept { return static_cast<std::uint64_t>(value); }

// Which part a product with a weight belongs to, by the name that published checkpoints give it.
Part part_of(const std::string &name) {
  if (name.ends_with(".mlp.gate.weight"))
    return Part::kRouter;
  return name.ends_with(".eh_proj.weight") ? Part::kEmbedding : Part::kProjections;
}

// What the ops have to do.
class Work {
public:
  Work(const Profile &profile, std::span<const ProfiledPass::Share> shares) : profile_(profile), shares_(shares) {}

  PartWork of(const abk_embed_args &) const { return {Part::kEmbedding}; }
  PartWork of(const abk_norm_add_args &) const { return {Part::kNorms}; }
  PartWork of(const abk_moe_route_args &) const { return {Part::kRouter}; }
  PartWork of(const abk_linear_args &a) const {
    PartWork work{profile_.facts(a.w).part};
    product(work, a.rows, a.w);
    return work;
  }
  PartWork of(const abk_mlp_args &a) const { return products(Part::kMlp, a.rows, {a.gate, a.up, a.down}); }
  PartWork of(const abk_mla_project_args &a) const {
    return products(Part::kProjections, rows(), {a.q_a, a.q_b, a.kv_a});
  }
  PartWork of(const abk_logits_args &a) const { return products(Part::kHead, a.rows, {a.head}); }

  // The experts that are used can be known only to the device: as many as there can be are counted.
  PartWork of(const abk_moe_experts_args &a) const {
    PartWork work = products(Part::kExperts, a.rows, {a.shared_gate, a.shared_up, a.shared_down});
    const std::uint64_t pairs = u64(a.rows) * u64(a.top_k);
    for (const abk_weight *weight : {a.gate, a.up, a.down}) {
      const Profile::WeightFacts facts = profile_.facts(weight);
      if (facts.count == 0)
        continue;
      work.flops += 2 * pairs * facts.elements;
      work.bytes += facts.bytes / facts.count * std::min(pairs, facts.count);
    }
    return work;
  }

  PartWork of(const abk_mla_attend_args &a) const {
    PartWork work{Part::kAttention};
    const std::uint64_t heads = u64(a.heads), lora = u64(a.kv_lora), rope = u64(a.rope_dim), nope = u64(a.qk_nope);
    const std::uint64_t v = u64(a.v_dim), row_bytes = (lora + rope) * dtype_size(a.cache_dtype);
    bool absorbs = false, expands = false;
    for (const ProfiledPass::Share &share : shares_) {
      const bool absorbed = share.fresh < a.absorb_below;
      const std::uint64_t keys = share.context + share.fresh;
      work.flops += 2 * heads * pairs(share) * (absorbed ? 2 * lora + rope : nope + rope + v);
      work.flops += 2 * heads * lora * (nope + v) * (absorbed ? share.fresh : keys);
      work.bytes += keys * row_bytes;
      (absorbed ? absorbs : expands) = true;
    }
    const std::uint64_t halves = profile_.facts(a.k_b).bytes + profile_.facts(a.v_b).bytes;
    if (absorbs && halves > 0)
      work.bytes += halves;
    if (expands || (absorbs && halves == 0))
      work.bytes += profile_.facts(a.kv_b).bytes;
    return work;
  }

  PartWork of(const abk_gqa_attend_args &a) const {
    PartWork work{Part::kAttention};
    for (const ProfiledPass::Share &share : shares_) {
      work.flops += 4 * u64(a.heads) * u64(a.head_dim) * pairs(share);
      work.bytes += 2 * (share.context + share.fresh) * u64(a.kv_heads) * u64(a.head_dim) * dtype_size(a.cache_dtype);
    }
    return work;
  }

private:
  // Queries and the keys that each attends to.
  static std::uint64_t pairs(const ProfiledPass::Share &share) {
    return share.fresh * share.context + share.fresh * (share.fresh + 1) / 2;
  }
  std::int64_t rows() const {
    std::uint64_t sum = 0;
    for (const ProfiledPass::Share &share : shares_)
      sum += share.fresh;
    return static_cast<std::int64_t>(sum);
  }
  void product(PartWork &work, std::int64_t rows, const abk_weight *weight) const {
    const Profile::WeightFacts facts = profile_.facts(weight);
    work.flops += 2 * u64(rows) * facts.elements;
    work.bytes += facts.bytes;
  }
  PartWork products(Part part, std::int64_t rows, std::initializer_list<const abk_weight *> weights) const {
    PartWork work{part};
    for (const abk_weight *weight : weights)
      product(work, rows, weight);
    return work;
  }

  const Profile &profile_;
  std::span<const ProfiledPass::Share> shares_;
};

} // namespace

// One op of the table: the same op of the device's own, timed.
template <auto Op> struct TimedOp;
template <typename... Args, aby_status (*abk_backend::*Op)(abk_stream *, Args...)> struct TimedOp<Op> {
  static aby_status call(abk_stream *stream, Args... args) {
    ProfiledPass &pass = *current_pass;
    aby_status status = pass.inner_.stream_synchronize(stream);
    const auto begin = Clock::now();
    if (status == ABY_OK)
      status = (pass.inner_.*Op)(stream, args...);
    if (status == ABY_OK)
      status = pass.inner_.stream_synchronize(stream);
    if (status != ABY_OK)
      return status;
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    pass.profile_->record(work(pass, args...), seconds);
    return ABY_OK;
  }

private:
  template <typename OpArgs> static PartWork work(ProfiledPass &pass, const OpArgs *args) {
    return Work(*pass.profile_, {}).of(*args);
  }
  template <typename OpArgs> static PartWork work(ProfiledPass &pass, const abk_batch *batch, const OpArgs *args) {
    for (const auto &[known, shares] : pass.batches_) {
      if (known == batch)
        return Work(*pass.profile_, shares).of(*args);
    }
    return Work(*pass.profile_, {}).of(*args);
  }
};

const char *part_name(Part part) noexcept {
  constexpr std::array<const char *, kParts> names = {
      "embedding", "norms", "attention projections", "attention", "router", "experts", "mlp", "head", "sampling"};
  return names[static_cast<std::size_t>(part)];
}

void Profile::start(const WeightMap &weights) {
  rebind(weights);
  const std::lock_guard lock(mutex_);
  totals_ = {};
  on_.store(true, std::memory_order_relaxed);
}

void Profile::rebind(const WeightMap &weights) {
  std::unordered_map<const abk_weight *, WeightFacts> facts;
  for (const auto &[name, weight] : weights)
    facts[weight->get()] = {part_of(name), u64(weight->n()) * u64(weight->k()), u64(weight->count()),
                            weight->size().bytes};
  const std::lock_guard lock(mutex_);
  weights_.swap(facts);
}

PartTotals Profile::totals(Part part) const {
  const std::lock_guard lock(mutex_);
  return totals_[static_cast<std::size_t>(part)];
}

void Profile::record(const PartWork &work, double seconds) {
  const std::lock_guard lock(mutex_);
  PartTotals &totals = totals_[static_cast<std::size_t>(work.part)];
  ++totals.calls;
  totals.flops += work.flops;
  totals.bytes += work.bytes;
  totals.seconds += seconds;
}

Profile::WeightFacts Profile::facts(const abk_weight *weight) const {
  const std::lock_guard lock(mutex_);
  const auto found = weights_.find(weight);
  return found == weights_.end() ? WeightFacts{} : found->second;
}

ProfiledPass::ProfiledPass(Device &device, const ForwardModel &model) : inner_(device.api()), table_(device.api()) {
  if (model.profile == nullptr || !model.profile->on())
    return;
  profile_ = model.profile;
  current_pass = this;
  table_.embed = TimedOp<&abk_backend::embed>::call;
  table_.norm_add = TimedOp<&abk_backend::norm_add>::call;
  table_.linear = TimedOp<&abk_backend::linear>::call;
  table_.mlp = TimedOp<&abk_backend::mlp>::call;
  table_.mla_project = TimedOp<&abk_backend::mla_project>::call;
  table_.mla_attend = TimedOp<&abk_backend::mla_attend>::call;
  table_.gqa_attend = TimedOp<&abk_backend::gqa_attend>::call;
  table_.moe_route = TimedOp<&abk_backend::moe_route>::call;
  table_.moe_experts = TimedOp<&abk_backend::moe_experts>::call;
  table_.logits = TimedOp<&abk_backend::logits>::call;
}

ProfiledPass::~ProfiledPass() {
  if (profile_ != nullptr)
    current_pass = nullptr;
}

void ProfiledPass::note(const abk_batch *batch, const abk_batch_desc &desc) {
  if (current_pass == nullptr)
    return;
  std::vector<Share> shares;
  shares.reserve(static_cast<std::size_t>(desc.sequences));
  for (std::int32_t i = 0; i < desc.sequences; ++i)
    shares.push_back({u64(desc.row_begin[i + 1] - desc.row_begin[i]), u64(desc.context[i])});
  auto &batches = current_pass->batches_;
  std::erase_if(batches, [&](const auto &known) { return known.first == batch; });
  batches.emplace_back(batch, std::move(shares));
}

} // namespace abyssal
