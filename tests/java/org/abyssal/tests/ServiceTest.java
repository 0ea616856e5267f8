package org.abyssal.tests;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;
import org.abyssal.Model;
import org.abyssal.example.ChatService;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The example service. */
@Timeout(600)
class ServiceTest {
  private static HttpRequest post(ChatService service, String body) {
    return HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + service.port() + "/chat"))
        .POST(HttpRequest.BodyPublishers.ofString(body)).build();
  }

  @Test
  void answersManyAtOnce() throws IOException, InterruptedException {
    HttpClient client = HttpClient.newHttpClient();
    try (Model model = Support.open("tiny-r1-distill-qwen"); ChatService service = new ChatService(model, 0, 12)) {
      HttpRequest request = post(service, "[{\"role\": \"user\", \"content\": \"Grüße\"}]");
      List<CompletableFuture<HttpResponse<String>>> replies = IntStream.range(0, 6)
          .mapToObj(i -> client.sendAsync(request, HttpResponse.BodyHandlers.ofString())).toList();
      for (CompletableFuture<HttpResponse<String>> reply : replies) {
        assertEquals(200, reply.join().statusCode());
        assertTrue(!reply.join().body().isEmpty());
      }
      assertEquals(400, client.send(post(service, "{"), HttpResponse.BodyHandlers.ofString()).statusCode());
      HttpRequest get = HttpRequest.newBuilder(request.uri()).build();
      assertEquals(405, client.send(get, HttpResponse.BodyHandlers.ofString()).statusCode());
    }
  }
}
