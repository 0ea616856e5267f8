package org.abyssal.tests;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.abyssal.ChatOptions;
import org.abyssal.Event;
import org.abyssal.EventKind;
import org.abyssal.FinishReason;
import org.abyssal.Message;
import org.abyssal.Model;
import org.abyssal.ModelOptions;
import org.abyssal.Reply;
import org.abyssal.ReplyOptions;
import org.abyssal.ReplyStream;
import org.abyssal.Sequence;
import org.abyssal.Status;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Sequences that replies are written onto, and the cache that these share. */
class WritingTest {
  private static final int[] PROMPT = Support.ramp(4, 9);
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

  private static int[] joined(int[] first, List<Integer> second) {
    return IntStream.concat(IntStream.of(first), second.stream().mapToInt(one -> one)).toArray();
  }

  /** Reads a reply, which ends for this reason after three tokens, and gives those. */
  private static List<Integer> read(Sequence sequence, ReplyOptions options, FinishReason reason) {
    List<Integer> told = new ArrayList<>();
    try (ReplyStream stream = sequence.generate(PROMPT, options)) {
      for (Event event : stream) {
        if (event.kind() == EventKind.TOKEN) {
          assertEquals(PROMPT.length + told.size(), sequence.length()); // never ahead: all but the last one
          told.add(event.token());
          if (reason == FinishReason.CANCELLED && told.size() == 3) {
            stream.cancel();
          }
        }
        assertEquals(event.kind() == EventKind.END ? reason : FinishReason.NONE, event.finishReason());
      }
    }
    return told;
  }

  /** Whatever ends a reply, its sequence has the prompt and the tokens told, and goes on from there. */
  @Test
  void theSequenceHasWhatWasTold() {
    int[] all = model.generate(PROMPT, greedy(6)).tokens();
    for (FinishReason reason : List.of(FinishReason.LENGTH, FinishReason.STOP, FinishReason.CANCELLED)) {
      ReplyOptions options = switch (reason) {
        case LENGTH -> greedy(3);
        case STOP -> greedy(6).stopTokens(all[3]);
        default -> greedy(6);
      };
      try (Sequence sequence = model.sequence()) {
        List<Integer> told = read(sequence, options, reason);
        assertArrayEquals(Arrays.copyOf(all, 3), joined(new int[0], told), reason.toString());
        assertArrayEquals(joined(PROMPT, told), sequence.tokens());
        int[] rest = sequence.generate(new int[0], greedy(3)).reply().tokens();
        assertArrayEquals(Arrays.copyOfRange(all, 3, 6), rest, reason.toString());
      }
    }
  }

  @Test
  void aSequenceIsBusyUntilTheReplyHasEnded() {
    try (Sequence sequence = model.sequence()) {
      ReplyStream stream = sequence.generate(PROMPT, greedy(3));
      ChatOptions onto = new ChatOptions().sequence(sequence);
      while (stream.hasNext()) {
        Support.fails(Status.BUSY, () -> sequence.eval(1));
        Support.fails(Status.BUSY, () -> sequence.truncate(0));
        Support.fails(Status.BUSY, () -> sequence.generate(new int[] {1}, greedy(1)));
        Support.fails(Status.BUSY, () -> model.chat(List.of(Message.user("x")), onto, greedy(1)));
        stream.next();
      }
      sequence.eval(1);
      try (ReplyStream left = sequence.generate(PROMPT, greedy(3))) {
        left.next();
      }
      sequence.truncate(0); // a stream that is closed keeps nothing busy
    }
  }

  private static Model small(long cacheTokens) {
    return Model.open(Support.checkpoint("tiny-v3"), new ModelOptions().cacheTokens(cacheTokens));
  }

  @Test
  void aFullCacheIsAnErrorThatPasses() {
    try (Model two = small(128); Sequence other = two.sequence()) {
      Reply alone = two.generate(Support.ramp(60, 9), greedy(20));
      other.eval(Support.ramp(30, 5));
      try (ReplyStream stream = two.generateStream(Support.ramp(60, 9), greedy(20))) {
        List<Integer> tokens = new ArrayList<>();
        while (tokens.size() < 5) { // the fifth is drawn from 64 evaluated tokens, a whole block
          Event event = stream.next();
          if (event.kind() == EventKind.TOKEN) {
            tokens.add(event.token());
          }
        }
        Support.fails(Status.CACHE_FULL, stream::next);
        Support.fails(Status.CACHE_FULL, stream::next);
        assertTrue(stream.hasNext());
        other.close();
        Reply rest = stream.reply();
        assertEquals(FinishReason.LENGTH, rest.finishReason());
        assertArrayEquals(alone.tokens(), IntStream.concat(tokens.stream().mapToInt(one -> one),
            IntStream.of(rest.tokens())).toArray());
      }
    }
  }

  @Test
  void theWholeCacheEndsAReply() {
    try (Model one = small(64)) {
      Reply reply = one.generate(PROMPT, new ReplyOptions().temperature(0).ignoreEos(true));
      assertEquals(FinishReason.CONTEXT, reply.finishReason());
      assertEquals(64, PROMPT.length + reply.tokens().length - 1); // the last one has no room
      Support.fails(Status.CONTEXT_FULL, () -> one.generateStream(Support.ramp(65, 1), greedy(1)));
    }
  }

  /** With all defaults: the cache has room for many contexts. */
  @Test
  void sixteenChatsAtOnce() throws InterruptedException, ExecutionException {
    ExecutorService threads = Executors.newFixedThreadPool(16);
    try (Model trained = Model.open(Support.SOURCE.resolve("examples/models/abyssal-tiny-r1"))) {
      List<Future<Reply>> replies = new ArrayList<>();
      for (int i = 0; i < 16; ++i) {
        List<Message> messages = List.of(Message.user("What is " + (40 + i) + " * 6 + 12?"));
        replies.add(threads.submit(() -> trained.chat(messages)));
      }
      for (Future<Reply> reply : replies) {
        FinishReason reason = reply.get().finishReason();
        assertTrue(reason == FinishReason.STOP || reason == FinishReason.LENGTH, reason.toString());
        assertFalse(reply.get().text().isEmpty());
      }
    } finally {
      threads.shutdown();
    }
  }
}
