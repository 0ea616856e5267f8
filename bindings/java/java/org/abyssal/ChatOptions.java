package org.abyssal;

/** How messages are rendered with a chat template, and what they are answered on. */
public final class ChatOptions {
  boolean addGenerationPrompt = true;
  String tools;
  java.util.Map<String, ?> variables;
  String chatTemplate;
  boolean allowDroppedTools;
  Sequence sequence;

  /** The defaults. */
  public ChatOptions() {}

  /**
   * Whether to end with the marker that opens the assistant's turn. Replies always do.
   *
   * @param value whether to
   * @return this
   */
  public ChatOptions addGenerationPrompt(boolean value) {
    addGenerationPrompt = value;
    return this;
  }

  /**
   * Tools as chat APIs describe them.
   *
   * @param value a JSON array, or null
   * @return this
   */
  public ChatOptions tools(String value) {
    tools = value;
    return this;
  }

  /**
   * Further variables of the template, such as thinking.
   *
   * @param value strings, numbers, booleans, lists and maps by name, or null
   * @return this
   */
  public ChatOptions variables(java.util.Map<String, ?> value) {
    variables = value;
    return this;
  }

  /**
   * Template to use instead of the checkpoint's own.
   *
   * @param value null: its own
   * @return this
   */
  public ChatOptions chatTemplate(String value) {
    chatTemplate = value;
    return this;
  }

  /**
   * Whether tools that the template has no place for are left out.
   *
   * @param value false: they are UNSUPPORTED
   * @return this
   */
  public ChatOptions allowDroppedTools(boolean value) {
    allowDroppedTools = value;
    return this;
  }

  /**
   * A sequence of the model to write replies onto. The tokens that it shares with the prompt from the start are not
   * computed again, the others are forgotten: keep one for a conversation.
   *
   * @param value null: a new one
   * @return this
   */
  public ChatOptions sequence(Sequence value) {
    sequence = value;
    return this;
  }
}
