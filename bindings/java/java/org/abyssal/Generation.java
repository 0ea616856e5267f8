package org.abyssal;

/** The native half of a reply. */
final class Generation extends NativeGeneration {
  Generation(Sequence on, int[] prompt, RawGenerationOptions raw, GenerationOptions options) {
    super(on, prompt, raw, options.stopTokens, options.mask, options.constraint);
  }
}
