package org.abyssal.tests;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.abyssal.ChatOptions;
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
import org.abyssal.TextKind;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class ReplyTest {
  private static final List<Message> MESSAGES = List.of(Message.user("Hello"));
  private static Model model;

  @BeforeAll
  static void open() {
    model = Support.open("tiny-v3");
  }

  @AfterAll
  static void close() {
    model.close();
  }

  private static ReplyOptions greedy(long most) {
    return new ReplyOptions().temperature(0).ignoreEos(true).maxTokens(most);
  }

  @Test
  void streamEqualsReply() {
    ReplyOptions options = new ReplyOptions().temperature(0.8f).seed(4).maxTokens(30);
    Reply reply = model.chat(MESSAGES, new ChatOptions(), options);
    List<Event> events = new ArrayList<>();
    try (ReplyStream stream = model.chatStream(MESSAGES, new ChatOptions(), options)) {
      stream.forEachRemaining(events::add);
      assertFalse(stream.hasNext());
      assertThrows(NoSuchElementException.class, stream::next);
    }
    assertEquals(EventKind.PROMPT, events.get(0).kind());
    assertEquals(EventKind.TOKEN, events.get(1).kind());
    Event last = events.get(events.size() - 1);
    assertEquals(EventKind.END, last.kind());
    assertEquals(reply.finishReason(), last.finishReason());
    assertEquals(reply.usage(), last.usage());
    assertEquals(reply.text(), events.stream().map(Event::text).collect(Collectors.joining()));
    assertEquals(reply.reasoning(), events.stream().filter(event -> event.textKind() == TextKind.REASONING)
        .map(Event::text).collect(Collectors.joining()));
    assertArrayEquals(reply.tokens(),
        events.stream().filter(event -> event.kind() == EventKind.TOKEN).mapToInt(Event::token).toArray());
    String prompt = model.renderChat(MESSAGES, new ChatOptions());
    assertEquals(model.tokenize(prompt).length, reply.usage().promptTokens());
    try (Stream<Event> again = model.chatStream(MESSAGES, new ChatOptions(), options).stream()) {
      assertEquals(events, again.toList());
    }
  }

  /** The template of this checkpoint ends in the marker of reasoning: the reply begins inside it. */
  @Test
  void reasoningAndContentApart() {
    Reply reply = model.chat(MESSAGES, new ChatOptions(), greedy(5));
    assertTrue(!reply.reasoning().isEmpty() && reply.content().isEmpty());
    assertEquals(5, reply.usage().reasoningTokens());
    String prompt = model.renderChat(MESSAGES, new ChatOptions());
    Reply plain = model.generate(model.tokenize(prompt), greedy(5));
    assertArrayEquals(reply.tokens(), plain.tokens());
    assertEquals(reply.reasoning(), plain.content());
    try (Sequence sequence = model.sequence()) {
      int[] tokens = model.tokenize(prompt + "hm</think>");
      Reply answer = sequence.generate(tokens, greedy(5).plain(false)).reply();
      assertTrue(answer.reasoning().isEmpty() && !answer.content().isEmpty());
    }
  }

  @Test
  void leavingEarlyKeepsTheSequence() {
    try (Sequence sequence = model.sequence()) {
      try (ReplyStream stream = sequence.generate(Support.ramp(4, 9), greedy(50))) {
        for (Event event : stream) {
          if (event.completionTokens() == 3) {
            break;
          }
        }
      }
      assertEquals(7, sequence.length()); // the last one is evaluated with what comes next
      sequence.eval(1);
      assertEquals(8, sequence.length());
    }
  }

  @Test
  void chatOnASequenceComputesOnlyWhatIsNew() {
    try (Sequence sequence = model.sequence()) {
      ChatOptions chat = new ChatOptions().sequence(sequence);
      Reply first = model.chat(MESSAGES, chat, greedy(8));
      List<Message> more = List.of(Message.user("Hello"), Message.assistant("Hi"), Message.user("And you?"));
      Reply second = model.chat(more, chat, greedy(8));
      Reply alone = model.chat(more, new ChatOptions(), greedy(8));
      assertArrayEquals(alone.tokens(), second.tokens());
      assertTrue(second.usage().promptTokens() < alone.usage().promptTokens());
      assertTrue(first.usage().promptTokens() > 0);
    }
  }

  @Test
  void stopTokensAndLimits() {
    int[] drawn = model.generate(Support.ramp(4, 9), greedy(6)).tokens();
    Reply stopped = model.generate(Support.ramp(4, 9), greedy(6).stopTokens(drawn[2]));
    assertEquals(FinishReason.STOP, stopped.finishReason());
    assertTrue(stopped.tokens().length <= 2);
    assertEquals(FinishReason.LENGTH, model.generate("Once", greedy(2)).finishReason());
    Support.fails(Status.INVALID_ARGUMENT, () -> new ReplyOptions().maxTokens(-1));
    Support.fails(Status.INVALID_ARGUMENT, () -> new ReplyOptions().temperature(-1));
    Support.fails(Status.INVALID_ARGUMENT, () -> new ReplyOptions().temperature(Float.NaN));
    Support.fails(Status.INVALID_ARGUMENT, () -> new ReplyOptions().topK(-1));
    Support.fails(Status.INVALID_ARGUMENT, () -> new ReplyOptions().topP(-1));
    Support.fails(Status.INVALID_ARGUMENT, () -> new ReplyOptions().minP(-0.5f));
    Support.fails(Status.INVALID_ARGUMENT, () -> new ReplyOptions().seed(-1));
    Support.fails(Status.INVALID_ARGUMENT, () -> model.generate("x", new ReplyOptions().topP(2)));
    Support.fails(Status.STATE, () -> model.generate(new int[0], greedy(2)));
  }

  @Test
  void noTokensAreALimitToo() {
    Reply reply = model.generate(Support.ramp(4, 9), greedy(0));
    assertEquals(FinishReason.LENGTH, reply.finishReason());
    assertEquals(0, reply.tokens().length);
    assertEquals(4, reply.usage().promptTokens());
  }

  @Test
  void cancelEndsTheReply() {
    try (ReplyStream stream = model.generateStream("a", greedy(100))) {
      stream.next();
      stream.next();
      stream.cancel();
      Event end = stream.next();
      assertEquals(EventKind.END, end.kind());
      assertEquals(FinishReason.CANCELLED, end.finishReason());
      assertFalse(stream.hasNext());
      stream.cancel();
      stream.close();
    }
  }
}
