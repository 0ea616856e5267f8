#include "model/model_weights.h"

#include "base/status.h"

namespace abyssal {

namespace {

LayerWeights load_layer(const LayerSpec &spec, std::int32_t hidden, const WeightScope &scope) {
  LayerWeights w;
  w.input_norm = scope.norm("input_layernorm", hidden);
  w.post_attention_norm = scope.norm("post_attention_layernorm", hidden);
  w.attention = spec.attention->load(scope.below("self_attn."), hidden);
  w.feed_forward = spec.feed_forward->load(scope.below("mlp."), hidden);
  return w;
}

MtpWeights load_mtp(const ModelSpec &spec, const WeightScope &scope, const ModelWeights &main) {
  const std::int32_t hidden = spec.hidden_size, vocab = spec.vocab_size;
  MtpWeights w;
  // Published checkpoints repeat the embedding and the head; one that does not shares the main model's.
  w.embed = scope.has("embed_tokens.weight") ? scope.embedding("embed_tokens", vocab, hidden) : main.embed;
  w.enorm = scope.norm("enorm", hidden);
  w.hnorm = scope.norm("hnorm", hidden);
  w.eh_proj = scope.matrix("eh_proj", hidden, 2 * std::int64_t{hidden});
  w.layer = load_layer(*spec.mtp, hidden, scope);
  w.head_norm = scope.norm("shared_head.norm", hidden);
  w.head = scope.has("shared_head.head.weight") ? scope.head("shared_head.head", vocab, hidden) : main.head;
  return w;
}

// The embedding's table serves as the head where it is kept as it is stored. Where products want it in another layout,
// that is a weight of its own: a row of the table is looked up in the first, and all of it multiplied with the second.
WeightPtr load_tied_head(const ModelSpec &spec, WeightVisitor &visitor, const WeightPtr &embed) {
  const WeightSpec head{.use = ABK_USE_MATRIX,
                        .names = {"model.embed_tokens.weight"},
                        .n = spec.vocab_size,
                        .k = spec.hidden_size,
                        .outer = true,
                        .repeated = true,
                        .alias = "lm_head.weight"};
  return visitor.repacks(head) ? visitor.take(head) : embed;
}

} // namespace

ModelWeights visit_weights(const ModelSpec &spec, bool mtp, WeightVisitor &visitor) {
  const WeightScope root(visitor, "");
  const WeightScope body(visitor, "model.");
  const auto layer = [&](std::size_t i) { return body.below("layers." + std::to_string(i) + "."); };
  ModelWeights w;
  w.embed = body.embedding("embed_tokens", spec.vocab_size, spec.hidden_size);
  w.layers.reserve(spec.layers.size());
  for (std::size_t i = 0; i < spec.layers.size(); ++i)
    w.layers.push_back(load_layer(spec.layers[i], spec.hidden_size, layer(i)));
  w.norm = body.norm("norm", spec.hidden_size);
  w.head = spec.tie_word_embeddings ? load_tied_head(spec, visitor, w.embed)
                                    : root.head("lm_head", spec.vocab_size, spec.hidden_size);
  if (mtp) {
    if (!spec.mtp)
      fail(ABY_ERROR_UNSUPPORTED, "this checkpoint has no MTP layer (num_nextn_predict_layers is 0)");
    w.mtp = load_mtp(spec, layer(spec.layers.size()), w);
  }
  return w;
}

} // namespace abyssal
