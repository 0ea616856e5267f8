package org.abyssal;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** One message of a chat: a role, a content, and whatever else a chat template reads. Immutable. */
public final class Message {
  private final Map<String, Object> fields;

  private Message(Map<String, ?> fields) {
    this.fields = Collections.unmodifiableMap(new LinkedHashMap<>(fields));
  }

  /**
   * A message.
   *
   * @param role "system", "user", "assistant", "tool", or what else the template knows
   * @param content its text; null where there is none, such as beside "tool_calls"
   * @return the message
   */
  public static Message of(String role, String content) {
    Map<String, Object> fields = new LinkedHashMap<>();
    fields.put("role", Objects.requireNonNull(role));
    fields.put("content", content);
    return new Message(fields);
  }

  /**
   * A message of the user.
   *
   * @param content its text
   * @return the message
   */
  public static Message user(String content) {
    return of("user", content);
  }

  /**
   * A message of the model.
   *
   * @param content its text, or null
   * @return the message
   */
  public static Message assistant(String content) {
    return of("assistant", content);
  }

  /**
   * A message that sets the scene.
   *
   * @param content its text
   * @return the message
   */
  public static Message system(String content) {
    return of("system", content);
  }

  /**
   * The same message with one more field, such as "tool_calls".
   *
   * @param name of the field
   * @param value a string, number, boolean, null, list or map of such
   * @return a new message
   */
  public Message with(String name, Object value) {
    Map<String, Object> more = new LinkedHashMap<>(fields);
    more.put(name, value);
    return new Message(more);
  }

  /**
   * The fields, by name.
   *
   * @return an unmodifiable map
   */
  public Map<String, Object> fields() {
    return fields;
  }

  static String json(List<Message> messages) {
    return Json.write(messages.stream().map(Message::fields).toList(), "messages");
  }

  @Override
  public String toString() {
    return "Message" + fields;
  }
}
