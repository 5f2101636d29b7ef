<?php

/**
 * Verifies webhooks of Countersign with PHP's own extensions alone (8.1 or newer, with sodium). Copy this file into your
 * project: nothing else belongs to it. What it checks, and why in this order, is on the page wire-format.md beside it;
 * Countersign's own tests run this file against that page's vectors.
 *
 *     $result = verify(Request::fromGlobals(), $keys, 300, time(), $store);
 *     if ($result->outcome === Outcome::Accepted) {
 *         actOn($result->message);
 *     }
 *     http_response_code($result->outcome->status());
 */

declare(strict_types=1);

namespace Countersign\Webhooks;

const MAX_BODY_BYTES = 256 * 1024;
const KEEP_ID_S = 35 * 24 * 60 * 60; // longer than the sender can send it again

/** Every outcome, and the status that tells it to the sender. */
enum Outcome: string
{
    case Accepted = 'accepted';
    case Duplicate = 'duplicate'; // acted on before: answer so, and do nothing
    case TooLarge = 'too_large';
    case UnsupportedEncoding = 'unsupported_encoding';
    case Malformed = 'malformed';
    case Stale = 'stale';
    case Future = 'future';
    case UnknownKey = 'unknown_key';
    case BadSignature = 'bad_signature';
    case Replayed = 'replayed';
    case Unavailable = 'unavailable'; // the store cannot remember: the sender tries again

    public function status(): int
    {
        return match ($this) {
            self::Accepted, self::Duplicate => 200,
            self::TooLarge => 413,
            self::UnsupportedEncoding => 415,
            self::Malformed, self::Future => 400,
            self::Stale => 408,
            self::UnknownKey, self::BadSignature => 401,
            self::Replayed => 409,
            self::Unavailable => 503,
        };
    }
}

// The headers that are read, and the form of each. \A and \z are the ends of the value, where $ may stand before a line's end.
const CHARACTERS = '[0-9a-hjkmnp-tv-z]{26}';
const SIGNATURE = '[a-z][0-9a-z]*,[0-9A-Za-z+/]+={0,2}';
const FORMS = [
    'webhook-id' => '~\Amsg_' . CHARACTERS . '\z~',
    'webhook-timestamp' => '~\A(0|[1-9][0-9]{0,11})\z~',
    'webhook-signature' => '~\A' . SIGNATURE . '( ' . SIGNATURE . '){0,3}\z~',
    'webhook-key-id' => '~\Awhk_' . CHARACTERS . '( whk_' . CHARACTERS . ')?\z~',
    'webhook-attempt-id' => '~\Aatt_' . CHARACTERS . '\z~',
];

/** A request as it came: pairs of name and value, and a stream. Names of headers are compared without regard to case. */
final class Request
{
    /**
     * @param list<array{string, string}> $headers
     * @param resource $body
     */
    public function __construct(private readonly array $headers, public readonly mixed $body)
    {
    }

    /** The request that this script answers. A server joins a header that came twice with a comma, which no form admits. */
    public static function fromGlobals(): self
    {
        $headers = [];
        foreach ($_SERVER as $name => $value) {
            if (str_starts_with((string) $name, 'HTTP_')) {
                $headers[] = [strtr(substr($name, 5), '_', '-'), (string) $value];
            }
        }
        return new self($headers, fopen('php://input', 'rb'));
    }

    /** @return list<string> */
    public function values(string $name): array
    {
        return array_column(array_filter($this->headers, fn ($header) => strcasecmp($header[0], $name) === 0), 1);
    }
}

/**
 * What was sent, once it is verified: `id` is the same each time it is sent, `timestamp` is when this attempt was signed,
 * `attemptId` is for your logs (v1 and v1a do not sign it), `body` is JSON, byte for byte as it was signed.
 */
final class Message
{
    public function __construct(
        public readonly string $id,
        public readonly int $timestamp,
        public readonly string $attemptId,
        public readonly string $body,
    ) {
    }
}

/** What to answer, and what to act on if it is accepted. There is no message where it is refused. */
final class Result
{
    public function __construct(public readonly Outcome $outcome, public readonly ?Message $message = null)
    {
    }
}

/**
 * Judges a request by the keys that you hold, by their ids. It accepts a message once and refuses whatever is wrong in any
 * way; no input makes it throw. Times are in seconds, `$now` since 1970.
 *
 * @param array<string, Key> $keys
 */
function verify(Request $request, array $keys, int $windowS, int $now, Store $store): Result
{
    // Counted while it arrives: the length that a sender declares is a claim.
    $body = stream_get_contents($request->body, MAX_BODY_BYTES + 1);
    if ($body === false) { // the connection broke
        return new Result(Outcome::Malformed);
    }
    if (strlen($body) > MAX_BODY_BYTES) {
        return new Result(Outcome::TooLarge);
    }
    // What is signed is what was sent, so nothing is unpacked: no small body becomes a huge one.
    foreach ($request->values('content-encoding') as $encoding) {
        if (strcasecmp($encoding, 'identity') !== 0) {
            return new Result(Outcome::UnsupportedEncoding);
        }
    }
    $read = [];
    foreach (FORMS as $name => $form) {
        $values = $request->values($name);
        // Of a header that comes twice, another reader than this one may take the other value.
        if (count($values) !== 1 || preg_match($form, $values[0]) !== 1) {
            return new Result(Outcome::Malformed);
        }
        $read[] = $values[0];
    }
    [$id, $timestamp, $header, $keyIds, $attemptId] = $read;
    $signatures = [];
    foreach (explode(' ', $header) as $part) {
        [$scheme, $text] = explode(',', $part);
        $signatures[] = [$scheme, $signature = base64($text)];
        if ($signature === null) {
            return new Result(Outcome::Malformed);
        }
    }
    $message = new Message($id, (int) $timestamp, $attemptId, $body);
    if ($now - $message->timestamp > $windowS) {
        return new Result(Outcome::Stale);
    }
    if ($message->timestamp - $now > $windowS) {
        return new Result(Outcome::Future);
    }
    $held = array_intersect_key($keys, array_flip(explode(' ', $keyIds)));
    if ($held === []) {
        return new Result(Outcome::UnknownKey);
    }
    if (!signedByOne($held, "$id.$timestamp.$body", $signatures)) {
        return new Result(Outcome::BadSignature);
    }
    // Only what is genuine reaches the store, so that no stranger can fill it.
    $outcome = $store->remember($message, $now, $now + 2 * $windowS, $now + KEEP_ID_S);
    return new Result($outcome, $outcome->status() === 200 ? $message : null);
}

/**
 * @param array<string, Key> $keys
 * @param list<array{string, string}> $signatures
 */
function signedByOne(array $keys, string $text, array $signatures): bool
{
    foreach ($keys as $key) {
        foreach ($signatures as [$scheme, $signature]) {
            if ($key->signed($text, $scheme, $signature)) {
                return true;
            }
        }
    }
    return false;
}

/** Strict (RFC 4648 §3.5): there is one way to write a signature. The decoder alone would take more. */
function base64(string $text): ?string
{
    $bytes = base64_decode($text, true);
    return $bytes !== false && base64_encode($bytes) === $text ? $bytes : null;
}

/** What you hold of one key id. The public half is enough, and whoever steals it can forge nothing. */
final class Key
{
    private readonly ?string $secret;
    private readonly ?string $public;

    /**
     * Reads a secret ("whsec_…"), a public key ("whpk_…") or both. What is no key throws as soon as it is read.
     */
    public function __construct(#[\SensitiveParameter] ?string $secret = null, ?string $public = null)
    {
        if ($secret === null && $public === null) {
            throw new \InvalidArgumentException('a webhook key needs its secret (whsec_…) or its public key (whpk_…)');
        }
        $this->secret = $secret === null ? null : self::bytes($secret, 'whsec_');
        $this->public = $public === null ? null : self::bytes($public, 'whpk_');
    }

    /** Schemes that it does not know sign nothing: there will be more. */
    public function signed(string $text, string $scheme, string $signature): bool
    {
        return match ($scheme) {
            // In constant time, so that an answer's delay tells nobody how much of a forgery is right.
            'v1' => $this->secret !== null && hash_equals(hash_hmac('sha256', $text, $this->secret, true), $signature),
            'v1a' => $this->public !== null && strlen($signature) === SODIUM_CRYPTO_SIGN_BYTES
                && sodium_crypto_sign_verify_detached($signature, $text, $this->public),
            default => false,
        };
    }

    /** Keeps the secret out of logs. */
    public function __debugInfo(): array
    {
        return [];
    }

    private static function bytes(#[\SensitiveParameter] string $text, string $prefix): string
    {
        $bytes = str_starts_with($text, $prefix) ? base64(substr($text, strlen($prefix))) : null;
        if ($bytes === null || strlen($bytes) !== 32) {
            throw new \InvalidArgumentException(
                "a webhook key is $prefix and base64 of 32 bytes; copy it again from the endpoint's page"
            );
        }
        return $bytes;
    }
}

/**
 * Remembers an attempt (the pair of id and timestamp) until one time and the id of its message until a later one. It looks and
 * remembers in one step: of two equal requests at once, one is fresh. Over a database, write the message in the
 * same transaction: a message that is lost after it was answered with 200 does not come again.
 */
interface Store
{
    /**
     * Accepted (it is remembered now), Duplicate (its id was there, the attempt is new and remembered now), Replayed (this very
     * attempt was there) or Unavailable (nothing could be remembered).
     */
    public function remember(Message $message, int $now, int $attemptUntil, int $idUntil): Outcome;
}

/**
 * A store for one process that may forget when it restarts. Under php-fpm each request forgets what the one before it saw:
 * use a database there.
 */
final class MemoryStore implements Store
{
    /** @var array<string, int> */
    private array $until = [];

    /** @param int $room how much it holds, two entries a message */
    public function __construct(private readonly int $room = 100_000)
    {
    }

    public function remember(Message $message, int $now, int $attemptUntil, int $idUntil): Outcome
    {
        $attempt = "$message->id.$message->timestamp";
        if ($this->holds($attempt, $now)) {
            return Outcome::Replayed;
        }
        if ($this->isFull()) {
            $this->until = array_filter($this->until, fn (int $end) => $end >= $now);
        }
        // A full store lets nothing in: to forget what still counts would let replays in.
        if ($this->isFull()) {
            return Outcome::Unavailable;
        }
        $this->until[$attempt] = $attemptUntil;
        if ($this->holds($message->id, $now)) {
            return Outcome::Duplicate;
        }
        $this->until[$message->id] = $idUntil;
        return Outcome::Accepted;
    }

    private function isFull(): bool
    {
        return count($this->until) + 2 > $this->room;
    }

    private function holds(string $name, int $now): bool
    {
        return ($this->until[$name] ?? PHP_INT_MIN) >= $now;
    }
}
