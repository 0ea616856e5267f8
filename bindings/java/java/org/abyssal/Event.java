package org.abyssal;

/**
 * What happened to a reply.
 *
 * @param kind what it was
 * @param text new text: whole characters; may be empty while a character or a marker is incomplete
 * @param textKind what the text is part of
 * @param token the token drawn; for END the one that ended the reply; -1 if there is none
 * @param logprob log-probability of the token; NaN if there is none, or {@link ReplyOptions#logprobs} was not asked for
 * @param finishReason for END why; else NONE
 * @param promptDone prompt tokens evaluated so far
 * @param promptTotal prompt tokens in all
 * @param completionTokens tokens drawn so far, an end-of-sequence token included
 * @param reasoningTokens of those, tokens of the reasoning, markers included
 */
public record Event(
    EventKind kind,
    String text,
    TextKind textKind,
    int token,
    float logprob,
    FinishReason finishReason,
    long promptDone,
    long promptTotal,
    long completionTokens,
    long reasoningTokens) {
  /**
   * The counts so far.
   *
   * @return tokens of prompt, completion and reasoning
   */
  public Usage usage() {
    return new Usage(promptDone, completionTokens, reasoningTokens);
  }
}
