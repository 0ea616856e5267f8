package org.abyssal;

/**
 * What a model is.
 *
 * @param architecture model_type of its config: "deepseek_v3", "qwen2", ...
 * @param attention "mla" or "gqa"
 * @param weightTypes types of the stored weights, such as "f32 bf16 f8_e4m3" or "f32 q4_k q6_k"
 * @param weightLayouts weights that are not held as they are stored, with their bits a weight as stored and in memory,
 *     such as "q2_k as q4_g16_bias (2.62 to 8.00 bits), bf16 as q8 (16.00 to 8.50 bits)"; "" if there are none
 * @param layers num_hidden_layers
 * @param hiddenSize hidden_size
 * @param vocabSize vocab_size
 * @param heads attention heads
 * @param kvHeads key-value heads of grouped-query attention; 0 for MLA
 * @param kvLoraRank 0 for grouped-query attention
 * @param ropeDim dimensions with rotary positions
 * @param experts n_routed_experts; 0 for dense models
 * @param topK num_experts_per_tok
 * @param contextLength max_position_embeddings, in tokens
 * @param mtpLayers multi-token-prediction layers that are loaded
 * @param bosToken -1 if there is none
 * @param hasTokenizer whether functions on text work
 * @param hasChatTemplate whether chat works without a template of your own
 * @param reasons whether the vocabulary has the markers of reasoning
 * @param activations F32 or BF16
 * @param cacheDtype F32, BF16 or I8
 * @param parameters as in ModelPlan, like all that follow
 * @param activeParameters weights that one token uses
 * @param fileBytes bytes of the checkpoint's tensors
 * @param weightBytes memory of the prepared weights
 * @param mappedBytes part of weightBytes in mapped files
 * @param cacheBytesPerToken bytes of one token in the cache
 * @param cacheTokens most tokens that the cache of all sequences together holds
 * @param arithmetic what activations are rounded to in products with quantised weights: I8, I16, or F32
 * @param packedCache whether weights are mapped from a packed cache
 * @param tools whether the chat template has a place for tools
 */
public record ModelInfo(
    String architecture,
    String attention,
    String weightTypes,
    String weightLayouts,
    int layers,
    int hiddenSize,
    int vocabSize,
    int heads,
    int kvHeads,
    int kvLoraRank,
    int ropeDim,
    int experts,
    int topK,
    int contextLength,
    int mtpLayers,
    int bosToken,
    boolean hasTokenizer,
    boolean hasChatTemplate,
    boolean reasons,
    Dtype activations,
    Dtype cacheDtype,
    long parameters,
    long activeParameters,
    long fileBytes,
    long weightBytes,
    long mappedBytes,
    long cacheBytesPerToken,
    long cacheTokens,
    Dtype arithmetic,
    boolean packedCache,
    boolean tools) {

  static ModelInfo of(NativeModel model) {
    try (RawModelFacts facts = new RawModelFacts(model)) {
      RawModelInfo raw = facts.getNumbers();
      return new ModelInfo(
          facts.getArchitecture(),
          facts.getAttention(),
          facts.getWeightTypes(),
          facts.getWeightLayouts(),
          (int) raw.getLayers(),
          (int) raw.getHiddenSize(),
          (int) raw.getVocabSize(),
          (int) raw.getHeads(),
          (int) raw.getKvHeads(),
          (int) raw.getKvLoraRank(),
          (int) raw.getRopeDim(),
          (int) raw.getExperts(),
          (int) raw.getTopK(),
          (int) raw.getContextLength(),
          (int) raw.getMtpLayers(),
          raw.getBosToken(),
          raw.getHasTokenizer() != 0,
          raw.getHasChatTemplate() != 0,
          raw.getReasons() != 0,
          Dtype.of(raw.getActivations()),
          Dtype.of(raw.getCacheDtype()),
          raw.getParameters(),
          raw.getActiveParameters(),
          raw.getFileBytes(),
          raw.getWeightBytes(),
          raw.getMappedBytes(),
          raw.getCacheBytesPerToken(),
          raw.getCacheTokens(),
          Dtype.of(raw.getArithmetic()),
          raw.getPackedCache() != 0,
          raw.getTools() != 0);
    }
  }
}
