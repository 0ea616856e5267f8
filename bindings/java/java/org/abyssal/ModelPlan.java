package org.abyssal;

/**
 * Memory that a model will need, in bytes, and its sizes, known before any weight is read.
 *
 * @param layers num_hidden_layers
 * @param parameters all weights, without the MTP layer unless it was asked for
 * @param activeParameters weights that one token uses, embedding and head not counted
 * @param fileBytes bytes of the checkpoint's tensors that will be used
 * @param weightBytes memory of the prepared weights, mapped files included
 * @param mappedBytes part of weightBytes that stays in the mapped files
 * @param cacheBytesPerToken bytes of one token in the cache
 * @param cacheTokens most tokens that the cache of all sequences together holds
 * @param cacheBytes of the cache when it is full
 * @param scratchBytes most temporary memory of one pass
 * @param totalBytes weightBytes, cacheBytes and scratchBytes
 */
public record ModelPlan(
    int layers,
    long parameters,
    long activeParameters,
    long fileBytes,
    long weightBytes,
    long mappedBytes,
    long cacheBytesPerToken,
    long cacheTokens,
    long cacheBytes,
    long scratchBytes,
    long totalBytes) {

  static ModelPlan of(RawModelPlan raw) {
    return new ModelPlan(
        (int) raw.getLayers(),
        raw.getParameters(),
        raw.getActiveParameters(),
        raw.getFileBytes(),
        raw.getWeightBytes(),
        raw.getMappedBytes(),
        raw.getCacheBytesPerToken(),
        raw.getCacheTokens(),
        raw.getCacheBytes(),
        raw.getScratchBytes(),
        raw.getTotalBytes());
  }
}
