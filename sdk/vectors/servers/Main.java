import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;

/** A server around the lines at the head of docs/webhooks/Verify.java, which stand where it says LINES. */
final class Main {
    static void actOn(Verify.Message message) throws IOException {
        Files.writeString(Path.of("acted"), message.id() + "\n", StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    }

    public static void main(String[] arguments) throws IOException {
        var keys = Map.of("KEY_ID", new Verify.Key("SECRET", null));
        var store = new Verify.MemoryStore(1000);
        var server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
        server.createContext("/", exchange -> {
            // LINES
            exchange.close();
        });
        server.start();
        System.err.println("http://127.0.0.1:" + server.getAddress().getPort());
    }
}
