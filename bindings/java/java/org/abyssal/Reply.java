package org.abyssal;

/**
 * A finished reply.
 *
 * @param content the answer
 * @param reasoning what came between the markers of reasoning; "" when they are not told apart
 * @param tokens the new tokens, without the one that ended the reply
 * @param finishReason STOP, LENGTH, CONTEXT or CANCELLED
 * @param usage tokens that it took
 * @param seed what it was drawn with: given again, it gives the same reply
 * @param logprobs log-probabilities of the tokens; empty unless {@link ReplyOptions#logprobs} was asked for
 */
public record Reply(
    String content,
    String reasoning,
    int[] tokens,
    FinishReason finishReason,
    Usage usage,
    long seed,
    float[] logprobs) {
  /**
   * Reasoning and content together.
   *
   * @return the whole text
   */
  public String text() {
    return reasoning + content;
  }
}
