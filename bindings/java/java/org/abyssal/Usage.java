package org.abyssal;

/**
 * Tokens that a reply took.
 *
 * @param promptTokens prompt tokens evaluated; those found in the cache of a sequence that was passed in are not
 *     counted
 * @param completionTokens tokens drawn, an end-of-sequence token included
 * @param reasoningTokens of those, tokens of the reasoning, markers included
 */
public record Usage(
    long promptTokens,
    long completionTokens,
    long reasoningTokens) {}
