package org.abyssal.tests;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.abyssal.AbyssalException;
import org.abyssal.ChatOptions;
import org.abyssal.Constraint;
import org.abyssal.ConstraintKind;
import org.abyssal.Event;
import org.abyssal.EventKind;
import org.abyssal.FinishReason;
import org.abyssal.ReplyOptions;
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

  private static ReplyOptions sampled() {
    return new ReplyOptions().maxTokens(60).temperature(1).topP(1).seed(3);
  }

  private static boolean[] flags(int... allowed) {
    boolean[] mask = new boolean[ids];
    for (int id : allowed) {
      mask[id] = true;
    }
    return mask;
  }

  private static void bound(ReplyOptions options, String expression) {
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
          new ReplyOptions().temperature(0).maxTokens(200).jsonSchema(schema));
      assertFalse(reply.reasoning().isEmpty());
      assertTrue(reply.content().matches("\\{\\s*\"answer\"\\s*:\\s*[0-9]{1,4}\\s*\\}"), reply.content());
    }
  }

  private static void refused(ReplyOptions options, String part) {
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
  }

  @Test
  void oneConstraintServesManyReplies() throws InterruptedException, ExecutionException {
    ExecutorService threads = Executors.newFixedThreadPool(4);
    try (Constraint constraint = model.constraint(ConstraintKind.REGEX, "[a-f]{3}-[0-9]{2}")) {
      List<Future<Reply>> replies = new ArrayList<>();
      for (int i = 0; i < 12; ++i) {
        ReplyOptions options = sampled().seed(i).regex("not this one").constraint(constraint);
        replies.add(threads.submit(() -> model.generate(PROMPT, options)));
      }
      for (Future<Reply> reply : replies) {
        assertTrue(reply.get().content().matches("[a-f]{3}-[0-9]{2}"), reply.get().content());
      }
      try (ReplyStream stream = model.generateStream(PROMPT, sampled().constraint(constraint))) {
        constraint.close(); // the reply keeps it
        assertTrue(stream.reply().content().matches("[a-f]{3}-[0-9]{2}"));
      }
      assertTrue(constraint.isClosed());
      Support.fails(Status.STATE, () -> model.generate(PROMPT, sampled().constraint(constraint)));
      assertFalse(model.generate(PROMPT, sampled().constraint(constraint).constraint(null)).tokens().length == 0);
    } finally {
      threads.shutdown();
    }
  }

  @Test
  void constraintsAreOfTheirModel() {
    try (Model other = Support.open("tiny-v2"); Constraint foreign = other.constraint(ConstraintKind.REGEX, "a")) {
      refused(sampled().constraint(foreign), "another model");
    }
    AbyssalException error =
        assertThrows(AbyssalException.class, () -> model.constraint(ConstraintKind.GRAMMAR, "start: missing"));
    assertEquals(Status.INVALID_ARGUMENT, error.status());
    Support.fails(Status.ENCODING, () -> model.constraint(ConstraintKind.REGEX, "\uD800"));
  }

  /** A text has a length: NUL is a character as others are. */
  @Test
  void nulIsACharacter() {
    Reply reply = model.generate(PROMPT, sampled().regex("a\0b"));
    assertEquals("a\0b", reply.content());
  }

  @Test
  void sequencesCompileWithoutTheCallersModel() {
    Model closed = Support.open("tiny-v2");
    try (Sequence sequence = closed.sequence(); Sequence fork = sequence.fork()) {
      closed.close();
      for (Sequence one : List.of(sequence, fork)) {
        assertTrue(one.generate(PROMPT, sampled().regex("[a-f]{3}")).reply().content().matches("[a-f]{3}"));
      }
    }
  }

  /** A reply on a sequence of its own goes ahead of its events, unless it begins with a mask. */
  @Test
  void masksNeedAReplyThatIsNotAhead() {
    ReplyOptions options = new ReplyOptions().maxTokens(4).temperature(0).ignoreEos(true);
    try (ReplyStream stream = model.generateStream(PROMPT, options)) {
      stream.next();
      AbyssalException error = Support.fails(Status.STATE, () -> stream.setMask(flags(40)));
      assertTrue(error.getMessage().contains("ReplyOptions.mask"), error.getMessage());
      assertEquals(4, stream.reply().tokens().length); // and goes on
    }
    try (ReplyStream stream = model.generateStream(PROMPT, options)) {
      stream.setMask(null);
      assertMasksBind(stream);
    }
    boolean[] all = new boolean[ids];
    Arrays.fill(all, true);
    try (ReplyStream stream = model.generateStream(PROMPT, options.mask(all))) {
      assertMasksBind(stream);
    }
    try (Sequence sequence = model.sequence();
        ReplyStream stream = model.chatStream(List.of(Message.user("x")), new ChatOptions().sequence(sequence),
            options.mask(null))) {
      assertMasksBind(stream);
    }
  }

  /** A mask that is set between two events binds the very next token. */
  private static void assertMasksBind(ReplyStream stream) {
    int seen = 0;
    for (Event event : stream) {
      if (event.kind() == EventKind.TOKEN) {
        assertTrue(seen == 0 || event.token() == 40 + seen, event + " after " + seen);
        stream.setMask(flags(40 + ++seen));
      }
    }
    assertEquals(4, seen);
  }

  @Test
  void maskChangesBetweenEvents() {
    ReplyOptions options =
        new ReplyOptions().maxTokens(6).temperature(0).ignoreEos(true).mask(flags(40));
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
