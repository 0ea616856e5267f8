package org.abyssal.tests;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Flow;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.abyssal.AbyssalException;
import org.abyssal.ChatOptions;
import org.abyssal.Event;
import org.abyssal.EventKind;
import org.abyssal.ReplyOptions;
import org.abyssal.Message;
import org.abyssal.Model;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class PublisherTest {
  private static final long WAIT_SECONDS = 60;
  private static Model model;

  @BeforeAll
  static void open() {
    model = Support.open("tiny-v2-lite");
  }

  @AfterAll
  static void close() {
    model.close();
  }

  private static final class Watcher implements Flow.Subscriber<Event> {
    final BlockingQueue<Event> events = new LinkedBlockingQueue<>();
    final CountDownLatch over = new CountDownLatch(1);
    volatile Flow.Subscription subscription;
    volatile Throwable failure;

    @Override
    public void onSubscribe(Flow.Subscription given) {
      subscription = given;
    }

    @Override
    public void onNext(Event event) {
      events.add(event);
    }

    @Override
    public void onError(Throwable error) {
      failure = error;
      over.countDown();
    }

    @Override
    public void onComplete() {
      over.countDown();
    }

    Event take() throws InterruptedException {
      return events.poll(WAIT_SECONDS, TimeUnit.SECONDS);
    }

    void finish() throws InterruptedException {
      assertTrue(over.await(WAIT_SECONDS, TimeUnit.SECONDS));
    }
  }

  private static Flow.Publisher<Event> publisher(long most) {
    return model.generatePublisher("Once", new ReplyOptions().temperature(0).ignoreEos(true).maxTokens(most));
  }

  @Test
  void publishesWhatIsAskedForAndNoMore() throws InterruptedException {
    Watcher watcher = new Watcher();
    publisher(5).subscribe(watcher);
    assertNull(watcher.events.poll(50, TimeUnit.MILLISECONDS));
    watcher.subscription.request(2);
    assertEquals(EventKind.PROMPT, watcher.take().kind());
    assertEquals(EventKind.TOKEN, watcher.take().kind());
    assertNull(watcher.events.poll(50, TimeUnit.MILLISECONDS));
    watcher.subscription.request(Long.MAX_VALUE);
    watcher.subscription.request(Long.MAX_VALUE);
    watcher.finish();
    assertNull(watcher.failure);
    assertEquals(5, watcher.events.size());
  }

  @Test
  void eachSubscriberHasItsOwnReply() throws InterruptedException {
    Flow.Publisher<Event> publisher = publisher(8);
    Watcher first = new Watcher();
    Watcher second = new Watcher();
    publisher.subscribe(first);
    publisher.subscribe(second);
    first.subscription.request(100);
    second.subscription.request(100);
    first.finish();
    second.finish();
    assertEquals(List.copyOf(first.events), List.copyOf(second.events));
    assertThrows(NullPointerException.class, () -> publisher.subscribe(null));
  }

  @Test
  void cancelEndsIt() throws InterruptedException {
    Watcher watcher = new Watcher();
    publisher(1000).subscribe(watcher);
    watcher.subscription.request(Long.MAX_VALUE);
    watcher.take();
    watcher.subscription.cancel();
    watcher.subscription.cancel();
    watcher.subscription.request(1);
    Thread.sleep(100); // a step that is under way ends
    int count = watcher.events.size();
    Thread.sleep(100);
    assertEquals(count, watcher.events.size());
    assertEquals(1, watcher.over.getCount());
  }

  @Test
  void errorsReachTheSubscriber() throws InterruptedException {
    Watcher failed = new Watcher();
    ChatOptions broken = new ChatOptions().chatTemplate("{{ nothing.at.all }}");
    model.chatPublisher(List.of(Message.user("x")), broken, new ReplyOptions()).subscribe(failed);
    failed.subscription.request(1);
    failed.finish();
    assertInstanceOf(AbyssalException.class, failed.failure);
    Watcher wrong = new Watcher();
    publisher(5).subscribe(wrong);
    wrong.subscription.request(0);
    wrong.finish();
    assertInstanceOf(IllegalArgumentException.class, wrong.failure);
  }
}
