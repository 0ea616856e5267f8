package org.abyssal;

/**
 * A finished reply.
 *
 * @param content the answer
 * @param reasoning what came between the markers of reasoning; "" when they are not told apart
 * @param tokens the new tokens, without the one that ended the reply
 * @param finishReason STOP, LENGTH or CANCELLED
 * @param usage tokens that it took
 */
public record Reply(
    String content,
    String reasoning,
    int[] tokens,
    FinishReason finishReason,
    Usage usage) {
  /**
   * Reasoning and content together.
   *
   * @return the whole text
   */
  public String text() {
    return reasoning + content;
  }
}
