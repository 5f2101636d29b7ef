//! Faults that a copy of the checks could have, put into each example, to see that the vectors find them.

use super::{languages::Language, vectors};

/// A fault, and by the example's file the text that makes it and what stands there instead.
struct Fault {
    name: &'static str,
    made: [(&'static str, &'static str, &'static str); 4],
}

const FAULTS: &[Fault] = &[
    Fault {
        name: "a message is taken a second late",
        made: [
            ("verify.go", "age > window:", "age > window+time.Second:"),
            ("Verify.java", "(age.compareTo(window)", "(age.compareTo(window.plusSeconds(1))"),
            ("verify.rb", "if age_s > window_s", "if age_s > window_s + 1"),
            (
                "verify.php",
                "$now - $message->timestamp > $windowS",
                "$now - $message->timestamp > $windowS + 1",
            ),
        ],
    },
    Fault {
        name: "a message is taken a second early",
        made: [
            ("verify.go", "age < -window:", "age < -window-time.Second:"),
            (
                "Verify.java",
                "age.negated().compareTo(window)",
                "age.negated().compareTo(window.plusSeconds(1))",
            ),
            ("verify.rb", "if age_s < -window_s", "if age_s < -window_s - 1"),
            (
                "verify.php",
                "$message->timestamp - $now > $windowS",
                "$message->timestamp - $now > $windowS + 1",
            ),
        ],
    },
    Fault {
        name: "every v1 is right",
        made: [
            ("verify.go", "hmac.Equal(expected, signature.bytes)", "len(expected) > 0"),
            ("Verify.java", "MessageDigest.isEqual(mac.doFinal(body), signed.signature())", "true"),
            (
                "verify.rb",
                r#"OpenSSL.secure_compare(OpenSSL::HMAC.digest("SHA256", @secret, text), signature)"#,
                "true",
            ),
            (
                "verify.php",
                "hash_equals(hash_hmac('sha256', $text, $this->secret, true), $signature)",
                "true",
            ),
        ],
    },
    Fault {
        name: "every v1a is right",
        made: [
            ("verify.go", "ed25519.Verify(key.public, text, signature.bytes)", "len(signature.bytes) == 64"),
            ("Verify.java", "return ed25519.verify(signed.signature());", "return true;"),
            ("verify.rb", "@public.verify(nil, signature, text)", "true"),
            ("verify.php", "sodium_crypto_sign_verify_detached($signature, $text, $this->public)", "true"),
        ],
    },
    Fault {
        name: "a key that is not named will do",
        made: [
            ("verify.go", "for _, name := range named {", "_ = named\n\tfor name := range keys {"),
            ("Verify.java", "Stream.of(keyIds.get().split(\" \")).map(keys::get)", "keys.values().stream()"),
            ("verify.rb", "keys.values_at(*key_ids.split)", "keys.values_at(*(key_ids.split + keys.keys))"),
            ("verify.php", "array_intersect_key($keys, array_flip(explode(' ', $keyIds)))", "$keys"),
        ],
    },
    Fault {
        name: "a header may come twice",
        made: [
            ("verify.go", "len(values) != 1 ||", "len(values) == 0 ||"),
            ("Verify.java", "values.size() == 1 ?", "values.size() > 0 ?"),
            ("verify.rb", "values.size == 1 &&", "values.any? &&"),
            ("verify.php", "count($values) !== 1 ||", "count($values) === 0 ||"),
        ],
    },
    Fault {
        name: "base64 is read loosely",
        made: [
            ("verify.go", "StdEncoding.Strict().DecodeString(text)", "StdEncoding.DecodeString(text)"),
            ("Verify.java", ".filter(some -> Base64.getEncoder().encodeToString(some).equals(text))", ""),
            ("verify.rb", "text.unpack1(\"m0\")", "text.unpack1(\"m\")"),
            ("verify.php", " && base64_encode($bytes) === $text", ""),
        ],
    },
    Fault {
        name: "a body may be a byte longer",
        made: [
            ("verify.go", "len(body) > maxBodyBytes:", "len(body) > maxBodyBytes+1:"),
            ("Verify.java", "body.length > MAX_BODY_BYTES)", "body.length > MAX_BODY_BYTES + 1)"),
            ("verify.rb", "body.bytesize > MAX_BODY_BYTES", "body.bytesize > MAX_BODY_BYTES + 1"),
            ("verify.php", "strlen($body) > MAX_BODY_BYTES", "strlen($body) > MAX_BODY_BYTES + 1"),
        ],
    },
    Fault {
        name: "an encoding is passed over",
        made: [
            ("verify.go", "!strings.EqualFold(encoding, \"identity\")", "encoding == \"\""),
            ("Verify.java", "allMatch(IDENTITY)", "allMatch(any -> true)"),
            ("verify.rb", "value.casecmp(\"identity\")&.zero?", "!value.nil?"),
            ("verify.php", "strcasecmp($encoding, 'identity') !== 0", "$encoding === ''"),
        ],
    },
    Fault {
        name: "an attempt is not remembered",
        made: [
            ("verify.go", "store.until[attempt] = attemptUntil", "delete(store.until, attempt)"),
            ("Verify.java", "until.put(attempt, attemptUntil)", "until.remove(attempt)"),
            ("verify.rb", "@until[attempt] = attempt_until", "@until.delete(attempt)"),
            ("verify.php", "$this->until[$attempt] = $attemptUntil", "unset($this->until[$attempt])"),
        ],
    },
    Fault {
        name: "an attempt is remembered for the window alone",
        made: [
            ("verify.go", "now.Add(2*window)", "now.Add(window)"),
            ("Verify.java", "window.multipliedBy(2)", "window"),
            ("verify.rb", "now + (2 * window_s)", "now + window_s"),
            ("verify.php", "$now + 2 * $windowS", "$now + $windowS"),
        ],
    },
    Fault {
        name: "an id is remembered for 28 days",
        made: [
            ("verify.go", "= 35 * 24 * time.Hour", "= 28 * 24 * time.Hour"),
            ("Verify.java", "Duration.ofDays(35)", "Duration.ofDays(28)"),
            ("verify.rb", "KEEP_ID_S = 35 *", "KEEP_ID_S = 28 *"),
            ("verify.php", "KEEP_ID_S = 35 *", "KEEP_ID_S = 28 *"),
        ],
    },
    Fault {
        name: "a retry is acted on again",
        made: [
            ("verify.go", "return Duplicate", "return Fresh"),
            ("Verify.java", "return Code.DUPLICATE", "return Code.ACCEPTED"),
            ("verify.rb", "next :duplicate", "next :accepted"),
            ("verify.php", "return Outcome::Duplicate", "return Outcome::Accepted"),
        ],
    },
    Fault {
        name: "a full store forgets",
        made: [
            ("verify.go", "return Unavailable", "store.until = map[string]time.Time{}"),
            ("Verify.java", "return Code.UNAVAILABLE", "until.clear()"),
            ("verify.rb", "next :unavailable", "@until.clear"),
            ("verify.php", "return Outcome::Unavailable", "$this->until = []"),
        ],
    },
    Fault {
        name: "a full store stays full",
        made: [
            ("verify.go", "delete(store.until, name)", "continue"),
            ("Verify.java", "until.values().removeIf(end -> end.isBefore(now))", "assert true"),
            ("verify.rb", "@until.select! { |name, _| holds?(name, now) }", "@until"),
            ("verify.php", "fn (int $end) => $end >= $now", "fn (int $end) => true"),
        ],
    },
];

/// W-11, W-3: with each fault some vector is judged otherwise, and the program fails by that alone.
pub(super) fn are_found(language: &Language) {
    let (source, vectors) = (language.source(), vectors::all());
    for fault in FAULTS {
        let (_, from, to) = fault.made.iter().find(|(file, ..)| *file == language.file).unwrap();
        assert_eq!(source.matches(from).count(), 1, "{}: {from}", language.file);
        let run = language.run(&source.replace(from, to), &vectors);
        assert_eq!(run.code, Some(1), "{}, {}: {}", language.file, fault.name, run.told);
        assert!(run.told.contains("wrong: "), "{}, {}: {}", language.file, fault.name, run.told);
    }
}
