package org.abyssal.example;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.abyssal.AbyssalException;
import org.abyssal.ChatOptions;
import org.abyssal.Event;
import org.abyssal.ReplyOptions;
import org.abyssal.Model;
import org.abyssal.ReplyStream;
import org.abyssal.Status;

/**
 * Answers chats over HTTP: java -cp JARS org.abyssal.example.ChatService MODEL [PORT]. Send the messages as JSON:
 *
 * <pre>curl -N localhost:8080/chat -d '[{"role": "user", "content": "Hello"}]'</pre>
 *
 * and the answer comes as text, while it is written. When the client goes away, the reply ends.
 */
public final class ChatService implements AutoCloseable {
  private static final int MAX_REQUEST = 1 << 20;

  private final Model model;
  private final int maxTokens;
  private final HttpServer server;
  private final ExecutorService threads = threadPerRequest();

  /**
   * Starts to serve, on this machine only.
   *
   * @param model stays the caller's
   * @param port 0: any that is free
   * @param maxTokens most tokens of a reply
   * @throws IOException the port is taken
   */
  public ChatService(Model model, int port, int maxTokens) throws IOException {
    this.model = model;
    this.maxTokens = maxTokens;
    server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 0);
    server.createContext("/chat", this::chat);
    server.setExecutor(threads);
    server.start();
  }

  /** The port that it listens on. */
  public int port() {
    return server.getAddress().getPort();
  }

  /** Virtual threads where the JDK has them (21 and later), else a thread for each request. */
  private static ExecutorService threadPerRequest() {
    try {
      return (ExecutorService) Executors.class.getMethod("newVirtualThreadPerTaskExecutor").invoke(null);
    } catch (ReflectiveOperationException older) {
      return Executors.newCachedThreadPool();
    }
  }

  private void chat(HttpExchange exchange) throws IOException {
    try (exchange) {
      if (!exchange.getRequestMethod().equals("POST")) {
        answer(exchange, 405, "POST a JSON array of messages");
        return;
      }
      byte[] body = exchange.getRequestBody().readNBytes(MAX_REQUEST + 1);
      if (body.length > MAX_REQUEST) {
        answer(exchange, 413, "the request is larger than " + MAX_REQUEST + " bytes");
        return;
      }
      ReplyOptions options = new ReplyOptions().maxTokens(maxTokens);
      // What can be wrong with the request is found here, before anything is sent.
      try (ReplyStream reply =
          model.chatStream(new String(body, StandardCharsets.UTF_8), new ChatOptions(), options)) {
        send(exchange, reply);
      } catch (AbyssalException error) {
        answer(exchange, error.status() == Status.TEMPLATE ? 400 : 500, error.getMessage());
      }
    }
  }

  /** The first step evaluates the prompt, so its failures can still be told by a status code. */
  private static void send(HttpExchange exchange, ReplyStream reply) throws IOException {
    Event event = reply.next();
    exchange.getResponseHeaders().set("Content-Type", "text/plain; charset=utf-8");
    exchange.sendResponseHeaders(200, 0);
    try (OutputStream out = exchange.getResponseBody()) {
      while (true) {
        out.write(event.text().getBytes(StandardCharsets.UTF_8));
        out.flush(); // fails when the client has gone
        if (!reply.hasNext()) {
          return;
        }
        event = reply.next();
      }
    }
  }

  private static void answer(HttpExchange exchange, int code, String text) throws IOException {
    if (exchange.getResponseCode() != -1) {
      return; // the answer has begun; ending it early is all that is left
    }
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    exchange.sendResponseHeaders(code, bytes.length);
    exchange.getResponseBody().write(bytes);
  }

  @Override
  public void close() {
    server.stop(0);
    threads.shutdownNow(); // interrupts running replies, which end
  }

  public static void main(String[] arguments) throws IOException {
    Model model = Model.open(Path.of(arguments[0]));
    ChatService service = new ChatService(model, arguments.length > 1 ? Integer.parseInt(arguments[1]) : 8080, 512);
    System.out.println("http://localhost:" + service.port() + "/chat");
  }
}
