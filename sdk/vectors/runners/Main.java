import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/**
 * Runs docs/webhooks/Verify.java over the vectors in the file that is named. Java's standard library reads no JSON: each line is
 * a vector, its members separated by tabs, the parts of a list by semicolons, and the parts of those by spaces. Prints what
 * was judged otherwise than expected (then it exits with 1), each outcome with its status, and how many ran.
 */
public final class Main {
    /** The members of a line, in order. A header is its name and its value, both in base64, and so is the body. */
    private record Vector(String name, String expect, List<String[]> profiles, long now, Duration window, int room, String store,
            List<String[]> keys, List<String[]> seen, List<String[]> headers, byte[] body) {
        static Vector of(String line) {
            var members = line.split("\t", -1);
            return new Vector(members[0], members[1], list(members[2]), Long.parseLong(members[3]),
                    Duration.ofSeconds(Long.parseLong(members[4])), Integer.parseInt(members[5]), members[6],
                    list(members[7]), list(members[8]), list(members[9]), Base64.getDecoder().decode(members[10]));
        }

        private static List<String[]> list(String text) {
            var parts = text.isEmpty() ? List.<String>of() : List.of(text.split(";"));
            return parts.stream().map(part -> part.split(" ", -1)).toList();
        }

        /** What a receiver may hold: of both profiles, either half of a key, or both. */
        List<String> receivers() {
            var all = new ArrayList<>(profiles.stream().map(profile -> profile[0]).filter(List.of("v1", "v1a")::contains).toList());
            if (all.size() == 2) {
                all.add("v1+v1a");
            }
            return all;
        }
    }

    public static void main(String[] arguments) throws IOException {
        var stores = new HashMap<String, Verify.Store>();
        var outcomes = new TreeMap<String, Integer>();
        int ran = 0;
        int wrong = 0;
        for (var line : Files.readAllLines(Path.of(arguments[0]))) {
            var vector = Vector.of(line);
            for (var holds : vector.receivers()) {
                // Vectors that name a store come to the same receiver in turn.
                var store = vector.store().isEmpty()
                        ? storeOf(vector)
                        : stores.computeIfAbsent(vector.store() + holds, name -> storeOf(vector));
                var result = run(vector, holds, store);
                var code = result.code().name().toLowerCase(Locale.ROOT);
                ran++;
                outcomes.merge(code + " " + result.code().status, 1, Integer::sum);
                if (!code.equals(vector.expect()) || (result.message() == null) == (result.code().status == 200)) {
                    wrong++;
                    System.out.printf("wrong: %s, with %s: %s%n", vector.name(), holds, code);
                }
            }
        }
        outcomes.forEach((outcome, count) -> System.out.println(outcome + ": " + count));
        System.out.printf("%d ran, %d judged otherwise%n", ran, wrong);
        System.exit(ran > 0 && wrong == 0 ? 0 : 1);
    }

    private static Verify.Store storeOf(Vector vector) {
        var store = new Verify.MemoryStore(vector.room());
        for (var seen : vector.seen()) {
            var at = Instant.ofEpochSecond(Long.parseLong(seen[2]));
            var message = new Verify.Message(seen[0], Long.parseLong(seen[1]), "", new byte[0]);
            store.remember(message, at, at.plus(vector.window().multipliedBy(2)), at.plus(Duration.ofDays(35)));
        }
        return store;
    }

    private static Verify.Result run(Vector vector, String holds, Verify.Store store) {
        Map<String, Verify.Key> keys = new HashMap<>();
        for (var key : vector.keys()) {
            keys.put(key[0], new Verify.Key(holds.equals("v1a") ? null : key[1], holds.equals("v1") ? null : key[2]));
        }
        Map<String, List<String>> headers = new HashMap<>();
        for (var header : vector.headers()) {
            headers.computeIfAbsent(text(header[0]), name -> new ArrayList<>()).add(text(header[1]));
        }
        var request = new Verify.Request(headers, new ByteArrayInputStream(vector.body()));
        return Verify.verify(request, keys, vector.window(), Instant.ofEpochSecond(vector.now()), store);
    }

    private static String text(String base64) {
        return new String(Base64.getDecoder().decode(base64), StandardCharsets.UTF_8);
    }

    private Main() {}
}
