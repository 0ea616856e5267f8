package org.abyssal.tests;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.abyssal.ChatOptions;
import org.abyssal.Message;
import org.abyssal.Model;
import org.abyssal.ModelOptions;
import org.abyssal.ReplyOptions;
import org.abyssal.Status;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TextTest {
  private static Model model;

  @BeforeAll
  static void open() {
    model = Support.open("tiny-v3");
  }

  @AfterAll
  static void close() {
    model.close();
  }

  /** JNI's own strings would change characters beyond the first plane, and NUL. */
  @Test
  void everyCharacterSurvives() {
    for (String text : new String[] {"", "Hello", "Grüße, мир",
        "日本語", "🙂 𝔸\uDBFF\uDFFF", "a\0b", "\uFFFF\u0800\u07FF\u0080"}) {
      int[] tokens = model.tokenize(text);
      assertEquals(text, model.decode(tokens));
      assertArrayEquals(text.getBytes(StandardCharsets.UTF_8), model.detokenize(tokens, false));
      String template = "{{ messages[0]['content'] }}";
      ChatOptions options = new ChatOptions().chatTemplate(template);
      assertEquals(text, model.renderChat(List.of(Message.user(text)), options));
    }
  }

  @Test
  void loneSurrogatesAreRefused() {
    assertTrue(Support.fails(Status.ENCODING, () -> model.tokenize("ab\uD800")).getMessage().contains("2"));
    Support.fails(Status.ENCODING, () -> model.tokenize("\uDC00x"));
  }

  @Test
  void specialTokens() {
    int[] eos = model.eosTokens();
    String marker = model.decode(eos);
    assertArrayEquals(eos, model.tokenize(marker));
    assertNotEquals(1, model.tokenize(marker, false, true).length);
    assertEquals(model.info().bosToken(), model.tokenize("x", true, false)[0]);
    assertEquals("", model.decode(eos, true));
    Support.fails(Status.INVALID_ARGUMENT, () -> model.decode(-1));
  }

  @Test
  void pieceOfACharacter() {
    int[] tokens = model.tokenize("🙂");
    if (tokens.length > 1) {
      assertEquals("\uFFFD", model.decode(tokens[0]).substring(0, 1));
    }
  }

  @Test
  void messagesAsObjectsAndAsJson() {
    List<Message> messages = List.of(Message.system("Be \"brief\"\n\u0001"), Message.user("Hi 🙂"));
    String json = "[{\"role\":\"system\",\"content\":\"Be \\\"brief\\\"\\n\\u0001\"},"
        + "{\"role\":\"user\",\"content\":\"Hi 🙂\"}]";
    ChatOptions options = new ChatOptions();
    String text = model.renderChat(messages, options);
    assertEquals(model.renderChat(json, options), text);
    assertTrue(text.contains("Be \"brief\"\n\u0001") && text.contains("Hi 🙂"));
    assertTrue(text.startsWith(model.renderChat(messages, new ChatOptions().addGenerationPrompt(false))));
  }

  @Test
  void variablesAndFields() {
    Map<String, Object> variables = new java.util.LinkedHashMap<>();
    variables.put("list", List.of(1, 2.5, true));
    variables.put("nothing", null);
    variables.put("nested", Map.of("k", "v"));
    ChatOptions options = new ChatOptions().variables(variables).tools("[{\"name\": \"f\"}]").chatTemplate(
        "{{ list[1] }} {{ nested.k }} {{ nothing is none }} {{ messages[0].extra[0] }} {{ tools[0].name }}");
    Message message = Message.user("x").with("extra", List.of("more"));
    assertEquals("2.5 v True more f", model.renderChat(List.of(message), options));
    assertEquals(Map.of("role", "user", "content", "x"), Message.user("x").fields());
    Support.fails(Status.INVALID_ARGUMENT,
        () -> model.renderChat(List.of(Message.user("x").with("bad", Double.NaN)), options));
    Support.fails(Status.INVALID_ARGUMENT,
        () -> model.renderChat(List.of(Message.user("x").with("bad", new Object())), options));
  }

  @Test
  void contentMayBeNull() {
    Message call = Message.assistant(null).with("tool_calls", List.of(Map.of("name", "look")));
    ChatOptions adds = new ChatOptions().chatTemplate("{% for m in messages %}{{ m.role + ':' + m.content }};{% endfor %}");
    assertEquals("user:x;assistant:;", model.renderChat(List.of(Message.user("x"), call), adds));
    ChatOptions tells = new ChatOptions().chatTemplate("{{ messages[0].content is none }}");
    assertEquals("True", model.renderChat(List.of(call), tells));
  }

  @Test
  void toolsAreNotDroppedUnasked() {
    List<Message> messages = List.of(Message.user("x"));
    String plain = model.renderChat(messages, new ChatOptions());
    ChatOptions options = new ChatOptions().tools("[{\"name\": \"f\"}]");
    Support.fails(Status.UNSUPPORTED, () -> model.renderChat(messages, options));
    Support.fails(Status.UNSUPPORTED, () -> model.chat(messages, options, new ReplyOptions().maxTokens(1)));
    assertEquals(plain, model.renderChat(messages, options.allowDroppedTools(true)));
    assertEquals(1, model.chat(messages, options, new ReplyOptions().maxTokens(1)).usage().completionTokens());
  }

  @Test
  void infoTellsOfAPlaceForTools(@TempDir Path folder) throws IOException {
    assertFalse(model.info().tools());
    try (Stream<Path> files = Files.list(Support.checkpoint("tiny-v3"))) {
      for (Path file : files.toList()) {
        Files.createSymbolicLink(folder.resolve(file.getFileName()), file);
      }
    }
    Path config = folder.resolve("tokenizer_config.json");
    String text = Files.readString(config);
    Files.delete(config);
    Files.writeString(config, text.replaceFirst("\"chat_template\": \"", "$0{{ tools }}"));
    try (Model other = Model.open(folder, new ModelOptions().cacheTokens(256))) {
      assertTrue(other.info().tools());
    }
  }

  @Test
  void templateErrors() {
    ChatOptions raising = new ChatOptions().chatTemplate("{{ raise_exception('no such role') }}");
    String text = Support.fails(Status.TEMPLATE, () -> model.renderChat(List.of(), raising)).getMessage();
    assertTrue(text.contains("no such role"), text);
    Support.fails(Status.TEMPLATE, () -> model.renderChat("not JSON", new ChatOptions()));
    assertThrows(NullPointerException.class, () -> model.tokenize(null));
    assertFalse(model.isClosed());
  }
}
