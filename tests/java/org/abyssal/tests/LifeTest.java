package org.abyssal.tests;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.abyssal.AbyssalException;
import org.abyssal.Device;
import org.abyssal.ReplyOptions;
import org.abyssal.Model;
import org.abyssal.ModelOptions;
import org.abyssal.ReplyStream;
import org.abyssal.Sequence;
import org.abyssal.Status;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** How objects end: closed in any order, from many threads, or dropped; and that nothing is left of them. */
@Timeout(600) // for a machine that is busy with other work
class LifeTest {
  private static final ReplyOptions SHORT =
      new ReplyOptions().temperature(0).ignoreEos(true).maxTokens(4);

  private static Model small() {
    return Model.open(Support.checkpoint("tiny-r1-distill-qwen"), new ModelOptions().cacheTokens(256).threads(1));
  }

  @Test
  void closedInAnyOrder() {
    Random random = new Random(1);
    for (int round = 0; round < 24; ++round) {
      Model model = small();
      Device device = model.device();
      Sequence sequence = model.sequence();
      sequence.eval(1, 2, 3);
      Sequence fork = sequence.fork();
      ReplyStream stream = fork.generate(new int[] {4}, SHORT);
      stream.next();
      List<AutoCloseable> all = new ArrayList<>(List.of(model, device, sequence, fork, stream));
      Collections.shuffle(all, random);
      for (AutoCloseable one : all) {
        if (!sequence.isClosed()) {
          assertEquals(3, sequence.length());
        }
        if (!fork.isClosed() && stream.hasNext()) {
          stream.next();
        }
        closeQuietly(one);
        closeQuietly(one);
      }
      Support.fails(Status.STATE, model::info);
      Support.fails(Status.STATE, model::sequence);
      Support.fails(Status.STATE, device::info);
    }
  }

  private static void closeQuietly(AutoCloseable one) {
    try {
      one.close();
    } catch (Exception error) {
      throw new AssertionError(error);
    }
  }

  @Test
  void childrenOutliveTheModel() {
    Model model = small();
    Sequence sequence = model.sequence();
    ReplyStream stream = model.generateStream(new int[] {1, 2}, SHORT);
    model.close();
    assertTrue(model.isClosed());
    sequence.eval(5, 6);
    assertEquals(2, sequence.length());
    assertEquals(4, stream.reply().tokens().length);
    sequence.close();
  }

  /** Sequences that are dropped give their blocks of the cache back: it has four, and each sequence takes one. */
  @Test
  void droppedObjectsAreCleaned() throws InterruptedException {
    try (Model model = small()) {
      int cleaned = 0;
      for (int i = 0; i < 40; ++i) {
        while (!evalDropped(model)) {
          ++cleaned;
          System.gc();
          Thread.sleep(5);
          assertTrue(cleaned < 5000, "nothing is cleaned");
        }
      }
      assertTrue(cleaned > 0, "the cache was never full: the test shows nothing");
    }
  }

  private static boolean evalDropped(Model model) {
    try {
      model.sequence().generate(Support.ramp(30, 3), SHORT).next();
      return true;
    } catch (AbyssalException error) {
      assertEquals(Status.CACHE_FULL, error.status());
      return false;
    }
  }

  @Test
  void manyThreadsOnOneModel() throws InterruptedException, ExecutionException {
    ExecutorService threads = Executors.newFixedThreadPool(8);
    try (Model model = Support.open("tiny-v2-lite")) {
      int[][] want = new int[4][];
      for (int i = 0; i < want.length; ++i) {
        want[i] = model.generate(Support.ramp(5, i + 2), SHORT).tokens();
      }
      List<Future<int[]>> got = new ArrayList<>();
      for (int i = 0; i < 64; ++i) {
        int which = i % want.length;
        Callable<int[]> task = () -> model.generate(Support.ramp(5, which + 2), SHORT).tokens();
        got.add(threads.submit(task));
      }
      for (int i = 0; i < got.size(); ++i) {
        assertArrayEquals(want[i % want.length], got.get(i).get());
      }
    } finally {
      threads.shutdown();
    }
  }

  /** Calls on a sequence and a model race with their close: each works, or tells why not. */
  @Test
  void callsRaceWithClose() throws InterruptedException, ExecutionException {
    ExecutorService threads = Executors.newFixedThreadPool(4);
    for (int round = 0; round < 25; ++round) {
      Model model = small();
      Sequence sequence = model.sequence();
      List<Future<?>> all = new ArrayList<>();
      all.add(threads.submit(() -> tolerant(() -> sequence.eval(1, 2))));
      all.add(threads.submit(() -> tolerant(() -> model.tokenize("text of some length"))));
      all.add(threads.submit(() -> tolerant(() -> model.info().architecture().length())));
      all.add(threads.submit(() -> tolerant(sequence::logits)));
      all.add(threads.submit(sequence::close));
      all.add(threads.submit(model::close));
      for (Future<?> one : all) {
        one.get();
      }
    }
    threads.shutdown();
  }

  private static void tolerant(Runnable call) {
    for (int i = 0; i < 5; ++i) {
      try {
        call.run();
      } catch (AbyssalException error) {
        assertTrue(error.status() == Status.STATE || error.status() == Status.BUSY, error.toString());
      }
    }
  }

  @Test
  void memoryDoesNotGrow() throws IOException, InterruptedException {
    openAndClose(20);
    generate(200);
    long before = residentKilobytes();
    openAndClose(200);
    generate(2000);
    long grown = residentKilobytes() - before;
    System.out.println("resident memory grew by " + grown + " kB over 200 models and 2,000 replies");
    assertTrue(grown < 24 * 1024, "resident memory grew by " + grown + " kB");
  }

  private static void openAndClose(int count) {
    for (int i = 0; i < count; ++i) {
      try (Model model = small(); Sequence sequence = model.sequence()) {
        sequence.eval(1);
      }
    }
  }

  private static void generate(int count) {
    try (Model model = small()) {
      for (int i = 0; i < count; ++i) {
        assertEquals(4, model.generate("Once upon", SHORT).tokens().length);
      }
    }
  }

  private static long residentKilobytes() throws IOException, InterruptedException {
    for (int i = 0; i < 3; ++i) {
      System.gc();
      Thread.sleep(50);
    }
    return Files.readAllLines(Path.of("/proc/self/status")).stream().filter(line -> line.startsWith("VmRSS"))
        .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", ""))).findFirst().orElseThrow();
  }
}
