import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.MessageDigest;
import java.security.PublicKey;
import java.security.Signature;
import java.security.spec.X509EncodedKeySpec;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/**
 * Verifies webhooks of Countersign with Java's standard library alone (17 or newer). Copy this file into a package of your
 * project: nothing else belongs to it. What it checks, and why in this order, is on the page wire-format.md beside it;
 * Countersign's own tests run this file against that page's vectors.
 *
 * <pre>{@code
 * var request = new Verify.Request(exchange.getRequestHeaders(), exchange.getRequestBody());
 * var result = Verify.verify(request, keys, Duration.ofMinutes(5), Instant.now(), store);
 * if (result.code() == Verify.Code.ACCEPTED) {
 *     actOn(result.message());
 * }
 * exchange.sendResponseHeaders(result.code().status, -1);
 * }</pre>
 */
public final class Verify {
    private static final int MAX_BODY_BYTES = 256 * 1024;
    private static final Duration KEEP_ID_FOR = Duration.ofDays(35); // longer than the sender can send it again

    /** Every outcome, and the status that tells it to the sender. */
    public enum Code {
        ACCEPTED(200),
        DUPLICATE(200), // acted on before: answer so, and do nothing
        TOO_LARGE(413),
        UNSUPPORTED_ENCODING(415),
        MALFORMED(400),
        STALE(408),
        FUTURE(400),
        UNKNOWN_KEY(401),
        BAD_SIGNATURE(401),
        REPLAYED(409),
        UNAVAILABLE(503); // the store cannot remember: the sender tries again

        public final int status;

        Code(int status) {
            this.status = status;
        }
    }

    // The form of each header that is read.
    private static final String CHARACTERS = "[0-9a-hjkmnp-tv-z]{26}";
    private static final String SIGNATURE = "[a-z][0-9a-z]*,[0-9A-Za-z+/]+={0,2}";
    private static final Pattern ID = Pattern.compile("msg_" + CHARACTERS);
    private static final Pattern TIMESTAMP = Pattern.compile("0|[1-9][0-9]{0,11}");
    private static final Pattern SIGNATURES = Pattern.compile(SIGNATURE + "( " + SIGNATURE + "){0,3}");
    private static final Pattern KEY_IDS = Pattern.compile("whk_" + CHARACTERS + "( whk_" + CHARACTERS + ")?");
    private static final Pattern ATTEMPT_ID = Pattern.compile("att_" + CHARACTERS);
    // Not equalsIgnoreCase, to which a capital i with a dot is an i.
    private static final Predicate<String> IDENTITY =
            Pattern.compile("identity", Pattern.CASE_INSENSITIVE).asMatchPredicate();

    /** A request as it came. Names of headers are compared without regard to case. */
    public record Request(Map<String, List<String>> headers, InputStream body) {
        private List<String> values(String name) {
            return headers.entrySet().stream()
                    .filter(header -> name.equalsIgnoreCase(header.getKey()))
                    .flatMap(header -> header.getValue().stream())
                    .toList();
        }

        /** The one value, in its form. Of a header that comes twice, another reader than this one may take the other value. */
        private Optional<String> value(String name, Pattern form) {
            var values = values(name);
            return values.size() == 1 ? Optional.of(values.get(0)).filter(form.asMatchPredicate()) : Optional.empty();
        }
    }

    /**
     * What was sent, once it is verified: the id is the same each time it is sent, the timestamp (seconds since 1970) is when this
     * attempt was signed, the attempt id is for your logs (v1 and v1a do not sign it), the body is JSON as it was signed.
     */
    public record Message(String id, long timestamp, String attemptId, byte[] body) {}

    /** What to answer, and what to act on if it is ACCEPTED. The message is null when it is refused. */
    public record Result(Code code, Message message) {
        private static Result of(Code code) {
            return new Result(code, null);
        }
    }

    /**
     * Judges a request by the keys that you hold, by their ids. It accepts a message once and refuses whatever is wrong in any
     * way; no input makes it throw.
     */
    public static Result verify(Request request, Map<String, Key> keys, Duration window, Instant now, Store store) {
        byte[] body;
        try {
            // Counted while it arrives: the length that a sender declares is a claim.
            body = request.body().readNBytes(MAX_BODY_BYTES + 1);
        } catch (IOException brokenConnection) {
            return Result.of(Code.MALFORMED);
        }
        if (body.length > MAX_BODY_BYTES) {
            return Result.of(Code.TOO_LARGE);
        }
        // What is signed is what was sent, so nothing is unpacked: no small body becomes a huge one.
        if (!request.values("content-encoding").stream().allMatch(IDENTITY)) {
            return Result.of(Code.UNSUPPORTED_ENCODING);
        }
        var id = request.value("webhook-id", ID);
        var timestamp = request.value("webhook-timestamp", TIMESTAMP);
        var signatures = request.value("webhook-signature", SIGNATURES).flatMap(Signed::allOf);
        var keyIds = request.value("webhook-key-id", KEY_IDS);
        var attemptId = request.value("webhook-attempt-id", ATTEMPT_ID);
        if (Stream.of(id, timestamp, signatures, keyIds, attemptId).anyMatch(Optional::isEmpty)) {
            return Result.of(Code.MALFORMED);
        }
        var message = new Message(id.get(), Long.parseLong(timestamp.get()), attemptId.get(), body);
        var age = Duration.between(Instant.ofEpochSecond(message.timestamp()), now);
        if (age.compareTo(window) > 0) {
            return Result.of(Code.STALE);
        }
        if (age.negated().compareTo(window) > 0) {
            return Result.of(Code.FUTURE);
        }
        var held = Stream.of(keyIds.get().split(" ")).map(keys::get).filter(Objects::nonNull).toList();
        if (held.isEmpty()) {
            return Result.of(Code.UNKNOWN_KEY);
        }
        var head = (id.get() + "." + timestamp.get() + ".").getBytes(StandardCharsets.US_ASCII);
        if (held.stream().noneMatch(key -> signatures.get().stream().anyMatch(signed -> key.made(signed, head, body)))) {
            return Result.of(Code.BAD_SIGNATURE);
        }
        // Only what is genuine reaches the store, so that no stranger can fill it.
        var code = store.remember(message, now, now.plus(window.multipliedBy(2)), now.plus(KEEP_ID_FOR));
        return new Result(code, code.status == 200 ? message : null);
    }

    /** One part of the header: the scheme says how it was made, and nothing says by which key. */
    private record Signed(String scheme, byte[] signature) {
        static Optional<List<Signed>> allOf(String header) {
            var all = new ArrayList<Signed>();
            for (var part : header.split(" ")) {
                var comma = part.indexOf(',');
                var signature = base64(part.substring(comma + 1));
                if (signature.isEmpty()) {
                    return Optional.empty();
                }
                all.add(new Signed(part.substring(0, comma), signature.get()));
            }
            return Optional.of(all);
        }
    }

    /** Strict (RFC 4648 §3.5): there is one way to write a signature. The decoder alone would take more. */
    private static Optional<byte[]> base64(String text) {
        try {
            var bytes = Base64.getDecoder().decode(text);
            return Optional.of(bytes).filter(some -> Base64.getEncoder().encodeToString(some).equals(text));
        } catch (IllegalArgumentException notBase64) {
            return Optional.empty();
        }
    }

    /** What you hold of one key id. The public half is enough, and whoever steals it can forge nothing. */
    public static final class Key {
        // The DER of every Ed25519 key begins so (RFC 8410 §4).
        private static final String ED25519_PREFIX = "302a300506032b6570032100";

        private final SecretKeySpec secret;
        private final PublicKey publicKey;

        /**
         * Reads a secret ("whsec_…"), a public key ("whpk_…") or both; the other is null. Call it when your program starts.
         *
         * @throws IllegalArgumentException if one of them is no key, or neither is given
         */
        public Key(String secret, String publicKey) {
            if (secret == null && publicKey == null) {
                throw new IllegalArgumentException("a webhook key needs its secret (whsec_…) or its public key (whpk_…)");
            }
            try {
                this.secret = secret == null ? null : new SecretKeySpec(bytes(secret, "whsec_"), "HmacSHA256");
                var hex = HexFormat.of();
                this.publicKey = publicKey == null ? null : KeyFactory.getInstance("Ed25519").generatePublic(
                        new X509EncodedKeySpec(hex.parseHex(ED25519_PREFIX + hex.formatHex(bytes(publicKey, "whpk_")))));
            } catch (GeneralSecurityException noKey) {
                throw new IllegalArgumentException("this webhook key is no Ed25519 key", noKey);
            }
        }

        private static byte[] bytes(String text, String prefix) {
            return Optional.of(text).filter(some -> some.startsWith(prefix))
                    .flatMap(some -> base64(some.substring(prefix.length())))
                    .filter(bytes -> bytes.length == 32)
                    .orElseThrow(() -> new IllegalArgumentException(
                            "a webhook key is " + prefix + " and base64 of 32 bytes; copy it again from the endpoint's page"));
        }

        /** Schemes that it does not know sign nothing: there will be more. */
        private boolean made(Signed signed, byte[] head, byte[] body) {
            try {
                if (signed.scheme().equals("v1") && secret != null) {
                    var mac = Mac.getInstance("HmacSHA256");
                    mac.init(secret);
                    mac.update(head);
                    // In constant time, so that an answer's delay tells nobody how much of a forgery is right.
                    return MessageDigest.isEqual(mac.doFinal(body), signed.signature());
                }
                if (signed.scheme().equals("v1a") && publicKey != null && signed.signature().length == 64) {
                    var ed25519 = Signature.getInstance("Ed25519");
                    ed25519.initVerify(publicKey);
                    ed25519.update(head);
                    ed25519.update(body);
                    return ed25519.verify(signed.signature());
                }
                return false;
            } catch (GeneralSecurityException notInForm) {
                return false;
            }
        }
    }

    /**
     * Remembers an attempt (the pair of id and timestamp) until one time and the id of its message until a later one. It looks and
     * remembers in one step: of two equal requests at once, one is fresh. Over a database, write the message in
     * the same transaction: a message that is lost after it was answered with 200 does not come again.
     */
    public interface Store {
        /**
         * ACCEPTED (it is remembered now), DUPLICATE (its id was there, the attempt is new and remembered now), REPLAYED
         * (this very attempt was there) or UNAVAILABLE (nothing could be remembered).
         */
        Code remember(Message message, Instant now, Instant attemptUntil, Instant idUntil);
    }

    /** A store for one process that may forget when it restarts. */
    public static final class MemoryStore implements Store {
        private final int room;
        private final Map<String, Instant> until = new HashMap<>();

        /** @param room how much it holds, two entries a message */
        public MemoryStore(int room) {
            this.room = room;
        }

        @Override
        public synchronized Code remember(Message message, Instant now, Instant attemptUntil, Instant idUntil) {
            var attempt = message.id() + "." + message.timestamp();
            if (holds(attempt, now)) {
                return Code.REPLAYED;
            }
            if (isFull()) {
                until.values().removeIf(end -> end.isBefore(now));
            }
            // A full store lets nothing in: to forget what still counts would let replays in.
            if (isFull()) {
                return Code.UNAVAILABLE;
            }
            until.put(attempt, attemptUntil);
            if (holds(message.id(), now)) {
                return Code.DUPLICATE;
            }
            until.put(message.id(), idUntil);
            return Code.ACCEPTED;
        }

        private boolean isFull() {
            return until.size() + 2 > room;
        }

        private boolean holds(String name, Instant now) {
            var end = until.get(name);
            return end != null && !end.isBefore(now);
        }
    }

    private Verify() {}
}
