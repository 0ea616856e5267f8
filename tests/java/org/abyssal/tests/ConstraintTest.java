package org.abyssal.tests;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.abyssal.AbyssalException;
import org.abyssal.ChatOptions;
import org.abyssal.Event;
import org.abyssal.EventKind;
import org.abyssal.FinishReason;
import org.abyssal.GenerationOptions;
import org.abyssal.Message;
import org.abyssal.Model;
import org.abyssal.Reply;
import org.abyssal.ReplyStream;
import org.abyssal.Sequence;
import org.abyssal.Status;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Replies bound by masks, schemas, expressions and grammars. */
class ConstraintTest {
  private static final int[] PROMPT = {5, 6, 7};
  private static final String SCHEMA = "{\"type\": \"object\", \"properties\": {\"name\": {\"type\": \"string\","
      + " \"pattern\": \"^[a-z]{1,8}$\"}, \"done\": {\"type\": \"boolean\"}}, \"required\": [\"name\", \"done\"],"
      + " \"additionalProperties\": false, \"x-guidance\": {\"whitespace_flexible\": false}}";
  private static Model model;
  private static int ids;

  @BeforeAll
  static void open() {
    model = Support.open("tiny-v3");
    ids = model.info().vocabSize();
  }

  @AfterAll
  static void close() {
    model.close();
  }

  private static GenerationOptions sampled() {
    return new GenerationOptions().maxTokens(60).temperature(1).topP(1).seed(3);
  }

  private static boolean[] flags(int... allowed) {
    boolean[] mask = new boolean[ids];
    for (int id : allowed) {
      mask[id] = true;
    }
    return mask;
  }

  private static void bound(GenerationOptions options, String expression) {
    Reply reply = model.generate(PROMPT, options);
    assertTrue(reply.content().matches(expression), reply.content());
    assertEquals(FinishReason.STOP, reply.finishReason());
    assertFalse(model.generate(PROMPT, sampled()).content().matches(expression));
  }

  @Test
  void contentIsBound() {
    bound(sampled().regex("[a-f]{3}-[0-9]{2}"), "[a-f]{3}-[0-9]{2}");
    bound(sampled().grammar("start: item (\",\" item)?\nitem: /[a-c]{2}/ \"=\" /[0-9]/\n"),
        "[a-c]{2}=[0-9](,[a-c]{2}=[0-9])?");
    bound(sampled().jsonSchema(SCHEMA), "\\{\"name\": ?\"[a-z]{1,8}\", ?\"done\": ?(true|false)\\}");
  }

  @Test
  void trainedModelReasonsThenAnswers() {
    String schema = "{\"type\": \"object\", \"properties\": {\"answer\": {\"type\": \"integer\", \"minimum\": 0,"
        + " \"maximum\": 9999}}, \"required\": [\"answer\"], \"additionalProperties\": false}";
    try (Model trained = Model.open(Support.SOURCE.resolve("examples/models/abyssal-tiny-r1"))) {
      Reply reply = trained.chat(List.of(Message.user("What is 47 * 6 + 12?")), new ChatOptions(),
          new GenerationOptions().temperature(0).maxTokens(200).jsonSchema(schema));
      assertFalse(reply.reasoning().isEmpty());
      assertTrue(reply.content().matches("\\{\\s*\"answer\"\\s*:\\s*[0-9]{1,4}\\s*\\}"), reply.content());
    }
  }

  private static void refused(GenerationOptions options, String part) {
    AbyssalException error = assertThrows(AbyssalException.class, () -> model.generate(PROMPT, options));
    assertEquals(Status.INVALID_ARGUMENT, error.status());
    assertTrue(error.getMessage().contains(part), error.getMessage());
  }

  @Test
  void whatCannotBeIsRefused() {
    refused(sampled().regex("a("), "regular expression: ");
    refused(sampled().jsonSchema("{\"type\": \"integr\"}"), "integr");
    refused(sampled().grammar("start: missing"), "missing");
    refused(sampled().mask(new boolean[1]), "mask has 1 ids; the vocabulary has " + ids);
    refused(sampled().mask(new boolean[ids]), "none of the " + ids + " ids is allowed");
    assertThrows(AbyssalException.class, () -> sampled().mask(new boolean[0]));
    assertThrows(AbyssalException.class, () -> sampled().regex("a\0"));
  }

  @Test
  void maskChangesBetweenEvents() {
    GenerationOptions options =
        new GenerationOptions().maxTokens(6).temperature(0).ignoreEos(true).mask(flags(40));
    List<Integer> tokens = new ArrayList<>();
    try (Sequence sequence = model.sequence(); ReplyStream stream = sequence.generate(PROMPT, options)) {
      for (Event event : stream) {
        if (event.kind() != EventKind.TOKEN) {
          continue;
        }
        tokens.add(event.token());
        if (tokens.size() == 2) {
          stream.setMask(flags(77));
        } else if (tokens.size() == 4) {
          assertThrows(AbyssalException.class, () -> stream.setMask(flags()));
          stream.setMask(null);
        }
      }
      AbyssalException error = assertThrows(AbyssalException.class, () -> stream.setMask(null));
      assertEquals(Status.STATE, error.status());
    }
    assertEquals(List.of(40, 40, 77, 77), tokens.subList(0, 4));
    assertEquals(6, tokens.size());
    assertFalse(tokens.subList(4, 6).equals(List.of(77, 77)));
  }
}
