package org.abyssal;

/** The native half of a reply. */
final class Generation extends NativeGeneration {
  Generation(Sequence on, int[] prompt, RawGenerationOptions options, int[] stopTokens) {
    super(on, prompt, options, stopTokens);
  }
}
