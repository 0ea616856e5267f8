package org.abyssal;

/** The native half of a reply. */
final class Generation extends NativeGeneration {
  Generation(Sequence on, int[] prompt, RawReplyOptions raw, int[] stopTokens, boolean[] mask, Constraint bound) {
    super(on, prompt, raw, stopTokens, mask, bound);
  }

  Step step(long microseconds) {
    String[] text = {""};
    long[] columns = stepNow(microseconds, text);
    return new Step(columns, text[0]);
  }
}
